"""The demo shop's experiments: measured on simulated shoppers, made once."""

from datetime import timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from apps.core import clock
from apps.events.models import Exposure, Interaction
from apps.experiments.models import Experiment, ExperimentStatus
from apps.merchandising.services import placements_ensure
from apps.portal.demo.experiments import PLANS, experiments_seed
from apps.portal.demo.packs.pack import Size
from apps.portal.demo.seeding import demo_seed
from apps.training.recipes import recipes_ensure

pytestmark = pytest.mark.django_db


def seeded() -> int:
    return experiments_seed(say=lambda text: None, sessions_a_day=40)


def test_experiments_are_played_once_and_a_missing_one_is_made_again(
    settings: Settings, tmp_path: Path
) -> None:
    settings.MEDIA_ROOT = tmp_path
    demo_seed(size=Size(150, 80, 20, 9), end=clock.now())
    recipes_ensure()
    placements_ensure()
    assert seeded() == len(PLANS) == 3
    by_code = {one.code: one for one in Experiment.objects.all()}
    running = by_code["taste-first"]
    assert running.status == ExperimentStatus.RUNNING
    assert running.started_at is not None
    assert running.started_at < clock.now() - timedelta(days=5)
    assert by_code["twenty-places"].status == ExperimentStatus.DRAFT
    shown = Exposure.objects.filter(experiment_id=running.pk)
    assert set(shown.values_list("variant", flat=True)) == {"control", "b"}
    assert sum(running.readout.analysis["units"].values()) == len(set(shown.values_list("shopper_id")))
    # what was clicked had been shown, and every slate was seen
    told = Interaction.objects.filter(session__startswith="past-")
    slates = set(Exposure.objects.values_list("request_id", flat=True))
    assert set(told.values_list("request_id", flat=True)) == slates
    assert not told.filter(occurred_at__gt=clock.now() + timedelta(minutes=5)).exists()

    assert seeded() == 0
    before = Exposure.objects.count()
    by_code["twenty-places"].delete()
    assert seeded() == 1
    assert Exposure.objects.count() == before
