"""A publication row that nobody can read: the one before is served."""

from typing import Any

import pytest

from apps.core import clock
from apps.events.models import Exposure
from apps.merchandising.models import Placement, Publication
from apps.serving import memory
from apps.serving.models import ListScope
from apps.serving.pipeline import recommend
from apps.serving.remembering import exposure_remember, exposures_flush
from apps.serving.slate import Slate, SlateRequest
from tests.serving.shop import SKUS, catalogue_make, home_make, rules_publish, version_make

pytestmark = pytest.mark.django_db
HIDE_FIRST = {"id": "h", "kind": "hide", "target": {"type": "product", "skus": ["p00"]}}
HIDE_NEXT = {"id": "h", "kind": "hide", "target": {"type": "product", "skus": ["p01"]}}
SHAPES: dict[str, dict[str, Any]] = {
    "weights of another shape": {"weights": [0.5, 0.5]},
    "weights without numbers": {"weights": {"popular": None}},
    "weights below zero": {"weights": {"popular": -1}},
    "rules of another shape": {"rules": {"pin": 3}},
    "half a rule": {"rules": [HIDE_NEXT, {"id": "r2", "kind": "boo"}]},
    "no rule at all": {"rules": [7]},
    "an unknown normalisation": {"normalisation": "zz"},
}


@pytest.fixture
def home() -> Placement:
    catalogue_make()
    version_make("popular", {(ListScope.EVERYONE, 0): SKUS})
    placement = home_make({"popular": 1.0})
    rules_publish(placement, HIDE_FIRST)
    return placement


def ask() -> tuple[int | None, list[str]]:
    slate = slate_made()
    return slate.publication_number, [item.sku for item in slate.items]


def slate_made() -> Slate:
    return recommend(SlateRequest(placement="home", n=2))


def publication_insert(placement: Placement, number: int, **fields: Any) -> None:
    """A live publication past the checks that would refuse it, with these fields instead of good ones."""
    good = {"weights": {"popular": 1.0}, "rules": [HIDE_NEXT], "normalisation": "z"}
    made = Publication.objects.create(
        placement=placement, number=number, published_at=clock.now(), **{**good, **fields}
    )
    Placement.objects.filter(pk=placement.pk).update(live_publication=made)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_publication_before_is_served_until_it_can_be_read(home: Placement, shape: str) -> None:
    before = ask()
    assert before == (2, ["p01", "p02"])
    publication_insert(home, 900, **SHAPES[shape])
    assert ask() == before
    memory.memory_forget()  # a process that starts now knows no better one
    assert ask() == before
    assert ask() == before
    publication_insert(home, 901)
    assert ask() == (901, ["p00", "p02"])


def test_without_any_that_can_be_read_slates_stand_on_what_is_left(home: Placement) -> None:
    alone = Placement.objects.create(code="alone", kind="shopper", name="Alone")
    publication_insert(alone, 1, weights=[0.5])
    slate = recommend(SlateRequest(placement="alone", n=2))
    assert (slate.publication_number, len(slate.items), slate.rung) == (None, 2, "popular")
    exposure_remember(slate)
    assert exposures_flush() == 1
    assert Exposure.objects.get().publication_id is None
    assert ask()[0] == 2
