"""Thin shells."""

from celery import shared_task

from apps.catalog import imports


@shared_task(name=imports.TASK, ignore_result=True)
def feed_import_run(job_id: int) -> None:
    """Run the feed import of a job (queue default)."""
    imports.feed_import_run(job_id=job_id)
