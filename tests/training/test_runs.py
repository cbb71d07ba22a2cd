"""A whole run in this process: snapshot, judgement, gate, artifact, version."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings

from apps.core.errors import Conflict, InvalidInput
from apps.events.models import Shopper
from apps.jobs.models import Job, JobStatus
from apps.jobs.services import job_cancel
from apps.ml.artifacts import load_model
from apps.serving.batch import lists_build
from apps.training import hybrid, runs
from apps.training.models import ModelVersion, Recipe, TrainingRun, VersionStatus
from apps.training.recipes import recipe_update, recipes_ensure
from apps.training.registry import eval_judgement, version_promote
from tests.training.planted import shop_plant

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture(autouse=True)
def _clean_shop_dir() -> None:
    shutil.rmtree(settings.SHOP_DIR, ignore_errors=True)


@pytest.fixture
def recipes() -> dict[str, Recipe]:
    shop_plant()
    for recipe in recipes_ensure():
        recipe_update(recipe=recipe, changes={"preset": "tiny"}, by=None)
    return {recipe.code: recipe for recipe in Recipe.objects.all()}


def trained(recipe: Recipe) -> TrainingRun:
    run = runs.run_create(recipe=recipe)
    runs.run_execute(job_id=run.job_id)
    return TrainingRun.objects.select_related("job", "version", "snapshot").get(pk=run.pk)


def test_run_leaves_a_live_version_with_everything_to_repeat_it(recipes: dict[str, Recipe]) -> None:
    trained(recipes["popular"])
    run = trained(recipes["ease"])
    version = run.version
    assert run.job.status == JobStatus.DONE
    assert (version.status, version.number) == (VersionStatus.LIVE, 1)
    assert run.snapshot is not None
    assert version.snapshot_hash == run.snapshot.content_hash
    assert version.code_version
    assert version.config["regularisation"] == 20.0
    assert version.metrics["new"]["users"] > 20
    low, high = version.metrics["all"]["intervals"]["ndcg10"]
    assert low < version.metrics["all"]["ndcg10"] < high
    assert version.gate["passed"]
    assert {check["against"] for check in version.gate["checks"]} == {"popular"}
    assert set(run.seconds) == {"snapshot", "fit", "evaluate", "refit"}
    assert "is live" in run.job.log
    model = load_model(version.artifact_path)
    assert model.family == "ease"
    home = Path(version.artifact_path)
    assert home == Path(settings.SHOP_DIR) / "artifacts" / "ease" / "1"
    with np.load(home / "eval" / "new.npz") as arrays:
        assert arrays["ids"].shape == (len(arrays["user_ids"]), 100)


def test_refit_sees_the_days_the_judgement_did_not(recipes: dict[str, Recipe]) -> None:
    version = trained(recipes["popular"]).version
    judged = eval_judgement(version)
    assert judged is not None
    final = load_model(version.artifact_path)
    assert len(final.history.users) == 160
    assert int(final.history.bought.sum()) > len(judged["all"].truth.items)


def test_companions_are_judged_by_what_else_was_in_the_basket(recipes: dict[str, Recipe]) -> None:
    popular = trained(recipes["popular"]).version.metrics["companions"]
    together = trained(recipes["item_knn"]).version.metrics["companions"]
    assert together["users"] == popular["users"] > 20
    assert together["ndcg10"] > 0.1


def test_epochs_and_figures_are_remembered(recipes: dict[str, Recipe]) -> None:
    run = trained(recipes["als"])
    steps = {(entry["step"], entry["epoch"]) for entry in run.history}
    assert {("fit", 1), ("refit", 1)} <= steps
    assert run.history[0]["epochs"] == 8


def test_redelivery_of_a_finished_run_is_a_no_op(recipes: dict[str, Recipe]) -> None:
    run = trained(recipes["popular"])
    runs.run_execute(job_id=run.job_id)
    assert ModelVersion.objects.count() == 1
    assert Job.objects.get(pk=run.job_id).attempts == 1


def test_second_run_of_a_busy_recipe_is_refused_and_left_out_of_a_batch(recipes: dict[str, Recipe]) -> None:
    run = runs.run_create(recipe=recipes["popular"])
    with pytest.raises(Conflict, match="in training already"):
        runs.run_create(recipe=recipes["popular"])
    batch = runs.runs_create(recipes=[recipes["popular"], recipes["trend"]])
    assert [one.recipe.code for one in batch] == ["trend"]
    job_cancel(job_id=run.job_id)
    runs.run_create(recipe=recipes["popular"])


def test_cancelled_run_leaves_no_version(recipes: dict[str, Recipe]) -> None:
    run = runs.run_create(recipe=recipes["popular"])
    job_cancel(job_id=run.job_id)
    runs.run_execute(job_id=run.job_id)
    assert not ModelVersion.objects.exists()


def test_batch_shares_one_snapshot(recipes: dict[str, Recipe]) -> None:
    batch = runs.runs_create(recipes=[recipes["popular"], recipes["trend"]])
    for run in batch:
        runs.run_execute(job_id=run.job_id)
    shared = {run.snapshot_id for run in TrainingRun.objects.all()}
    assert len(shared) == 1
    assert None not in shared


def test_shop_without_events_fails_with_what_to_do() -> None:
    recipe = recipes_ensure()[0]
    run = runs.run_create(recipe=recipe)
    with pytest.raises(Conflict):
        runs.run_execute(job_id=run.job_id)
    job = Job.objects.get(pk=run.job_id)
    assert job.status == JobStatus.FAILED
    assert "train again" in job.error


def test_wrong_setting_names_the_field() -> None:
    recipe = next(recipe for recipe in recipes_ensure() if recipe.code == "als")
    with pytest.raises(InvalidInput, match="factors"):
        recipe_update(recipe=recipe, changes={"config": {"factors": "many"}}, by=None)
    with pytest.raises(InvalidInput, match="preset"):
        recipe_update(recipe=recipe, changes={"preset": "huge"}, by=None)
    recipe.refresh_from_db()
    assert (recipe.config, recipe.preset) == ({}, "small")


def test_hybrid_is_tuned_for_the_live_versions_and_kept(recipes: dict[str, Recipe]) -> None:
    assert not hybrid.hybrid_due()
    codes = ["popular", "personal", "item_knn", "ease"]
    for run in runs.runs_create(recipes=[recipes[code] for code in codes]):
        runs.run_execute(job_id=run.job_id)
    assert set(hybrid.live_versions()) == set(codes)
    assert hybrid.hybrid_due()
    job = hybrid.hybrid_job_create()
    assert not hybrid.hybrid_due()
    hybrid.hybrid_tune(job_id=job.pk)
    assert not hybrid.hybrid_due()
    kept = hybrid.hybrid_get()
    assert kept is not None
    assert set(kept.versions) == set(codes)
    for protocol in ("new", "all"):
        assert sum(kept.weights[protocol].values()) == pytest.approx(1, abs=0.01)
        assert set(kept.differences[protocol]) == set(codes)
        assert kept.metrics[protocol]["users"] > 20
    assert (
        kept.metrics["all"]["ndcg10"]
        > ModelVersion.objects.get(recipe__code="popular").metrics["all"]["ndcg10"]
    )
    assert json.loads(hybrid.hybrid_path().read_text())["snapshot_hash"] == kept.snapshot_hash


def test_a_learned_ranking_orders_what_is_live_and_is_judged_like_any_version(
    recipes: dict[str, Recipe],
) -> None:
    live = {
        code: version_promote(version=trained(recipes[code]).version, reason="Test.")
        for code in ("popular", "ease")
    }
    found = trained(recipes["ranker"]).version
    assert set(found.config["sources"]) == {"popular", "ease"}
    assert found.config["sources"]["ease"]["config"] == live["ease"].config
    assert {check["against"] for check in found.gate["checks"]} == {"popular"}
    assert found.example["shown"]
    assert sum(found.example["importance"].values()) == pytest.approx(1, abs=0.3)
    version_promote(version=found, reason="Test.")
    build = lists_build(version_id=found.pk)
    assert build.complete
    assert build.lists > 2 * Shopper.objects.count()


def test_a_list_for_everybody_shows_how_it_begins(recipes: dict[str, Recipe]) -> None:
    popular = trained(recipes["popular"]).version
    assert len(popular.example["leading"]) == 5
    assert popular.example["shown"] == []
    assert trained(recipes["ease"]).version.example["leading"] == []
