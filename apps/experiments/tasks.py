"""Thin shells: looking at experiments every few minutes, and sending what is due."""

from celery import Task, shared_task

from apps.core import clock
from apps.experiments import deliveries, launch, watching


@shared_task
def experiments_watch() -> None:
    """Look at every experiment that is open or has just ended (beat, every 10 min)."""
    launch.watched_now(clock.now())
    for experiment_id in watching.experiments_watched():
        experiment_watch.apply_async((experiment_id,))


@shared_task
def experiment_watch(experiment_id: int) -> None:
    """Count one experiment anew, then do what is due."""
    watching.experiment_watch(experiment_id=experiment_id)


@shared_task
def deliveries_watch() -> None:
    """Send the messages that are due (beat, every minute)."""
    for delivery_id in deliveries.deliveries_make():
        delivery_send.apply_async((delivery_id,))


@shared_task(bind=True, max_retries=deliveries.TRIES - 1)
def delivery_send(self: Task, delivery_id: int) -> None:
    """Send one message; what fails is tried again after 30 s, 2 min, 8 min…"""
    if deliveries.delivery_send(delivery_id=delivery_id) == "pending":
        raise self.retry(countdown=30 * 4**self.request.retries)
