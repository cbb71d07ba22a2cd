"""Thin shells."""

from celery import shared_task

from apps.events import partitions, services


@shared_task(ignore_result=True)
def partitions_ensure() -> None:
    """Make the partitions of the coming months, and forget event ids past their horizon (beat, daily)."""
    partitions.partitions_ensure()
    services.event_keys_prune()
