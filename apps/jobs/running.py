"""Running one job: claim, heartbeat, progress, cancellation and outcome in one context manager."""

import logging
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.db import DatabaseError, connection, transaction

from apps.core.errors import Cancelled, RecoPortalError
from apps.jobs import services
from apps.jobs.kinds import kind_get
from apps.jobs.models import Job

logger = logging.getLogger(__name__)
BEAT_SECONDS = 3.0
# Progress reaches the table this often at most, however often the work reports it.
FLUSH_SECONDS = 0.5


class RunningJob:
    """A claimed job. Progress and log lines are kept here and written by the heartbeat thread.

    The thread has its own connection: progress is seen while the work sits in a long transaction, a long
    step does not look dead, and the thread dies with the process, so that kill -9 is noticed.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.id: int = job.pk
        self.worker = job.worker
        self.params: dict[str, Any] = job.params
        self._lock = threading.Lock()
        self._changes: dict[str, Any] = {}
        self._lines: list[str] = []
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._must_stop = threading.Event()
        self._finished = False
        self._thread = threading.Thread(target=self._beat, name=f"job-{job.pk}", daemon=True)

    def progress(self, stage: str, fraction: float, message: str = "") -> None:
        """Say how far the work is (fraction 0 to 1 of the whole job); raises Cancelled when it must stop."""
        with self._lock:
            self._changes = {"stage": stage, "fraction": fraction, "message": message}
        self._wake.set()
        if self._must_stop.is_set():
            raise Cancelled(f"job {self.id} was cancelled")

    def should_stop(self) -> bool:
        """Whether somebody asked the job to stop, or another process has taken it over."""
        return self._must_stop.is_set()

    def log(self, line: str) -> None:
        """Add a line to the job's log."""
        with self._lock:
            self._lines.append(line.rstrip("\n") + "\n")
        self._wake.set()

    def finish(self, result: Mapping[str, Any] | None = None, message: str = "") -> None:
        """Close the job as done, in the transaction of the work's last write; else leaving the block does."""
        self._flush()
        services.job_finish(job_id=self.id, worker=self.worker, result=result, message=message)
        self._finished = True

    def _taken(self) -> tuple[dict[str, Any], str]:
        with self._lock:
            changes, lines = self._changes, "".join(self._lines)
            self._changes, self._lines = {}, []
        return changes, lines

    def _flush(self) -> bool:
        changes, lines = self._taken()
        try:
            return services.job_beat(job_id=self.id, worker=self.worker, lines=lines, **changes)
        except DatabaseError:
            with self._lock:  # what could not be written now goes with the next beat
                self._changes = {**changes, **self._changes}
                self._lines = [lines, *self._lines] if lines else self._lines
            raise

    def _beat(self) -> None:
        try:
            while not self._stop.is_set():
                self._beat_once()
                self._wake.wait(BEAT_SECONDS)
                self._wake.clear()
                self._stop.wait(FLUSH_SECONDS)
        finally:
            connection.close()

    def _beat_once(self) -> None:
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                # The work may hold the row in a transaction of its own; then this beat is left out.
                cursor.execute("SET LOCAL lock_timeout = '2s'")
                ours = self._flush()
                state = Job.objects.filter(pk=self.id).values("worker", "cancel_requested_at").first()
        except DatabaseError as error:
            # The database may be away for a moment; the work itself will notice if it stays away.
            logger.warning("job %s: heartbeat not written: %s", self.id, error)
            connection.close()
            return
        # A row made in a transaction still open is not visible here: nothing can be said about it.
        if state and ((not ours and state["worker"] != self.worker) or state["cancel_requested_at"]):
            self._must_stop.set()

    def start(self) -> None:
        """Start beating."""
        self._thread.start()

    def stop(self) -> None:
        """Stop beating and wait for the thread to close its connection."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout=10)


def _error_text(error: BaseException) -> str:
    if isinstance(error, RecoPortalError):
        return error.message
    return f"{type(error).__name__}: {error}"


def _outcome_store(running: RunningJob, error: BaseException) -> None:
    """Store how the work ended badly; a job taken over by another process is left to it."""
    if isinstance(error, Exception) and not isinstance(error, RecoPortalError):
        running.log("".join(traceback.format_exception(error)))
    running._flush()
    if isinstance(error, Cancelled):
        services.job_stop(job_id=running.id, worker=running.worker)
    elif isinstance(error, (KeyboardInterrupt, SystemExit)) and kind_get(running.job.kind):
        services.job_release(job_id=running.id, worker=running.worker)
    else:
        services.job_fail(job_id=running.id, worker=running.worker, error=_error_text(error))


@contextmanager
def job_running(*, job_id: int) -> Iterator[RunningJob | None]:
    """Claim the job and run the block as its work; yields None when there is nothing to do here.

    Leaving the block closes the job as done (unless `finish` did), Cancelled closes it as cancelled and ends
    there, any other error closes it as failed and is raised again; when the process itself is told to end, a
    job that a worker can run is queued again.
    """
    job = services.job_claim(job_id=job_id)
    if job is None:
        yield None
        return
    running = RunningJob(job)
    running.start()
    try:
        yield running
        if not running._finished:
            running.finish()
    except BaseException as error:
        running.stop()
        try:
            with transaction.atomic():
                _outcome_store(running, error)
        except (DatabaseError, RecoPortalError) as second:
            logger.warning("job %s: outcome not stored: %s", job_id, second)
        if not isinstance(error, Cancelled):
            raise
    finally:
        running.stop()
