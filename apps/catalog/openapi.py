"""The catalogue endpoints in the OpenAPI document, by hand: plain views have no serializers to read."""

from functools import partial
from typing import Any

from apps.catalog.cleaning import LIMITS, MAX_DESCRIPTION, MAX_PRICE, MAX_STOCK
from apps.core.openapi import batch_document

SKU = {"type": "string", "minLength": 1, "maxLength": LIMITS["sku"]}
MONEY = {"type": "number", "nullable": True, "minimum": 0, "maximum": MAX_PRICE, "exclusiveMaximum": True}
MOMENT = {
    "type": "string",
    "nullable": True,
    "description": "ISO 8601; without an offset it is in the shop's time zone.",
    "example": "2026-12-24T18:00:00Z",
}


def _text(limit: int, description: str) -> dict[str, Any]:
    return {"type": "string", "nullable": True, "maxLength": limit, "description": description}


PRICES: dict[str, Any] = {
    "price": MONEY,
    "list_price": MONEY
    | {"description": "What it cost before a promotion; above the price, the item is on promotion."},
    "currency": _text(3, "ISO code; empty: the shop's."),
}
STOCK: dict[str, Any] = {
    "stock": {
        "type": "integer",
        "nullable": True,
        "minimum": 0,
        "maximum": MAX_STOCK,
        "description": "0 is sold out; null: not counted, always in stock.",
    },
    "available_from": MOMENT,
    "available_until": MOMENT,
}
ITEM: dict[str, Any] = {
    "title": _text(LIMITS["title"], "Needed by PUT."),
    "description": _text(MAX_DESCRIPTION, ""),
    "language": _text(LIMITS["language"], "Of title and description; empty: en."),
    "category": _text(LIMITS["category"], "A path like Home > Kitchen > Mugs."),
    "brand": _text(LIMITS["brand"], "Or artist, author, maker."),
    "cost": MONEY,
    "image_url": _text(LIMITS["image_url"], "Starts with https://."),
    "attributes": {"type": "object", "nullable": True, "additionalProperties": True},
    "group_key": _text(LIMITS["group_key"], "The same for variants of one another."),
    "created_at": MOMENT,
    "texts": {
        "type": "object",
        "nullable": True,
        "additionalProperties": True,
        "description": "Title and description by language code; null takes a language away.",
        "example": {"zh-hans": {"title": "红杯子", "description": ""}},
    },
}


def document() -> None:
    """Add the endpoints to the document."""
    of_items = partial(batch_document, tag="catalogue", scope="catalog", key="sku", key_schema=SKU)
    of_items(
        path="/api/v1/items",
        rows="items",
        schema="Item",
        properties=ITEM | PRICES | STOCK,
        put="Make or replace items: a field that is not named is emptied.",
        patch="Change the named fields of items there are. Attributes and texts are merged by key.",
        example={"sku": "MUG-RED", "title": "Red mug", "price": 7.9, "list_price": 9.9, "stock": 40},
    )
    of_items(
        path="/api/v1/prices",
        rows="prices",
        schema="ItemPrice",
        properties=PRICES,
        put="Set prices of items there are; a list price that is not named ends.",
        patch="Change the named price fields of items there are.",
        example={"sku": "MUG-RED", "price": 7.9, "list_price": 9.9},
    )
    of_items(
        path="/api/v1/stock",
        rows="stock",
        schema="ItemStock",
        properties=STOCK,
        put="Set stock and availability of items there are; a stock that is not named is not counted.",
        patch="Change the named stock fields of items there are.",
        example={"sku": "MUG-RED", "stock": 0},
    )
