"""Model versions that an experiment pins: their lists are built and kept, and serve its variant alone."""

import logging
from typing import Any

import pytest

from apps.core import clock
from apps.experiments.models import Experiment
from apps.serving.batch import lists_missing, lists_prune
from apps.serving.models import ListBuild, ListScope
from apps.serving.pinned import versions_pinned
from apps.serving.pipeline import recommend
from apps.serving.publications import publication_preview
from apps.serving.slate import Slate, SlateRequest
from apps.training.models import ModelVersion, VersionStatus
from tests.factories.shop import shoppers_make
from tests.serving.experimenting import experiment_make, units_of
from tests.serving.shop import SKUS, catalogue_make, home_make, version_make

pytestmark = pytest.mark.django_db
OLD, NEW = SKUS[:10], SKUS[10:20]


@pytest.fixture
def candidate() -> ModelVersion:
    """Als is live with one half of the catalogue, and has a candidate with the other."""
    catalogue_make()
    shoppers = shoppers_make(*(f"u{number}" for number in range(20)))
    popular = {(ListScope.EVERYONE, 0): SKUS[20:]}
    version_make("popular", popular)
    every = [(ListScope.SHOPPER_NEW, shopper.pk) for shopper in shoppers.values()]
    version_make("als", {**dict.fromkeys(every, OLD), (ListScope.CATEGORY, 7): OLD})
    home_make({"als": 1.0})
    return version_make("als", {**dict.fromkeys(every, NEW), (ListScope.CATEGORY, 7): NEW}, live=False)


def pinning(version: ModelVersion, **fields: Any) -> Experiment:
    arms: dict[str, Any] = {"control": {"home": {}}, "b": {"home": {"versions": {"als": version.pk}}}}
    return experiment_make("newer", arms, **fields)


def ask(name: str) -> Slate:
    return recommend(SlateRequest("home", name, n=3, explain=True))


def test_the_variant_has_the_lists_of_its_version_and_nobody_else_has(candidate: ModelVersion) -> None:
    units = units_of(pinning(candidate))
    live, pinned = ask(units["control"][0]), ask(units["b"][0])
    assert [item.sku for item in live.items] == OLD[:3]
    assert [item.sku for item in pinned.items] == NEW[:3]
    assert pinned.model_versions == {"als": candidate.pk}
    assert live.model_versions["als"] != candidate.pk
    assert pinned.trace is not None
    assert pinned.trace["sources"][0]["version_id"] == candidate.pk


def test_until_its_lists_are_there_nobody_is_in_the_experiment(
    candidate: ModelVersion, caplog: pytest.LogCaptureFixture
) -> None:
    name = units_of(pinning(candidate))["b"][0]
    ListBuild.objects.filter(version_id=candidate.pk).update(completed_at=None)
    with caplog.at_level(logging.ERROR):
        slate = ask(name)
    assert ([item.sku for item in slate.items], slate.experiment) == (OLD[:3], "")
    assert "a version has no lists" in caplog.text
    ListBuild.objects.filter(version_id=candidate.pk).update(completed_at=clock.now())
    assert ask(name).variant == "b"


def test_a_draft_can_be_looked_at_and_its_lists_are_built(candidate: ModelVersion) -> None:
    ListBuild.objects.filter(version_id=candidate.pk).delete()
    assert lists_missing() == []
    experiment = pinning(candidate, status="draft")
    assert lists_missing() == [candidate.pk]
    ListBuild.objects.create(version_id=candidate.pk, shards_done=1, finished=[0], completed_at=clock.now())
    assert lists_missing() == []
    preview = publication_preview(weights={"als": 1.0}, versions={"als": candidate.pk})
    slate = recommend(SlateRequest("home", "u1", n=3), preview)
    assert [item.sku for item in slate.items] == NEW[:3]
    Experiment.objects.filter(pk=experiment.pk).update(
        status="ended", started_at=clock.now(), ended_at=clock.now()
    )
    slate = recommend(SlateRequest("home", "u1", n=3), preview)
    assert [item.sku for item in slate.items] == OLD[:3], "no longer at hand: what is live"


@pytest.mark.parametrize("status", ["draft", "running", "paused"])
def test_pruning_keeps_them_until_the_experiment_ends(candidate: ModelVersion, status: str) -> None:
    ModelVersion.objects.filter(pk=candidate.pk).update(status=VersionStatus.RETIRED)
    for _ in range(3):
        newer = version_make("als", {(ListScope.SHOPPER_NEW, 1): OLD})
    experiment = pinning(candidate, status=status)
    assert versions_pinned() == {candidate.pk}
    lists_prune()
    assert ListBuild.objects.filter(version_id=candidate.pk).exists()
    Experiment.objects.filter(pk=experiment.pk).update(status="ended", ended_at=clock.now())
    lists_prune()
    assert not ListBuild.objects.filter(version_id=candidate.pk).exists()
    assert ListBuild.objects.filter(version_id=newer.pk).exists()
