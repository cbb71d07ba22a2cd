"""The six stages of the picture."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.core import clock
from apps.datasets.models import Snapshot
from apps.events.models import ImportReport
from apps.jobs.models import Job, JobStatus
from apps.monitoring.pipeline import Stage, pipeline_stages
from apps.serving.models import ListBuild
from apps.training.models import ModelVersion, TrainingRun, VersionStatus
from apps.training.recipes import recipes_ensure
from apps.training.runs import run_create

pytestmark = pytest.mark.usefixtures("db")


def stages() -> dict[str, Stage]:
    return {stage.code: stage for stage in pipeline_stages()}


def test_new_shop_has_six_stages_that_never_ran() -> None:
    assert [stage.code for stage in pipeline_stages()] == [
        "collect",
        "clean",
        "features",
        "train",
        "deploy",
        "evaluate",
    ]
    assert {stage.state for stage in pipeline_stages()} == {"never"}


def test_import_shows_what_came_in_and_what_was_refused() -> None:
    ImportReport.objects.create(
        name="online-retail", path="x", counts={"rows": 100}, skipped={"fee": 7, "no price": 3}, seconds=1.5
    )
    clean = stages()["clean"]
    assert (clean.state, clean.rows_in, clean.rows_out, clean.rejected, clean.seconds) == (
        "ok",
        100,
        90,
        10,
        1.5,
    )


def snapshot() -> Snapshot:
    return Snapshot.objects.create(
        content_hash="a" * 64,
        path="/nowhere",
        window_end=clock.now(),
        interactions=80,
        items=5,
        shoppers=4,
        seconds=0.4,
    )


def test_training_shows_progress_then_failure() -> None:
    recipe = recipes_ensure()[0]
    run = run_create(recipe=recipe)
    TrainingRun.objects.filter(pk=run.pk).update(snapshot=snapshot())
    assert (stages()["train"].state, stages()["features"].rows_out) == ("running", 80)
    Job.objects.filter(pk=run.job_id).update(
        status=JobStatus.FAILED,
        error="No events.",
        finished_at=clock.now(),
        started_at=clock.now() - timedelta(seconds=2),
    )
    train = stages()["train"]
    assert (train.state, train.job_id) == ("failed", run.job_id)
    assert train.error == f"{recipe.name}: No events."


def test_deploy_runs_until_every_live_version_has_its_lists() -> None:
    recipe = recipes_ensure()[0]
    version = ModelVersion.objects.create(
        recipe=recipe, number=1, status=VersionStatus.LIVE, artifact_path="x", snapshot_hash="a"
    )
    build = ListBuild.objects.create(version_id=version.pk, shards=4, shards_done=1)
    deploy = stages()["deploy"]
    assert (deploy.state, deploy.progress) == ("running", 0.25)
    ListBuild.objects.filter(pk=build.pk).update(shards_done=4, lists=40, completed_at=clock.now())
    deploy = stages()["deploy"]
    assert (deploy.state, deploy.rows_out) == ("ok", 40)
