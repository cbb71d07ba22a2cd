"""Immutable snapshots: the shop's data as a folder of Parquet files on which a run can be repeated exactly.

    <SHOP_DIR>/snapshots/<hash12>/manifest.json, items.parquet, shoppers.parquet,
                                  interactions/month=YYYY-MM.parquet, searches/month=YYYY-MM.parquet

Searches (user_id, basket, timestamp, query) are those of people, anonymous ones (user_id -1) with a session;
the query is normalised: NFKC, small letters, single spaces. Snapshots before schema 3 have none.

The content hash covers the rows, not the files: equal data gives an equal hash, whatever writes the files.
"""

import hashlib
import json
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max

from apps.accounts.selectors import shop_settings_get
from apps.core import clock
from apps.core.copying import table_copy_out
from apps.core.errors import InvalidInput
from apps.datasets.models import Snapshot
from apps.datasets.netting import returns_net
from apps.events.kinds import KindFacts, kinds_by_code
from apps.events.models import EventRole, Interaction

Progress = Callable[[float, str], None]
SCHEMA_VERSION = 3
# Kinds of these roles are kept even where their weight is 0: their values and times carry something.
KEPT_ROLES = frozenset({EventRole.PURCHASE, EventRole.RETURN, EventRole.RATING, EventRole.DISLIKE})
# A rating of this value says nothing; 5 counts as the kind's whole weight, 1 as its negative.
NEUTRAL_RATING, RATING_SPAN = 3.0, 2.0
INTERACTIONS = """
SELECT coalesce(h.merged_into_id, i.shopper_id, -1), i.product_id, i.kind_id,
       extract(epoch FROM i.occurred_at)::float8, i.quantity, coalesce(i.price, 0), i.session,
       coalesce(i.value, 0)
FROM events_interaction i LEFT JOIN events_shopper h ON h.id = i.shopper_id
LEFT JOIN datasets_leftoutshopper o ON o.shopper_id = coalesce(h.merged_into_id, h.id)
WHERE i.product_id IS NOT NULL AND NOT i.bot AND o.shopper_id IS NULL AND i.kind_id = ANY(%(kinds)s)
  AND i.occurred_at >= %(start)s AND i.occurred_at < %(end)s
ORDER BY i.occurred_at, 1, i.product_id, i.client_event_id
"""
ITEMS = """
SELECT p.id, p.sku, p.title, p.description, concat_ws(E'\\n', p.title, nullif(p.description, ''), t.texts),
       p.language, coalesce(c.path, ''), p.brand, coalesce(p.price, 0), coalesce(p.cost, 0), p.group_key,
       extract(epoch FROM p.first_seen_at)::float8,
       NOT p.placeholder AND coalesce(p.stock > 0, true) AND coalesce(p.available_from <= %(end)s, true)
       AND coalesce(p.available_until > %(end)s, true)
FROM catalog_product p
LEFT JOIN catalog_category c ON c.id = p.category_id
LEFT JOIN LATERAL (
    SELECT string_agg(concat_ws(E'\\n', x.title, nullif(x.description, '')), E'\\n' ORDER BY x.language)
           AS texts
    FROM catalog_producttext x WHERE x.product_id = p.id
) t ON true
ORDER BY p.id
"""
# Whoever has not agreed has no attributes; if a row holds some all the same, they go no further.
SHOPPERS = """
SELECT h.id, coalesce(a.age_band, ''), coalesce(a.gender, ''), coalesce(a.income_band, ''),
       coalesce(a.region, ''), coalesce(a.language, '')
FROM events_shopper h LEFT JOIN events_shopper a ON a.id = h.id AND a.consent
WHERE h.merged_into_id IS NULL AND NOT EXISTS (
    SELECT FROM datasets_leftoutshopper o WHERE o.shopper_id = h.id
) ORDER BY h.id
"""
# What neither a shopper nor a session can be told from leads nowhere.
SEARCHES = r"""
SELECT coalesce(h.merged_into_id, i.shopper_id, -1), i.session,
       extract(epoch FROM i.occurred_at)::float8,
       lower(trim(regexp_replace(normalize(i.query, NFKC), '\s+', ' ', 'g')))
FROM events_interaction i LEFT JOIN events_shopper h ON h.id = i.shopper_id
WHERE NOT i.bot AND i.kind_id = ANY(%(kinds)s) AND i.query ~ '\S'
  AND (i.shopper_id IS NOT NULL OR i.session <> '')
  AND i.occurred_at >= %(start)s AND i.occurred_at < %(end)s
ORDER BY i.occurred_at, 1, i.session, 4, i.client_event_id
"""
INTERACTION_TYPES = {
    "user_id": pa.int64(), "item_id": pa.int64(), "kind_id": pa.int64(), "timestamp": pa.float64(),
    "quantity": pa.float64(), "price": pa.float64(), "basket": pa.string(), "value": pa.float64(),
}  # fmt: skip
SEARCH_TYPES = {
    "user_id": pa.int64(), "basket": pa.string(), "timestamp": pa.float64(), "query": pa.string(),
}  # fmt: skip
ITEM_TYPES = {
    "item_id": pa.int64(), "sku": pa.string(), "title": pa.string(), "description": pa.string(),
    "text": pa.string(), "language": pa.string(), "category": pa.string(), "brand": pa.string(),
    "price": pa.float64(), "cost": pa.float64(), "group_key": pa.string(), "created_at": pa.float64(),
    "available": pa.bool_(),
}  # fmt: skip
SHOPPER_TYPES = {
    "user_id": pa.int64(), "age_band": pa.string(), "gender": pa.string(), "income_band": pa.string(),
    "region": pa.string(), "language": pa.string(),
}  # fmt: skip


def snapshots_dir() -> Path:
    """The folder of this shop's snapshots."""
    return Path(settings.SHOP_DIR) / "snapshots"


def snapshot_create(
    *,
    window_days: int | None = None,
    window_start: datetime | None = None,
    window_end: datetime | None = None,
    on_progress: Progress | None = None,
) -> Snapshot:
    """Freeze the shop's data and return its snapshot; data that was frozen before gives the earlier one back.

    The window ends (exclusively) at `window_end`, now unless given, and begins at `window_start`, or
    `window_days` before the last event in it, or with the first event. `on_progress(fraction, message)`.
    """
    began = time.perf_counter()
    report = on_progress or (lambda fraction, message: None)
    end = window_end or clock.now()
    start = _window_start(window_days, window_start, end)
    with _one_moment():
        report(0.0, "interactions")
        interactions, left_out = _interactions(start, end)
        report(0.45, "searches")
        searches = _searches(start, end)
        report(0.5, "products")
        with connection.cursor() as cursor:
            items = table_copy_out(cursor=cursor, query=ITEMS, types=ITEM_TYPES, params={"end": end})
            report(0.6, "shoppers")
            shoppers = table_copy_out(cursor=cursor, query=SHOPPERS, types=SHOPPER_TYPES)
    report(0.7, "hash")
    tables = {"interactions": interactions, "searches": searches, "items": items, "shoppers": shoppers}
    content_hash = tables_hash(tables)
    manifest: dict[str, Any] = {
        "schema": SCHEMA_VERSION,
        "content_hash": content_hash,
        "window_start": start.isoformat() if start else None,
        "window_end": end.isoformat(),
        "made_at": clock.now().isoformat(),
        "currency": shop_settings_get().currency,
        "counts": {name: table.num_rows for name, table in tables.items()} | {"left_out": left_out},
        "kinds": _kinds_manifest(interactions),
        "columns": {
            name: {field.name: str(field.type) for field in table.schema} for name, table in tables.items()
        },
    }
    report(0.8, "files")
    folder = _folder_write(content_hash, tables, manifest)
    snapshot = _row_store(content_hash, folder, manifest, start, end, time.perf_counter() - began)
    report(1.0, content_hash[:12])
    return snapshot


@contextmanager
def _one_moment() -> Iterator[None]:
    """Let all reads see the database as of one moment (unless a caller's transaction has begun already)."""
    nested = connection.in_atomic_block
    with transaction.atomic():
        if not nested:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        yield


def _window_start(days: int | None, start: datetime | None, end: datetime) -> datetime | None:
    if start is not None and start >= end:
        raise InvalidInput(field="window_start", value=start, remedy="Let the window begin before it ends.")
    if start is not None or days is None:
        return start
    if days < 1:
        raise InvalidInput(field="window_days", value=days, remedy="Take at least one day.")
    last = Interaction.objects.filter(occurred_at__lt=end).aggregate(last=Max("occurred_at"))["last"]
    return (last or end) - timedelta(days=days)


def _interactions(start: datetime | None, end: datetime) -> tuple[pa.Table, dict[str, int]]:
    """Events of known products as the snapshot has them, and how many were left out by reason."""
    kinds = {
        fact.id: fact
        for fact in kinds_by_code().values()
        if fact.active and (fact.weight != 0 or fact.role in KEPT_ROLES)
    }
    params = {"kinds": list(kinds), "start": start or datetime(1, 1, 1, tzinfo=UTC), "end": end}
    with connection.cursor() as cursor:
        raw = table_copy_out(cursor=cursor, query=INTERACTIONS, types=INTERACTION_TYPES, params=params)
    quantity = raw["quantity"].to_numpy().copy()
    kind_id = raw["kind_id"].to_numpy()
    roles = {role: _of_role(kind_id, kinds, role) for role in (EventRole.PURCHASE, EventRole.RETURN)}
    bought, returned = roles[EventRole.PURCHASE], roles[EventRole.RETURN]
    traded = np.flatnonzero(bought | returned)
    netted = returns_net(
        shopper=raw["user_id"].to_numpy()[traded],
        product=raw["item_id"].to_numpy()[traded],
        quantity=quantity[traded],
        is_return=returned[traded],
        timestamp=raw["timestamp"].to_numpy()[traded],
    )
    undone_at = np.full(len(quantity), np.inf)
    undone_at[traded] = netted.undone_at
    # A purchase undone later stays, as it was, with the moment it was undone: a split by time needs to see
    # what was known at the cut, and `Dataset` leaves it out of everything else.
    quantity[traded] = np.where(np.isinf(netted.undone_at), netted.left, quantity[traded])
    keep = ~returned & ~(bought & (quantity <= 0))
    left_out = {"returns": int(returned.sum()), "returned_purchases": int(np.isfinite(undone_at).sum())}
    columns = {
        "user_id": raw["user_id"],
        "item_id": raw["item_id"],
        "kind": _kind_names(kind_id, kinds),
        "weight": pa.array(_weights(kind_id, kinds, raw["value"].to_numpy()), type=pa.float32()),
        "timestamp": raw["timestamp"],
        "quantity": pa.array(quantity.astype(np.float32)),
        "price": pc.cast(raw["price"], pa.float32()),
        "basket": raw["basket"],
        "value": pc.cast(raw["value"], pa.float32(), safe=False),
        "undone_at": pa.array(undone_at),
    }
    return pa.table(columns).filter(pa.array(keep)), left_out


def _searches(start: datetime | None, end: datetime) -> pa.Table:
    """What people searched for, in order of time."""
    kinds = [fact.id for fact in kinds_by_code().values() if fact.active and fact.role == EventRole.SEARCH]
    params = {"kinds": kinds, "start": start or datetime(1, 1, 1, tzinfo=UTC), "end": end}
    with connection.cursor() as cursor:
        return table_copy_out(cursor=cursor, query=SEARCHES, types=SEARCH_TYPES, params=params)


def _of_role(kind_id: Any, kinds: dict[int, KindFacts], role: str) -> Any:
    return np.isin(kind_id, [fact.id for fact in kinds.values() if fact.role == role])


def _kind_names(kind_id: Any, kinds: dict[int, KindFacts]) -> pa.Array:
    """Names by row: the kind's code, but "purchase" for every kind that is one, so that models know it."""
    ids = np.array(sorted(kinds), dtype=np.int64)
    names = ["purchase" if kinds[key].role == EventRole.PURCHASE else kinds[key].code for key in ids]
    places = pa.array(np.searchsorted(ids, kind_id), type=pa.int32())
    return pa.DictionaryArray.from_arrays(places, pa.array(names, type=pa.string())).cast(pa.string())


def _weights(kind_id: Any, kinds: dict[int, KindFacts], value: Any) -> Any:
    """The kind's weight; a rating's is scaled by its stars (5: whole, 3: none, 1: negative)."""
    ids = np.array(sorted(kinds), dtype=np.int64)
    places = np.searchsorted(ids, kind_id)
    weight = (
        np.array([kinds[key].weight for key in ids], dtype=np.float64)[places] if len(ids) else np.zeros(0)
    )
    rated = _of_role(kind_id, kinds, EventRole.RATING)
    stars = np.clip((value - NEUTRAL_RATING) / RATING_SPAN, -1.0, 1.0)
    return np.where(rated, weight * stars, weight).astype(np.float32)


def _kinds_manifest(interactions: pa.Table) -> dict[str, int]:
    counts = interactions["kind"].combine_chunks().value_counts()
    return {str(row["values"]): int(row["counts"]) for row in sorted(counts.to_pylist(), key=str)}


def tables_hash(tables: dict[str, pa.Table]) -> str:
    """SHA-256 over names, types and values of the tables' columns, in their order; no nulls allowed."""
    digest = hashlib.sha256(f"recoportal snapshot {SCHEMA_VERSION}".encode())
    for name, table in tables.items():
        digest.update(f"{name} {table.num_rows}".encode())
        for field in table.schema:
            digest.update(f"{field.name} {field.type}".encode())
            column = table[field.name]
            if pa.types.is_string(field.type):
                for chunk in column.chunks:
                    lengths = pc.call_function("binary_length", [chunk])
                    digest.update(lengths.to_numpy(zero_copy_only=False).astype("<i4").tobytes())
                for chunk in column.chunks:
                    digest.update(_string_bytes(chunk))
            else:
                digest.update(column.to_numpy().tobytes())
    return digest.hexdigest()


def _string_bytes(chunk: pa.StringArray) -> bytes:
    """The text of an array, one after the other."""
    _validity, offsets, data = chunk.buffers()
    if data is None or not len(chunk):
        return b""
    ends = np.frombuffer(offsets, dtype=np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
    return bytes(memoryview(data)[ends[0] : ends[-1]])


def _folder_write(content_hash: str, tables: dict[str, pa.Table], manifest: dict[str, Any]) -> Path:
    """Write the folder beside its place and move it there whole; one that is there already stays."""
    place = snapshots_dir() / content_hash[:12]
    if (place / "manifest.json").is_file():
        return place
    made = place.with_name(f".{place.name}-{uuid.uuid4().hex}")
    try:
        for table_name in ("interactions", "searches"):
            (made / table_name).mkdir(parents=True)
            for name, part in _by_month(tables[table_name]):
                pq.write_table(part, made / table_name / f"month={name}.parquet", compression="zstd")
        for table_name in ("items", "shoppers"):
            pq.write_table(tables[table_name], made / f"{table_name}.parquet", compression="zstd")
        (made / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        for path in made.rglob("*"):
            if path.is_file():
                path.chmod(0o444)
        try:
            made.rename(place)
        except OSError:  # another process made the same snapshot meanwhile
            if not (place / "manifest.json").is_file():
                raise
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return place


def _by_month(table: pa.Table) -> list[tuple[str, pa.Table]]:
    """Slices of a time-ordered table by UTC month; one empty slice for an empty table."""
    if not table.num_rows:
        return [("none", table)]
    months = table["timestamp"].to_numpy().astype("datetime64[s]").astype("datetime64[M]")
    names, starts = np.unique(months, return_index=True)
    ends = [*starts[1:], len(months)]
    return [(str(name), table.slice(a, b - a)) for name, a, b in zip(names, starts, ends, strict=True)]


@transaction.atomic
def _row_store(
    content_hash: str,
    folder: Path,
    manifest: dict[str, Any],
    start: datetime | None,
    end: datetime,
    seconds: float,
) -> Snapshot:
    counts = manifest["counts"]
    snapshot, _made = Snapshot.objects.get_or_create(
        content_hash=content_hash,
        defaults={
            "path": str(folder),
            "window_start": start,
            "window_end": end,
            "interactions": counts["interactions"],
            "items": counts["items"],
            "shoppers": counts["shoppers"],
            "manifest": manifest,
            "seconds": seconds,
        },
    )
    if snapshot.path != str(folder):  # the shop's folder was moved
        snapshot.path = str(folder)
        snapshot.save(update_fields=["path", "updated_at"])
    return snapshot
