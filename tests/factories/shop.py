"""Small frames of products and events, and rows made through the real services."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pandas as pd

from apps.catalog.models import Product
from apps.catalog.services import product_upsert_many
from apps.core import clock
from apps.events.models import Shopper
from apps.events.services import event_record_rows, shopper_upsert_many
from apps.events.validation import RecordResult

_numbers = count(1)


def products_frame(*skus: str, **columns: Any) -> pd.DataFrame:
    """A valid products frame, one row per sku; `columns` override or add whole columns."""
    base = {
        "sku": list(skus),
        "title": [f"Product {sku}" for sku in skus],
        "category": ["Home > Kitchen > Mugs"] * len(skus),
        "brand": ["Acme"] * len(skus),
        "price": [10.0] * len(skus),
        "currency": ["EUR"] * len(skus),
    }
    return pd.DataFrame(base | columns)


def products_make(*skus: str, **columns: Any) -> dict[str, Product]:
    """Store products and return them by sku."""
    result = product_upsert_many(frame=products_frame(*skus, **columns), source="test")
    assert not result.errors
    return {product.sku: product for product in Product.objects.filter(sku__in=skus)}


def shoppers_make(*ids: str, **columns: Any) -> dict[str, Shopper]:
    """Store shoppers and return them by external id."""
    shopper_upsert_many(frame=pd.DataFrame({"external_id": list(ids)} | columns))
    return {shopper.external_id: shopper for shopper in Shopper.objects.filter(external_id__in=ids)}


def event(kind: str = "view", **fields: Any) -> dict[str, Any]:
    """A valid event dict with an id of its own; `fields` override."""
    base: dict[str, Any] = {
        "kind": kind,
        "client_event_id": f"e{next(_numbers)}",
        "shopper": "s1",
        "sku": "p1",
        "session": "v1",
        "occurred_at": (clock.now() - timedelta(minutes=1)).isoformat(),
    }
    return base | fields


def events_record(*rows: dict[str, Any], historic: bool = True) -> RecordResult:
    """Store events through the small path."""
    return event_record_rows(rows=rows, source="test", historic=historic)


def day(text: str) -> datetime:
    """Noon UTC of an ISO date, or the moment if it has a time."""
    moment = datetime.fromisoformat(text)
    return (moment if "T" in text else moment + timedelta(hours=12)).replace(tzinfo=UTC)
