"""Series, summaries, intervals and the rebuild of changed days."""

from __future__ import annotations

from datetime import date
from statistics import mean
from threading import Event, Thread

import numpy as np
import pytest
from django.db import connection, transaction
from scipy import stats

from apps.accounts.models import ShopSettings
from apps.core import clock
from apps.metrics import intervals, rollups
from apps.metrics.models import DailyMetric
from apps.metrics.rollups import rollups_build
from apps.metrics.selectors import Period, catalogue_use, gini, metric_series, metric_summary
from tests.metrics.conftest import NOW, Counts, Shop

MARCH = Period(date(2026, 3, 9), date(2026, 3, 12))


def test_wilson_agrees_with_scipy() -> None:
    for successes, n in ((0, 5), (3, 40), (40, 40), (517, 12_000)):
        ours = intervals.wilson(successes, n)
        theirs = stats.binomtest(successes, n).proportion_ci(method="wilson")
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))


def test_mean_has_the_usual_standard_error() -> None:
    values = np.array([0.0, 0, 12, 7, 0, 30])
    got = intervals.mean(values.sum(), 6, gross=values.sum(), gross_squares=(values**2).sum())
    assert got.error == pytest.approx(stats.sem(values))
    assert (got.value, got.n) == (pytest.approx(values.mean()), 6)


def test_ratio_interval_covers_at_its_nominal_rate() -> None:
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(800):
        x = rng.integers(1, 12, 300)
        y = rng.binomial(x, rng.beta(2, 18, 300))  # items of one slate share their luck
        got = intervals.ratio(
            y.sum(), x.sum(), yy=(y**2).sum(), xx=(x**2).sum(), xy=(x * y).sum(), clusters=300
        )
        assert got.low is not None
        assert got.high is not None
        hits += got.low <= 0.1 <= got.high
    assert 0.92 <= hits / 800 <= 0.975


def test_gini_of_known_shares() -> None:
    assert gini(np.array([1.0, 1, 1, 1])) == pytest.approx(0)
    assert gini(np.array([0.0, 0, 0, 8])) == pytest.approx(0.75)
    amounts = np.array([1.0, 2, 3, 10])
    pairs = mean(abs(a - b) for a in amounts for b in amounts)
    assert gini(amounts) == pytest.approx(pairs / (2 * amounts.mean()))


@pytest.mark.django_db
def test_summary_sets_the_period_beside_the_one_before(shop: Shop) -> None:
    shop.product("a", price=10)
    shop.event("view", "ann", "08 09:00", "a")
    shop.event("purchase", "ann", "10 09:00", "a")
    shop.event("view", "bob", "11 09:00", "a")
    request = shop.slate("bob", "11 09:01", "a")
    shop.event("seen", "bob", "11 09:01", request=request)
    with clock.pinned(NOW):
        rollups_build()
        figures = metric_summary(period=MARCH)
        by_day = metric_series(period=MARCH)
    assert (figures["sessions"].now.value, figures["sessions"].before.value) == (2, 1)
    assert figures["sessions"].change.value == 1
    conversion = figures["conversion"].now
    assert (conversion.value, conversion.n) == (0.5, 2)
    assert conversion.low is not None
    assert conversion.low < 0.5
    assert figures["conversion"].before.value == 0
    assert figures["revenue_per_session"].now.value == 5
    assert figures["aov"].now.value == 10
    assert figures["ctr"].base == "seen"
    assert figures["ctr"].now.value == 0
    assert [point.estimate.value for point in by_day["sessions"]] == [0, 1, 1, 0]
    assert [point.estimate.value for point in by_day["conversion"]] == [None, 1, 0, None]


@pytest.mark.django_db
def test_placement_has_no_figure_that_only_the_shop_has(shop: Shop) -> None:
    with clock.pinned(NOW):
        rollups_build()
        figures = metric_summary(period=MARCH, placement="home")
    assert "aov" not in figures
    assert figures["ctr"].now.value is None
    assert figures["ctr"].base == "none"
    assert figures["coverage"].now.value is None


@pytest.mark.django_db
def test_catalogue_use_by_hand(shop: Shop, counts: Counts) -> None:
    for sku in "abcde":
        shop.product(sku)
    shop.slate("ann", "10 09:00", "a b")
    shop.slate("ann", "10 09:05", "a")
    for _ in range(3):
        shop.event("view", "ann", "10 09:00", "a")
    counts(10)
    use = catalogue_use(period=Period(date(2026, 3, 10), date(2026, 3, 10)))
    assert (use.seen, use.on_sale, use.impressions, use.coverage) == (2, 5, 3, 0.4)
    assert use.gini == pytest.approx(gini(np.array([2.0, 1, 0, 0, 0])))
    # events + 1: a 4, the others 1 each, 8 in all
    assert use.novelty == pytest.approx((2 * 1 + 1 * 3) / 3)
    assert use.long_tail == pytest.approx(1 / 3)  # a alone is the head


@pytest.mark.django_db
def test_building_again_changes_nothing(shop: Shop) -> None:
    shop.product("a")
    request = shop.slate("ann", "10 09:00", "a")
    shop.event("click", "ann", "10 09:01", "a", request=request)
    shop.event("purchase", "ann", "10 09:02", "a")

    def rows() -> list[tuple[object, ...]]:
        return list(
            DailyMetric.objects.order_by("day", "placement").values_list("day", "placement", "counts")
        )

    with clock.pinned(NOW):
        rollups_build()
        first = rows()
        rollups_build()
        assert rows() == first
        rollups_build(everything=True)
        assert rows() == first


@pytest.mark.django_db
def test_late_events_rebuild_the_days_they_touch(shop: Shop) -> None:
    shop.product("a", price=10)
    request = shop.slate("ann", "05 09:00", "a")
    shop.event("view", "ann", "05 09:00", "a")
    with clock.pinned(NOW):
        rollups_build()
        shop.event("click", "ann", "08 09:00", "a", request=request)  # arrives late, for a slate of the 5th
        shop.event("purchase", "ann", "09 08:00", "a")
        rollups_build()
    fifth = DailyMetric.objects.get(day=date(2026, 3, 5), placement="home").counts
    ninth = DailyMetric.objects.get(day=date(2026, 3, 9), placement="home").counts
    assert fifth["slates_clicked"] == 1
    assert ninth["attributed_revenue"] == 10


@pytest.mark.django_db
def test_late_purchase_rebuilds_the_day_of_the_return_that_undoes_it(shop: Shop) -> None:
    shop.product("a", price=10)
    request = shop.slate("ann", "05 09:00", "a")
    shop.event("click", "ann", "05 09:00", "a", request=request)
    shop.event("return", "ann", "12 09:00", "a")
    with clock.pinned(NOW):
        rollups_build()
        shop.event("purchase", "ann", "05 10:00", "a")
        rollups_build()
    twelfth = DailyMetric.objects.get(day=date(2026, 3, 12), placement="home").counts
    assert twelfth["attributed_revenue"] == -10


@pytest.mark.django_db
def test_other_time_zone_or_window_builds_all_days_again(shop: Shop) -> None:
    shop.product("a", price=10)
    request = shop.slate("ann", "04 22:00", "a")
    shop.event("click", "ann", "04 22:00", "a", request=request)
    shop.event("purchase", "ann", "06 09:00", "a")

    def revenue_of(day: int) -> float | None:
        rows = DailyMetric.objects.filter(day=date(2026, 3, day), placement="home")
        return rows.get().counts.get("attributed_revenue") if rows else None

    with clock.pinned(NOW):
        rollups_build()
        assert revenue_of(6) is None
        ShopSettings.objects.update(attribution_hours=48)
        rollups_build()
        assert revenue_of(6) == 10
        assert DailyMetric.objects.earliest("day").day == date(2026, 3, 4)
        ShopSettings.objects.update(time_zone="Asia/Shanghai")  # UTC+8: nothing happened on the 4th there
        built = rollups_build()
        assert DailyMetric.objects.earliest("day").day == date(2026, 3, 5)
        assert built.days == 16
        assert rollups_build().days < 16


@pytest.mark.django_db(transaction=True)
def test_event_committed_after_a_build_that_saw_later_ones_is_counted(
    committed_db: None, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollups, "SETTLE_SECONDS", 0.1)
    shop.product("a", price=10)
    shop.event("view", "ann", "04 09:00", "a")
    with clock.pinned(NOW):
        rollups_build()
    written, done = Event(), Event()

    def import_slowly() -> None:
        with transaction.atomic():
            shop.event("purchase", "ann", "05 09:00", "a")
            written.set()
            done.wait(30)
        connection.close()

    slow = Thread(target=import_slowly)
    slow.start()
    assert written.wait(30)
    shop.event("view", "bob", "06 09:00", "a")  # a higher id, committed first
    with clock.pinned(NOW):
        rollups_build()
        done.set()
        slow.join()
        rollups_build()
    assert DailyMetric.objects.get(day=date(2026, 3, 5), placement="").counts["orders"] == 1
