"""Whose exposures count for which experiment: strangers known since, holdouts beside experiments."""

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from django.db import connection

from apps.core import clock
from apps.events.exposures import ExposureRow
from apps.events.models import Shopper
from apps.events.services import exposure_record_many
from apps.metrics.models import DailyMetric
from apps.metrics.rollups import days_build
from apps.metrics.unit_rows import Stretch, exposures_read, readers

pytestmark = pytest.mark.django_db


def expose(**fields: Any) -> None:
    plain = {"placement": "home", "product_ids": [1], "sources": ["als"], "propensities": [1.0]}
    row = ExposureRow(
        **{**plain, "request_id": uuid.uuid4(), "served_at": clock.now(), "rung": "shopper", **fields}
    )
    exposure_record_many(exposures=[row])


def variant_hash(variant: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT hashtext(%s)", [variant])
        found: int = cursor.fetchone()[0]
    return found


def read(experiment: int, *, holdout: bool = False) -> Mapping[int, list[int]]:
    """Who to the hashes of the variants they were shown."""
    now = clock.now()
    stretch = Stretch(now - timedelta(days=1), now + timedelta(days=1))
    with readers() as connections:
        rows = exposures_read(
            connections, stretch, experiment=experiment, placements=None, slates=False, holdout=holdout
        )
    return {int(who): sorted(rows.variant[rows.who == who].tolist()) for who in np.unique(rows.who).tolist()}


def test_what_a_stranger_saw_is_the_shoppers_once_they_are_known() -> None:
    expose(experiment_id=7, variant="b", session="v1", context={"unit": "anon"})
    expose(experiment_id=7, variant="b", session="v2", context={"unit": "gone"})
    assert len(read(7)) == 2
    assert max(read(7)) < 0, "nobody yet: two sessions"
    account = Shopper.objects.create(external_id="account", first_known_as="anon")
    Shopper.objects.create(external_id="anon", merged_into=account)
    expose(experiment_id=7, variant="b", shopper_id=account.pk)
    found = read(7)
    assert found[account.pk] == [variant_hash("b")] * 2
    assert len(found) == 2


def test_a_holdout_counts_the_slates_that_others_decided() -> None:
    expose(experiment_id=9, variant="holdout", shopper_id=1)
    expose(experiment_id=9, variant="everyone", shopper_id=2)
    held = {"share": 0.5, "holdout": {"experiment": 9, "variant": "everyone"}}
    expose(experiment_id=7, variant="b", shopper_id=3, context=held)
    expose(experiment_id=7, variant="control", shopper_id=4, context={"share": 0.5})
    everyone = variant_hash("everyone")
    assert read(9, holdout=True) == {1: [variant_hash("holdout")], 2: [everyone], 3: [everyone]}
    assert read(7) == {3: [variant_hash("b")], 4: [variant_hash("control")]}


def test_a_feature_that_was_shown_is_no_slate() -> None:
    expose(
        experiment_id=7, variant="b", shopper_id=1, placement="", product_ids=[], sources=[], propensities=[]
    )
    expose(shopper_id=1)
    today = clock.now().date()
    days_build(first=today - timedelta(days=1), last=today + timedelta(days=1))
    served = [row.counts.get("slates_served", 0) for row in DailyMetric.objects.filter(placement="")]
    assert sum(served) == 1
