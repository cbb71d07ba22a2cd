"""Units and rollups say the same of the same shop: two ways to lay out one set of words."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from apps.accounts.models import ShopSettings
from apps.catalog.models import Product
from apps.core import clock
from apps.events.models import EventKind, Exposure, Interaction, Shopper
from apps.events.partitions import partitions_make
from apps.metrics import unit_steps
from apps.metrics.models import DailyMetric
from apps.metrics.rollups import days_build
from apps.metrics.unit_rows import micros, readers
from apps.metrics.unit_steps import Keys, Reach, Units, UnitTables
from apps.metrics.unit_tables import slates_read, tables_read
from apps.metrics.units import BUILT_IN, Measure, UnitMetric
from tests.metrics.conftest import NOW, Shop, moment

ATTRIBUTED = Measure(role="purchase", attributed=True)
MEASURES = {
    "sessions": Measure(of="session"),
    "sessions_bought": Measure(of="session_bought"),
    "orders": Measure(of="order"),
    "revenue": Measure(role="purchase", value="amount"),
    "margin": Measure(role="purchase", value="margin"),
    "units": Measure(role="purchase", value="quantity"),
    "returned": Measure(role="return", value="amount"),
    "slates_base": Measure(of="slate"),
    "slates_clicked": Measure(of="slate_clicked"),
    "items_seen": Measure(of="item_seen"),
    "items_clicked": Measure(of="item_clicked"),
    "attributed": ATTRIBUTED,
    "attributed_revenue": replace(ATTRIBUTED, value="amount"),
}
ALL = [UnitMetric(code, code, "mean", measure) for code, measure in MEASURES.items()]


def everybody() -> list[int]:
    """Who did or saw anything: shoppers, and hashes of sessions without one."""
    from django.db import connection

    from apps.metrics.steps import WHO

    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {WHO} FROM events_interaction UNION SELECT {WHO} FROM events_exposure ORDER BY 1"
        )
        return [who for (who,) in cursor.fetchall() if who is not None]


def tables(
    metrics: list[UnitMetric],
    *,
    start: datetime,
    end: datetime,
    first: dict[int, datetime] | None = None,
    pre: timedelta = timedelta(0),
    placements: tuple[str, ...] | None = None,
) -> UnitTables:
    """Of everybody, exposed at the start unless told otherwise."""
    who = sorted(first) if first else everybody()
    moments = [micros((first or {}).get(one, start)) for one in who]
    units = Units(np.array(who, dtype=np.int64), np.array(moments, dtype=np.int64))
    zone = ZoneInfo(ShopSettings.objects.get(pk=1).time_zone)
    reach = Reach(start, end, zone, timedelta(hours=24), placements, pre)
    with readers() as connections:
        exposures = slates_read(connections, reach, metrics, experiment=1)
        return tables_read(connections, reach, units, metrics, exposures)


def crowd(shop: Shop, seed: int) -> None:
    """Four busy days of a few people: every kind of event, often at midnight, some reported, some bots'."""
    draw = np.random.default_rng(seed)
    for sku in "abcdef":
        cost = None if sku == "f" else float(draw.integers(1, 5))
        shop.product(sku, price=float(draw.integers(5, 20)), cost=cost, category=sku)
    people = [("ann", ""), ("bob", "s1"), ("cid", ""), ("", "x"), ("", "y"), ("bot", "")]
    for who, session in people:
        for _visit in range(8):
            at = moment("10 00:00") + timedelta(minutes=int(draw.integers(0, 4 * 24 * 60)))
            request: uuid.UUID | None = None
            for _step in range(int(draw.integers(1, 9))):
                at += timedelta(seconds=int(draw.choice([20, 600, 1799, 1800, 1801, 7000])))
                text = f"{at:%d %H:%M:%S}"
                sku = str(draw.choice(list("abcdef")))
                kind = str(
                    draw.choice(["view", "slate", "slate", "seen", "click", "click", "cart", "purchase",
                                 "purchase", "return", "search"])
                )  # fmt: skip
                if kind == "slate":
                    skus = " ".join(draw.choice(list("abcdef"), size=3, replace=False))
                    placement = str(draw.choice(["home", "cart"]))
                    request = shop.slate(who, text, skus, session=session, placement=placement)
                    Exposure.objects.filter(request_id=request).update(served_at=at)
                    continue
                row = shop.event(
                    kind,
                    who,
                    text,
                    "" if kind == "search" or (kind == "seen" and draw.random() < 0.5) else sku,
                    request=request if kind in {"seen", "click"} and draw.random() < 0.9 else None,
                    price=float(draw.integers(1, 30)) if draw.random() < 0.5 else None,
                    quantity=float(draw.integers(1, 4)),
                    session=session,
                    bot=who == "bot" and draw.random() < 0.5,
                    order=str(draw.choice(["", "", "o1", "o2"])),
                )
                Interaction.objects.filter(pk=row.pk).update(occurred_at=at)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("seed", "zone", "packed"), [(0, "UTC", True), (1, "Asia/Shanghai", True), (2, "UTC", False)]
)
def test_units_of_the_whole_shop_add_up_to_the_rollups(
    shop: Shop, seed: int, zone: str, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ShopSettings.objects.update(time_zone=zone)
    crowd(shop, seed)
    monkeypatch.setattr(Keys, "__init__", _unpacked) if not packed else None
    monkeypatch.setattr(unit_steps, "BLOCK", 7)
    start, end = moment("09 00:00"), moment("18 00:00")
    with clock.pinned(NOW):
        days_build(first=start.date(), last=end.date())
    expected: dict[str, float] = {}
    for row in DailyMetric.objects.filter(placement=""):
        for name, count in row.counts.items():
            expected[name] = expected.get(name, 0.0) + count
    found = tables(ALL, start=start, end=end)
    got = {metric.code: float(found.values(metric).numerator.value.sum()) for metric in ALL}
    assert got == pytest.approx({code: expected.get(code, 0.0) for code in MEASURES})
    assert expected["orders"] > 20
    assert expected["attributed"] > 5
    assert expected["returned"] > 0
    assert 0 < expected["slates_clicked"] < expected["slates_base"] < expected["slates_served"]


def _unpacked(self: Keys, *, units: int, low: int, high: int) -> None:
    self.low, self.bits, self.packed = low, 0, False


@pytest.mark.django_db
def test_placement_of_the_experiment_bounds_slates_and_attribution(shop: Shop) -> None:
    crowd(shop, 3)
    start, end = moment("09 00:00"), moment("18 00:00")
    with clock.pinned(NOW):
        days_build(first=start.date(), last=end.date())
    rows = DailyMetric.objects.filter(placement="cart").values_list("counts", flat=True)
    found = tables(ALL, start=start, end=end, placements=("cart",))
    for code in ("slates_base", "slates_clicked", "items_seen", "attributed", "attributed_revenue"):
        got = float(found.values(UnitMetric(code, code, "mean", MEASURES[code])).numerator.value.sum())
        assert got == pytest.approx(sum(counts.get(code, 0.0) for counts in rows)), code


@pytest.fixture
def two(shop: Shop) -> dict[str, int]:
    """Ann and Bob, exposed at noon of the tenth; a product for 10 that costs 4."""
    shop.product("a", price=10, cost=4, category="Shoes > High")
    shop.product("b", price=5, category="Hats")
    Product.objects.filter(sku="b").update(brand="Hatter")
    return {name: shop.shopper(name).pk for name in ("ann", "bob")}


def noon(two: dict[str, int]) -> dict[int, datetime]:
    return dict.fromkeys(two.values(), moment("10 12:00"))


def read(metric: UnitMetric, two: dict[str, int], days: int = 0) -> UnitTables:
    """The four days from the tenth on, with covariates of so many days."""
    start, end = moment("10 00:00"), moment("14 00:00")
    return tables([metric], start=start, end=end, first=noon(two), pre=timedelta(days=days))


def before(metric: UnitMetric, two: dict[str, int]) -> list[float]:
    """Covariates of 7 days."""
    found = read(metric, two, 7).values(metric).before
    assert found is not None
    return [float(value) for value in found]


def values(metric: UnitMetric, two: dict[str, int]) -> dict[str, float]:
    """Sums by name from the first exposure on."""
    found = read(metric, two)
    sums = np.bincount(
        (added := found.values(metric).numerator).unit, weights=added.value, minlength=len(two)
    )
    return dict(zip(sorted(two, key=lambda name: two[name]), sums.tolist(), strict=True))


@pytest.mark.django_db
def test_only_what_comes_after_the_first_exposure_counts(shop: Shop, two: dict[str, int]) -> None:
    shop.event("purchase", "ann", "10 11:59", "a")
    shop.event("purchase", "ann", "10 12:00", "a")
    shop.event("purchase", "bob", "13 23:00", "a")
    shop.event("purchase", "bob", "14 00:00", "a")  # after the end
    assert values(BUILT_IN["revenue_per_shopper"], two) == {"ann": 10, "bob": 10}


@pytest.mark.django_db
def test_conversion_window_starts_at_each_units_exposure(shop: Shop, two: dict[str, int]) -> None:
    shop.event("purchase", "ann", "11 11:59", "a")
    shop.event("purchase", "bob", "11 12:00", "a")
    metric = replace(BUILT_IN["revenue_per_shopper"], window_hours=24)
    assert values(metric, two) == {"ann": 10, "bob": 0}


@pytest.mark.django_db
def test_session_that_runs_at_the_exposure_counts_once_and_is_no_covariate(
    shop: Shop, two: dict[str, int]
) -> None:
    for at in ("09 08:00", "10 11:50", "10 12:10", "11 09:00"):
        shop.event("view", "ann", at, "a")
    shop.event("view", "bob", "10 11:00", "a")
    metric = BUILT_IN["sessions_per_shopper"]
    assert values(metric, two) == {"ann": 2, "bob": 0}
    assert before(metric, two) == [1, 1]


@pytest.mark.django_db
def test_covariate_is_the_same_metric_in_the_time_before(shop: Shop, two: dict[str, int]) -> None:
    shop.event("purchase", "ann", "02 11:00", "a")
    shop.event("purchase", "ann", "03 13:00", "a")
    shop.event("return", "ann", "04 13:00", "a", price=3)
    shop.event("purchase", "bob", "10 13:00", "a")
    assert before(BUILT_IN["revenue_per_shopper"], two) == [7, 0]


@pytest.mark.django_db
def test_filters_choose_the_products(shop: Shop, two: dict[str, int]) -> None:
    for sku in "ab":
        shop.event("purchase", "ann", "10 13:00", sku)
        shop.event("return", "ann", "10 14:00", sku, price=1)
    revenue = BUILT_IN["revenue_per_shopper"]
    for category, brand, expected in (
        ("Shoes", "", 9), ("Shoes > High", "", 9), ("Sho", "", 0), ("", "hatter", 4),
        ("Shoes", "Hatter", 0), ("", "", 13),
    ):  # fmt: skip
        measure = replace(revenue.numerator, category=category, brand=brand)
        assert values(replace(revenue, numerator=measure), two)["ann"] == expected, measure


@pytest.mark.django_db
def test_value_and_kind_measures(shop: Shop, two: dict[str, int]) -> None:
    row = shop.event("rating", "ann", "10 13:00", "a")
    Interaction.objects.filter(pk=row.pk).update(value=4)
    shop.event("rating", "ann", "10 14:00", "a")  # without a value
    EventKind.objects.get_or_create(code="gift", defaults={"name": "gift", "role": "other"})
    shop.event("gift", "bob", "10 14:00", "a")
    rated = UnitMetric("rated", "", "mean", Measure(role="rating", value="value"))
    assert values(rated, two) == {"ann": 4, "bob": 0}
    assert values(UnitMetric("gifts", "", "mean", Measure(kind="gift")), two) == {"ann": 0, "bob": 1}


@pytest.mark.django_db
def test_bots_are_known_and_their_events_left_out(shop: Shop, two: dict[str, int]) -> None:
    shop.event("purchase", "ann", "10 13:00", "a", bot=True)
    shop.event("purchase", "bob", "10 13:00", "a")
    metric = BUILT_IN["conversion"]
    found = read(metric, two)
    assert found.bots.tolist() == [True, False]
    assert found.events.tolist() == [0, 1]
    assert values(metric, two) == {"ann": 0, "bob": 1}


@pytest.mark.django_db(transaction=True, serialized_rollback=True)
def test_two_readers_see_what_one_does() -> None:
    ShopSettings.objects.update_or_create(pk=1, defaults={"time_zone": "UTC", "attribution_hours": 24})
    partitions_make(months=[(2026, month) for month in (2, 3, 4)])
    crowd(Shop(), 5)
    assert Shopper.objects.exists()
    start, end = datetime(2026, 3, 9, tzinfo=UTC), datetime(2026, 3, 18, tzinfo=UTC)
    with readers() as connections:
        assert len(connections) == 2
    several = tables(ALL, start=start, end=end)
    from django.db import transaction

    with transaction.atomic():
        single = tables(ALL, start=start, end=end)
    for metric in ALL:
        one, other = several.values(metric).numerator, single.values(metric).numerator
        assert sorted(zip(one.unit, one.at, one.value, strict=True)) == sorted(
            zip(other.unit, other.at, other.value, strict=True)
        )
