"""The ladder of fallbacks: each rung is reached by taking away what the one above stands on."""

from typing import Any

import pytest

from apps.catalog.models import Product
from apps.events.models import Shopper
from apps.merchandising.models import Placement
from apps.merchandising.services import placement_create
from apps.serving.lists import segment_key
from apps.serving.models import CandidateList, ListBuild, ListScope
from apps.serving.pipeline import recommend
from apps.serving.slate import Rung, Slate, SlateRequest
from tests.factories.shop import event, events_record, shoppers_make
from tests.serving.shop import catalogue_make, home_make, version_make

pytestmark = pytest.mark.django_db


@pytest.fixture
def ids() -> dict[str, int]:
    return catalogue_make()


@pytest.fixture
def shopper() -> Shopper:
    return shoppers_make("s1", region=["Kent"], consent=[True])["s1"]


@pytest.fixture
def shop(ids: dict[str, int], shopper: Shopper) -> Placement:
    """Every rung of the ladder has lists of its own, all different."""
    version_make(
        "als",
        {
            (ListScope.SHOPPER_NEW, shopper.pk): ["p10", "p11", "p12"],
            (ListScope.SHOPPER_ALL, shopper.pk): ["p13", "p10", "p11"],
            (ListScope.ITEM, ids["p01"]): ["p14", "p15", "p16"],
            (ListScope.EVERYONE, 0): ["p29"],
        },
    )
    version_make(
        "popular",
        {
            (ListScope.EVERYONE, 0): ["p20", "p21", "p22"],
            (ListScope.SEGMENT, segment_key("kent")): ["p23", "p24"],
        },
    )
    version_make("trend", {(ListScope.EVERYONE, 0): ["p26", "p27"]})
    return home_make({"als": 1.0})


def ask(shopper: str | None = "s1", n: int = 2, **fields: Any) -> Slate:
    return recommend(SlateRequest(placement="home", shopper=shopper, n=n, **fields))


def skus(slate: Slate) -> list[str]:
    return [item.sku for item in slate.items]


@pytest.mark.usefixtures("shop")
def test_a_known_shopper_stands_on_lists_of_their_own() -> None:
    slate = ask()
    assert (slate.rung, skus(slate)) == (Rung.SHOPPER, ["p10", "p11"])
    assert {item.source for item in slate.items} == {"als"}
    assert slate.publication_number == 1


def test_repeats_use_the_other_lists(shop: Placement) -> None:
    Placement.objects.filter(pk=shop.pk).update(repeat_purchases=True)
    assert skus(ask()) == ["p13", "p10"]


def test_without_their_lists_the_session_counts(shop: Placement, shopper: Shopper) -> None:
    events_record(event("view", shopper="s1", sku="p01"))
    CandidateList.objects.filter(scope=ListScope.SHOPPER_NEW).delete()
    slate = ask()
    assert (slate.rung, skus(slate)) == (Rung.SESSION, ["p14", "p15"])


@pytest.mark.usefixtures("shop")
def test_an_anonymous_session_counts_too() -> None:
    events_record(event("view", shopper="", session="v7", sku="p01"))
    assert ask(shopper=None, session="v7").rung == Rung.SESSION
    assert skus(ask(shopper=None, items=("p01",))) == ["p14", "p15"]
    assert ask(shopper=None, session="another").rung == Rung.TRENDING


@pytest.mark.usefixtures("shop")
def test_what_a_visitor_looked_at_before_logging_in_counts_on() -> None:
    CandidateList.objects.filter(scope=ListScope.SHOPPER_NEW).delete()
    events_record(event("view", shopper="", session="v7", sku="p01"))
    assert ask(session="v7").rung == Rung.SESSION
    assert ask().rung == Rung.SEGMENT


@pytest.mark.usefixtures("shop")
def test_then_the_region_but_only_with_consent() -> None:
    CandidateList.objects.filter(scope__in=[ListScope.SHOPPER_NEW, ListScope.ITEM]).delete()
    slate = ask()
    assert (slate.rung, skus(slate)) == (Rung.SEGMENT, ["p23", "p24"])
    Shopper.objects.update(consent=False)
    assert ask().rung == Rung.TRENDING


@pytest.mark.usefixtures("shop")
def test_then_the_trend_then_what_is_popular_then_the_catalogue() -> None:
    slate = ask(shopper="nobody-knows")
    assert (slate.rung, skus(slate)) == (Rung.TRENDING, ["p26", "p27"])
    trend = CandidateList.objects.filter(item_ids__contains=[Product.objects.get(sku="p26").pk])
    version_id = trend.get().version_id
    trend.delete()
    ListBuild.objects.filter(version_id=version_id).delete()
    slate = ask(shopper=None)
    assert (slate.rung, skus(slate)) == (Rung.POPULAR, ["p20", "p21"])
    CandidateList.objects.all().delete()
    ListBuild.objects.all().delete()
    slate = ask(shopper=None)
    assert slate.rung == Rung.CATALOGUE
    assert len(slate.items) == 2
    Product.objects.all().delete()
    assert ask(shopper=None).items == ()


@pytest.mark.usefixtures("shop")
def test_short_lists_are_filled_up_to_the_page() -> None:
    slate = ask(n=9)
    assert skus(slate)[:8] == ["p10", "p11", "p12", "p26", "p27", "p20", "p21", "p22"]
    assert slate.rung == Rung.SHOPPER
    assert slate.items[3].badges[-1] == "fill"
    assert (slate.items[3].source, slate.items[3].score) == ("trend", None)
    assert slate.items[8].source == "catalogue"
    full = ask(n=100)
    assert len(full.items) == 30, "never shorter than the catalogue allows"
    assert len(set(skus(full))) == 30


def test_a_product_page_stands_on_the_products_lists(shop: Placement, ids: dict[str, int]) -> None:
    placement_create(code="product", name="Product", kind="item", weights={"als": 1.0})
    request = SlateRequest(placement="product", items=("p01",), n=3)
    slate = recommend(request)
    assert (slate.rung, skus(slate)) == (Rung.ITEMS, ["p14", "p15", "p16"])
    CandidateList.objects.filter(scope=ListScope.ITEM).delete()
    slate = recommend(request)
    assert slate.rung == Rung.TRENDING
    assert "p01" not in skus(slate)
    slate = recommend(SlateRequest(placement="product", items=("p01",), shopper="s1", n=3))
    assert slate.rung == Rung.SHOPPER


def test_a_cart_combines_the_lists_of_its_products(ids: dict[str, int]) -> None:
    version_make(
        "item_knn",
        {
            (ListScope.ITEM, ids["p00"]): ["p05", "p06", "p07", "p08"],
            (ListScope.ITEM, ids["p01"]): ["p09", "p06", "p00", "p08"],
        },
    )
    placement_create(code="cart", name="Cart", kind="cart", weights={"item_knn": 1.0})
    slate = recommend(SlateRequest(placement="cart", items=("p00", "p01", "unknown"), n=3))
    assert slate.rung == Rung.ITEMS
    assert skus(slate)[0] == "p06", "good beside both beats best beside one"
    assert not {"p00", "p01"} & set(skus(slate))


def test_of_a_long_cart_the_last_ten_products_count(ids: dict[str, int]) -> None:
    cart = [f"p{n:02}" for n in range(12)]
    lists = {(ListScope.ITEM, ids[sku]): ["p20", "p21"] for sku in cart[:2]}
    lists |= {(ListScope.ITEM, ids[sku]): ["p28", "p29"] for sku in cart[2:]}
    version_make("item_knn", lists)
    placement_create(code="cart", name="Cart", kind="cart", weights={"item_knn": 1.0})
    slate = recommend(SlateRequest(placement="cart", items=tuple(cart), n=4, explain=True))
    assert slate.trace is not None
    assert slate.trace["sources"][0]["lists"] == 10
    assert [part["source"] for item in slate.trace["items"] for part in item["parts"]] == ["item_knn"] * 2
    assert skus(slate)[:2] == ["p28", "p29"]
    assert not {"p20", "p21"} & {item.sku for item in slate.items if item.score is not None}


def test_new_arrivals_are_new_and_those_that_suit_come_first(ids: dict[str, int], shopper: Shopper) -> None:
    old = [ids[f"p{n:02}"] for n in range(20)]
    Product.objects.filter(pk__in=old).update(first_seen_at="2020-01-01T00:00:00Z")
    many = catalogue_make([f"n{n:02}" for n in range(60)])
    version_make("als", {(ListScope.SHOPPER_NEW, shopper.pk): ["p01", "n40", "p02", "n41", "n42"]})
    placement_create(code="new", name="New", kind="new", weights={"new": 0.1, "als": 1.0})
    slate = recommend(SlateRequest(placement="new", shopper="s1", n=10))
    assert skus(slate)[:2] == ["n40", "n41"]
    assert slate.rung == Rung.SHOPPER
    assert {item.product_id for item in slate.items} <= set(many.values()) | set(ids.values()) - set(old)
    assert all("new" in item.badges for item in slate.items)
    stranger = recommend(SlateRequest(placement="new", n=10))
    assert stranger.rung == Rung.NEW


def test_a_version_without_complete_lists_is_not_read_and_the_one_before_is(
    shop: Placement, shopper: Shopper
) -> None:
    before = ask().model_versions["als"]
    newer = version_make("als", {(ListScope.SHOPPER_NEW, shopper.pk): ["p05"]}, complete=False)
    assert ask().model_versions["als"] == before
    ListBuild.objects.filter(version_id=newer.pk).update(completed_at="2026-01-01T00:00:00Z")
    slate = ask()
    assert slate.model_versions["als"] == newer.pk
    assert skus(slate)[0] == "p05"


def test_merged_shoppers_share_lists_and_dislikes(shop: Placement, shopper: Shopper) -> None:
    other = shoppers_make("anon-1")["anon-1"]
    Shopper.objects.filter(pk=other.pk).update(merged_into=shopper)
    assert ask("anon-1").rung == Rung.SHOPPER
