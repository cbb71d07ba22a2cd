"""Switchbacks: slots from raw events, as anybody can add them up by hand."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.core import clock
from apps.events.exposures import ExposureRow
from apps.events.models import Shopper
from apps.events.services import exposure_record_many
from apps.experiments.assignment import slot_at
from apps.experiments.models import Experiment, Layer, Variant
from apps.experiments.readouts import moments_readout, readout_refresh
from apps.experiments.results import analysis_read
from apps.experiments.slots import drawn, slot_facts
from apps.metrics.units import unit_metrics
from apps.serving.memory import memory_current
from tests.factories.shop import event, events_record, products_make, shoppers_make

pytestmark = pytest.mark.django_db
MINUTES, SLOTS = 60, 40
SHARES = {"control": 0.5, "b": 0.5}


@pytest.fixture
def experiment() -> Experiment:
    """One that began 40 whole slots before the one that runs now."""
    products_make("p1")
    shoppers_make("s1", "s2", "s3")
    now = clock.now()
    start = datetime.fromtimestamp((slot_at(now.timestamp(), MINUTES) - SLOTS) * MINUTES * 60 - 1, UTC)
    layer = Layer.objects.create(code="main", name="Main", salt="layer")
    made = Experiment.objects.create(
        code="x",
        name="X",
        kind="switchback",
        layer=layer,
        salt="clock",
        status="running",
        started_at=start,
        slot_minutes=MINUTES,
    )
    for place, (code, share) in enumerate(SHARES.items()):
        Variant.objects.create(
            experiment=made, code=code, name=code, share=share, position=place, is_control=not place
        )
    return made


def visits(experiment: Experiment, spent: dict[str, float]) -> list[str]:
    """In each slot three shoppers are served twice, and s1 spends what the slot's variant makes of it; the
    slots' variants.
    """
    assert experiment.started_at is not None
    first = slot_at(experiment.started_at.timestamp(), MINUTES) + 1
    variants = drawn(experiment, SHARES, first, first + SLOTS)
    known = dict(Shopper.objects.values_list("external_id", "pk"))
    exposures: list[ExposureRow] = []
    events: list[dict[str, Any]] = []
    for number, variant in enumerate(variants):
        begins = datetime.fromtimestamp((first + number) * MINUTES * 60, UTC)
        exposures += [
            ExposureRow(
                request_id=uuid.uuid4(),
                served_at=begins + timedelta(minutes=minute),
                placement="home",
                product_ids=[1],
                sources=["als"],
                propensities=[1.0],
                rung="shopper",
                shopper_id=known[name],
                experiment_id=experiment.pk,
                variant=variant,
            )
            for name in ("s1", "s2", "s3")
            for minute in (2, 20, 30)  # the first one in the burn-in
        ]
        at = (begins + timedelta(minutes=40)).isoformat()
        price = spent[variant] + number % 3
        events.append(event("purchase", shopper="s1", sku="p1", price=price, quantity=1, occurred_at=at))
        at = (begins + timedelta(minutes=4)).isoformat()
        events.append(event("purchase", shopper="s2", sku="p1", price=500.0, quantity=1, occurred_at=at))
    exposure_record_many(exposures=exposures)
    events_record(*events)
    return variants


def facts(experiment: Experiment, metric: str) -> dict[str, Any]:
    return slot_facts(experiment=experiment, metric=unit_metrics()[metric], end=clock.now())


def test_slots_are_compared_after_their_burn_in(experiment: Experiment) -> None:
    variants = visits(experiment, {"control": 9.0, "b": 15.0})
    found = facts(experiment, "revenue_per_shopper")
    effect = found["effect"]
    assert (found["metric"], found["slot_minutes"]) == ("revenue_per_shopper", 60)
    assert (effect["slots"], effect["treated_slots"]) == (SLOTS, variants.count("b"))
    by_hand = {
        code: sum(spent + number % 3 for number, one in enumerate(variants) if one == code)
        / (3 * variants.count(code))
        for code, spent in (("control", 9.0), ("b", 15.0))
    }
    assert effect["control"] == pytest.approx(by_hand["control"])
    assert effect["treatment"] == pytest.approx(by_hand["b"])
    assert effect["low"] < effect["effect"] < effect["high"]
    assert effect["p"] < 1e-6
    assert effect["p_randomised"] < 0.01


def test_a_proportion_counts_each_shopper_once_a_slot(experiment: Experiment) -> None:
    visits(experiment, {"control": 9.0, "b": 9.0})
    effect = facts(experiment, "conversion")["effect"]
    assert effect["control"] == effect["treatment"] == pytest.approx(1 / 3)


def test_a_readout_keeps_what_slots_say(experiment: Experiment) -> None:
    visits(experiment, {"control": 9.0, "b": 15.0})
    experiment.primary = "revenue_per_shopper"
    experiment.save()
    stored = readout_refresh(experiment_id=experiment.pk).analysis
    assert stored["switchback"]["effect"]["effect"] > 0
    assert analysis_read(stored) == moments_readout(experiment)


def test_there_is_nothing_to_say_before_a_slot_is_over_or_of_a_quantile(experiment: Experiment) -> None:
    assert facts(experiment, "revenue_median") == {}
    experiment.started_at = clock.now()
    assert facts(experiment, "conversion") == {}


def test_the_slots_variants_are_those_of_slates(experiment: Experiment) -> None:
    running = memory_current().live.experiments[0]
    now = clock.now().timestamp()
    slot = slot_at(now, MINUTES)
    moments = [(slot + number) * MINUTES * 60.0 for number in range(20)]
    assert [running.variant_of("", at) for at in moments] == drawn(experiment, SHARES, slot, slot + 20)
