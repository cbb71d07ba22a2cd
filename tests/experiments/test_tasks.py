"""The shells that beat calls, with a real worker: counting, steering and telling."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.conf import settings

from apps.core import clock
from apps.experiments.models import Delivery, Experiment, Readout
from apps.experiments.tasks import deliveries_watch, experiments_watch
from apps.experiments.watching import experiment_watch
from tests.experiments.test_digest import Receiver, receiver
from tests.factories.experiments import experiment_run, placement_make, purchases_make
from tests.processes import RealProcess

__all__ = ["receiver"]


@pytest.mark.django_db
def test_a_count_that_fails_holds_up_no_end() -> None:
    placement_make("home", als=1.0)
    purchases_make()
    made = experiment_run()
    Experiment.objects.filter(pk=made.pk).update(primary="gone", ends_at=clock.now() - timedelta(minutes=1))
    assert experiment_watch(experiment_id=made.pk) == "ended"
    assert experiment_watch(experiment_id=made.pk) == ""


def test_beat_calls_the_shells() -> None:
    tasks = {one["task"] for one in settings.CELERY_BEAT_SCHEDULE.values()}
    assert {experiments_watch.name, deliveries_watch.name} <= tasks


@pytest.fixture
def running(committed_db: None, receiver: Receiver) -> Experiment:
    """An experiment that should have ended by now, and tells the receiver."""
    placement_make("home", als=1.0)
    purchases_make()
    made = experiment_run(webhook=receiver.address)
    Experiment.objects.filter(pk=made.pk).update(ends_at=clock.now() - timedelta(minutes=1))
    return made


def test_a_worker_counts_ends_and_tells(
    running: Experiment, receiver: Receiver, celery_worker_process: Callable[..., RealProcess]
) -> None:
    worker = celery_worker_process("default")
    for _ in range(2):  # beat may come round before a look is through
        experiments_watch.delay()
    worker.wait_until("the end", lambda: Experiment.objects.get(pk=running.pk).status == "ended")
    worker.wait_until("the readout", lambda: Readout.objects.filter(experiment=running).exists())
    for _ in range(2):
        deliveries_watch.delay()
    worker.wait_until("both messages", lambda: Delivery.objects.filter(status="sent").count() == 2)
    assert running.log.filter(kind="ended").count() == 1
    assert len(receiver.got) == 2
