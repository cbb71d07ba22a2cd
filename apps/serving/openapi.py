"""The recommendation endpoint in the OpenAPI document, by hand: a plain view has no serializers to read."""

from typing import Any

from apps.core.openapi import json_content, path_document
from apps.serving.decide import ITEMS_MAX
from apps.serving.parameters import (
    ATTRIBUTES_MAX,
    BRANDS_MAX,
    EXCLUDE_MAX,
    NAME_MAX,
    PRICE_MAX,
    RANK_MAX,
    SKU_MAX,
    TEXT_LIMITS,
)
from apps.serving.publications import PAGE_MAX
from apps.serving.slate import DEVICES, REFERRERS, SEASONS, Rung

NUMBER_OR_NULL = {"type": "number", "nullable": True}
PATH = "/api/v1/recommendations/{placement}"
ITEM: dict[str, Any] = {
    "type": "object",
    "required": [
        "sku",
        "title",
        "price",
        "currency",
        "image",
        "category",
        "brand",
        "position",
        "score",
        "source",
        "reason",
        "sponsored",
    ],
    "additionalProperties": False,
    "properties": {
        "sku": {"type": "string"},
        "title": {"type": "string", "description": "In `lang` where the catalogue has it."},
        "price": NUMBER_OR_NULL,
        "currency": {"type": "string"},
        "image": {"type": "string"},
        "category": {"type": "string", "example": "Home > Kitchen > Mugs"},
        "brand": {"type": "string"},
        "position": {"type": "integer", "minimum": 1, "maximum": PAGE_MAX},
        "score": NUMBER_OR_NULL | {"description": "Blended score; null for a pin or fill no source lists."},
        "source": {
            "type": "string",
            "description": "The source that gave the item most; `rule` for a pin that no source lists.",
        },
        "reason": {
            "type": "string",
            "description": "Why the item is here, in one line for the shopper, in `lang`.",
            "example": "Because you viewed Red stoneware mug",
        },
        "sponsored": {"type": "boolean", "description": "A sponsor pays for it; say so where you show it."},
    },
}
SLATE: dict[str, Any] = {
    "type": "object",
    "required": ["request_id", "placement", "publication", "experiment", "rung", "items"],
    "additionalProperties": False,
    "properties": {
        "request_id": {
            "type": "string",
            "format": "uuid",
            "description": "Send it back with the events that follow from this slate.",
        },
        "placement": {"type": "string"},
        "publication": {
            "type": "integer",
            "nullable": True,
            "description": "Number of the weights and rules used.",
        },
        "experiment": {
            "type": "object",
            "nullable": True,
            "required": ["code", "variant"],
            "additionalProperties": False,
            "properties": {"code": {"type": "string"}, "variant": {"type": "string"}},
            "description": "The experiment and the variant that decided this slate; null where none did.",
        },
        "rung": {
            "type": "string",
            "enum": [str(rung) for rung in Rung],
            "description": "What the slate stands on; `shopper` is best, `memory`: the database is away.",
        },
        "items": {"type": "array", "maxItems": PAGE_MAX, "items": {"$ref": "#/components/schemas/SlateItem"}},
        "trace": {
            "type": "object",
            "additionalProperties": True,
            "description": "With `explain=1`: every source score, normalised, weighted; rules, limits, rung.",
        },
    },
}
EXAMPLE = {
    "request_id": "0b6f7c0e-6f0f-4f6e-9d7d-0c7f8a1b2c3d",
    "placement": "home",
    "publication": 7,
    "experiment": {"code": "fresh-home", "variant": "b"},
    "rung": "shopper",
    "items": [
        {
            "sku": "MUG-RED",
            "title": "Red stoneware mug",
            "price": 9.9,
            "currency": "EUR",
            "image": "/media/products/mug-red.svg",
            "category": "Home > Kitchen > Mugs",
            "brand": "Lumen",
            "position": 1,
            "score": 1.84,
            "source": "ease",
            "reason": "Picked for your taste",
            "sponsored": False,
        }
    ],
}


def _text(name: str) -> dict[str, Any]:
    return {"type": "string", "maxLength": TEXT_LIMITS[name]}


def _texts(most: int, longest: int) -> dict[str, Any]:
    return {"type": "array", "maxItems": most, "items": {"type": "string", "maxLength": longest}}


def _whole(low: int, high: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "maximum": high}


# Of the context: parsed, so that storefronts may send it, but the engine reads the region alone.
UNUSED = "Checked; does not change slates yet."
FLAG = {"type": "string", "enum": ["0", "1", "false", "true"]}
PRICE = {"type": "number", "minimum": 0, "maximum": PRICE_MAX}
ATTRIBUTES = {
    "type": "object",
    "maxProperties": ATTRIBUTES_MAX,
    "additionalProperties": {"type": "string", "minLength": 1, "maxLength": NAME_MAX},
}
# Name, what it says, and its shape in JSON; in an address lists and objects are text joined by commas.
ASKED: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("shopper", "Your pseudonymous id of the shopper; leave it out for a stranger.", _text("shopper")),
    (
        "items",
        f"Skus, at most {ITEMS_MAX}: the product of a page, the cart, or what was looked at, last one last.",
        _texts(ITEMS_MAX, SKU_MAX),
    ),
    ("session", "Your id of the visit; its events make slates for a stranger fit.", _text("session")),
    (
        "anonymous",
        "The id the shopper had until they logged in, as in events: experiments go by it meanwhile.",
        _text("anonymous"),
    ),
    ("n", "How many items; else the placement's page size.", _whole(1, PAGE_MAX)),
    ("lang", "Language of titles and reasons, for example zh-hans.", _text("lang")),
    (
        "explain",
        "1 adds the trace. Any key with the scope `recommend` may ask; it costs some milliseconds.",
        FLAG,
    ),
    (
        "personalised",
        "0: nothing of the shopper, the visit or the region is used; the exposure names no shopper.",
        FLAG,
    ),
    ("exclude", f"Skus not to show, at most {EXCLUDE_MAX}.", _texts(EXCLUDE_MAX, SKU_MAX)),
    ("currency", "Only products priced in this currency.", {"type": "string", "pattern": "^[A-Za-z]{3}$"}),
    ("category", "Path of the category page that asks, parts joined by ' > '.", _text("category")),
    (
        "rank",
        f"Skus in your order, at most {RANK_MAX}: only these, put in the shopper's order (search results).",
        _texts(RANK_MAX, SKU_MAX),
    ),
    (
        "device",
        "What the visitor looks at; some experiments are about some devices alone.",
        {"type": "string", "enum": list(DEVICES)},
    ),
    ("hour", f"Hour of the visitor's day. {UNUSED}", _whole(0, 23)),
    ("weekday", f"1 is Monday, 7 Sunday. {UNUSED}", _whole(1, 7)),
    ("region", "Where the visitor is; else the region of a shopper who agreed to its use.", _text("region")),
    ("season", f"Season where the visitor is. {UNUSED}", {"type": "string", "enum": list(SEASONS)}),
    ("referrer", f"How the visit began. {UNUSED}", {"type": "string", "enum": list(REFERRERS)}),
    ("in_category", "Only products of this category and those below it.", _text("in_category")),
    ("brand", "Only products of these brands.", _texts(BRANDS_MAX, NAME_MAX)),
    ("price_min", "Only products of this price or more.", PRICE),
    ("price_max", "Only products of this price or less.", PRICE),
    ("in_stock", "1: only products that are counted as in stock or not counted.", FLAG),
    ("attributes", "Only products with all of these attributes: colour:red,material:oak.", ATTRIBUTES),
)


def parameter(name: str, description: str, schema: dict[str, Any], where: str = "query") -> dict[str, Any]:
    """An OpenAPI parameter object; a list or an object goes into an address as one text."""
    if schema.get("type") in ("array", "object"):
        schema = {"type": "string"}
        description += " Joined by commas."
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "description": description,
        "schema": schema,
    }


def _operation(name: str, summary: str, description: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "tags": ["recommendations"],
        "summary": summary,
        "description": description,
        "parameters": [
            parameter(
                "placement",
                "Code of a placement: home, product, cart, trending, new, or your own.",
                {"type": "string", "maxLength": 40, "pattern": "^[-a-zA-Z0-9_]+$"},
                "path",
            )
        ],
        "responses": {
            "200": {
                "description": "The slate, best first.",
                "headers": {"X-Request-Id": {"schema": {"type": "string", "format": "uuid"}}},
                "content": json_content({"$ref": "#/components/schemas/Slate"}, EXAMPLE),
            }
        },
    }


def document() -> None:
    """Add the endpoint to the document."""
    get = _operation(
        "recommendations_get",
        "Products for one placement",
        "Answers with the placement's live weights and rules; never empty while the catalogue is not. Every "
        "answer to an API key is recorded as an exposure. Staff signed in to the site may call it without a "
        "key; those answers are not recorded. They may add `publication` (a number) and `blend` "
        "(ease:0.5,als:0.2) to see what another publication or other weights would show; keys may not.",
    )
    get["parameters"] += [parameter(name, words, schema) for name, words, schema in ASKED]
    post = _operation(
        "recommendations_post",
        "Products for one placement, asked in JSON",
        "The same question in a body, for carts and search results that outgrow an address.",
    )
    properties = {name: schema | {"description": words} for name, words, schema in ASKED}
    post["requestBody"] = {
        "required": True,
        "content": json_content(
            {"$ref": "#/components/schemas/SlateQuestion"}, {"items": ["MUG-RED"], "n": 4}
        ),
    }
    question = {"type": "object", "additionalProperties": False, "properties": properties}
    path_document(
        path=PATH,
        publishable=True,
        method="get",
        operation=get,
        components={"Slate": SLATE, "SlateItem": ITEM, "SlateQuestion": question},
        errors=("400", "401", "403", "404", "405", "429", "503"),
    )
    path_document(
        path=PATH,
        publishable=True,
        method="post",
        operation=post,
        errors=("400", "401", "403", "404", "405", "413", "429", "503"),
    )
