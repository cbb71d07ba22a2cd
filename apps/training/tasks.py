"""Thin shells, on the queue `train` but for the two that only look."""

from celery import shared_task
from django.db import transaction

from apps.jobs.queue import job_enqueue
from apps.training import choice_work, hybrid, report_work, runs, trials


@shared_task
def run_execute(job_id: int) -> None:
    """Do a training run."""
    runs.run_execute(job_id=job_id)


@shared_task
def hybrid_tune(job_id: int) -> None:
    """Tune the hybrid's weights."""
    hybrid.hybrid_tune(job_id=job_id)


@shared_task
def study_execute(job_id: int) -> None:
    """Work on a study."""
    trials.study_execute(job_id=job_id)


@shared_task
def choice_execute(job_id: int) -> None:
    """Choose families, settings and weights."""
    choice_work.choice_execute(job_id=job_id)


@shared_task
def report_execute(job_id: int) -> None:
    """Make a report on a model or on the data."""
    report_work.report_execute(job_id=job_id)


@shared_task
def schedules_run() -> None:
    """Queue what is due (beat): recipes by their schedule, the hybrid when the live versions have changed."""
    for run in runs.schedules_run():
        job_enqueue(run.job)
    with transaction.atomic():
        if hybrid.hybrid_due():
            job_enqueue(hybrid.hybrid_job_create())
