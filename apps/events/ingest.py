"""How checked events become rows: one set of statements for the inbox, the direct way and bulk imports.

In one transaction: copy into a stage, claim the event keys, drop what was stored before, make unknown
shoppers and products, link identities, insert the interactions, settle dislikes. Each statement takes its
locks in one order (by key, by shopper), so that batches can't deadlock.

An event younger than the key horizon is claimed in the key table. For an older one, whose key may have been
pruned, its own row is the witness: same id, same moment. So a data set of past years can be loaded twice
without keeping keys for ever.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.backends.utils import CursorWrapper

from apps.catalog.services import product_placeholders_make
from apps.core.copying import frame_copy_in
from apps.events.identity import identities_link
from apps.events.lines import COLUMNS, key_of
from apps.events.partitions import partitions_make

# Two bulk loads of old events must not each find the other's rows missing.
LOCK_OLD_EVENTS = 7_215_002
# Rows from which the planner is told what the stage holds, before it is compared with what is stored.
ANALYZE_ROWS = 50_000
STAGE_OPEN = f"""
CREATE TEMPORARY TABLE IF NOT EXISTS event_stage
    ({", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())}) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS event_fresh (client_event_id text) ON COMMIT DELETE ROWS;
DELETE FROM event_stage; DELETE FROM event_fresh
"""
COPY_LINES = f"COPY event_stage ({', '.join(COLUMNS)}) FROM STDIN"
SUMMARY = """
SELECT count(*), min(occurred_at), max(occurred_at), coalesce(bool_or(mood = 1), false),
       coalesce(bool_or(mood = -1), false), coalesce(bool_or(anonymous <> '' AND shopper <> ''), false),
       array_agg(DISTINCT (extract(year FROM occurred_at AT TIME ZONE 'UTC') * 12
                           + extract(month FROM occurred_at AT TIME ZONE 'UTC') - 1)::int)
FROM event_stage
"""
COPY_KEYS = "COPY events_eventkey (client_event_id, occurred_at) FROM STDIN"
KEYS_CLAIM = """
INSERT INTO events_eventkey (client_event_id, occurred_at)
SELECT client_event_id, occurred_at FROM event_stage WHERE occurred_at >= %(horizon)s
ORDER BY client_event_id
ON CONFLICT DO NOTHING
"""
# The claim's answer stays in the server: what was not claimed leaves the stage.
KEYS_CLAIM_NAMED = f"""
WITH claimed AS ({KEYS_CLAIM} RETURNING client_event_id)
INSERT INTO event_fresh SELECT client_event_id FROM claimed
"""
OLD_UNSEEN = """
INSERT INTO event_fresh
SELECT s.client_event_id FROM event_stage s
WHERE s.occurred_at < %(horizon)s AND NOT EXISTS (
    SELECT FROM events_interaction i
    WHERE i.occurred_at BETWEEN %(first)s AND %(last)s
      AND i.occurred_at = s.occurred_at AND i.client_event_id = s.client_event_id
)
"""
REPEATS_DROP = """
DELETE FROM event_stage s
WHERE NOT EXISTS (SELECT FROM event_fresh f WHERE f.client_event_id = s.client_event_id)
RETURNING s.client_event_id
"""
SKUS_UNKNOWN = """
SELECT s.source, array_agg(DISTINCT s.sku) FROM event_stage s
WHERE s.sku <> '' AND NOT EXISTS (SELECT FROM catalog_product p WHERE p.sku = s.sku)
GROUP BY 1
"""
# DO UPDATE ... WHERE locks the shopper's row even where it changes nothing: that serialises the dislikes and
# purchases of one shopper.
SHOPPERS_MAKE = """
INSERT INTO events_shopper
    (external_id, consent, age_band, gender, income_band, region, language, first_seen_at, last_seen_at,
     placeholder)
SELECT s.shopper, false, '', '', '', '', '', min(s.occurred_at), max(s.occurred_at), true
FROM event_stage s WHERE s.shopper <> ''
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
SELECT s.occurred_at, s.received_at, s.kind_id, coalesce(h.merged_into_id, h.id), p.id, s.quantity, s.price,
       s.value, s.session, s.channel, s.request_id, s.query, s.context, s.bot, s.client_event_id
FROM event_stage s
LEFT JOIN events_shopper h ON h.external_id = s.shopper
LEFT JOIN catalog_product p ON p.sku = s.sku
"""
MOODS = """
SELECT coalesce(h.merged_into_id, h.id) AS shopper_id, p.id AS product_id, max(s.occurred_at) AS at
FROM event_stage s
JOIN events_shopper h ON h.external_id = s.shopper
JOIN catalog_product p ON p.sku = s.sku
WHERE s.mood = %(mood)s GROUP BY 1, 2
"""
# A dislike holds until a later like or purchase, in whatever order the two arrive.
DISLIKES_DROP = f"""
DELETE FROM events_dislike d USING ({MOODS}) m
WHERE d.shopper_id = m.shopper_id AND d.product_id = m.product_id AND d.at < m.at
"""
DISLIKES_MAKE = f"""
INSERT INTO events_dislike (shopper_id, product_id, at)
SELECT m.shopper_id, m.product_id, m.at FROM ({MOODS}) m
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


def lines_store(*, lines: Sequence[bytes], now: datetime) -> set[str]:
    """Store lines (`lines.line_of`) with distinct ids, each once; returns the ids that were stored before.

    Needs a transaction.
    """
    if not lines:
        return set()

    def fill(cursor: CursorWrapper) -> None:
        with cursor.copy(COPY_LINES) as copy:
            copy.write(b"\n".join(lines) + b"\n")

    def claim(cursor: CursorWrapper) -> None:
        with cursor.copy(COPY_KEYS) as copy:
            copy.write(b"\n".join(sorted(key_of(line) for line in lines)) + b"\n")

    return set(_stored(fill, claim, now))


def frame_store(*, frame: pd.DataFrame, source: str, now: datetime) -> int:
    """Store a checked frame (columns `frames.STAGED`, distinct ids), each once; returns how many were new.

    Needs a transaction.
    """
    if frame.empty:
        return 0
    staged = frame.assign(received_at=pd.Timestamp(now).as_unit("us"), source=source)

    def fill(cursor: CursorWrapper) -> None:
        frame_copy_in(cursor=cursor, table="event_stage", frame=staged[list(COLUMNS)])

    def claim(cursor: CursorWrapper) -> None:
        keys = frame[["client_event_id", "occurred_at"]].sort_values("client_event_id")
        frame_copy_in(cursor=cursor, table="events_eventkey", frame=keys)

    return len(frame) - len(_stored(fill, claim, now))


def _stored(
    fill: Callable[[CursorWrapper], None], claim: Callable[[CursorWrapper], None], now: datetime
) -> list[str]:
    """Fill the stage, store what is new in it; returns the ids that were stored before.

    `claim` adds the keys of all staged events at once; IntegrityError when one is taken.
    """
    with connection.cursor() as cursor:
        cursor.execute(STAGE_OPEN)
        with connection.wrap_database_errors:  # COPY's errors come from the driver
            fill(cursor)
        cursor.execute(SUMMARY)
        count, first, last, liked, disliked, linked, months = cursor.fetchone()
        partitions_make(
            months=[(number // 12, number % 12 + 1) for number in months], tables=["events_interaction"]
        )
        params = {"horizon": key_horizon(now), "first": first, "last": last}
        repeats: list[str] = []
        if first < params["horizon"] or not _all_claimed(cursor, claim):
            repeats = _repeats_drop(cursor, params, count)
        if len(repeats) < count:
            cursor.execute(SKUS_UNKNOWN)
            for source, skus in cursor.fetchall():
                product_placeholders_make(skus=skus, source=source, first_seen_at=now)
            cursor.execute(SHOPPERS_MAKE)
            if linked:
                identities_link(cursor)
            cursor.execute(INTERACTIONS_INSERT)
            if liked:
                cursor.execute(DISLIKES_DROP, {"mood": 1})
            if disliked:
                cursor.execute(DISLIKES_MAKE, {"mood": -1})
        # A bulk import stores many chunks in one connection, tests in one transaction.
        cursor.execute("DELETE FROM event_stage; DELETE FROM event_fresh")
    return repeats


def _all_claimed(cursor: CursorWrapper, claim: Callable[[CursorWrapper], None]) -> bool:
    """Claim the keys of all staged events; when one is taken, none (nearly always all are new).

    COPY into the table costs half of what INSERT ... ON CONFLICT does.
    """
    try:
        with transaction.atomic(), connection.wrap_database_errors:
            claim(cursor)
    except IntegrityError:
        return False
    return True


def _repeats_drop(cursor: CursorWrapper, params: dict[str, Any], count: int) -> list[str]:
    """Claim what is new, take the rest from the stage; returns the ids of the rest."""
    fresh = 0
    if count >= ANALYZE_ROWS:
        cursor.execute("ANALYZE event_stage (client_event_id, occurred_at, shopper, sku)")
    if params["last"] >= params["horizon"]:
        cursor.execute(KEYS_CLAIM_NAMED, params)
        fresh += cursor.rowcount
    if params["first"] < params["horizon"]:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK_OLD_EVENTS])
        cursor.execute(OLD_UNSEEN, params)
        fresh += cursor.rowcount
    if fresh == count:
        return []
    cursor.execute("ANALYZE event_fresh")
    cursor.execute(REPEATS_DROP)
    return [row[0] for row in cursor.fetchall()]
