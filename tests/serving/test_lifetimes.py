"""What a process keeps for a while: asked once, given up in time, and at once where something new is live."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.catalog.models import Product
from apps.core import clock
from apps.events.models import Shopper
from apps.merchandising.services import placement_create
from apps.serving import memory
from apps.serving.models import CandidateList, ListBuild, ListScope
from apps.serving.pipeline import recommend
from apps.serving.slate import SlateRequest
from tests.factories.shop import event, events_record, shoppers_make
from tests.serving.shop import catalogue_make, home_make, rules_publish, version_make

pytestmark = pytest.mark.django_db


HOME = SlateRequest(placement="home", shopper="s1", n=2)


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def shopper() -> Shopper:
    catalogue_make()
    shopper = shoppers_make("s1")["s1"]
    version_make("als", {(ListScope.SHOPPER_NEW, shopper.pk): ["p00", "p01", "p02"]})
    return shopper


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Lifetimes as they are in production, by this clock."""
    monkeypatch.setattr(memory, "REFRESH_SECONDS", 1.0)
    monkeypatch.setattr(memory, "LISTS_SECONDS", 30.0)
    monkeypatch.setattr(memory, "NO_LIST_SECONDS", 2.0)
    monkeypatch.setattr(memory, "SHOPPER_SECONDS", 0.4)
    moved = Clock()
    monkeypatch.setattr(memory, "time", moved)
    return moved


def ask(n: int = 2, **fields: Any) -> list[str]:
    return [item.sku for item in recommend(SlateRequest(placement="home", shopper="s1", n=n, **fields)).items]


def queries_of_a_slate() -> int:
    with CaptureQueriesContext(connection) as queries:
        ask()
    return len(queries)


def test_lists_are_read_once_and_given_up_in_time(shopper: Shopper, time: Clock) -> None:
    home_make({"als": 1.0})
    ask()
    assert queries_of_a_slate() == 0
    time.now += 0.5
    assert queries_of_a_slate() == 1, "the shopper's state"
    CandidateList.objects.all().delete()
    time.now += 29.0
    assert recommend(HOME).rung == "shopper"
    time.now += 2.0
    assert recommend(HOME).rung == "catalogue"


def test_a_new_version_and_a_build_made_again_are_read_at_once(shopper: Shopper, time: Clock) -> None:
    home_make({"als": 1.0})
    ask()
    version = version_make("als", {(ListScope.SHOPPER_NEW, shopper.pk): ["p05", "p06"]})
    time.now += 1.1
    assert ask() == ["p05", "p06"]
    CandidateList.objects.filter(version_id=version.pk).update(
        item_ids=[Product.objects.get(sku="p07").pk] * 2
    )
    CandidateList.objects.filter(version_id=version.pk).update(scores=[2.0, 1.0])
    ListBuild.objects.filter(version_id=version.pk).update(completed_at=clock.now() + timedelta(seconds=1))
    time.now += 1.1
    assert ask(1) == ["p07"]


def test_what_a_shopper_does_changes_a_slate_within_a_second(shopper: Shopper, time: Clock) -> None:
    home_make({"als": 1.0})
    assert ask() == ["p00", "p01"]
    events_record(event("dislike", shopper="s1", sku="p00"))
    time.now += 0.5
    assert ask() == ["p01", "p02"]


def test_a_shopper_who_gets_lists_is_served_from_them_soon(shopper: Shopper, time: Clock) -> None:
    home_make({"als": 1.0})
    shoppers_make("s2")
    version_id = CandidateList.objects.get().version_id
    request = SlateRequest(placement="home", shopper="s2", n=1)
    assert recommend(request).rung == "catalogue"
    CandidateList.objects.create(
        version_id=version_id,
        scope=ListScope.SHOPPER_NEW,
        key=Shopper.objects.get(external_id="s2").pk,
        item_ids=[Product.objects.get(sku="p09").pk],
        scores=[1.0],
    )
    time.now += 2.5
    assert recommend(request).rung == "shopper"


def test_looking_for_some_of_a_shoppers_lists_does_not_forget_those_of_the_visit(
    shopper: Shopper, time: Clock
) -> None:
    """That one source has nothing for the shopper is still known when it is asked what another has."""
    seen = Product.objects.get(sku="p03").pk
    for source in ("als", "ease"):
        version_make(source, {(ListScope.ITEM, seen): ["p04", "p05"]})
    version_make("popular", {(ListScope.EVERYONE, 0): ["p20", "p21"]})
    home_make({"als": 1.0})
    placement_create(code="second", name="Second", kind="shopper", weights={"als": 1.0, "ease": 1.0})
    events_record(event("view", shopper="s1", sku="p03"))
    assert recommend(HOME).rung == "session"
    time.now += 1.2
    assert recommend(replace(HOME, placement="second")).rung == "session"
    assert recommend(HOME).rung == "session"


@pytest.mark.parametrize(
    "change", [{"stock": 0}, {"placeholder": True}, {"available_until": "2020-01-01T00:00:00Z"}]
)
def test_what_can_not_be_sold_is_gone_within_two_seconds(
    shopper: Shopper, time: Clock, change: dict[str, Any]
) -> None:
    home = home_make({"als": 1.0})
    rules_publish(
        home, {"id": "b", "kind": "boost", "strength": 0.1, "target": {"type": "brand", "brand": "Acme"}}
    )
    assert ask() == ["p00", "p01"]
    Product.objects.filter(sku="p00").update(**change, updated_at=clock.now())
    time.now += 1.1
    assert ask() == ["p02", "p01"] or ask() == ["p01", "p02"]


def test_a_rule_about_the_price_sees_the_new_price_within_two_seconds(shopper: Shopper, time: Clock) -> None:
    home = home_make({"als": 1.0})
    cheap = {"field": "price", "op": "lte", "value": 50}
    rules_publish(home, {"id": "f", "kind": "filter", "condition": cheap})
    assert ask() == ["p00", "p01"]
    Product.objects.filter(sku="p00").update(price=60, updated_at=clock.now())
    time.now += 1.1
    assert ask() == ["p01", "p02"]
