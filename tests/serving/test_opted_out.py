"""Who wants nothing personal gets nothing personal: on every rung, by request and by a standing wish."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from apps.accounts.services import api_client_create
from apps.events.models import Exposure, Shopper
from apps.merchandising.models import Placement
from apps.merchandising.services import placement_create
from apps.serving.lists import segment_key
from apps.serving.models import CandidateList, ListScope
from apps.serving.pipeline import recommend
from apps.serving.remembering import exposures_flush
from apps.serving.slate import Context, Rung, Slate, SlateRequest
from tests.factories.shop import event, events_record, shoppers_make
from tests.serving.shop import SKUS, catalogue_make, home_make, version_make

pytestmark = pytest.mark.django_db


def ask(placement: str = "home", **fields: Any) -> Slate:
    return recommend(SlateRequest(placement=placement, n=3, **{"shopper": "s1", "session": "v1", **fields}))


@pytest.fixture
def shopper() -> Shopper:
    """A shopper with a past, in a shop that has lists on every rung."""
    ids = catalogue_make()
    shopper = shoppers_make("s1", region=["Kent"], consent=[True])["s1"]
    version_make(
        "als",
        {
            (ListScope.SHOPPER_NEW, shopper.pk): ["p10", "p11", "p12"],
            (ListScope.SHOPPER_ALL, shopper.pk): ["p10", "p11", "p12"],
            (ListScope.ITEM, ids["p01"]): ["p14", "p15", "p16"],
        },
    )
    version_make(
        "popular",
        {
            (ListScope.EVERYONE, 0): SKUS[20:],
            (ListScope.SEGMENT, segment_key("Kent")): ["p05", "p06", "p07"],
        },
    )
    home_make({"als": 1.0, "popular": 0.1})
    events_record(
        event("purchase", shopper="s1", sku="p20"),
        event("dislike", shopper="s1", sku="p21"),
        event("view", shopper="s1", sku="p01"),
        event("view", shopper="", session="v1", sku="p01"),
    )
    return shopper


def by_request() -> dict[str, Any]:
    return {"personalised": False}


def by_wish() -> dict[str, Any]:
    Shopper.objects.filter(external_id="s1").update(opted_out=True)
    return {}


def remove_lists(*scopes: ListScope) -> None:
    CandidateList.objects.filter(scope__in=scopes).delete()


OWN = (ListScope.SHOPPER_NEW, ListScope.SHOPPER_ALL)
RUNGS: dict[Rung, tuple[ListScope, ...]] = {
    Rung.SHOPPER: (),
    Rung.SESSION: OWN,
    Rung.SEGMENT: (*OWN, ListScope.ITEM),
}


@pytest.mark.parametrize("refuse", [by_request, by_wish])
@pytest.mark.parametrize("rung", RUNGS)
def test_each_personal_rung_is_left_out(
    shopper: Shopper, rung: Rung, refuse: Callable[[], dict[str, Any]]
) -> None:
    remove_lists(*RUNGS[rung])
    assert ask().rung == rung, "the rung is there for those who want it"
    slate = ask(**refuse())
    assert slate.rung == Rung.POPULAR
    assert [item.sku for item in slate.items] == ["p20", "p21", "p22"], "nor what was bought or disliked"
    assert (slate.shopper_id, slate.session) == (None, "")
    region = ask(**refuse(), context=Context(region="Kent"))
    assert region.rung == Rung.POPULAR
    looked_at = ask(**refuse(), items=("p01",))
    assert looked_at.rung == Rung.POPULAR


@pytest.mark.parametrize("refuse", [by_request, by_wish])
@pytest.mark.parametrize(
    ("kind", "rung"),
    [
        ("again", Rung.POPULAR),
        ("viewed", Rung.POPULAR),
        ("new", Rung.NEW),
        ("category", Rung.POPULAR),
        ("trending", Rung.POPULAR),
    ],
)
def test_each_kind_of_placement_obeys(
    shopper: Shopper, kind: str, rung: Rung, refuse: Callable[[], dict[str, Any]]
) -> None:
    weights = {"again": {"again": 1.0}, "new": {"als": 1.0, "new": 0.1}}.get(kind, {"als": 1.0})
    placement_create(code="spot", name="Spot", kind=kind, weights=weights)
    known = ask("spot", explain=True, context=Context(region="Kent"))
    slate = ask("spot", **refuse(), explain=True, context=Context(region="Kent"))
    assert slate.rung == rung != known.rung
    assert slate.trace is not None
    assert slate.trace["shopper"] == {"known": False, "bought": 0, "disliked": 0, "recent": 0}
    assert not {source["scope"] for source in slate.trace["sources"]} & {"shopper", "session", "segment"}


def test_a_product_page_still_shows_what_goes_with_the_product(shopper: Shopper) -> None:
    placement_create(code="product", name="Product", kind="item", weights={"als": 1.0})
    slate = ask("product", items=("p01",), personalised=False)
    assert (slate.rung, slate.shopper_id) == (Rung.ITEMS, None)


def test_what_was_just_seen_is_not_known_either(shopper: Shopper) -> None:
    Placement.objects.update(seen_action="hide")
    version_make("popular", {(ListScope.EVERYONE, 0): ["p01", "p02", "p03"]})
    remove_lists(*OWN, ListScope.ITEM, ListScope.SEGMENT)
    assert "p01" not in [item.sku for item in ask().items]
    assert "p01" in [item.sku for item in ask(personalised=False).items]


def test_the_wish_counts_for_every_identity(shopper: Shopper) -> None:
    other = shoppers_make("anon-1")["anon-1"]
    Shopper.objects.filter(pk=other.pk).update(merged_into=shopper)
    assert ask(shopper="anon-1").rung == Rung.SHOPPER
    Shopper.objects.filter(pk=other.pk).update(opted_out=True)
    assert ask(shopper="anon-1").shopper_id is None
    Shopper.objects.filter(pk=other.pk).update(opted_out=False)
    Shopper.objects.filter(pk=shopper.pk).update(opted_out=True)
    assert ask(shopper="anon-1").shopper_id is None


def test_the_exposure_names_nobody_and_the_wish_is_set_over_the_api(shopper: Shopper) -> None:
    _, key = api_client_create(name="shop", scopes=["recommend", "shoppers"])
    shop = Client(headers={"Authorization": f"Api-Key {key}"})
    address = "/api/v1/recommendations/home?shopper=s1&session=v1"
    shop.get(address)
    shop.get(address + "&personalised=0")
    wish = {"shoppers": [{"shopper": "s1", "opted_out": True}]}
    assert shop.patch("/api/v1/shoppers", wish, content_type="application/json").status_code == 200
    shop.get(address)
    exposures_flush()
    stored = Exposure.objects.order_by("id").values_list("shopper_id", "session")
    assert list(stored) == [(shopper.pk, "v1"), (None, ""), (None, "")]
