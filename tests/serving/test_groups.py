"""Slates of brands and attribute values, and playlists: sums, order and neighbours."""

from dataclasses import replace
from itertools import pairwise
from math import log2
from typing import Any

import orjson
import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.api_keys import api_keys_forget
from apps.accounts.services import api_client_create
from apps.catalog.models import Product
from apps.core import clock
from apps.serving.groups import groups_of, spread, values_by
from apps.serving.models import ListScope
from apps.serving.pipeline import recommend
from apps.serving.remembering import exposures_flush
from apps.serving.slate import SlateItem, SlateRequest
from tests.factories.shop import shoppers_make
from tests.serving.memory import serving_memory_fresh
from tests.serving.shop import SKUS, catalogue_make, home_make, rules_publish, version_make

__all__ = ["serving_memory_fresh"]
ARTISTS = ["ada", "ben", "cleo"]


def item(number: int, brand: str, *badges: str) -> SlateItem:
    return SlateItem(
        product_id=number, sku=f"p{number}", position=number + 1, score=1.0, source="als", parts={}, title="",
        price=None, currency="", image="", category="", brand=brand, stock=None, badges=badges,
    )  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text("abcd", max_size=12))
def test_neighbours_differ_whenever_they_can(brands: str) -> None:
    items = [item(number, brand) for number, brand in enumerate(brands)]
    found = spread(items, values_by("brand"))
    assert sorted(one.product_id for one in found) == list(range(len(items)))
    same = sum(one.brand == other.brand for one, other in pairwise(found))
    most = max((brands.count(brand) for brand in brands), default=0)
    assert (same == 0) == (2 * most <= len(brands) + 1), "as few as there have to be"


def test_a_playlist_stays_as_good_as_it_can_and_leaves_pins_alone() -> None:
    items = [item(n, brand) for n, brand in enumerate("aabbc")]
    assert [one.brand for one in spread(items, values_by("brand"))] == list("ababc")
    items[1] = replace(items[1], badges=("pinned",))
    found = spread(items, values_by("brand"))
    assert found[1] == items[1]
    assert [one.brand for one in found] == ["b", "a", "b", "a", "c"]


def test_groups_add_up_the_discounts_of_their_products() -> None:
    items = [item(n, brand) for n, brand in enumerate("abbba")]
    groups = groups_of(items, values_by("brand"), 5)
    assert [group.value for group in groups] == ["b", "a"]
    assert groups[1].score == pytest.approx(1 + 1 / log2(6))
    assert [one.sku for one in groups[0].items] == ["p1", "p2", "p3"]
    assert groups_of(items, values_by("brand"), 1) == groups[:1]


@pytest.fixture
def ask(db: None, serving_memory_fresh: None) -> Any:
    """Ask the API for c0, who has a list of all products; every third is by the same artist."""
    api_keys_forget()
    ids = catalogue_make()
    for number, (sku, pk) in enumerate(ids.items()):
        artists = [ARTISTS[number % 3], "various"] if number % 2 else ARTISTS[number % 3]
        changes = {"attributes": {"artist": artists}, "updated_at": clock.now()}
        Product.objects.filter(pk=pk, sku=sku).update(**changes)
    shopper = shoppers_make("c0")["c0"]
    version_make("als", {(ListScope.SHOPPER_NEW, shopper.pk): SKUS})
    home = home_make({"als": 1.0})
    rules_publish(home, {"kind": "hide", "id": "r1", "target": {"type": "brand", "brand": "Orbit"}})
    _client, key = api_client_create(name="shop", scopes=["recommend"])

    def send(path: str, status: int = 200) -> Any:
        url = f"/api/v1/recommendations/home/{path}"
        response = Client().get(url, headers={"Authorization": f"Api-Key {key}"})
        assert response.status_code == status, response.content
        return orjson.loads(response.content)

    return send


def test_the_api_answers_groups_by_the_rules_and_remembers_what_it_showed(ask: Any) -> None:
    body = ask("groups?shopper=c0&of=brand")
    assert [group["value"] for group in body["groups"]] == ["Acme"], "Orbit is hidden by a rule"
    assert len(body["groups"][0]["items"]) == 3
    artists = ask("groups?shopper=c0&of=artist&n=2")
    assert len(artists["groups"]) == 2
    assert {group["value"] for group in artists["groups"]} <= {*ARTISTS, "various"}
    assert exposures_flush() == 2
    assert ask("groups?shopper=c0&of=nothing")["groups"] == []
    assert ask("groups?shopper=c0&of=" + "x" * 99, 400)["error"]["field"] == "of"
    assert ask("groups?shopper=c0&colour=red", 400)["error"]["field"] == "colour"


def test_the_api_answers_a_playlist(ask: Any) -> None:
    body = ask("playlist?shopper=c0&by=category&n=6")
    categories = [one["category"] for one in body["items"]]
    assert all(one != other for one, other in pairwise(categories))
    assert [one["position"] for one in body["items"]] == [1, 2, 3, 4, 5, 6]
    plain = recommend(SlateRequest(placement="home", shopper="c0", n=6))
    assert {one["sku"] for one in body["items"]} == {one.sku for one in plain.items}
