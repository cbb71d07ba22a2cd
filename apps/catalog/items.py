"""Batches of the catalogue API: items put or patched, stock and prices. One statement a table and batch."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
from django.db import connection, transaction

from apps.accounts.selectors import shop_settings_get
from apps.catalog.cleaning import LIMITS, MAX_DESCRIPTION, products_clean
from apps.catalog.results import UpsertResult
from apps.catalog.services import (
    COLUMNS,
    TEXT_COLUMNS,
    categories_ensure,
    products_write,
    stage_fill,
    texts_write,
)
from apps.core import clock
from apps.core.batches import Batch, FieldKind, batch_read
from apps.core.errors import RowError, shorten

TEXT, NUMBER, OBJECT = FieldKind.TEXT, FieldKind.NUMBER, FieldKind.OBJECT
PRICE_FIELDS = {"sku": TEXT, "price": NUMBER, "list_price": NUMBER, "currency": TEXT}
STOCK_FIELDS = {"sku": TEXT, "stock": NUMBER, "available_from": TEXT, "available_until": TEXT}
ITEM_FIELDS = {
    "sku": TEXT, "title": TEXT, "description": TEXT, "language": TEXT, "category": TEXT, "brand": TEXT,
    "price": NUMBER, "list_price": NUMBER, "currency": TEXT, "cost": NUMBER, "stock": NUMBER,
    "image_url": TEXT, "attributes": OBJECT, "group_key": TEXT, "available_from": TEXT,
    "available_until": TEXT, "created_at": TEXT, "texts": OBJECT,
}  # fmt: skip
LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})?")
STAGE = "product_patch"
PATCH = """
WITH wanted AS (
    SELECT p.id AS product_id, s.* FROM {stage} s JOIN catalog_product p ON p.sku = s.sku
    ORDER BY p.id FOR UPDATE OF p
)
UPDATE catalog_product p SET {changes}, source = %(source)s, updated_at = %(now)s
FROM wanted w WHERE p.id = w.product_id AND ({old}) IS DISTINCT FROM ({new})
RETURNING p.id
"""
UNKNOWN = f"SELECT sku FROM {STAGE} s WHERE NOT EXISTS (SELECT FROM catalog_product p WHERE p.sku = s.sku)"
NO_SUCH_ITEM = "There is no such item; PUT it to /api/v1/items first."


def item_put_many(*, rows: Sequence[Any], source: str) -> UpsertResult:
    """Make or replace items (`ITEM_FIELDS`): a field that is not named is emptied; created_at stays.

    Bad rows are refused by their place from 0 and never touch the good ones.
    """
    batch = _read(rows)
    clean, errors = products_clean(frame=batch.frame, zone=shop_settings_get().zone)
    inserted = updated = 0
    if not clean.empty:
        texts = _texts_of(batch, set(clean["sku"]))
        with transaction.atomic():
            inserted, updated = products_write(clean=clean, source=source, texts=texts)
    return UpsertResult(inserted, updated, len(clean) - inserted - updated, [*batch.errors, *errors])


def item_patch_many(*, rows: Sequence[Any], source: str) -> UpsertResult:
    """Change the named fields of items there are; null empties one. Attributes and texts merge by key."""
    return _patch(_read(rows), source)


def price_put_many(*, rows: Sequence[Any], source: str) -> UpsertResult:
    """Set the prices of items there are (`PRICE_FIELDS`); a list price that is not named ends."""
    return _patch(_whole(batch_read(rows, PRICE_FIELDS, key="sku")), source)


def price_patch_many(*, rows: Sequence[Any], source: str) -> UpsertResult:
    """Change the named price fields of items there are."""
    return _patch(batch_read(rows, PRICE_FIELDS, key="sku"), source)


def stock_put_many(*, rows: Sequence[Any], source: str) -> UpsertResult:
    """Set stock and availability of items there are (`STOCK_FIELDS`); a stock not named is not counted."""
    return _patch(_whole(batch_read(rows, STOCK_FIELDS, key="sku")), source)


def stock_patch_many(*, rows: Sequence[Any], source: str) -> UpsertResult:
    """Change the named stock fields of items there are."""
    return _patch(batch_read(rows, STOCK_FIELDS, key="sku"), source)


def _read(rows: Sequence[Any]) -> Batch:
    return batch_read(rows, ITEM_FIELDS, key="sku", checks={"texts": _texts_check})


def _whole(batch: Batch) -> Batch:
    """The same batch, taken to name every field."""
    return replace(batch, given=pd.DataFrame(True, index=batch.given.index, columns=batch.given.columns))


def _texts_check(texts: Any) -> tuple[str, str] | None:
    """What is wrong with {"zh-hans": {"title": …, "description": …}, "fr": null}; None when nothing is."""
    for language, text in texts.items():
        if not LANGUAGE.fullmatch(language):
            return shorten(language), "Write a language code such as fr or zh-hans, lower case."
        if text is None:
            continue
        if not isinstance(text, dict) or not set(text) <= {"title", "description"}:
            return shorten(text), 'Write {"title": "…", "description": "…"}, or null for none.'
        for name, limit in (("title", LIMITS["title"]), ("description", MAX_DESCRIPTION)):
            value = text.get(name, "")
            if not isinstance(value, str) or len(value) > limit or "\0" in value:
                return shorten(value).replace("\0", "\\0"), f"Write a {name} of at most {limit} characters."
        if not str(text.get("title", "")).strip():
            return shorten(text), "Give the text a title, or null for none."
    return None


def _texts_of(batch: Batch, skus: set[str]) -> pd.DataFrame:
    """The named texts of these items: sku, language, title, description ("" title: there is none)."""
    found = [
        (sku, language, str((text or {}).get("title", "")).strip(), str((text or {}).get("description", "")))
        for sku, texts in zip(batch.frame["sku"].str.strip(), batch.frame["texts"], strict=True)
        if isinstance(texts, dict) and sku in skus
        for language, text in texts.items()
    ]
    return pd.DataFrame(found, columns=list(TEXT_COLUMNS), dtype="str")


def _patch(batch: Batch, source: str) -> UpsertResult:
    named = [name for name in batch.given.columns if batch.given[name].any() or name == "sku"]
    frame = batch.frame[["line", *named]]
    clean, errors = products_clean(frame=frame, zone=shop_settings_get().zone, given=batch.given)
    if clean.empty:
        return UpsertResult(errors=[*batch.errors, *errors])
    given = batch.given.set_index(batch.frame["line"]).loc[clean["line"]].reset_index(drop=True)
    with transaction.atomic():
        unknown, changed = _patch_write(batch, clean, given, source)
    missing = clean["sku"].isin(unknown)
    lines = zip(clean.loc[missing, "line"], clean.loc[missing, "sku"], strict=True)
    errors += [RowError(int(line), "sku", sku, NO_SUCH_ITEM) for line, sku in lines]
    kept = len(clean) - len(unknown)
    return UpsertResult(0, len(changed), kept - len(changed), [*batch.errors, *errors])


def _patch_write(
    batch: Batch, clean: pd.DataFrame, given: pd.DataFrame, source: str
) -> tuple[set[str], set[int]]:
    """Write the named cells; returns the skus there is no item of, and the items that changed."""
    stage = clean.rename(columns={"created_at": "first_seen_at"})
    given = given.rename(columns={"created_at": "first_seen_at", "category": "category_id"})
    if "category" in stage.columns:
        paths = stage["category"].where(given["category_id"], "")
        stage["category_id"] = paths.map(categories_ensure(paths=paths.unique())).astype("Int64")
    if "currency" in stage.columns:
        stage["currency"] = stage["currency"].where(stage["currency"] != "", shop_settings_get().currency)
    names = [name for name in COLUMNS if name in stage.columns and name in given and given[name].any()]
    for name in names:
        stage[f"has_{name}"] = given[name]
    kinds = {"sku": "text"} | {name: COLUMNS[name][0] for name in names}
    kinds |= {f"has_{name}": "boolean" for name in names}
    with connection.cursor() as cursor:
        stage_fill(cursor, STAGE, kinds, stage)
        cursor.execute(UNKNOWN)
        unknown = {sku for (sku,) in cursor.fetchall()}
        changed: set[int] = set()
        if names:
            cursor.execute(_patch_statement(names), {"source": source[:60], "now": clock.now()})
            changed = {pk for (pk,) in cursor.fetchall()}
        if "texts" in batch.frame:
            texts = _texts_of(batch, set(clean["sku"]))
            changed |= texts_write(cursor, texts, known=changed)
    return unknown, changed


def _patch_statement(names: Iterable[str]) -> str:
    new = {name: f"CASE WHEN w.has_{name} THEN {_value(name)} ELSE p.{name} END" for name in names}
    if "title" in new:  # an item that somebody described is no placeholder any more
        new["placeholder"] = "p.placeholder AND NOT w.has_title"
    return PATCH.format(
        stage=STAGE,
        changes=", ".join(f"{name} = {value}" for name, value in new.items()),
        old=", ".join(f"p.{name}" for name in new),
        new=", ".join(new.values()),
    )


def _value(name: str) -> str:
    """What a named cell becomes: attributes are merged by key, and the day it was new can't be taken away."""
    if name == "attributes":
        return "jsonb_strip_nulls(p.attributes || w.attributes)"
    if name == "first_seen_at":
        return "coalesce(w.first_seen_at, p.first_seen_at)"
    return f"w.{name}"
