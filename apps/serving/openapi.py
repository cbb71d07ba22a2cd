"""The recommendation endpoint in the OpenAPI document, by hand: a plain view has no serializers to read."""

from typing import Any

from apps.core.openapi import json_content, path_document
from apps.serving.api import SKU_MAX, TEXT_LIMITS
from apps.serving.decide import ITEMS_MAX, PAGE_MAX
from apps.serving.slate import Rung

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
    },
}
SLATE: dict[str, Any] = {
    "type": "object",
    "required": ["request_id", "placement", "publication", "rung", "items"],
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
        }
    ],
}


def parameter(name: str, description: str, schema: dict[str, Any], where: str = "query") -> dict[str, Any]:
    """An OpenAPI parameter object."""
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "description": description,
        "schema": schema,
    }


def document() -> None:
    """Add the endpoint to the document."""
    operation: dict[str, Any] = {
        "operationId": "recommendations_get",
        "tags": ["recommendations"],
        "summary": "Products for one placement",
        "description": "Answers with the placement's live weights and rules; never empty while the catalogue "
        "is not. Every answer to an API key is recorded as an exposure. Staff signed in to the site may call "
        "it without a key; those answers are not recorded.",
        "parameters": [
            parameter(
                "placement",
                "Code of a placement: home, product, cart, trending, new, or your own.",
                {"type": "string", "maxLength": 40, "pattern": "^[-a-zA-Z0-9_]+$"},
                "path",
            ),
            parameter(
                "shopper",
                "Your pseudonymous id of the shopper; leave it out for a stranger.",
                {"type": "string", "maxLength": TEXT_LIMITS["shopper"]},
            ),
            parameter(
                "items",
                f"Skus separated by commas, at most {ITEMS_MAX} of at most {SKU_MAX} characters: the product "
                "of a product page, the cart, or what the visitor looked at (last one last).",
                {"type": "string"},
            ),
            parameter(
                "session",
                "Your id of the visit; its events make slates for a stranger fit.",
                {"type": "string", "maxLength": TEXT_LIMITS["session"]},
            ),
            parameter(
                "n",
                "How many items; else the placement's page size.",
                {"type": "integer", "minimum": 1, "maximum": PAGE_MAX},
            ),
            parameter(
                "lang",
                "Language of the titles, for example zh-hans.",
                {"type": "string", "maxLength": TEXT_LIMITS["lang"]},
            ),
            parameter(
                "explain",
                "1 adds the trace. Any key with the scope `recommend` may ask; it costs some milliseconds.",
                {"type": "string", "enum": ["0", "1", "false", "true"]},
            ),
        ],
        "responses": {
            "200": {
                "description": "The slate, best first.",
                "headers": {"X-Request-Id": {"schema": {"type": "string", "format": "uuid"}}},
                "content": json_content({"$ref": "#/components/schemas/Slate"}, EXAMPLE),
            }
        },
    }
    path_document(
        path=PATH,
        method="get",
        operation=operation,
        components={"Slate": SLATE, "SlateItem": ITEM},
        errors=("400", "401", "403", "404", "405", "429", "503"),
    )
