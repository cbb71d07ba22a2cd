"""Writes of products, categories and texts. Set-based, and repeating one changes nothing."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

import pandas as pd
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from apps.accounts.selectors import shop_settings_get
from apps.catalog.cleaning import LANGUAGE_COLUMN, products_clean
from apps.catalog.models import Category
from apps.catalog.results import UpsertResult
from apps.core import clock
from apps.core.copying import frame_copy_in

Progress = Callable[[float, str], None]
CHUNK_ROWS = 20_000
STAGE = "product_stage"
TEXT_COLUMNS = ("sku", "language", "title", "description")
# column: (type in the stage, value of a new product whose feed lacks the column)
COLUMNS = {
    "title": ("text", "''"),
    "description": ("text", "''"),
    "language": ("text", "'en'"),
    "category_id": ("bigint", "NULL"),
    "brand": ("text", "''"),
    "price": ("numeric(12, 2)", "NULL"),
    "list_price": ("numeric(12, 2)", "NULL"),
    "currency": ("text", "%(currency)s"),
    "cost": ("numeric(12, 2)", "NULL"),
    "stock": ("integer", "NULL"),
    "image_url": ("text", "''"),
    "attributes": ("jsonb", "'{}'"),
    "group_key": ("text", "''"),
    "available_from": ("timestamptz", "NULL"),
    "available_until": ("timestamptz", "NULL"),
    "first_seen_at": ("timestamptz", "%(now)s"),
}
TEXTS_UPSERT = """
INSERT INTO catalog_producttext (product_id, language, title, description)
SELECT p.id, s.language, s.title, s.description
FROM text_stage s JOIN catalog_product p ON p.sku = s.sku
WHERE s.title <> '' ORDER BY p.id, s.language
ON CONFLICT (product_id, language) DO UPDATE SET title = excluded.title, description = excluded.description
WHERE (catalog_producttext.title, catalog_producttext.description)
    IS DISTINCT FROM (excluded.title, excluded.description)
RETURNING product_id
"""
TEXTS_DROP = """
DELETE FROM catalog_producttext t USING text_stage s, catalog_product p
WHERE p.sku = s.sku AND t.product_id = p.id AND t.language = s.language AND s.title = ''
RETURNING t.product_id
"""
TEXTS_DROP_OTHERS = f"""
DELETE FROM catalog_producttext t USING {STAGE} s JOIN catalog_product p ON p.sku = s.sku
WHERE t.product_id = p.id
  AND NOT EXISTS (SELECT FROM text_stage x WHERE x.sku = s.sku AND x.language = t.language)
RETURNING t.product_id
"""
PLACEHOLDERS_MAKE = """
INSERT INTO catalog_product
    (sku, title, description, language, brand, currency, image_url, attributes, group_key, first_seen_at,
     source, placeholder, created_at, updated_at)
SELECT s.sku, s.sku, '', 'en', '', '', '', '{}', '', %(first_seen_at)s, %(source)s, true, %(now)s, %(now)s
FROM unnest(%(skus)s::text[]) AS s(sku)
WHERE NOT EXISTS (SELECT FROM catalog_product p WHERE p.sku = s.sku)
ORDER BY s.sku
ON CONFLICT (sku) DO NOTHING
"""


def product_upsert_many(
    *, frame: pd.DataFrame, source: str, on_progress: Progress | None = None
) -> UpsertResult:
    """Make or update products from a frame.

    Columns: sku, title, description, language, category ("A > B"), brand, price, list_price (before a
    promotion), currency, cost, stock, image_url, attributes (dict), group_key, available_from,
    available_until, created_at (the day it was new), and title_<lang>, description_<lang> (as title_zh_hans)
    for other languages.

    A column that is absent leaves what is stored alone; an empty cell empties it. Bad rows are refused by
    line (the frame's `line`, or the place from 1). Works in transactions of CHUNK_ROWS rows;
    `on_progress(fraction, message)` may raise to stop between them.
    """
    clean, errors = products_clean(frame=frame, zone=shop_settings_get().zone)
    inserted = updated = 0
    for start in range(0, len(clean), CHUNK_ROWS):
        part = clean.iloc[start : start + CHUNK_ROWS]
        with transaction.atomic():
            new, changed = products_write(clean=part, source=source)
        inserted += new
        updated += changed
        if on_progress:
            done = min(start + CHUNK_ROWS, len(clean))
            on_progress(done / len(clean), f"{done:,} / {len(clean):,}")
    return UpsertResult(
        inserted=inserted, updated=updated, unchanged=len(clean) - inserted - updated, errors=errors
    )


def products_write(*, clean: pd.DataFrame, source: str, texts: pd.DataFrame | None = None) -> tuple[int, int]:
    """Write clean rows inside the caller's transaction; returns (inserted, updated).

    texts: sku, language, title, description of all further languages these products have; without it they are
    read from the columns, and languages the columns do not name stay.
    """
    stage = clean.drop(columns=["line"]).rename(columns={"created_at": "first_seen_at"})
    if "category" in stage.columns:
        ids = categories_ensure(paths=stage["category"].unique())
        stage["category_id"] = stage.pop("category").map(ids).astype("Int64")
    currency = shop_settings_get().currency
    if "currency" in stage.columns:
        stage["currency"] = stage["currency"].where(stage["currency"] != "", currency)
    present = [name for name in COLUMNS if name in stage.columns]
    replaces = texts is not None
    texts = _texts_of(stage) if texts is None else texts
    with connection.cursor() as cursor:
        stage_fill(cursor, STAGE, {"sku": "text"} | {name: COLUMNS[name][0] for name in present}, stage)
        cursor.execute(
            _upsert_statement(present), {"now": clock.now(), "source": source[:60], "currency": currency}
        )
        touched = dict(cursor.fetchall())
        inserted = {key for key, new in touched.items() if new}
        changed = set(touched) | texts_write(cursor, texts, known=set(touched), replaces=replaces)
    return len(inserted), len(changed - inserted)


def texts_write(
    cursor: CursorWrapper, texts: pd.DataFrame, *, known: set[int], replaces: bool = False
) -> set[int]:
    """Write texts in further languages; returns the products it changed. known: those stamped just now.

    replaces: the products in the stage keep no other language than these.
    """
    if texts.empty and not replaces:
        return set()
    stage_fill(cursor, "text_stage", dict.fromkeys(TEXT_COLUMNS, "text"), texts)
    changed: set[int] = set()
    for statement in (TEXTS_UPSERT, TEXTS_DROP, *([TEXTS_DROP_OTHERS] if replaces else [])):
        cursor.execute(statement)
        changed.update(row[0] for row in cursor.fetchall())
    if changed - known:
        # Whoever keeps products in memory looks for newer ones: a new text is a change, too.
        cursor.execute(
            "UPDATE catalog_product SET updated_at = %s WHERE id = ANY(%s)",
            [clock.now(), list(changed - known)],
        )
    return changed


def stage_fill(cursor: CursorWrapper, table: str, kinds: Mapping[str, str], frame: pd.DataFrame) -> None:
    """Make a temporary table with these columns (name: type) and COPY them from the frame."""
    cursor.execute(f"DROP TABLE IF EXISTS {table}")
    columns = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
    cursor.execute(f"CREATE TEMPORARY TABLE {table} ({columns}) ON COMMIT DROP")
    frame_copy_in(cursor=cursor, table=table, frame=frame[list(kinds)])
    cursor.execute(f"ANALYZE {table}")


def _upsert_statement(present: list[str]) -> str:
    """INSERT … ON CONFLICT DO UPDATE that touches only the present columns and only rows that differ."""
    given = {name: f"s.{name}" if name in present else COLUMNS[name][1] for name in COLUMNS}
    if "first_seen_at" in present:  # an empty cell must not make the product new again
        given["first_seen_at"] = "coalesce(s.first_seen_at, p.first_seen_at, %(now)s)"
    values = ", ".join(given.values())
    mine = ", ".join(f"catalog_product.{name}" for name in (*present, "placeholder"))
    theirs = ", ".join(f"excluded.{name}" for name in (*present, "placeholder"))
    changes = ", ".join(
        f"{name} = excluded.{name}" for name in (*present, "placeholder", "source", "updated_at")
    )
    return f"""
        INSERT INTO catalog_product (sku, {", ".join(COLUMNS)}, source, placeholder, created_at, updated_at)
        SELECT s.sku, {values}, %(source)s, false, %(now)s, %(now)s
        FROM {STAGE} s LEFT JOIN catalog_product p ON p.sku = s.sku ORDER BY s.sku
        ON CONFLICT (sku) DO UPDATE SET {changes}
        WHERE ({mine}) IS DISTINCT FROM ({theirs})
        RETURNING id, xmax = 0
    """


def _texts_of(stage: pd.DataFrame) -> pd.DataFrame:
    """Texts in further languages: sku, language, title, description ("" title: there is none)."""
    parts: list[pd.DataFrame] = []
    suffixes = {match[2] for name in stage.columns if (match := LANGUAGE_COLUMN.fullmatch(str(name)))}
    for suffix in sorted(suffixes):
        part = pd.DataFrame({"sku": stage["sku"], "language": suffix.replace("_", "-")})
        for name in ("title", "description"):
            part[name] = stage[f"{name}_{suffix}"] if f"{name}_{suffix}" in stage.columns else ""
        parts.append(part)
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


@transaction.atomic
def categories_ensure(*, paths: Iterable[str]) -> dict[str, int]:
    """Make the missing categories of these paths and their ancestors; returns id by path ("" has none)."""
    wanted: set[str] = set()
    for path in paths:
        parts = path.split(" > ") if path else []
        wanted.update(" > ".join(parts[: depth + 1]) for depth in range(len(parts)))
    ids = dict(Category.objects.filter(path__in=wanted).values_list("path", "id"))
    missing = sorted(wanted - set(ids), key=lambda path: (path.count(" > "), path))
    for depth in sorted({path.count(" > ") for path in missing}):
        rows = []
        for path in missing:
            if path.count(" > ") == depth:
                parent, _mark, name = path.rpartition(" > ")
                rows.append(Category(path=path, name=name, parent_id=ids.get(parent), depth=depth))
        Category.objects.bulk_create(rows, ignore_conflicts=True)
        ids |= dict(Category.objects.filter(path__in=[row.path for row in rows]).values_list("path", "id"))
    return ids


@transaction.atomic
def category_names_set(*, names: Mapping[str, Mapping[str, str]]) -> int:
    """Set categories' names by language: {path: {language code: name}}; returns how many changed."""
    changed = []
    for category in Category.objects.filter(path__in=list(names)):
        merged = {**category.names, **names[category.path]}
        if merged != category.names:
            category.names = merged
            changed.append(category)
    Category.objects.bulk_update(changed, ["names"], batch_size=1_000)
    return len(changed)


@transaction.atomic
def product_placeholders_make(*, skus: Iterable[str], source: str, first_seen_at: datetime) -> int:
    """Make a flagged placeholder for each sku the catalogue lacks (an event named it); returns the number."""
    with connection.cursor() as cursor:
        cursor.execute(
            PLACEHOLDERS_MAKE,
            {"skus": list(skus), "source": source[:60], "first_seen_at": first_seen_at, "now": clock.now()},
        )
        return int(cursor.rowcount)
