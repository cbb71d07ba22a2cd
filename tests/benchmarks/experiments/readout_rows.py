"""A million units of an experiment, made by SQL straight into the months' partitions.

900,000 shoppers and 100,000 sessions without a name are exposed during two weeks, three of ten of them again;
they do five million things. In the weeks before, half of the shoppers did 1.7 million more, which only CUPED
reads. Partitions are filled without their indexes, which are made when they are attached.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from django.db import connection
from django.db.backends.utils import CursorWrapper

from apps.events.models import EventKind
from apps.events.partitions import partitions_make

START, END = datetime(2026, 10, 5, tzinfo=UTC), datetime(2026, 10, 19, tzinfo=UTC)
UNITS, SHOPPERS, PRODUCTS = 1_000_000, 900_000, 5_000
CATALOG = (
    """
    INSERT INTO catalog_category (name, path, names, depth)
    SELECT 'Kind ' || n, 'Shop > Kind ' || n, '{}', 1 FROM generate_series(0, 23) n
    """,
    f"""
    INSERT INTO catalog_product (created_at, updated_at, sku, title, description, language, category_id,
        brand, price, cost, currency, stock, image_url, attributes, group_key, first_seen_at, source,
        placeholder)
    SELECT now(), now(), 'P' || n, 'Product ' || n, '', 'en',
        (SELECT min(id) FROM catalog_category) + n % 24, 'Brand ' || n % 60, 1 + n % 400,
        CASE WHEN n % 5 > 0 THEN (1 + n % 400) * .6 END, 'EUR', 50, '', '{{}}', '', '2026-01-01', 'bench',
        false
    FROM generate_series(1, {PRODUCTS}) n
    """,
    f"""
    INSERT INTO events_shopper (external_id, consent, age_band, gender, income_band, region, language,
        first_seen_at, last_seen_at, placeholder)
    SELECT 's' || n, true, '', '', '', 'Region ' || n % 8, (ARRAY['en', 'zh-hans', 'de'])[1 + n % 3],
        CASE WHEN n % 2 = 0 THEN timestamptz '2026-09-01' ELSE '2026-10-05' END, now(), false
    FROM generate_series(1, {SHOPPERS}) n
    """,
)
# kind: 1 the first visit, 2 another, 0 one before the experiment.
VISITS = f"""
CREATE UNLOGGED TABLE bench_visit AS
WITH base AS (SELECT min(id) - 1 AS zero FROM events_shopper),
unit AS (
    SELECT u, timestamptz '2026-10-05' + random() * interval '13 days' AS first_at
    FROM generate_series(1, {UNITS}) u
), visit AS (
    SELECT u, first_at AS at, 1 AS kind FROM unit
    UNION ALL
    SELECT u, first_at + random() * (timestamptz '2026-10-19' - first_at), 2 FROM unit WHERE u % 10 < 3
    UNION ALL
    SELECT u, timestamptz '2026-09-21' + random() * interval '8 days', 0 FROM unit
    WHERE u % 2 = 0 AND u <= {SHOPPERS}
)
SELECT u, kind, at, CASE WHEN u <= {SHOPPERS} THEN zero + u END AS shopper_id,
       CASE WHEN u <= {SHOPPERS} THEN 'v' || u || '-' || kind ELSE 'anon' || u END AS session,
       CASE WHEN hashint4(u) & 1 = 0 THEN 'control' ELSE 'b' END AS variant, gen_random_uuid() AS request_id,
       random() AS r1, random() AS r2, random() AS r3, random() AS r4, random() AS r5,
       (SELECT min(id) FROM catalog_product) + floor(random() ^ 2 * {PRODUCTS - 12})::int AS product
FROM visit, base
"""
AMOUNT = "round((5 - 20 * ln(r5 + 1e-9))::numeric, 2)"


def shop_make(say: Callable[[str], None]) -> None:
    """Fill an empty, migrated database."""
    partitions_make(months=[(2026, month) for month in (9, 10, 11)])
    kinds = {kind.code: kind.pk for kind in EventKind.objects.all()}
    with connection.cursor() as cursor:
        cursor.execute("SET work_mem = '512MB'")
        cursor.execute("SET maintenance_work_mem = '512MB'")
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("SELECT setseed(.42)")
        for sql in (*CATALOG, VISITS):
            cursor.execute(sql)
        say("shoppers and visits made")
        for month, during in (("09", "kind = 0"), ("10", "kind > 0")):
            _fill(cursor, "events_exposure", month, _exposures(during))
            rows = _fill(cursor, "events_interaction", month, _events(kinds, during))
            say(f"{rows:,} events where {during}")
        cursor.execute("DROP TABLE bench_visit")
        for table in ("events_interaction", "events_exposure", "events_shopper"):
            cursor.execute(f"VACUUM ANALYZE {table}")


def _fill(cursor: CursorWrapper, parent: str, month: str, rows: str) -> int:
    part = f"{parent}_2026_{month}"
    cursor.execute(f"ALTER TABLE {parent} DETACH PARTITION {part}")
    cursor.execute(
        "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = %s::regclass AND NOT indisprimary",
        [part],
    )
    for (index,) in cursor.fetchall():
        cursor.execute(f"DROP INDEX {index}")
    cursor.execute(rows.format(part=part))
    count = cursor.rowcount
    bounds = f"('2026-{month}-01 00:00+00') TO ('2026-{int(month) + 1:02}-01 00:00+00')"
    cursor.execute(f"ALTER TABLE {parent} ATTACH PARTITION {part} FOR VALUES FROM {bounds}")
    return count


def _exposures(during: str) -> str:
    return f"""
    INSERT INTO {{part}} (served_at, request_id, placement, shopper_id, session, product_ids, sources,
        propensities, publication_id, experiment_id, variant, model_version_ids, rung, context)
    SELECT at, request_id, 'home', shopper_id, session,
        ARRAY(SELECT product + g FROM generate_series(0, 11) g), array_fill('als'::varchar, ARRAY[12]),
        array_fill(1.0::float8, ARRAY[12]), 1, CASE WHEN kind > 0 THEN 1 END,
        CASE WHEN kind > 0 THEN variant ELSE '' END, ARRAY[1, 2, 3], 'shopper',
        jsonb_build_object('device', (ARRAY['phone', 'desktop', 'tablet'])[1 + (r1 * 2.99)::int % 3])
    FROM bench_visit WHERE {during} ORDER BY at
    """


def _events(kinds: dict[str, int], during: str) -> str:
    """Of each visit: whether it happens, seconds after its start, kind, product, quantity, price, slate."""
    return f"""
    INSERT INTO {{part}} (occurred_at, received_at, kind_id, shopper_id, product_id, quantity, price, session,
        channel, request_id, query, context, bot, client_event_id)
    SELECT at, at, kind_id, shopper_id, product, quantity, price, session, 'web', request_id, '', NULL, bot,
        'bench-' || row_number() OVER ()
    FROM (
        SELECT v.at + e.after * interval '1 second' AS at, e.kind_id, v.shopper_id, e.product, e.quantity,
            e.price, v.session, CASE WHEN e.linked THEN v.request_id END AS request_id, r5 < .0002 AS bot
        FROM bench_visit v CROSS JOIN LATERAL (VALUES
            (r1 < .85, 3, {kinds["seen"]}, NULL::bigint, 1, NULL::numeric, true),
            (r2 < .15 + CASE WHEN variant = 'b' AND kind > 0 THEN .01 ELSE 0 END, 20, {kinds["click"]},
             product, 1, NULL, true),
            (true, 40, {kinds["view"]}, product, 1, NULL, false),
            (r3 < .75, 90, {kinds["view"]}, product + 1, 1, NULL, false),
            (r3 < .55, 150, {kinds["view"]}, product + 2, 1, NULL, false),
            (r3 < .20, 2500, {kinds["view"]}, product + 3, 1, NULL, false),
            (r2 < .20, 200, {kinds["add_to_cart"]}, product, 1, NULL, false),
            (r2 < .09 OR r4 < .02, 300, {kinds["purchase"]}, product, 1 + (r1 * 2)::int, {AMOUNT}, false),
            (r2 < .09 AND r4 < .3, 301, {kinds["purchase"]}, product + 5, 1, CASE WHEN r5 < .5 THEN 25 END,
             false),
            (r2 < .09 AND r4 < .1, 100000, {kinds["return"]}, product, 1,
             CASE WHEN r5 < .8 THEN {AMOUNT} END, false)
        ) e (happens, after, kind_id, product, quantity, price, linked)
        WHERE happens AND {during} ORDER BY at
    ) o WHERE at < '2026-11-01'
    """
