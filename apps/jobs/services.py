"""Writes to the jobs table. Long work normally uses `apps.jobs.running.job_running`, which calls these.

Every write of a running job is conditional on the claim (`worker`), so that a process that was thought dead
and has been replaced cannot write over its successor.
"""

import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, ManyToOneRel, Q, TextField, Value
from django.db.models.functions import Concat, Now, Right

from apps.accounts.models import User
from apps.core.errors import Cancelled, Conflict, NotFound
from apps.jobs.kinds import JobKind, kind_get, kinds_of_queue
from apps.jobs.models import Job, JobStatus

# A process beats every few seconds; one that has been silent this long is dead or might as well be.
STALE_AFTER = timedelta(seconds=30)
# A queued job nobody took for this long, while its queue stands idle, has lost its wake-up.
WAKE_AFTER = timedelta(seconds=30)
MAX_ATTEMPTS = 3
LOG_LIMIT = 60_000


@dataclass(frozen=True, slots=True)
class WakeUp:
    """A message the sweeper wants sent."""

    job_id: int
    kind: JobKind


def job_create(
    *, kind: str, title: str, params: Mapping[str, Any] | None = None, requested_by: User | None = None
) -> Job:
    """Store a queued job. The caller then calls `apps.jobs.queue.job_enqueue(job)`, or runs it itself."""
    return Job.objects.create(
        kind=kind, title=title[:200], params=dict(params or {}), requested_by=requested_by
    )


def job_claim(*, job_id: int, stale_after: timedelta = STALE_AFTER) -> Job | None:
    """Take the job for this process; None when it is final or another process is at it.

    One conditional UPDATE, so of any number of claimers one wins. A running job can only be taken over when
    its heartbeat is older than `stale_after`. The returned job's `worker` is the claim's token.
    """
    token = f"{socket.gethostname()[:60]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    free = Q(status=JobStatus.QUEUED) | Q(status=JobStatus.RUNNING, heartbeat_at__lt=Now() - stale_after)
    taken = Job.objects.filter(free, pk=job_id, cancel_requested_at=None, attempts__lt=MAX_ATTEMPTS).update(
        status=JobStatus.RUNNING,
        worker=token,
        attempts=F("attempts") + 1,
        started_at=Now(),
        heartbeat_at=Now(),
        updated_at=Now(),
        finished_at=None,
        progress=0.0,
        stage="",
        message="",
        error="",
        result={},
    )
    return Job.objects.get(pk=job_id) if taken else None


def job_beat(
    *,
    job_id: int,
    worker: str,
    stage: str | None = None,
    fraction: float | None = None,
    message: str | None = None,
    lines: str = "",
) -> bool:
    """Write a heartbeat with what has changed; False when the claim is no longer ours."""
    changes: dict[str, Any] = {"heartbeat_at": Now(), "updated_at": Now()}
    if stage is not None:
        changes["stage"] = stage[:80]
    if fraction is not None:
        changes["progress"] = min(max(fraction, 0.0), 1.0)
    if message is not None:
        changes["message"] = message[:300]
    if lines:
        changes["log"] = Right(Concat(F("log"), Value(lines), output_field=TextField()), LOG_LIMIT)
    return bool(Job.objects.filter(pk=job_id, worker=worker, status=JobStatus.RUNNING).update(**changes))


def job_progress(*, job_id: int, worker: str, stage: str, fraction: float, message: str = "") -> None:
    """Write progress (0 to 1) and a heartbeat at once; raises Cancelled when the job must stop."""
    if not job_beat(job_id=job_id, worker=worker, stage=stage, fraction=fraction, message=message):
        raise Cancelled(f"job {job_id} is no longer this process's")
    if Job.objects.filter(pk=job_id, cancel_requested_at__isnull=False).exists():
        raise Cancelled(f"job {job_id} was cancelled")


def job_log(*, job_id: int, worker: str, line: str) -> None:
    """Add a line to the job's log; the oldest lines go when the log exceeds its limit."""
    job_beat(job_id=job_id, worker=worker, lines=line.rstrip("\n") + "\n")


def _close(*, job_id: int, worker: str, status: JobStatus, **changes: Any) -> None:
    closed = Job.objects.filter(pk=job_id, worker=worker, status=JobStatus.RUNNING).update(
        status=status, finished_at=Now(), heartbeat_at=Now(), updated_at=Now(), **changes
    )
    if not closed:
        raise Conflict(f"job {job_id} is no longer this process's; its outcome was not stored")


def job_finish(
    *, job_id: int, worker: str, result: Mapping[str, Any] | None = None, message: str = ""
) -> None:
    """Close the job as done. In one transaction with the work's own last write, the two can't disagree."""
    changes = {"message": message[:300]} if message else {}
    _close(
        job_id=job_id,
        worker=worker,
        status=JobStatus.DONE,
        progress=1.0,
        result=dict(result or {}),
        **changes,
    )


def job_fail(*, job_id: int, worker: str, error: str) -> None:
    """Close the job as failed, saying why."""
    _close(job_id=job_id, worker=worker, status=JobStatus.FAILED, error=error, message=error[:300])


def job_stop(*, job_id: int, worker: str) -> None:
    """Close a running job as cancelled, by the process that ran it."""
    _close(job_id=job_id, worker=worker, status=JobStatus.CANCELLED)


def job_release(*, job_id: int, worker: str) -> None:
    """Give a running job back unfinished because its process is told to end; that attempt does not count."""
    Job.objects.filter(pk=job_id, worker=worker, status=JobStatus.RUNNING).update(
        status=JobStatus.QUEUED, worker="", heartbeat_at=None, attempts=F("attempts") - 1, updated_at=Now()
    )


@transaction.atomic
def job_cancel(*, job_id: int) -> Job:
    """Ask for the job to stop: a queued one is cancelled at once, a running one at its next progress call.

    Cancelling a finished job changes nothing.
    """
    job = Job.objects.select_for_update(of=("self",)).filter(pk=job_id).first()
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    if job.status == JobStatus.QUEUED:
        Job.objects.filter(pk=job_id).update(
            status=JobStatus.CANCELLED, cancel_requested_at=Now(), finished_at=Now(), updated_at=Now()
        )
    elif job.status == JobStatus.RUNNING and job.cancel_requested_at is None:
        Job.objects.filter(pk=job_id).update(cancel_requested_at=Now(), updated_at=Now())
    job.refresh_from_db()
    return job


def _dead_close(job: Job, status: JobStatus, reason: str) -> None:
    Job.objects.filter(pk=job.pk).update(
        status=status, error=reason, message=reason[:300], finished_at=Now(), updated_at=Now()
    )


@transaction.atomic
def jobs_sweep(*, stale_after: timedelta = STALE_AFTER, wake_after: timedelta = WAKE_AFTER) -> list[WakeUp]:
    """Take care of dead and forgotten jobs; returns the wake-ups the caller must send after commit.

    A running job with an old heartbeat is queued again, or failed after MAX_ATTEMPTS or when no worker knows
    how to run its kind (its own process was a command that has ended). A queued job is woken again.
    """
    wake_ups: list[WakeUp] = []
    stale = Job.objects.filter(status=JobStatus.RUNNING, heartbeat_at__lt=Now() - stale_after)
    for job in stale.select_for_update(skip_locked=True, of=("self",)):
        kind = kind_get(job.kind)
        silence = (
            f"Its process ({job.worker}) has been silent for more than {stale_after.total_seconds():.0f} s"
        )
        if job.cancel_requested_at is not None:
            _dead_close(job, JobStatus.CANCELLED, "")
        elif kind is None:
            _dead_close(job, JobStatus.FAILED, f"{silence}: it was stopped or killed. Start it again.")
        elif job.attempts >= MAX_ATTEMPTS:
            _dead_close(
                job,
                JobStatus.FAILED,
                f"{silence} at attempt {job.attempts} of {MAX_ATTEMPTS}. Look at the worker's log, "
                "then start it again.",
            )
        else:
            line = f"{silence}; queued again after attempt {job.attempts} of {MAX_ATTEMPTS}.\n"
            Job.objects.filter(pk=job.pk).update(
                status=JobStatus.QUEUED,
                worker="",
                heartbeat_at=None,
                updated_at=Now(),
                log=Right(Concat(F("log"), Value(line), output_field=TextField()), LOG_LIMIT),
            )
            wake_ups.append(WakeUp(job_id=job.pk, kind=kind))
    return wake_ups + _forgotten(wake_after=wake_after)


@transaction.atomic
def jobs_prune(*, days: int) -> int:
    """Delete jobs that ended more than `days` ago; returns how many.

    A job that a row of another app points at (a training run) stays as long as that row does.
    """
    old = Job.objects.filter(
        status__in=(JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELLED),
        finished_at__lt=Now() - timedelta(days=days),
    )
    for relation in Job._meta.get_fields(include_hidden=True):
        if isinstance(relation, ManyToOneRel):
            name, model = relation.field.attname, relation.field.model
            old = old.exclude(pk__in=model._base_manager.exclude(**{name: None}).values(name))
    return old.delete()[0]


def _forgotten(*, wake_after: timedelta) -> list[WakeUp]:
    wake_ups: list[WakeUp] = []
    waiting = Job.objects.filter(status=JobStatus.QUEUED, updated_at__lt=Now() - wake_after)
    for job in waiting.select_for_update(skip_locked=True, of=("self",)):
        kind = kind_get(job.kind)
        if kind is None:
            continue
        busy = Job.objects.filter(status=JobStatus.RUNNING, kind__in=kinds_of_queue(kind.queue)).exists()
        if not busy:  # else it simply waits its turn
            Job.objects.filter(pk=job.pk).update(
                updated_at=Now()
            )  # so that it is woken once per `wake_after`
            wake_ups.append(WakeUp(job_id=job.pk, kind=kind))
    return wake_ups
