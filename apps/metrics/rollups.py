"""Building the daily rollups: set-based, idempotent, only the days that can have changed."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection, transaction

from apps.accounts.models import ShopSettings
from apps.core import clock
from apps.metrics import definitions, steps
from apps.metrics.models import DailyItems, DailyMetric, RollupState

# One build covers this many days at a time, so that its temporary tables stay small in a large shop.
CHUNK_DAYS = 100
SETTLE_SECONDS = 2.0
_LOCK = 7_031_001
LATER_RETURNS = """
SELECT DISTINCT (r.occurred_at AT TIME ZONE %(zone)s)::date
FROM (
    SELECT i.shopper_id, i.product_id, min(i.occurred_at) AS at
    FROM events_interaction i JOIN events_eventkind k ON k.id = i.kind_id
    WHERE i.id > %(since)s AND k.role IN ('purchase', 'return') AND i.shopper_id IS NOT NULL
    GROUP BY i.shopper_id, i.product_id
) n JOIN LATERAL (
    SELECT i.occurred_at FROM events_interaction i JOIN events_eventkind k ON k.id = i.kind_id
    WHERE i.shopper_id = n.shopper_id AND i.product_id = n.product_id AND i.occurred_at >= n.at
      AND k.role = 'return'
    OFFSET 0
) r ON true
"""


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a build did."""

    days: int
    seconds: float


@dataclass(frozen=True, slots=True)
class ShopClock:
    """The shop's day and attribution window."""

    zone: ZoneInfo
    window: timedelta

    def midnight(self, day: date) -> datetime:
        """The moment `day` starts in the shop's time zone."""
        return datetime(day.year, day.month, day.day, tzinfo=self.zone)

    def today(self) -> date:
        """The shop's present day."""
        return clock.now().astimezone(self.zone).date()


def shop_clock() -> ShopClock:
    """The shop's time zone and attribution window as set; defaults before the shop is set up."""
    shop = ShopSettings.objects.filter(pk=1).first() or ShopSettings()
    return ShopClock(zone=ZoneInfo(shop.time_zone), window=timedelta(hours=shop.attribution_hours))


def day_build(*, day: date) -> BuildResult:
    """Build one day again from the events; building it twice changes nothing."""
    return days_build(first=day, last=day)


def days_build(*, first: date, last: date) -> BuildResult:
    """Build the days from `first` to `last` (both included)."""
    started = time.perf_counter()
    shop = shop_clock()
    day = first
    while day <= last:
        end = min(last, day + timedelta(days=CHUNK_DAYS - 1))
        _chunk_build(shop=shop, first=day, last=end)
        day = end + timedelta(days=1)
    return BuildResult(days=max(0, (last - first).days + 1), seconds=time.perf_counter() - started)


def rollups_build(*, everything: bool = False) -> BuildResult:
    """Build yesterday and today, and all days that events stored since the last build may have changed.

    Where the shop's time zone or attribution window is no longer the one the rollups were built with, every
    day is built again: a history in two definitions would compare nothing.
    """
    started = time.perf_counter()
    shop = shop_clock()
    state = RollupState.objects.filter(pk=1).first() or RollupState(pk=1)
    everything = everything or not state.describes(zone=shop.zone.key, window=shop.window)
    newest = _scalar("SELECT coalesce(max(id), 0) FROM events_interaction")
    settled = _writers_wait()
    days = _days_all(shop) if everything else _days_changed(shop, since_id=state.through_id)
    for first, last in _ranges(days):
        days_build(first=first, last=last)
    if everything:
        _others_forget(days)
    if settled:
        state.through_id = newest
    state.time_zone, state.attribution_seconds = shop.zone.key, int(shop.window.total_seconds())
    state.seconds, state.days = time.perf_counter() - started, len(days)
    state.save()
    return BuildResult(days=state.days, seconds=state.seconds)


def _writers_wait() -> bool:
    """Wait for the transactions that are writing now; whether all have ended within `SETTLE_SECONDS`.

    Ids are given out before their rows are committed: while an import runs, the highest id to be seen is no
    sign that all below it are there. Until it has ended, the next build starts from the same id again.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    following = _scalar("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
    running = "SELECT EXISTS (SELECT FROM pg_snapshot_xip(pg_current_snapshot()) x WHERE x < %s::text::xid8)"
    while _scalar(running, following):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _others_forget(days: set[date]) -> None:
    """Drop days outside of those just built: another time zone may begin a day later."""
    for model in (DailyMetric, DailyItems):
        model.objects.exclude(day__range=(min(days), max(days))).delete()


def _scalar(sql: str, *params: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        row = cursor.fetchone()
    return row[0] if row else None


def _days_all(shop: ShopClock) -> set[date]:
    oldest = _scalar(
        "SELECT least((SELECT min(occurred_at) FROM events_interaction),"
        " (SELECT min(served_at) FROM events_exposure))"
    )
    today = shop.today()
    first = min(oldest.astimezone(shop.zone).date(), today) if oldest else today
    return set(_days_between(first, today))


def _days_changed(shop: ShopClock, *, since_id: int) -> set[date]:
    """Days an event stored since may touch: its own, the one its session began on, those its click reaches
    forward to, the one its slate was served on, and those of later returns of what was bought or returned."""
    today = shop.today()
    reach = -(-shop.window // timedelta(days=1))
    days = {today, today - timedelta(days=1)}
    params: dict[str, str | int] = {"since": since_id, "zone": shop.zone.key}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT (occurred_at AT TIME ZONE %(zone)s)::date FROM events_interaction"
            " WHERE id > %(since)s",
            params,
        )
        for (day,) in cursor.fetchall():
            days.update(_days_between(day - timedelta(days=1), day + timedelta(days=reach)))
        cursor.execute(
            "SELECT DISTINCT (e.served_at AT TIME ZONE %(zone)s)::date FROM events_interaction i"
            " JOIN events_exposure e ON e.request_id = i.request_id WHERE i.id > %(since)s",
            params,
        )
        days.update(day for (day,) in cursor.fetchall())
        cursor.execute(LATER_RETURNS, params)
        days.update(day for (day,) in cursor.fetchall())
    return {day for day in days if day <= today}


def _days_between(first: date, last: date) -> Iterator[date]:
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def _ranges(days: Iterable[date]) -> Iterator[tuple[date, date]]:
    """Runs of consecutive days."""
    run: list[date] = []
    for day in sorted(days):
        if run and day - run[-1] > timedelta(days=1):
            yield run[0], run[-1]
            run = []
        run.append(day)
    if run:
        yield run[0], run[-1]


@transaction.atomic
def _chunk_build(*, shop: ShopClock, first: date, last: date) -> None:
    start, end = shop.midnight(first), shop.midnight(last + timedelta(days=1))
    params: dict[str, str | datetime] = {
        "start": start.astimezone(UTC),
        "end": end.astimezone(UTC),
        "zone": shop.zone.key,
        "window": f"{shop.window.total_seconds():.0f} seconds",
        "back": shop.midnight((start - shop.window).date()).astimezone(UTC),
    }
    counts: dict[tuple[date, str], dict[str, float]] = {(day, ""): {} for day in _days_between(first, last)}
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        # Sorting and grouping a day's items on disk takes twice as long.
        cursor.execute("SET LOCAL work_mem = '96MB'")
        cursor.execute("DROP TABLE IF EXISTS " + ", ".join(name for name, _ in steps.STEPS))
        for name, sql in steps.STEPS:
            cursor.execute(sql, params)
            if name in steps.INDEXES:
                cursor.execute(steps.INDEXES[name])
            if name in steps.ANALYZED:
                cursor.execute(f"ANALYZE {name} ({steps.ANALYZED[name]})")
        for sql in definitions.COUNTS:
            cursor.execute(sql, params)
            for day, placement, code, value in cursor.fetchall():
                if value:
                    scope = counts.setdefault((day, placement), {})
                    scope[code] = scope.get(code, 0.0) + float(value)
        DailyItems.objects.filter(day__range=(first, last)).delete()
        cursor.execute(definitions.ITEMS_INSERT, params)
    DailyMetric.objects.filter(day__range=(first, last)).delete()
    DailyMetric.objects.bulk_create(
        [
            DailyMetric(day=day, placement=placement, counts={code: round(n, 6) for code, n in scope.items()})
            for (day, placement), scope in counts.items()
        ]
    )
