"""Whether anything feeds a metric: how many events of the last days it would have counted."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection

from apps.core import clock
from apps.metrics.units import SESSION_WORDS, SLATE_WORDS, Measure, UnitMetric, unit_metric_get

FEED_DAYS = 28
Kind = tuple[int, str, str, int, int]  # id, role, code, events, those with a request id
# Every kind at once, since a page shows all metrics.
BY_KIND = """
SELECT k.id, k.role, k.code, count(i.kind_id), count(i.request_id)
FROM events_eventkind k LEFT JOIN (
    SELECT kind_id, request_id FROM events_interaction WHERE NOT bot AND occurred_at >= %(since)s
) i ON i.kind_id = k.id GROUP BY k.id
"""
# The filters of a measure.
OF_ROLE = "(%(role)s = '' OR k.role = %(role)s) AND (%(kind)s = '' OR k.code = %(kind)s)"
OF_CATEGORY = "(%(category)s = '' OR c.path = %(category)s OR starts_with(c.path, %(category)s || ' > '))"
OF_BRAND = "(%(brand)s = '' OR upper(p.brand) = upper(%(brand)s))"
FILTERED = f"""
SELECT count(*) FROM events_interaction i JOIN events_eventkind k ON k.id = i.kind_id
LEFT JOIN catalog_product p ON p.id = i.product_id LEFT JOIN catalog_category c ON c.id = p.category_id
WHERE NOT i.bot AND i.occurred_at >= %(since)s AND {OF_ROLE} AND {OF_CATEGORY} AND {OF_BRAND}
  AND (i.value IS NOT NULL OR NOT %(valued)s)
"""


@dataclass(frozen=True, slots=True)
class Feed:
    """How many events (or slates) each measure of a metric would have counted in the last `days` days."""

    code: str
    days: int
    numerator: int
    denominator: int | None = None

    @property
    def fed(self) -> bool:
        """Whether there is anything to count for each of its measures."""
        return bool(self.numerator) and self.denominator != 0


def metric_fed(code: str, *, days: int = FEED_DAYS) -> Feed:
    """What feeds the metric of this code; NotFound when there is none such."""
    return metrics_fed([unit_metric_get(code)], days=days)[code]


def metrics_fed(metrics: Iterable[UnitMetric], *, days: int = FEED_DAYS) -> dict[str, Feed]:
    """The same for many metrics, by code, in one pass over the events."""
    since = clock.now() - timedelta(days=days)
    with connection.cursor() as cursor:
        cursor.execute(BY_KIND, {"since": since})
        kinds = [tuple(row) for row in cursor.fetchall()]
        cursor.execute("SELECT count(*) FROM events_exposure WHERE served_at >= %s", [since])
        slates = int(cursor.fetchone()[0])
    feeds = {}
    for metric in metrics:
        counts = [_count(measure, kinds, slates, since) for measure in metric.measures]
        feeds[metric.code] = Feed(metric.code, days, counts[0], counts[1] if len(counts) > 1 else None)
    return feeds


def _count(measure: Measure, kinds: list[Kind], slates: int, since: datetime) -> int:
    if measure.of in SLATE_WORDS:
        clicks = sum(linked for _pk, role, _code, _n, linked in kinds if role == "click")
        return slates if measure.of in {"slate", "item_seen"} else min(slates, clicks)
    if measure.of in SESSION_WORDS:
        buys = measure.of != "session"
        return sum(n for _pk, role, _code, n, _linked in kinds if role == "purchase" or not buys)
    if not measure.category and not measure.brand and measure.value != "value":
        return sum(
            n
            for _pk, role, code, n, _linked in kinds
            if measure.role in {"", role} and measure.kind in {"", code}
        )
    with connection.cursor() as cursor:
        cursor.execute(
            FILTERED,
            {
                "since": since,
                "role": measure.role,
                "kind": measure.kind,
                "category": measure.category,
                "brand": measure.brand,
                "valued": measure.value == "value",
            },
        )
        return int(cursor.fetchone()[0])
