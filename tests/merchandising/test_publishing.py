"""Placements, drafts and publications on a real database."""

from typing import Any

import pytest
from django.db import IntegrityError, transaction

from apps.accounts.models import AuditEntry, User
from apps.core.errors import Conflict, InvalidInput, NotFound
from apps.merchandising.models import Draft, Placement, PlacementKind, Publication
from apps.merchandising.selectors import (
    draft_diff,
    placement_get,
    placement_list,
    publication_diff,
    publication_get,
    publication_history,
)
from apps.merchandising.services import (
    DEFAULT_PLACEMENTS,
    draft_reset,
    draft_save,
    placement_archive,
    placement_clone,
    placement_create,
    placement_restore,
    placement_update,
    placements_ensure,
    publication_publish,
    publication_return,
    weights_default_set,
)

pytestmark = pytest.mark.django_db
PIN = {"id": "p1", "kind": "pin", "position": 1, "target": {"type": "product", "skus": ["A"]}}
HIDE = {"id": "h1", "kind": "hide", "target": {"type": "brand", "brand": "Acme"}}


@pytest.fixture
def home() -> Placement:
    return placement_create(code="home", name="Home", kind="shopper", weights={"als": 1.0})


@pytest.fixture
def maya() -> User:
    return User.objects.create(username="maya-test")


def save(placement: Placement, **changes: Any) -> Draft:
    revision = Draft.objects.get(placement=placement).revision
    return draft_save(placement=placement, revision=revision, **changes)


def test_the_defaults_are_made_once_and_are_live() -> None:
    made = placements_ensure()
    assert {placement.code for placement in made} == {code for code, *_ in DEFAULT_PLACEMENTS}
    assert {placement.kind for placement in made} == set(PlacementKind.values)
    assert placements_ensure() == []
    for placement in placement_list():
        assert placement.live_publication is not None
        assert placement.live_publication.number == 1
        assert any(placement.live_publication.weights.values())
        assert draft_diff(placement=placement).empty


def test_a_draft_reaches_nobody_before_it_is_published(home: Placement, maya: User) -> None:
    save(home, weights={"als": 0.5, "ease": 1}, rules=[PIN], actor=maya)
    home.refresh_from_db()
    assert home.live_publication is not None
    assert home.live_publication.weights == {"als": 1.0}
    publication = publication_publish(placement=home, note="Spring", actor=maya)
    home.refresh_from_db()
    assert home.live_publication == publication
    assert (publication.number, publication.weights) == (2, {"als": 0.5, "ease": 1.0})
    assert publication.rules[0]["position"] == 1
    entry = AuditEntry.objects.get(verb="publication.publish")
    assert entry.actor == maya
    assert entry.before is not None
    assert entry.before["weights"] == {"als": 1.0}
    assert entry.after is not None
    assert entry.after["number"] == 2


def test_saving_over_a_newer_draft_conflicts_and_loses_nothing(home: Placement, maya: User) -> None:
    draft_save(placement=home, revision=0, weights={"ease": 1}, actor=maya)
    with pytest.raises(Conflict, match="maya-test changed this draft"):
        draft_save(placement=home, revision=0, weights={"als": 0.1}, rules=[HIDE])
    draft = Draft.objects.get(placement=home)
    assert (draft.weights, draft.rules, draft.revision) == ({"ease": 1.0}, [], 1)
    with pytest.raises(Conflict):
        publication_publish(placement=home, revision=0)


def test_saving_one_part_leaves_the_other(home: Placement) -> None:
    save(home, rules=[PIN])
    draft = save(home, weights={"ease": 0.25})
    assert draft.weights == {"ease": 0.25}
    assert [rule["id"] for rule in draft.rules] == ["p1"]


@pytest.mark.parametrize(
    ("weights", "field"),
    [
        ({"als": 1.5}, "weights.als"),
        ({"als": -0.1}, "weights.als"),
        ({"als": True}, "weights.als"),
        ({"als": float("nan")}, "weights.als"),
        ({"alz": 1}, "weights.alz"),
        ({"new": 1}, "weights.new"),
        ({"als": 0}, "weights"),
        ([], "weights"),
    ],
)
def test_weights_that_make_no_blend_are_refused(home: Placement, weights: Any, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        save(home, weights=weights)
    assert caught.value.field == field
    assert caught.value.remedy


def test_publishing_nothing_new_is_refused(home: Placement) -> None:
    with pytest.raises(Conflict, match="nothing to publish"):
        publication_publish(placement=home)


def test_a_return_is_a_new_publication_and_takes_an_idle_draft_along(home: Placement) -> None:
    save(home, weights={"ease": 1}, rules=[PIN])
    second = publication_publish(placement=home)
    third = publication_return(placement=home, number=1)
    assert (third.number, third.weights, third.rules) == (3, {"als": 1.0}, [])
    assert third.returned_to is not None
    assert third.returned_to.number == 1
    assert Draft.objects.get(placement=home).weights == {"als": 1.0}
    assert [p.number for p in publication_history(placement=home)] == [3, 2, 1]
    assert publication_get(placement=home, number=2) == second
    with pytest.raises(Conflict):
        publication_return(placement=home, number=3)
    with pytest.raises(NotFound):
        publication_return(placement=home, number=9)


def test_a_return_leaves_unpublished_work_alone(home: Placement) -> None:
    save(home, weights={"ease": 1})
    publication_publish(placement=home)
    save(home, weights={"popular": 1})
    publication_return(placement=home, number=1)
    assert Draft.objects.get(placement=home).weights == {"popular": 1.0}
    draft = draft_reset(placement=home, revision=Draft.objects.get(placement=home).revision)
    assert draft.weights == {"als": 1.0}


def test_the_database_itself_keeps_publications_as_they_were(home: Placement) -> None:
    publication = Publication.objects.get(placement=home)
    with pytest.raises(IntegrityError, match="immutable"), transaction.atomic():
        Publication.objects.filter(pk=publication.pk).update(weights={"popular": 1})
    Publication.objects.filter(pk=publication.pk).update(published_by=None)


def test_a_diff_names_weights_and_rules_by_what_happened(home: Placement) -> None:
    first = Publication.objects.get(placement=home)
    save(home, weights={"als": 0.5, "ease": 0.2}, rules=[PIN, HIDE])
    second = publication_publish(placement=home)
    diff = publication_diff(before=first, after=second)
    assert [(c.source, c.before, c.after) for c in diff.weights] == [("als", 1.0, 0.5), ("ease", None, 0.2)]
    assert [rule["id"] for rule in diff.rules_added] == ["p1", "h1"]
    save(home, rules=[HIDE, {**PIN, "position": 4}])
    diff = draft_diff(placement=placement_get(code="home"))
    assert diff.weights == ()
    assert [change.fields for change in diff.rules_changed] == [("position",)]
    assert diff.rules_reordered
    assert not diff.empty


def test_clone_archive_and_restore(home: Placement) -> None:
    save(home, rules=[PIN])
    publication_publish(placement=home)
    home.refresh_from_db()
    copy = placement_clone(placement=home, code="home2", name="Second home")
    assert copy.live_publication is not None
    assert copy.live_publication.rules[0]["id"] == "p1"
    placement_archive(placement=home)
    with pytest.raises(NotFound, match="Known placements: home2"):
        placement_get(code="home")
    placement_restore(placement=home)
    assert placement_get(code="home") == home
    with pytest.raises(Conflict):
        placement_create(code="home", name="Again", kind="shopper")
    assert placement_update(placement=home, page_size=20).page_size == 20
    for changes in ({"page_size": 0}, {"page_size": 101}, {"name": ""}, {"kind": "new"}):
        with pytest.raises(InvalidInput):
            placement_update(placement=home, **changes)


def test_tuned_weights_become_the_default_only_where_nobody_has_chosen(home: Placement, maya: User) -> None:
    other = placement_create(code="mail", name="Mail", kind="shopper", weights={"als": 1.0}, actor=maya)
    published = weights_default_set(weights={"ease": 0.9, "als": 0.3})
    assert [publication.placement.code for publication in published] == ["home"]
    other.refresh_from_db()
    assert other.live_publication is not None
    assert other.live_publication.number == 1
    assert Draft.objects.get(placement=home).weights == {"ease": 0.9, "als": 0.3}
    assert weights_default_set(weights={"ease": 0.9, "als": 0.3}) == []


def test_placements_that_repeat_purchases_get_the_weights_tuned_for_that(home: Placement) -> None:
    placement_create(
        code="again", name="Again", kind="shopper", weights={"personal": 1.0}, repeat_purchases=True
    )
    published = weights_default_set(weights={"ease": 0.9}, weights_repeat={"personal": 0.7, "ease": 0.2})
    live = {publication.placement.code: publication.weights for publication in published}
    assert live == {"home": {"ease": 0.9}, "again": {"personal": 0.7, "ease": 0.2}}
    published = weights_default_set(weights={"als": 0.5})
    assert [publication.placement.code for publication in published] == ["home"], "none were tuned for again"
