"""Sending wake-ups. The job's row is the truth; a message only says "look at job n now"."""

from celery import current_app
from django.db import transaction

from apps.core.errors import InvalidInput
from apps.jobs.kinds import JobKind, kind_get
from apps.jobs.models import Job


def job_enqueue(job: Job) -> None:
    """Wake a worker for `job` once the present transaction commits. The one call views and commands need.

    A message that gets lost, or a broker that is away, delays the job until the next sweep; it is never lost.
    """
    kind = kind_get(job.kind)
    if kind is None:
        raise InvalidInput(
            field="kind",
            value=job.kind,
            remedy="Register it with apps.jobs.kinds.kind_register in AppConfig.ready.",
        )
    transaction.on_commit(lambda: wake_up(kind=kind, job_id=job.pk), robust=True)


def wake_up(*, kind: JobKind, job_id: int) -> None:
    """Send the message now."""
    current_app.send_task(kind.task, args=[job_id], queue=kind.queue, ignore_result=True)
