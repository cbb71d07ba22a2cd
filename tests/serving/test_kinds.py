"""Each kind of placement shows what it says, with filters, exclusions, repeats and what was just seen."""

from datetime import timedelta
from typing import Any

import pytest

from apps.catalog.models import Product
from apps.core import clock
from apps.core.errors import InvalidInput
from apps.events.models import Shopper
from apps.merchandising.blends import DEFAULT_WEIGHTS, OWN_SOURCES
from apps.merchandising.models import Placement, PlacementKind
from apps.merchandising.services import placement_create, placement_update
from apps.serving.explain import why_not
from apps.serving.kinds import KINDS
from apps.serving.lists import category_key, segment_key
from apps.serving.memory import memory_forget
from apps.serving.models import ListScope
from apps.serving.pipeline import recommend
from apps.serving.slate import Context, Filters, Rung, Slate, SlateRequest
from tests.factories.shop import event, events_record, shoppers_make
from tests.serving.shop import SKUS, catalogue_make, home_make, version_make

pytestmark = pytest.mark.django_db


@pytest.fixture
def shopper() -> Shopper:
    ids = catalogue_make()
    shopper = shoppers_make("s1", region=["Kent"], consent=[True])["s1"]
    lists = {(ListScope.ITEM, ids[sku]): [f"p{n + 10:02}", f"p{n + 11:02}"] for n, sku in enumerate(SKUS[:5])}
    both = {(ListScope.SHOPPER_NEW, shopper.pk): SKUS[10:20], (ListScope.SHOPPER_ALL, shopper.pk): SKUS[:20]}
    version_make("als", {**lists, **both})
    version_make(
        "popular",
        {
            (ListScope.EVERYONE, 0): SKUS[20:],
            (ListScope.SEGMENT, segment_key("Kent")): ["p05", "p06"],
            (ListScope.CATEGORY, category_key("Home > Kind 1")): ["p04", "p07"],
        },
    )
    version_make("trend", {(ListScope.EVERYONE, 0): SKUS[25:]})
    return shopper


def spot(kind: str, weights: dict[str, float] | None = None, **settings: Any) -> Placement:
    return placement_create(code="spot", name="Spot", kind=kind, weights=weights or {"als": 1.0}, **settings)


def ask(n: int = 4, shopper: str | None = "s1", **fields: Any) -> Slate:
    return recommend(SlateRequest(placement="spot", shopper=shopper, n=n, **fields))


def skus(slate: Slate) -> list[str]:
    return [item.sku for item in slate.items]


def test_every_kind_is_described_and_has_weights() -> None:
    assert set(KINDS) == set(DEFAULT_WEIGHTS) == set(PlacementKind.values)
    assert {kind: facts.own for kind, facts in KINDS.items() if facts.own} == OWN_SOURCES


def test_because_you_viewed_stands_on_the_one_product_viewed_last(shopper: Shopper) -> None:
    spot("viewed")
    events_record(event("view", shopper="s1", sku="p00"))
    events_record(event("view", shopper="s1", sku="p03"))
    slate = ask(n=2)
    assert (slate.rung, skus(slate)) == (Rung.SESSION, ["p13", "p14"])
    assert {item.reason_title for item in slate.items} == {Product.objects.get(sku="p03").title}
    events_record(event("view", shopper="s1", sku="p29"))
    assert skus(ask(n=2)) == ["p13", "p14"], "a product without lists says nothing; the one before does"


def test_trending_is_of_the_category_the_region_or_the_shop(shopper: Shopper) -> None:
    spot("trending", {"trend": 1.0, "popular": 0.2})
    assert (ask().rung, skus(ask())[0]) == (Rung.TRENDING, "p25")
    category = ask(n=2, category="home > kind 1")
    assert (category.rung, skus(category)) == (Rung.CATEGORY, ["p04", "p07"])
    region = ask(n=2, context=Context(region="kent"))
    assert (region.rung, skus(region)) == (Rung.SEGMENT, ["p05", "p06"])
    assert ask(category="unknown").rung == Rung.TRENDING


def test_on_promotion_is_only_what_is_cheaper_and_suits_first(shopper: Shopper) -> None:
    spot("promotion", {"promotion": 0.2, "als": 1.0})
    for sku, price in (("p01", 5), ("p15", 19), ("p12", 18), ("p16", 21)):
        Product.objects.filter(sku=sku).update(price=price, list_price=20)
    slate = ask()
    assert (slate.rung, skus(slate)[0]) == (Rung.SHOPPER, "p12")
    assert sorted(skus(slate)) == ["p01", "p12", "p15"]
    stranger = ask(shopper=None)
    assert (stranger.rung, skus(stranger)) == (Rung.PROMOTION, ["p01", "p12", "p15"])


def test_with_nothing_on_promotion_the_ladder_answers(shopper: Shopper) -> None:
    spot("promotion", {"promotion": 1.0})
    slate = ask(shopper=None)
    assert (slate.rung, len(slate.items)) == (Rung.TRENDING, 4)


def test_a_category_page_has_only_its_products_in_the_shoppers_order(shopper: Shopper) -> None:
    spot("category", {"als": 1.0, "popular": 0.1})
    slate = ask(n=20, category="Home > Kind 0")
    assert slate.rung == Rung.SHOPPER
    assert skus(slate)[:2] == ["p12", "p15"]
    assert sorted(skus(slate)) == SKUS[::3]
    parent = ask(n=30, category="Home")
    assert len(parent.items) == 30


def test_search_results_are_put_in_the_shoppers_order_and_stay_the_same_set(shopper: Shopper) -> None:
    spot("search", {"given": 0.2, "als": 1.0})
    found = ("p01", "nowhere", "p16", "p11", "p25")
    slate = ask(n=10, rank=found)
    assert (slate.rung, skus(slate)[0]) == (Rung.SHOPPER, "p11")
    assert sorted(skus(slate)) == ["p01", "p11", "p16", "p25"]
    stranger = ask(n=10, rank=found, shopper=None)
    assert (stranger.rung, skus(stranger)) == (Rung.GIVEN, ["p01", "p16", "p11", "p25"])
    assert ask(n=10, rank=("nowhere",)).items == ()


def test_buy_again_puts_what_is_due_first_and_has_nothing_else(shopper: Shopper) -> None:
    spot("again", {"again": 1.0})
    now = clock.now()
    moments = {"p01": (62, 32, 2), "p02": (90, 60, 30), "p03": (500,)}
    events_record(
        *(
            event("purchase", shopper="s1", sku=sku, occurred_at=(now - timedelta(days=days)).isoformat())
            for sku, ages in moments.items()
            for days in ages
        )
    )
    slate = ask(n=10)
    assert (slate.rung, skus(slate)) == (Rung.AGAIN, ["p02", "p03", "p01"]), "just bought is last"
    assert ask(shopper=None).rung == Rung.TRENDING


def test_what_was_bought_may_come_back_after_some_days(shopper: Shopper) -> None:
    placement = home_make({"als": 1.0})
    long_ago = (clock.now() - timedelta(days=40)).isoformat()
    events_record(
        event("purchase", shopper="s1", sku="p10", occurred_at=long_ago),
        event("purchase", shopper="s1", sku="p11"),
    )

    def shown() -> list[str]:
        return skus(recommend(SlateRequest(placement="home", shopper="s1", n=3)))

    assert shown() == ["p12", "p13", "p14"]
    Placement.objects.filter(pk=placement.pk).update(bought_days=30)
    _look_again()
    assert shown() == ["p10", "p12", "p13"]
    placement_update(placement=placement, repeat_purchases=True)
    _look_again()
    assert shown() == ["p00", "p01", "p02"]


def _look_again() -> None:
    """Placements and products are looked at once a second."""
    memory_forget()


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("keep", ["p10", "p11", "p12"]),
        ("last", ["p11", "p12", "p13"]),
        ("hide", ["p11", "p12", "p13"]),
    ],
)
def test_what_was_just_seen_is_kept_put_last_or_left_out(
    shopper: Shopper, action: str, expected: list[str]
) -> None:
    spot("shopper", seen_action=action, seen_minutes=30)
    events_record(event("view", shopper="s1", sku="p10"))
    events_record(
        event("view", shopper="s1", sku="p13", occurred_at=(clock.now() - timedelta(hours=2)).isoformat())
    )
    assert skus(ask(n=3)) == expected
    all_shown = skus(ask(n=30))
    assert ("p10" in all_shown) == (action != "hide")
    if action == "last":
        assert all_shown.index("p10") == 9, "behind the rest of the blend, before what fills"
    if action == "hide":
        assert why_not("p10", SlateRequest(placement="spot", shopper="s1"))["code"] == "seen"


@pytest.mark.parametrize(
    ("filters", "holds"),
    [
        (Filters(category="Home > Kind 2"), lambda p: p.category.path == "Home > Kind 2"),
        (Filters(category="Home"), lambda p: True),
        (Filters(brands=("ORBIT",)), lambda p: p.brand == "Orbit"),
        (Filters(price_max=10.0), lambda p: p.price <= 10),
        (Filters(price_min=10.01, price_max=12), lambda p: 10.01 <= p.price <= 12),
        (Filters(in_stock=True), lambda p: p.stock is None or p.stock > 0),
        (Filters(attributes=(("colour", "RED"),)), lambda p: p.attributes.get("colour") == "red"),
    ],
)
def test_filters_hold_for_every_item_and_lose_none(shopper: Shopper, filters: Filters, holds: Any) -> None:
    spot("shopper")
    for n, product in enumerate(Product.objects.order_by("sku")):
        product.price, product.attributes = 8 + n % 7, {"colour": ("red", "blue")[n % 2]}
        product.save()
    wanted = [p.sku for p in Product.objects.select_related("category").order_by("sku") if holds(p)]
    assert sorted(skus(ask(n=30, filters=filters))) == wanted
    if len(wanted) < 30:
        other = next(sku for sku in SKUS if sku not in wanted)
        request = SlateRequest(placement="spot", shopper="s1", n=3, filters=filters)
        assert why_not(other, request)["code"] == "not_asked"


def test_exclusions_and_the_currency_hold(shopper: Shopper) -> None:
    spot("shopper")
    assert skus(ask(n=2, exclude=("p10", "unknown"))) == ["p11", "p12"]
    Product.objects.update(currency="EUR")
    Product.objects.filter(sku__in=["p11", "p25"]).update(currency="USD")
    _look_again()
    assert skus(ask(n=10, currency="USD")) == ["p11", "p25"]
    with pytest.raises(InvalidInput) as caught:
        ask(currency="GBP")
    assert "EUR, USD" in caught.value.remedy


def test_one_shopper_gets_one_slate_in_every_channel_once_identities_are_linked(shopper: Shopper) -> None:
    home_make({"als": 1.0})
    events_record(event("view", shopper="app-7", sku="p01"))
    events_record(event("dislike", shopper="app-7", sku="p10"))
    events_record(event("purchase", shopper="s1", sku="p11"))

    def slate(name: str) -> Slate:
        return recommend(SlateRequest(placement="home", shopper=name, n=6))

    assert skus(slate("app-7")) != skus(slate("s1"))
    events_record(event("view", shopper="s1", sku="p02", anonymous="app-7"))
    assert skus(slate("app-7")) == skus(slate("s1"))
    assert slate("app-7").shopper_id == slate("s1").shopper_id == shopper.pk
    assert not {"p10", "p11"} & set(skus(slate("app-7")))
