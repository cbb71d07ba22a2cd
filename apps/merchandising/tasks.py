"""Thin shells."""

from celery import shared_task

from apps.merchandising import campaigns


@shared_task
def campaigns_count() -> None:
    """Count what sponsored products got, so that budgets last their day (beat)."""
    campaigns.campaigns_count()
