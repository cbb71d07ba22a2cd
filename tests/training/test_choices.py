"""The automatic choice on a planted shop, from its job to recipes; a version's example and cost."""

from __future__ import annotations

import shutil

import pytest
from django.conf import settings

from apps.core.errors import Conflict, InvalidInput
from apps.jobs.models import Job, JobStatus
from apps.ml.registry import FAMILIES
from apps.training import choice_work, choices, evaluations, runs
from apps.training.models import Recipe, TrainingRun
from apps.training.recipes import config_check, recipe_create, recipe_update, recipes_ensure
from apps.training.registry import version_promote
from tests.training.planted import ITEMS_PER_TASTE, shop_plant

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture
def recipes() -> dict[str, Recipe]:
    shutil.rmtree(settings.SHOP_DIR, ignore_errors=True)
    found = {recipe.code: recipe for recipe in recipes_ensure()}
    for code in ("popular", "ease"):
        recipe_update(recipe=found[code], changes={"preset": "tiny"}, by=None)
    return found


def test_a_choice_is_made_within_its_time_and_taken_into_recipes(recipes: dict[str, Recipe]) -> None:
    shop_plant()
    job = choices.choice_job_create(objective={"ndcg": 1.0, "coverage": 0.2}, budget_seconds=8)
    with pytest.raises(Conflict, match="under way"):
        choices.choice_job_create(objective={"ndcg": 1.0}, budget_seconds=8)
    choice_work.choice_execute(job_id=job.pk)
    job.refresh_from_db()
    assert job.status == JobStatus.DONE, job.error
    found = choices.choice_found(job)
    assert found is not None
    assert set(found.weights) <= set(FAMILIES)
    assert sum(found.weights.values()) == pytest.approx(1, abs=0.02)
    assert found.words
    assert found.objective["coverage"] == 0.2
    for family, config in found.configs.items():
        assert FAMILIES[family].config(config).to_dict() == config
    changed = choices.choice_apply(found=found, by=None)
    assert {recipe.code for recipe in changed} == set(found.configs)
    assert all(recipe.active for recipe in changed)


def test_wrong_questions_are_named(recipes: dict[str, Recipe]) -> None:
    for objective, seconds, variant in (
        ({"ndcg": 0.0}, 60, "new"),
        ({"ndcg": -1.0}, 60, "new"),
        ({"ndcg": 1.0}, 1, "new"),
        ({"ndcg": 1.0}, 60, "old"),
    ):
        with pytest.raises(InvalidInput):
            choices.choice_job_create(objective=objective, budget_seconds=seconds, variant=variant)
    with pytest.raises(Conflict, match="Two live models"):
        choices.choice_job_create(objective={"ndcg": 1.0}, budget_seconds=60, live_only=True)
    assert not Job.objects.exists()


def test_a_version_knows_an_example_and_its_cost(recipes: dict[str, Recipe]) -> None:
    shop_plant()
    run = runs.run_create(recipe=recipes["ease"])
    runs.run_execute(job_id=run.job_id)
    version = TrainingRun.objects.select_related("version").get(pk=run.pk).version
    assert version.cost["core_seconds"] > 0
    assert version.cost["peak_memory_mb"] > 10
    shown = version.example["shown"]
    assert shown
    for one in shown:
        shares = [reason["share"] for reason in one["reasons"]]
        assert shares == sorted(shares, reverse=True)
        assert 0 < sum(shares) <= 1.001
        # Tastes are planted in blocks of products, so what speaks for one is mostly of its own block.
        assert any(abs(reason["item"] - one["item"]) < ITEMS_PER_TASTE for reason in one["reasons"])


def test_weights_are_found_for_what_is_live_as_it_is(recipes: dict[str, Recipe]) -> None:
    shop_plant()
    own = recipe_create(
        code="slow_links",
        name="Slow links",
        family="ease",
        by=None,
        preset="tiny",
        config={"regularisation": 7.5},
    )
    for recipe in (recipes["popular"], own):
        run = runs.run_create(recipe=recipe)
        runs.run_execute(job_id=run.job_id)
        version = TrainingRun.objects.select_related("version").get(pk=run.pk).version
        version_promote(version=version, reason="For the test.")
    job = choices.choice_job_create(objective={"ndcg": 1.0}, budget_seconds=20, variant="all", live_only=True)
    choice_work.choice_execute(job_id=job.pk)
    job.refresh_from_db()
    assert job.status == JobStatus.DONE, job.error
    found = choices.choice_found(job)
    assert found is not None
    # Weights are of recipes, not of families: the shop's own counts with the settings it is live with.
    assert set(found.weights) <= {"popular", "slow_links"}
    assert found.weights["slow_links"] > found.weights.get("popular", 0.0)
    assert found.configs == {}
    assert set(found.by_model) == {"popular", "slow_links", "hybrid"}
    judged = evaluations.judgement_folder(
        snapshot_hash=job.result["snapshot_hash"],
        family="ease",
        config=config_check(family="ease", preset="tiny", config={"regularisation": 7.5}),
        seed=0,
        window="validation",
    )
    assert judged.is_dir()
    assert any("Slow links" in line for line in job.result["words"])
