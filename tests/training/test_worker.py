"""Training on a real Celery worker: duplicates, cancel, kill -9."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db.models.functions import Now

from apps.jobs import queue, services
from apps.jobs.kinds import kind_get
from apps.jobs.models import Job, JobStatus
from apps.ml.artifacts import load_model
from apps.training import runs, studies
from apps.training.models import ModelVersion, Recipe, TrainingRun
from apps.training.recipes import recipe_update, recipes_ensure
from tests.processes import RealProcess
from tests.training.planted import shop_plant

WorkerStart = Callable[..., RealProcess]


@pytest.fixture
def slow_recipe(committed_db: None) -> Recipe:
    """Factorisation with so many solver steps that there is time to kill it, and yet it ends."""
    shutil.rmtree(settings.SHOP_DIR, ignore_errors=True)
    shop_plant(shoppers=80)
    recipe = next(recipe for recipe in recipes_ensure() if recipe.code == "als")
    config = {"epochs": 200, "factors": 64, "cg_steps": 60, "tolerance": 0.0}
    return recipe_update(recipe=recipe, changes={"preset": "tiny", "config": config}, by=None)


def wait_for(job: Job, condition: Callable[[Job], bool], worker: RealProcess) -> Job:
    deadline = time.monotonic() + 120
    while True:
        job.refresh_from_db()
        if condition(job):
            return job
        assert time.monotonic() < deadline, f"{job}: {job.stage} {job.progress} {job.error}\n{worker.log}"
        time.sleep(0.05)


def in_epochs(job: Job) -> bool:
    return job.stage == "fit" and job.message.startswith("epoch")


def send(job: Job) -> None:
    kind = kind_get(job.kind)
    assert kind is not None
    queue.wake_up(kind=kind, job_id=job.pk)


def folders() -> list[str]:
    return sorted(path.name for path in (Path(settings.SHOP_DIR) / "artifacts" / "als").glob("*"))


def test_killed_run_is_taken_up_by_the_sweeper_and_finishes_once(
    slow_recipe: Recipe, celery_worker_process: WorkerStart
) -> None:
    first = celery_worker_process("train")
    run = runs.run_create(recipe=slow_recipe)
    queue.job_enqueue(run.job)
    job = wait_for(run.job, in_epochs, first)
    assert "epoch" in job.message
    first.kill()
    second = celery_worker_process("train")
    job.refresh_from_db()
    assert job.status == JobStatus.RUNNING
    assert services.jobs_sweep() == []  # half a minute of silence is needed to call it dead
    send(job)  # a redelivery changes nothing meanwhile
    Job.objects.filter(pk=job.pk).update(heartbeat_at=Now() - timedelta(seconds=31))
    wake_ups = services.jobs_sweep()
    assert [wake.job_id for wake in wake_ups] == [job.pk]
    for wake in wake_ups:
        queue.wake_up(kind=wake.kind, job_id=wake.job_id)
    job = wait_for(job, lambda job: job.is_final, second)
    assert (job.status, job.attempts) == (JobStatus.DONE, 2)
    version = ModelVersion.objects.get()
    assert (version.number, version.run_id) == (1, run.pk)
    assert folders() == ["1"]
    assert load_model(version.artifact_path).family == "als"
    history = TrainingRun.objects.get(pk=run.pk).history
    epochs = [entry["epoch"] for entry in history if entry["step"] == "fit"]
    assert epochs == sorted(set(epochs))  # nothing of the first attempt


def test_wake_ups_sent_many_times_train_once(slow_recipe: Recipe, celery_worker_process: WorkerStart) -> None:
    recipe_update(recipe=slow_recipe, changes={"config": {}}, by=None)
    run = runs.run_create(recipe=slow_recipe)
    for _ in range(4):
        send(run.job)
    worker = celery_worker_process("train", concurrency=2)
    job = wait_for(run.job, lambda job: job.is_final, worker)
    send(job)
    time.sleep(1)
    job.refresh_from_db()
    assert (job.status, job.attempts, ModelVersion.objects.count()) == (JobStatus.DONE, 1, 1)


def test_cancel_stops_a_run_between_epochs(slow_recipe: Recipe, celery_worker_process: WorkerStart) -> None:
    worker = celery_worker_process("train")
    run = runs.run_create(recipe=slow_recipe)
    queue.job_enqueue(run.job)
    wait_for(run.job, in_epochs, worker)
    services.job_cancel(job_id=run.job_id)
    job = wait_for(run.job, lambda job: job.is_final, worker)
    assert job.status == JobStatus.CANCELLED
    assert job.progress < 1
    assert not ModelVersion.objects.exists()
    assert folders() == []


def test_killed_study_goes_on_with_the_trial_it_was_at(
    slow_recipe: Recipe, celery_worker_process: WorkerStart
) -> None:
    recipe_update(recipe=slow_recipe, changes={"config": {**slow_recipe.config, "epochs": 400}}, by=None)
    study = studies.study_create(
        recipe=slow_recipe, space={"alpha": {}, "regularisation": {}}, max_trials=4, pruning=False
    )
    (job,) = studies.study_jobs(study)
    first = celery_worker_process("train")
    queue.job_enqueue(job)
    wait_for(job, lambda job: job.message == "trial 1", first)
    first.kill()
    interrupted = study.trials.get(number=1)
    before = study.trials.get(number=0)
    assert (interrupted.state, before.state) == ("running", "complete")
    second = celery_worker_process("train")
    Job.objects.filter(pk=job.pk).update(heartbeat_at=Now() - timedelta(seconds=31))
    for wake in services.jobs_sweep():
        queue.wake_up(kind=wake.kind, job_id=wake.job_id)
    job = wait_for(job, lambda job: job.is_final, second)
    assert (job.status, job.attempts) == (JobStatus.DONE, 2), job.error
    rows = list(study.trials.order_by("number"))
    assert [(row.number, row.state) for row in rows] == [(n, "complete") for n in range(4)]
    assert (rows[1].params, rows[1].attempts) == (interrupted.params, 2)
    assert (rows[0].value, rows[0].attempts) == (before.value, 1), "what was done is not done again"
    study.refresh_from_db()
    assert study.finished_at is not None
