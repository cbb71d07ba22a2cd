"""Thin shells."""

from celery import shared_task

from apps.metrics import rollups


@shared_task
def rollups_build() -> None:
    """Bring the daily rollups up to date (beat)."""
    rollups.rollups_build()
