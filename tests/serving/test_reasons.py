"""Reasons are true: each is held against the trace, the stored lists and the stored events."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from apps.accounts.services import api_client_create
from apps.catalog.models import Product
from apps.core import clock
from apps.events.models import EventKind, Interaction, Shopper
from apps.merchandising.services import placement_create
from apps.serving.lists import category_key, segment_key
from apps.serving.models import CandidateList, ListScope
from apps.serving.pipeline import recommend
from apps.serving.reasons import TITLE_MAX, WORDS, reason_words
from apps.serving.slate import Context, Slate, SlateItem, SlateRequest
from tests.factories.shop import event, events_record, shoppers_make
from tests.serving.shop import SKUS, catalogue_make, home_make, rules_publish, version_make

pytestmark = pytest.mark.django_db
Told = dict[str, Any]


@pytest.fixture
def ids() -> dict[str, int]:
    found = catalogue_make()
    Product.objects.update(first_seen_at=clock.now() - timedelta(days=400))
    return found


@pytest.fixture
def shopper(ids: dict[str, int]) -> Shopper:
    """A shop with lists of every kind and a shopper who viewed p01 and bought p02."""
    shopper = shoppers_make("s1", region=["Kent"], consent=[True])["s1"]
    items = {(ListScope.ITEM, ids["p01"]): ["p14", "p15"], (ListScope.ITEM, ids["p02"]): ["p16", "p17"]}
    version_make("als", {**items, (ListScope.SHOPPER_NEW, shopper.pk): ["p10", "p11"]})
    version_make("item_knn", {(ListScope.ITEM, ids["p01"]): ["p18", "p19"]})
    version_make("content", {(ListScope.ITEM, ids["p01"]): ["p12", "p13"]})
    version_make("user_knn", {(ListScope.SHOPPER_NEW, shopper.pk): ["p08", "p09"]})
    version_make("personal", {(ListScope.SHOPPER_NEW, shopper.pk): ["p02", "p07"]})
    version_make(
        "popular",
        {
            (ListScope.EVERYONE, 0): SKUS[20:24],
            (ListScope.SEGMENT, segment_key("Kent")): ["p05", "p06"],
            (ListScope.CATEGORY, category_key("Home > Kind 0")): ["p00", "p03"],
        },
    )
    version_make("trend", {(ListScope.EVERYONE, 0): SKUS[24:28]})
    events_record(event("view", shopper="s1", sku="p01"), event("purchase", shopper="s1", sku="p02"))
    return shopper


def ask(placement: str = "home", **fields: Any) -> Slate:
    return recommend(SlateRequest(placement=placement, shopper="s1", explain=True, **fields))


def source_of(slate: Slate, item: SlateItem) -> Told:
    assert slate.trace is not None
    return next(told for told in slate.trace["sources"] if told["source"] == item.source)


def is_listed(source: Told, scope: ListScope, key: int, item: SlateItem) -> bool:
    stored = CandidateList.objects.get(version_id=source["version_id"], scope=scope, key=key)
    return item.product_id in stored.item_ids


def did(role_kind: str, product_id: int | None) -> bool:
    kinds = EventKind.objects.filter(role=role_kind).values("pk")
    return Interaction.objects.filter(kind_id__in=kinds, product_id=product_id).exists()


def for_seed(slate: Slate, item: SlateItem) -> bool:
    source, seed = source_of(slate, item), item.reason_item
    assert seed is not None
    named = is_listed(source, ListScope.ITEM, seed, item) and seed in source["seeds"]
    return named and item.reason_title == Product.objects.get(pk=seed).title


def own(slate: Slate, item: SlateItem) -> bool:
    assert slate.shopper_id is not None
    return is_listed(source_of(slate, item), ListScope.SHOPPER_NEW, slate.shopper_id, item)


def filledreplace(source: str) -> Callable[[Slate, SlateItem], bool]:
    def holds(slate: Slate, item: SlateItem) -> bool:
        version = slate.model_versions[source]
        return item.source == source and is_listed({"version_id": version}, ListScope.EVERYONE, 0, item)

    return holds


TRUE: dict[str, Callable[[Slate, SlateItem], bool]] = {
    "because_viewed": lambda s, i: for_seed(s, i) and did("view", i.reason_item) and s.rung == "session",
    "because_bought": lambda s, i: for_seed(s, i) and did("purchase", i.reason_item) and s.rung == "session",
    "chosen_with": lambda s, i: for_seed(s, i) and s.rung == "items" and i.source == "item_knn",
    "similar": lambda s, i: for_seed(s, i) and s.rung == "items" and i.source == "content",
    "goes_with": lambda s, i: for_seed(s, i) and s.rung == "items",
    "for_you": lambda s, i: own(s, i),
    "alike": lambda s, i: own(s, i) and i.source == "user_knn",
    "bought_before": lambda s, i: did("purchase", i.product_id),
    "near": lambda s, i: s.rung == "segment" and source_of(s, i)["scope"] == "segment",
    "category_popular": lambda s, i: source_of(s, i)["scope"] == "category",
    "trending": filledreplace("trend"),
    "popular": filledreplace("popular"),
    "range": lambda s, i: i.source == "catalogue" and "new" not in i.badges,
    "chosen": lambda s, i: "pinned" in i.badges,
}


def codes_held(slate: Slate) -> set[str]:
    """Every reason of the slate, after proving it."""
    assert slate.trace is not None
    for item, told in zip(slate.items, slate.trace["items"], strict=True):
        assert TRUE[item.reason](slate, item), f"{item.sku}: {item.reason}"
        assert told["reason"] == {"code": item.reason, "product_id": item.reason_item}
        assert reason_words(item, "en")
        assert reason_words(item, "zh-hans") != reason_words(item, "en")
    return {item.reason for item in slate.items}


def test_every_rung_gives_true_reasons(shopper: Shopper) -> None:
    home = home_make({"als": 1.0, "user_knn": 0.9, "personal": 0.5})
    assert {"for_you", "alike", "trending", "popular", "range"} <= codes_held(ask(n=26))
    pin = {"id": "r", "kind": "pin", "position": 1, "target": {"type": "product", "skus": ["p29"]}}
    rules_publish(home, pin)
    assert ask(n=2).items[0].reason == "chosen"
    codes_held(ask(n=5))
    CandidateList.objects.filter(scope=ListScope.SHOPPER_NEW).delete()
    assert {"because_viewed", "because_bought"} <= codes_held(ask(n=6))
    CandidateList.objects.filter(scope=ListScope.ITEM).delete()
    assert "near" in codes_held(ask(n=6))


def test_a_product_page_names_the_product(shopper: Shopper) -> None:
    placement_create(
        code="product", name="P", kind="item", weights={"als": 0.9, "item_knn": 1.0, "content": 0.8}
    )
    slate = ask("product", items=("p01",), n=6)
    assert {"chosen_with", "similar", "goes_with"} <= codes_held(slate)
    assert {item.reason_item for item in slate.items if item.reason == "similar"} == {
        Product.objects.get(sku="p01").pk
    }


def test_a_category_page_says_that_it_is_the_category(shopper: Shopper) -> None:
    placement_create(code="category", name="C", kind="category", weights={"popular": 1.0})
    slate = ask("category", category="Home > Kind 0", personalised=False, n=4)
    assert {item.category for item in slate.items} == {"Home > Kind 0"}
    assert codes_held(slate) == {"category_popular", "range"}


def test_buy_again_says_how_often(shopper: Shopper) -> None:
    now = clock.now()
    events_record(
        *(
            event("purchase", shopper="s1", sku="p03", occurred_at=(now - timedelta(days=days)).isoformat())
            for days in (91, 61, 31, 1)
        )
    )
    placement_create(code="again", name="A", kind="again", weights={"again": 1.0})
    slate = ask("again", n=5)
    assert {item.sku: item.reason for item in slate.items} == {"p03": "again:30", "p02": "bought_before"}
    words = {item.sku: reason_words(item, "en") for item in slate.items}
    assert words["p03"] == "You buy this about every 30 days"


def test_newness_and_promotions_are_claimed_only_where_they_are(shopper: Shopper) -> None:
    Product.objects.filter(sku="p04").update(price=15, list_price=20)
    Product.objects.filter(sku="p10").update(first_seen_at=clock.now())
    Product.objects.filter(sku="p00").update(first_seen_at=clock.now())
    placement_create(code="new", name="N", kind="new", weights={"new": 0.2, "als": 1.0})
    reasons = {item.sku: item.reason for item in ask("new", n=30).items}
    assert reasons["p10"] == "new_for_you"
    assert reasons["p00"] == "new"
    assert not {"new", "new_for_you"} & {code for sku, code in reasons.items() if sku not in ("p10", "p00")}
    placement_create(code="promotion", name="P", kind="promotion", weights={"promotion": 1.0})
    slate = ask("promotion")
    assert [(item.sku, reason_words(item, "en")) for item in slate.items] == [("p04", "Now 25 % cheaper")]


def test_a_region_named_by_the_request_is_near(shopper: Shopper) -> None:
    home_make({"als": 1.0})
    slate = recommend(SlateRequest(placement="home", n=2, context=Context(region="kent"), explain=True))
    assert codes_held(slate) == {"near"}


def test_the_answer_has_the_reason_in_its_language(shopper: Shopper) -> None:
    home_make({"als": 1.0})
    _, key = api_client_create(name="shop", scopes=["recommend"])
    shop = Client(headers={"Authorization": f"Api-Key {key}"})
    path = "/api/v1/recommendations/home?shopper=s1&n=1"
    assert shop.get(path).json()["items"][0]["reason"] == "Picked for your taste"
    assert shop.get(path + "&lang=zh-Hans").json()["items"][0]["reason"] == "合您的口味"


def test_words_are_short_and_complete(shopper: Shopper) -> None:
    home_make({"als": 1.0})
    item = ask(n=1).items[0]
    for code in WORDS:
        long = replace(item, reason=f"{code}:7", reason_title="x" * 300)
        words = reason_words(long, "en")
        assert 0 < len(words) <= TITLE_MAX + 30
        assert "{" not in words
        assert "\n" not in words
    assert reason_words(replace(item, reason="unheard of"), "en") == ""
