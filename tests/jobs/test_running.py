"""The running context: heartbeat, progress inside a transaction, cancellation, outcomes, kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models.functions import Now

from apps.core.errors import Cancelled, InvalidInput
from apps.jobs import running as running_module
from apps.jobs import services
from apps.jobs.models import Job, JobStatus
from apps.jobs.running import RunningJob, job_running
from recoportal.env import BASE_DIR
from tests.processes import child_environment


def job(kind: str = "test.inline") -> Job:
    return services.job_create(kind=kind, title="Work")


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beats many times a second."""
    monkeypatch.setattr(running_module, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(running_module, "FLUSH_SECONDS", 0.02)


@pytest.mark.usefixtures("committed_db", "quick")
class TestCommitted:
    """The thread has its own connection, so these rows are committed."""

    def test_leaving_the_block_closes_the_job_as_done(self) -> None:
        made = job()
        with job_running(job_id=made.pk) as running:
            assert running is not None
            running.progress("read", 0.4, "40 rows")
            running.log("one line")
        made.refresh_from_db()
        assert (made.status, made.progress, made.stage, made.log) == (
            JobStatus.DONE,
            1.0,
            "read",
            "one line\n",
        )

    def test_progress_is_seen_while_the_work_sits_in_a_transaction(self) -> None:
        made = job()
        with job_running(job_id=made.pk) as running, transaction.atomic():
            assert running is not None
            Job.objects.count()  # the transaction is open
            running.progress("write", 0.5)
            wait_for(lambda: subprocess_progress(made.pk) == 0.5, "progress on another connection")

    def test_heartbeat_goes_on_during_a_long_step(self) -> None:
        made = job()
        with job_running(job_id=made.pk):
            made.refresh_from_db()
            first = made.heartbeat_at

            def beaten() -> bool:
                made.refresh_from_db()
                return made.heartbeat_at != first

            wait_for(beaten, "a heartbeat")

    def test_cancel_stops_the_work_at_its_next_progress_call(self) -> None:
        made = job()
        steps = 0
        with job_running(job_id=made.pk) as running:
            assert running is not None
            services.job_cancel(job_id=made.pk)
            wait_for(running.should_stop, "the request to stop")
            for _ in range(3):
                running.progress("work", 0.1)
                steps += 1
        made.refresh_from_db()
        assert (made.status, steps) == (JobStatus.CANCELLED, 0)

    def test_work_that_was_taken_over_stops_and_leaves_the_job_to_its_successor(self) -> None:
        made = job()
        with job_running(job_id=made.pk) as running:
            assert running is not None
            Job.objects.filter(pk=made.pk).update(worker="somebody else")
            wait_for(running.should_stop, "notice of the takeover")
            running.progress("work", 0.5)
        made.refresh_from_db()
        assert (made.status, made.worker) == (JobStatus.RUNNING, "somebody else")

    def test_error_fails_the_job_with_its_message_and_is_raised(self) -> None:
        made = job()
        with pytest.raises(InvalidInput), job_running(job_id=made.pk):
            raise InvalidInput(field="path", value="/nowhere", remedy="Name a file.")
        made.refresh_from_db()
        assert (made.status, made.error) == ("failed", "path: '/nowhere' is not valid. Name a file.")

    def test_unforeseen_error_leaves_its_traceback_in_the_log(self) -> None:
        made = job()
        with pytest.raises(ZeroDivisionError), job_running(job_id=made.pk):
            _ = 1 / 0
        made.refresh_from_db()
        assert made.error == "ZeroDivisionError: division by zero"
        assert "Traceback" in made.log

    def test_second_runner_gets_nothing(self) -> None:
        made = job()
        with job_running(job_id=made.pk) as first:
            assert first is not None
            with job_running(job_id=made.pk) as second:
                assert second is None
        made.refresh_from_db()
        assert (made.status, made.attempts) == (JobStatus.DONE, 1)

    def test_finish_in_a_transaction_that_fails_is_undone(self) -> None:
        made = job()

        def work(running: RunningJob | None) -> None:
            assert running is not None
            with transaction.atomic():
                running.finish({"rows": 1})
                _ = 1 / 0

        with pytest.raises(ZeroDivisionError), job_running(job_id=made.pk) as running:
            work(running)
        made.refresh_from_db()
        assert (made.status, made.result) == (JobStatus.FAILED, {})

    def test_raising_cancelled_oneself_closes_the_job_quietly(self) -> None:
        made = job()

        def give_up() -> None:
            raise Cancelled("enough")

        with job_running(job_id=made.pk):
            give_up()
        made.refresh_from_db()
        assert made.status == JobStatus.CANCELLED


WORK = """
import django; django.setup()
import sys, time
from apps.jobs import running
running.BEAT_SECONDS = 0.1
with running.job_running(job_id=int(sys.argv[1])) as job:
    job.progress("long step", 0.3)
    time.sleep(600)
"""


def subprocess_progress(job_id: int) -> float:
    code = (
        "import django; django.setup()\n"
        "from apps.jobs.models import Job\n"
        f"print(Job.objects.get(pk={job_id}).progress)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=child_environment(),
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


@pytest.mark.usefixtures("committed_db")
def test_killed_process_is_noticed_and_its_job_swept() -> None:
    made = job(kind="training.run")  # a kind that workers can run
    child = subprocess.Popen(
        [sys.executable, "-c", WORK, str(made.pk)], env=child_environment(), cwd=BASE_DIR
    )
    try:

        def reported() -> bool:
            made.refresh_from_db()
            return made.progress == 0.3

        wait_for(reported, "the child's progress")
        assert services.jobs_sweep() == []
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    made.refresh_from_db()
    last = made.heartbeat_at
    time.sleep(0.5)
    made.refresh_from_db()
    assert made.heartbeat_at == last  # nobody beats for the dead
    Job.objects.filter(pk=made.pk).update(heartbeat_at=Now() - timedelta(seconds=31))
    assert [wake.job_id for wake in services.jobs_sweep()] == [made.pk]


@pytest.mark.usefixtures("committed_db")
def test_process_told_to_end_gives_its_job_back_at_once() -> None:
    made = job(kind="training.run")
    code = "import signal; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys\n" + code + WORK, str(made.pk)],
        env=child_environment(),
        cwd=BASE_DIR,
    )
    try:

        def reported() -> bool:
            made.refresh_from_db()
            return made.progress == 0.3

        wait_for(reported, "the child's progress")
        child.terminate()
        child.wait(timeout=30)
    finally:
        if child.poll() is None:
            os.kill(child.pid, signal.SIGKILL)
            child.wait()
    made.refresh_from_db()
    assert (made.status, made.attempts) == (JobStatus.QUEUED, 0)
