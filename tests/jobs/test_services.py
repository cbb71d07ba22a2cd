"""Claims, outcomes and the sweeper, on the real table."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from apps.core.errors import Cancelled, Conflict, InvalidInput, NotFound
from apps.jobs import kinds, services
from apps.jobs.kinds import kind_register
from apps.jobs.models import Job, JobStatus
from apps.jobs.queue import job_enqueue
from apps.jobs.selectors import job_eta_seconds, jobs_active, jobs_drawer
from apps.training.models import Recipe, TrainingRun

pytestmark = pytest.mark.usefixtures("db")


@pytest.fixture(autouse=True)
def _test_kinds() -> Iterator[None]:
    kind_register(code="test.work", task="tests.nobody", queue="default")
    yield
    del kinds._kinds["test.work"]


def job(kind: str = "test.work", **changes: object) -> Job:
    made = services.job_create(kind=kind, title="Work", params={"n": 1})
    if changes:
        Job.objects.filter(pk=made.pk).update(**changes)
        made.refresh_from_db()
    return made


def claimed(kind: str = "test.work") -> Job:
    got = services.job_claim(job_id=job(kind).pk)
    assert got is not None
    return got


def silent(seconds: int) -> object:
    return Now() - timedelta(seconds=seconds)


def test_claim_takes_a_queued_job_once() -> None:
    made = job()
    first = services.job_claim(job_id=made.pk)
    assert first is not None
    assert (first.status, first.attempts, first.progress) == (JobStatus.RUNNING, 1, 0.0)
    assert first.heartbeat_at is not None
    assert services.job_claim(job_id=made.pk) is None


def test_redelivery_of_a_running_job_is_a_no_op_until_its_heartbeat_is_old() -> None:
    running = claimed()
    assert services.job_claim(job_id=running.pk) is None
    Job.objects.filter(pk=running.pk).update(heartbeat_at=silent(31))
    again = services.job_claim(job_id=running.pk)
    assert again is not None
    assert again.attempts == 2
    assert again.worker != running.worker


def test_a_replaced_process_can_write_nothing() -> None:
    first = claimed()
    Job.objects.filter(pk=first.pk).update(heartbeat_at=silent(31))
    second = services.job_claim(job_id=first.pk)
    assert second is not None
    with pytest.raises(Cancelled):
        services.job_progress(job_id=first.pk, worker=first.worker, stage="x", fraction=0.5)
    with pytest.raises(Conflict):
        services.job_finish(job_id=first.pk, worker=first.worker)
    services.job_finish(job_id=second.pk, worker=second.worker, result={"rows": 3})
    done = Job.objects.get(pk=first.pk)
    assert (done.status, done.progress, done.result) == (JobStatus.DONE, 1.0, {"rows": 3})


@pytest.mark.parametrize("status", [JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELLED])
def test_a_job_that_is_over_is_not_claimed(status: str) -> None:
    assert services.job_claim(job_id=job(status=status).pk) is None


def test_progress_is_bounded_and_raises_when_cancelled() -> None:
    running = claimed()
    services.job_progress(job_id=running.pk, worker=running.worker, stage="read", fraction=1.7, message="all")
    running.refresh_from_db()
    assert (running.stage, running.progress, running.message) == ("read", 1.0, "all")
    services.job_cancel(job_id=running.pk)
    with pytest.raises(Cancelled):
        services.job_progress(job_id=running.pk, worker=running.worker, stage="read", fraction=0.5)
    running.refresh_from_db()
    assert running.status == JobStatus.RUNNING  # its process closes it
    services.job_stop(job_id=running.pk, worker=running.worker)
    running.refresh_from_db()
    assert running.status == JobStatus.CANCELLED


def test_cancel_ends_a_queued_job_at_once_and_leaves_a_finished_one() -> None:
    queued = services.job_cancel(job_id=job().pk)
    assert queued.status == JobStatus.CANCELLED
    assert services.job_claim(job_id=queued.pk) is None
    assert services.job_cancel(job_id=job(status=JobStatus.DONE).pk).status == JobStatus.DONE
    with pytest.raises(NotFound):
        services.job_cancel(job_id=10**9)


def test_log_keeps_its_newest_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    running = claimed()
    monkeypatch.setattr(services, "LOG_LIMIT", 10)
    services.job_log(job_id=running.pk, worker=running.worker, line="first")
    services.job_log(job_id=running.pk, worker=running.worker, line="second\n")
    running.refresh_from_db()
    assert running.log == "st\nsecond\n"


def test_failure_says_why() -> None:
    running = claimed()
    services.job_fail(job_id=running.pk, worker=running.worker, error="The file is empty.")
    running.refresh_from_db()
    assert (running.status, running.error, running.message) == (
        "failed",
        "The file is empty.",
        "The file is empty.",
    )
    assert running.finished_at is not None


def test_sweep_queues_a_silent_job_again_and_leaves_a_live_one() -> None:
    dead, alive = claimed(), claimed()
    Job.objects.filter(pk=dead.pk).update(heartbeat_at=silent(31))
    assert [wake.job_id for wake in services.jobs_sweep()] == [dead.pk]
    dead.refresh_from_db()
    alive.refresh_from_db()
    assert (dead.status, dead.attempts, dead.worker) == (JobStatus.QUEUED, 1, "")
    assert "silent for more than 30 s" in dead.log
    assert alive.status == JobStatus.RUNNING
    assert services.jobs_sweep() == []


def test_sweep_fails_a_job_after_three_attempts() -> None:
    dead = claimed()
    Job.objects.filter(pk=dead.pk).update(heartbeat_at=silent(31), attempts=3)
    assert services.jobs_sweep() == []
    dead.refresh_from_db()
    assert dead.status == JobStatus.FAILED
    assert "attempt 3 of 3" in dead.error


def test_sweep_closes_a_silent_job_that_was_to_be_cancelled() -> None:
    dead = claimed()
    Job.objects.filter(pk=dead.pk).update(heartbeat_at=silent(31), cancel_requested_at=Now())
    assert services.jobs_sweep() == []
    dead.refresh_from_db()
    assert dead.status == JobStatus.CANCELLED


def test_sweep_fails_a_command_that_was_killed() -> None:
    dead = claimed(kind="only.inline")
    Job.objects.filter(pk=dead.pk).update(heartbeat_at=silent(31))
    assert services.jobs_sweep() == []
    dead.refresh_from_db()
    assert dead.status == JobStatus.FAILED
    assert "Start it again" in dead.error


def test_sweep_wakes_a_forgotten_job_unless_its_queue_is_busy() -> None:
    forgotten = job(updated_at=silent(31))
    assert [wake.job_id for wake in services.jobs_sweep()] == [forgotten.pk]
    assert services.jobs_sweep() == []  # once per interval
    Job.objects.filter(pk=forgotten.pk).update(updated_at=silent(31))
    claimed()
    assert services.jobs_sweep() == []


def test_released_job_is_queued_without_counting_the_attempt() -> None:
    running = claimed()
    services.job_release(job_id=running.pk, worker=running.worker)
    running.refresh_from_db()
    assert (running.status, running.attempts) == (JobStatus.QUEUED, 0)


def test_enqueue_refuses_a_kind_nobody_can_run() -> None:
    with pytest.raises(InvalidInput, match="nobody"):
        job_enqueue(job(kind="nobody"))


def test_registering_a_kind_for_another_task_is_refused() -> None:
    kind_register(code="test.work", task="tests.nobody", queue="default")
    with pytest.raises(ValueError, match="registered"):
        kind_register(code="test.work", task="tests.other")


def test_eta_follows_the_pace_so_far() -> None:
    running = claimed()
    Job.objects.filter(pk=running.pk).update(
        started_at=F("heartbeat_at") - timedelta(seconds=30), progress=0.25
    )
    running.refresh_from_db()
    assert job_eta_seconds(running, at=running.heartbeat_at) == pytest.approx(90)
    running.progress = 0.0
    assert job_eta_seconds(running) is None


def test_drawer_shows_the_active_first_then_the_latest_ended() -> None:
    done = job(status=JobStatus.DONE, finished_at=Now())
    queued = job()
    running = claimed()
    assert [entry.pk for entry in jobs_drawer(recent=5)] == [running.pk, queued.pk, done.pk]
    assert [entry.pk for entry in jobs_active(kind="other")] == []


@pytest.mark.usefixtures("committed_db")
def test_of_many_claimers_one_wins() -> None:
    made = job()
    winners: list[Job] = []
    barrier = threading.Barrier(6)

    def claim() -> None:
        barrier.wait()
        got = services.job_claim(job_id=made.pk)
        if got is not None:
            winners.append(got)
        connection.close()

    threads = [threading.Thread(target=claim) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(winners) == 1
    made.refresh_from_db()
    assert made.attempts == 1


def test_what_ended_long_ago_is_pruned_but_not_what_a_run_stands_on() -> None:
    long_ago = Now() - timedelta(days=40)
    old = job(status=JobStatus.DONE, finished_at=long_ago)
    kept = [
        job(status=JobStatus.FAILED, finished_at=Now() - timedelta(days=20)),
        job(status=JobStatus.RUNNING, finished_at=None),
        job(status=JobStatus.DONE, finished_at=long_ago),
    ]
    recipe = Recipe.objects.create(code="own", name="Own", family="als")
    TrainingRun.objects.create(recipe=recipe, job=kept[-1])
    assert services.jobs_prune(days=30) == 1
    assert not Job.objects.filter(pk=old.pk).exists()
    assert {row.pk for row in Job.objects.all()} == {row.pk for row in kept}
