"""How checked events become rows: the statements, shared by the small path (JSON) and the bulk path (COPY).

In one transaction: claim the event keys, make unknown shoppers and products, insert the interactions, settle
dislikes. Each statement takes its locks in one order (by key, by shopper), so that batches can't deadlock.

An event younger than the key horizon is claimed in the key table. For an older one, whose key may have been
pruned, its own row is the witness: same id, same moment. So a data set of past years can be loaded twice
without keeping keys for ever.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import orjson
import pandas as pd
from django.conf import settings
from django.db import connection
from django.db.backends.utils import CursorWrapper

from apps.catalog.services import product_placeholders_make
from apps.core.copying import frame_copy_in
from apps.events.partitions import Month, partitions_make

COLUMNS = {
    "client_event_id": "text",
    "kind_id": "bigint",
    "mood": "smallint",
    "occurred_at": "timestamptz",
    "shopper": "text",
    "sku": "text",
    "quantity": "double precision",
    "price": "numeric(12, 2)",
    "value": "double precision",
    "session": "text",
    "channel": "text",
    "request_id": "uuid",
    "query": "text",
    "context": "jsonb",
    "bot": "boolean",
}
# Two bulk loads of old events must not each find the other's rows missing.
LOCK_OLD_EVENTS = 7_215_002
STAGE = "event_stage"
STAGE_TABLE = f"{STAGE} AS s"
STAGE_JSON = "json_to_recordset(%(rows)s::json) AS s({columns})"

KEYS_CLAIM = """
INSERT INTO events_eventkey (client_event_id, occurred_at)
SELECT s.client_event_id, s.occurred_at FROM {stage}
WHERE s.occurred_at >= %(horizon)s
ORDER BY s.client_event_id
ON CONFLICT DO NOTHING
RETURNING client_event_id
"""
OLD_UNSEEN = """
SELECT s.client_event_id FROM {stage}
WHERE s.occurred_at < %(horizon)s AND NOT EXISTS (
    SELECT FROM events_interaction i
    WHERE i.occurred_at BETWEEN %(first)s AND %(last)s
      AND i.occurred_at = s.occurred_at AND i.client_event_id = s.client_event_id
)
"""
# DO UPDATE ... WHERE locks the shopper's row even where it changes nothing: that serialises the dislikes and
# purchases of one shopper.
SHOPPERS_MAKE = """
INSERT INTO events_shopper
    (external_id, consent, age_band, gender, income_band, region, language, first_seen_at, last_seen_at)
SELECT s.shopper, false, '', '', '', '', '', min(s.occurred_at), max(s.occurred_at)
FROM {stage} WHERE s.shopper <> ''
GROUP BY s.shopper ORDER BY s.shopper
ON CONFLICT (external_id) DO UPDATE
SET first_seen_at = least(events_shopper.first_seen_at, excluded.first_seen_at),
    last_seen_at = greatest(events_shopper.last_seen_at, excluded.last_seen_at)
WHERE excluded.first_seen_at < events_shopper.first_seen_at
   OR excluded.last_seen_at > events_shopper.last_seen_at
"""
INTERACTIONS_INSERT = """
INSERT INTO events_interaction
    (occurred_at, received_at, kind_id, shopper_id, product_id, quantity, price, value, session, channel,
     request_id, query, context, bot, client_event_id)
SELECT s.occurred_at, %(now)s, s.kind_id, coalesce(h.merged_into_id, h.id), p.id, s.quantity, s.price,
       s.value, s.session, s.channel, s.request_id, s.query, s.context, s.bot, s.client_event_id
FROM {stage}
LEFT JOIN events_shopper h ON h.external_id = s.shopper
LEFT JOIN catalog_product p ON p.sku = s.sku
"""
MOODS = """
SELECT coalesce(h.merged_into_id, h.id) AS shopper_id, p.id AS product_id, max(s.occurred_at) AS at
FROM {stage}
JOIN events_shopper h ON h.external_id = s.shopper
JOIN catalog_product p ON p.sku = s.sku
WHERE s.mood = %(mood)s GROUP BY 1, 2
"""
# A dislike holds until a later like or purchase, in whatever order the two arrive.
DISLIKES_DROP = """
DELETE FROM events_dislike d USING ({moods}) m
WHERE d.shopper_id = m.shopper_id AND d.product_id = m.product_id AND d.at < m.at
"""
DISLIKES_MAKE = """
INSERT INTO events_dislike (shopper_id, product_id, at)
SELECT m.shopper_id, m.product_id, m.at FROM ({moods}) m
WHERE NOT EXISTS (
    SELECT FROM events_interaction i JOIN events_eventkind k ON k.id = i.kind_id
    WHERE i.shopper_id = m.shopper_id AND i.product_id = m.product_id AND i.occurred_at > m.at
      AND k.role IN ('like', 'purchase')
)
ORDER BY 1, 2
ON CONFLICT (shopper_id, product_id) DO UPDATE SET at = greatest(events_dislike.at, excluded.at)
"""


def key_days() -> int:
    """For how many days client event ids are remembered (setting EVENT_KEY_DAYS)."""
    return int(settings.EVENT_KEY_DAYS)


def key_horizon(now: datetime) -> datetime:
    """Events from this moment on are claimed in the key table."""
    return now - timedelta(days=key_days())


def _stage_json(*names: str) -> str:
    wanted = names or tuple(COLUMNS)
    return STAGE_JSON.format(columns=", ".join(f"{name} {COLUMNS[name]}" for name in wanted))


STATEMENTS_JSON = {
    "keys": KEYS_CLAIM.format(stage=_stage_json("client_event_id", "occurred_at")),
    "old": OLD_UNSEEN.format(stage=_stage_json("client_event_id", "occurred_at")),
    "shoppers": SHOPPERS_MAKE.format(stage=_stage_json("shopper", "occurred_at")),
    "interactions": INTERACTIONS_INSERT.format(stage=_stage_json()),
    "drop": DISLIKES_DROP.format(
        moods=MOODS.format(stage=_stage_json("mood", "occurred_at", "shopper", "sku"))
    ),
    "make": DISLIKES_MAKE.format(
        moods=MOODS.format(stage=_stage_json("mood", "occurred_at", "shopper", "sku"))
    ),
}
STATEMENTS_TABLE = {
    "shoppers": SHOPPERS_MAKE.format(stage=STAGE_TABLE),
    "interactions": INTERACTIONS_INSERT.format(stage=STAGE_TABLE),
    "drop": DISLIKES_DROP.format(moods=MOODS.format(stage=STAGE_TABLE)),
    "make": DISLIKES_MAKE.format(moods=MOODS.format(stage=STAGE_TABLE)),
    # The claim's answer stays in the server: what was not claimed leaves the stage.
    "fresh": (
        f"WITH claimed AS ({KEYS_CLAIM.format(stage=STAGE_TABLE)}) "
        "INSERT INTO event_fresh SELECT client_event_id FROM claimed"
    ),
    "fresh_old": f"INSERT INTO event_fresh {OLD_UNSEEN.format(stage=STAGE_TABLE)}",
}


def _encode(rows: Sequence[dict[str, Any]]) -> str:
    """Checked rows as one JSON array; their context is JSON already and goes in unparsed."""
    return orjson.dumps(
        [
            row if row["context"] is None else row | {"context": orjson.Fragment(row["context"])}
            for row in rows
        ]
    ).decode()


def _skus_ensure(skus: set[str], source: str, now: datetime) -> None:
    skus.discard("")
    if skus:
        product_placeholders_make(skus=sorted(skus), source=source, first_seen_at=now)


def rows_store(*, rows: list[dict[str, Any]], source: str, now: datetime) -> int:
    """Store checked rows with distinct ids, each once; returns how many were new. Needs a transaction."""
    if not rows:
        return 0
    partitions_make(months={_month(row["occurred_at"]) for row in rows}, tables=["events_interaction"])
    horizon = key_horizon(now)
    moments = [row["occurred_at"] for row in rows]
    params = {
        "rows": _encode(rows),
        "horizon": horizon,
        "first": min(moments),
        "last": max(moments),
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(STATEMENTS_JSON["keys"], params)
        fresh = {row[0] for row in cursor.fetchall()}
        if params["first"] < horizon:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_OLD_EVENTS])
            cursor.execute(STATEMENTS_JSON["old"], params)
            fresh.update(row[0] for row in cursor.fetchall())
        if len(fresh) < len(rows):
            rows = [row for row in rows if row["client_event_id"] in fresh]
            if not rows:
                return 0
            params["rows"] = _encode(rows)
        _skus_ensure({row["sku"] for row in rows}, source, now)
        moods = {row["mood"] for row in rows}
        return _finish(cursor, STATEMENTS_JSON, params, moods)


def frame_store(*, frame: pd.DataFrame, source: str, now: datetime) -> int:
    """Store a checked frame (columns COLUMNS, distinct ids), each row once; returns how many were new.

    Needs a transaction.
    """
    if frame.empty:
        return 0
    first, last = frame["occurred_at"].min().to_pydatetime(), frame["occurred_at"].max().to_pydatetime()
    partitions_make(months=_months(frame["occurred_at"]), tables=["events_interaction"])
    horizon = key_horizon(now)
    params = {"horizon": horizon, "first": first, "last": last, "now": now}
    with connection.cursor() as cursor:
        columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
        cursor.execute(f"DROP TABLE IF EXISTS {STAGE}, event_fresh")
        cursor.execute(f"CREATE TEMPORARY TABLE {STAGE} ({columns}) ON COMMIT DROP")
        cursor.execute("CREATE TEMPORARY TABLE event_fresh (client_event_id text) ON COMMIT DROP")
        frame_copy_in(cursor=cursor, table=STAGE, frame=frame[list(COLUMNS)])
        cursor.execute(f"ANALYZE {STAGE}")
        fresh = 0
        if last >= horizon:
            cursor.execute(STATEMENTS_TABLE["fresh"], params)
            fresh += cursor.rowcount
        if first < horizon:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_OLD_EVENTS])
            cursor.execute(STATEMENTS_TABLE["fresh_old"], params)
            fresh += cursor.rowcount
        if fresh < len(frame):
            cursor.execute("ANALYZE event_fresh")
            cursor.execute(
                f"DELETE FROM {STAGE} s WHERE NOT EXISTS "
                "(SELECT FROM event_fresh f WHERE f.client_event_id = s.client_event_id)"
            )
        if fresh:
            cursor.execute(f"SELECT DISTINCT sku FROM {STAGE}")
            _skus_ensure({row[0] for row in cursor.fetchall()}, source, now)
            fresh = _finish(cursor, STATEMENTS_TABLE, params, set(frame["mood"].unique()))
        cursor.execute(f"DROP TABLE {STAGE}, event_fresh")
        return fresh


def _finish(
    cursor: CursorWrapper, statements: dict[str, str], params: dict[str, Any], moods: set[int]
) -> int:
    cursor.execute(statements["shoppers"], params)
    cursor.execute(statements["interactions"], params)
    stored = cursor.rowcount
    if 1 in moods:
        cursor.execute(statements["drop"], params | {"mood": 1})
    if -1 in moods:
        cursor.execute(statements["make"], params | {"mood": -1})
    return stored


def _month(moment: datetime) -> Month:
    return moment.year, moment.month  # checked rows are in UTC


def _months(moments: "pd.Series[Any]") -> list[Month]:
    numbers = (moments.dt.year * 12 + moments.dt.month - 1).unique()
    return [(int(number) // 12, int(number) % 12 + 1) for number in sorted(numbers)]
