"""Thin shells."""

from celery import shared_task
from django.conf import settings

from apps.jobs import queue, services


@shared_task
def jobs_sweep() -> None:
    """Wake up forgotten jobs and those of dead workers (beat, every 10 s)."""
    for wake_up in services.jobs_sweep():
        queue.wake_up(kind=wake_up.kind, job_id=wake_up.job_id)


@shared_task
def jobs_prune() -> None:
    """Delete what ended long ago (beat, once a day)."""
    services.jobs_prune(days=settings.JOB_DAYS)
