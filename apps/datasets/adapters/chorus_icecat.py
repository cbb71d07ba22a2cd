"""Chorus Icecat: 19,406 electronics products with thousands of attributes; one JSON object a line.

Source: Icecat Open Content License; prepared by the Chorus community.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pandas as pd

from apps.core.errors import InvalidInput, shorten
from apps.datasets.frames import SKIPPED_COLUMNS, DatasetFrames

NAME = "chorus-icecat"
REASONS = {
    "unreadable_line": ("line", "Write one JSON object a line."),
    "no_id": ("id", "Give every product an id."),
    "no_title": ("title", "Give every product a title."),
    "bad_price": ("price", "Write the price in cents, above 0."),
    "repeated_id": ("id", "Keep one product of each id."),
    "bad_date": ("date_released", "Write a date like 2006-07-01T00:00:00Z."),
}
ATTRIBUTE_PREFIXES = ("attr_t_", "attr_n_", "attr_b_")


def frames_load(path: Path) -> DatasetFrames:
    """Read products.jsonl(.gz); raises InvalidInput when there is no such file."""
    rows: list[dict[str, Any]] = []
    skipped: list[tuple[int, str, str, str, str]] = []
    seen: set[str] = set()
    count = 0
    for count, raw in _lines(path):
        product, reason, value = _product(raw, seen)
        if product is None:
            field, remedy = REASONS[reason]
            skipped.append((count, reason, field, shorten(value), remedy))
        else:
            seen.add(product["sku"])
            rows.append(product | {"line": count})
    products = pd.DataFrame(rows) if rows else pd.DataFrame({"sku": [], "title": []}, dtype="str")
    return DatasetFrames(
        rows=count,
        products=products,
        shoppers=pd.DataFrame({"external_id": []}, dtype="str"),
        events=pd.DataFrame({"kind": [], "client_event_id": []}, dtype="str"),
        skipped=pd.DataFrame(skipped, columns=SKIPPED_COLUMNS),
        title="Chorus Electronics",
        currency="USD",
    )


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    opener = gzip.open if path.suffix == ".gz" else open
    number = 0
    try:
        with opener(path, "rb") as file:
            for line in file:
                if line.strip():
                    number += 1
                    yield number, line
    except (OSError, EOFError) as error:
        remedy = f"Give the data set's products.jsonl or products.jsonl.gz: {error}"
        raise InvalidInput(field="path", value=path, remedy=remedy) from error


def _product(raw: bytes, seen: set[str]) -> tuple[dict[str, Any] | None, str, Any]:
    """(product row, "", "") or (None, reason, offending value)."""
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None, "unreadable_line", raw[:60].decode("utf-8", "replace")
    if not isinstance(data, dict):
        return None, "unreadable_line", data
    sku, title, cents = (
        str(data.get("id") or "").strip(),
        str(data.get("title") or "").strip(),
        data.get("price"),
    )
    released = pd.to_datetime(
        str(data.get("date_released") or ""), utc=True, errors="coerce", format="ISO8601"
    )
    if not sku:
        return None, "no_id", ""
    if not title:
        return None, "no_title", sku
    if not isinstance(cents, (int, float)) or isinstance(cents, bool) or not 0 < cents < 1e11:
        return None, "bad_price", cents
    if sku in seen:
        return None, "repeated_id", sku
    if pd.isna(released):
        return None, "bad_date", data.get("date_released")
    product = {
        "sku": sku,
        "title": title[:300],
        "description": str(data.get("short_description") or ""),
        "language": "en",
        "brand": str(data.get("supplier") or "")[:120],
        "price": cents / 100,
        "currency": "USD",
        "image_url": str(data.get("img_500x500") or data.get("img_high") or ""),
        "attributes": _attributes(data),
        "created_at": released,
    }
    return product, "", ""


def _attributes(data: dict[str, Any]) -> dict[str, Any]:
    """Attributes by name without the type's prefix; `True`/`False` become booleans."""
    out: dict[str, Any] = {}
    for name, value in data.items():
        if name.startswith(ATTRIBUTE_PREFIXES) and value not in (None, ""):
            is_flag = name.startswith("attr_b_")
            out[name[len("attr_t_") :]] = str(value).lower() == "true" if is_flag else value
    if data.get("ean"):
        out["ean"] = data["ean"]
    return out
