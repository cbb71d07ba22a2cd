"""The gate, promotion, override and the way back."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from apps.accounts.models import AuditEntry, User
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput
from apps.ml.evaluate import VARIANTS, Evaluation, Truth
from apps.ml.registry import FAMILIES, STANDARD
from apps.ml.topn import TopN
from apps.training import evaluations, gate
from apps.training.evaluations import Judged, Judgement, judged_write
from apps.training.models import ModelVersion, Recipe, VersionStatus
from apps.training.recipes import recipe_update, recipes_ensure, recipes_take_due
from apps.training.registry import version_live, version_promote, version_rollback, versions_prune

USERS = 200
NOISE = np.random.default_rng(3).normal(0, 0.02, USERS)


def judgement(new: float, all_: float, *, users: int = USERS, noise: bool = False) -> Judgement:
    """Every shopper scores the same but for a little noise."""
    made: Judgement = {}
    for variant, level in zip(VARIANTS, (new, all_), strict=True):
        values = np.full(users, level) + (NOISE[:users] if noise else 0)
        per_user = dict.fromkeys(("ndcg10", "recall20", "mrr10", "hit10", "precision10"), values)
        ids = np.arange(users, dtype=np.int64)
        truth = Truth(ids, ids, np.arange(users + 1, dtype=np.int64))
        made[variant] = Judged(TopN.empty(users, 20), truth, Evaluation(per_user, 0.5), 100)
    return made


def test_full_model_must_beat_popularity_on_one_protocol() -> None:
    popular = judgement(0.2, 0.3)
    better = gate.gate_judge(family="als", new=judgement(0.1, 0.31), popular=popular, live=None)
    assert better.passed
    worse = gate.gate_judge(family="als", new=judgement(0.19, 0.29), popular=popular, live=None)
    assert not worse.passed
    assert "Does not beat popularity" in worse.reasons[0]
    assert "-0.0100" in worse.reasons[0]


def test_better_by_chance_only_does_not_pass() -> None:
    noisy = judgement(0.2, 0.3, noise=True)
    verdict = gate.gate_judge(family="als", new=noisy, popular=judgement(0.2, 0.3), live=None)
    assert not verdict.passed


def test_only_repeats_count_for_personal_and_sources_need_not_beat_popularity() -> None:
    popular = judgement(0.2, 0.3)
    assert gate.gate_judge(family="personal", new=judgement(0.0, 0.4), popular=popular, live=None).passed
    assert not gate.gate_judge(family="personal", new=judgement(0.9, 0.2), popular=popular, live=None).passed
    for family in ("popular", "trend", "content"):
        assert gate.gate_judge(family=family, new=judgement(0.1, 0.1), popular=popular, live=None).passed


def test_what_is_bought_together_may_earn_its_place_beside_products() -> None:
    popular, mine = judgement(0.2, 0.3), judgement(0.1, 0.1)
    assert not gate.gate_judge(family="item_knn", new=mine, popular=popular, live=None).passed
    popular["companions"], mine["companions"] = judgement(0.1, 0.1)["new"], judgement(0.2, 0.1)["new"]
    assert gate.gate_judge(family="item_knn", new=mine, popular=popular, live=None).passed
    assert not gate.gate_judge(family="als", new=mine, popular=popular, live=None).passed


def test_live_version_must_not_lose_on_any_protocol() -> None:
    popular, live = judgement(0.1, 0.1), judgement(0.3, 0.3)
    same = gate.gate_judge(family="als", new=judgement(0.3, 0.3), popular=popular, live=live)
    assert same.passed
    verdict = gate.gate_judge(family="als", new=judgement(0.4, 0.29), popular=popular, live=live)
    assert [reason.split(":")[0] for reason in verdict.reasons] == ["Worse than the live version"]


def test_too_few_shoppers_cannot_be_judged() -> None:
    few = judgement(0.9, 0.9, users=5)
    verdict = gate.gate_judge(family="als", new=few, popular=judgement(0.1, 0.1, users=5), live=None)
    assert "20 are needed" in verdict.reasons[0]


@pytest.fixture
def recipe(db: None) -> Recipe:
    return next(recipe for recipe in recipes_ensure() if recipe.code == "als")


def version(recipe: Recipe, folder: Path, number: int, level: float, *, snapshot: str = "s1") -> ModelVersion:
    """A version that beats popularity, judged at this level."""
    home = folder / str(number)
    judged_write(home / "eval", judgement(level, level))
    verdict = gate.gate_judge(
        family="als", new=judgement(level, level), popular=judgement(0.1, 0.1), live=None
    )
    return ModelVersion.objects.create(
        recipe=recipe,
        number=number,
        artifact_path=str(home),
        snapshot_hash=snapshot,
        gate=verdict.to_dict(),
        status=VersionStatus.CANDIDATE if verdict.passed else VersionStatus.REFUSED,
    )


def statuses(recipe: Recipe) -> dict[int, str]:
    return dict(ModelVersion.objects.filter(recipe=recipe).values_list("number", "status"))


def test_promotion_retires_what_was_live_and_is_audited(recipe: Recipe, tmp_path: Path, mel: User) -> None:
    first, second = version(recipe, tmp_path, 1, 0.3), version(recipe, tmp_path, 2, 0.4)
    version_promote(version=first, by=mel)
    version_promote(version=second, by=mel)
    assert statuses(recipe) == {1: "retired", 2: "live"}
    entry = AuditEntry.objects.get(object_id=str(second.pk))
    assert (entry.verb, entry.actor, entry.before, entry.after) == (
        "version.promote",
        mel,
        {"live": 1},
        {"live": 2},
    )
    version_promote(version=second, by=mel)  # changes nothing
    assert AuditEntry.objects.filter(object_id=str(second.pk)).count() == 1


def test_worse_version_needs_a_reason(recipe: Recipe, tmp_path: Path, mel: User) -> None:
    good, bad = version(recipe, tmp_path, 1, 0.4), version(recipe, tmp_path, 2, 0.3)
    version_promote(version=good)
    with pytest.raises(Conflict, match="Worse than the live version"):
        version_promote(version=bad, by=mel)
    with pytest.raises(Conflict):
        version_promote(version=bad, by=mel, reason="  ")
    assert statuses(recipe) == {1: "live", 2: "candidate"}
    version_promote(version=bad, by=mel, reason="The old one was trained on wrong prices.")
    live = version_live(recipe)
    assert live is not None
    assert (live.number, live.override_reason) == (2, "The old one was trained on wrong prices.")


def test_version_below_popularity_needs_a_reason(recipe: Recipe, tmp_path: Path) -> None:
    poor = version(recipe, tmp_path, 1, 0.05)
    assert poor.status == VersionStatus.REFUSED
    with pytest.raises(Conflict, match="Does not beat popularity"):
        version_promote(version=poor)
    version_promote(version=poor, reason="A drill.")
    assert statuses(recipe) == {1: "live"}


def test_version_of_another_snapshot_can_not_be_compared(recipe: Recipe, tmp_path: Path) -> None:
    version_promote(version=version(recipe, tmp_path, 1, 0.4))
    other = version(recipe, tmp_path, 2, 0.9, snapshot="s2")
    with pytest.raises(Conflict, match="another snapshot"):
        version_promote(version=other)


def test_rolling_back_twice_goes_two_steps_back(recipe: Recipe, tmp_path: Path, mel: User) -> None:
    start = clock.now()
    for number in (1, 2, 3):
        made = version(recipe, tmp_path, number, 0.1 * number + 0.1)
        with clock.pinned(start + timedelta(hours=number)):
            version_promote(version=made)
    assert version_rollback(recipe=recipe, by=mel, reason="Complaints.").number == 2
    assert version_rollback(recipe=recipe, by=mel).number == 1
    assert statuses(recipe) == {1: "live", 2: "retired", 3: "retired"}
    with pytest.raises(Conflict, match="no earlier version"):
        version_rollback(recipe=recipe)
    assert AuditEntry.objects.filter(verb="version.rollback", actor=mel).count() == 2


def test_schedule_hands_out_each_due_recipe_once(recipe: Recipe) -> None:
    now = clock.now()
    Recipe.objects.exclude(pk=recipe.pk).update(schedule="manual")
    with clock.pinned(now):
        assert recipes_take_due() == []  # the rhythm starts
    with clock.pinned(now + timedelta(hours=25)):
        assert [due.code for due in recipes_take_due()] == ["als"]
        assert recipes_take_due() == []
    recipe_update(recipe=recipe, changes={"active": False}, by=None)
    with clock.pinned(now + timedelta(days=9)):
        assert recipes_take_due() == []


def test_ensure_keeps_what_staff_have_set(recipe: Recipe) -> None:
    recipe_update(recipe=recipe, changes={"name": "Our taste model", "schedule": "weekly"}, by=None)
    recipes_ensure()
    recipe.refresh_from_db()
    assert (recipe.name, recipe.schedule) == ("Our taste model", "weekly")
    assert Recipe.objects.count() == len(FAMILIES)
    assert sorted(Recipe.objects.values_list("color", flat=True)) == list(range(len(FAMILIES)))
    in_use = Recipe.objects.filter(active=True)
    assert [one.code for one in in_use] == list(STANDARD)
    assert set(Recipe.objects.exclude(pk__in=in_use).values_list("schedule", flat=True)) <= {"manual"}


def test_old_folders_go_and_what_can_be_returned_to_stays(recipe: Recipe, tmp_path: Path) -> None:
    start = clock.now()
    for number in range(1, 7):
        made = version(recipe, tmp_path, number, 0.1 * number + 0.1)
        with clock.pinned(start + timedelta(hours=number)):
            version_promote(version=made)
    for number in range(7, 12):
        version(recipe, tmp_path, number, 0.05)  # never promoted
    assert sorted(versions_prune(recipe=recipe)) == [1, 2, 7, 8]
    assert versions_prune(recipe=recipe) == []
    assert version_rollback(recipe=recipe).number == 5
    ModelVersion.objects.filter(recipe=recipe, number__in=[3, 4]).delete()
    with pytest.raises(InvalidInput, match="train again"):
        version_rollback(recipe=recipe)


def test_promoting_a_version_whose_folder_is_gone_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    made = version(recipe, tmp_path, 1, 0.5)
    shutil.rmtree(made.artifact_path)
    with pytest.raises(InvalidInput, match="train again"):
        version_promote(version=made, reason="I want it.")


def test_large_shops_are_judged_on_the_same_sample_of_shoppers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluations, "MAX_SHOPPERS", 50)
    truth = judgement(0.1, 0.1)["new"].truth
    first, again = evaluations.test_shoppers(truth), evaluations.test_shoppers(truth)
    assert len(first) == 50
    assert (first.users == again.users).all()
    assert (np.diff(first.users) > 0).all()
    assert (first.items == first.users).all()
