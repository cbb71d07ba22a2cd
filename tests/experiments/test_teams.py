"""Clicks on interleaved slates: credited to whose item it was, once a slate, by who saw it."""

import uuid
from datetime import timedelta
from typing import Any

import pytest

from apps.catalog.models import Product
from apps.core import clock
from apps.events.exposures import ExposureRow
from apps.events.models import Interaction, Shopper
from apps.events.services import exposure_record_many
from apps.experiments.models import Experiment
from apps.experiments.readouts import readout_refresh
from apps.experiments.teams import TeamClicks, preference_facts, team_clicks_read
from tests.factories.experiments import experiment_run, placement_make
from tests.factories.shop import event, events_record, products_make, shoppers_make

pytestmark = pytest.mark.django_db
SKUS = ["p1", "p2", "p3", "p4", "p5"]


@pytest.fixture(autouse=True)
def shop() -> None:
    products_make(*SKUS)
    shoppers_make("s1", "s2", "s3")
    placement_make("home", als=1.0)
    events_record(event("view", sku="p1"), event("purchase", sku="p1"))


def slate(shopper: str, teams: str, experiment: int = 7, **context: Any) -> str:
    """An interleaved slate of p1, p2, …; its request id."""
    ids = dict(Product.objects.values_list("sku", "pk"))
    known = Shopper.objects.filter(external_id=shopper).first()
    row = ExposureRow(
        request_id=uuid.uuid4(),
        served_at=clock.now() - timedelta(minutes=5),
        placement="home",
        product_ids=[ids[sku] for sku in SKUS],
        sources=["als"] * 5,
        propensities=[1.0] * 5,
        rung="shopper",
        shopper_id=known.pk if known else None,
        session="v1",
        experiment_id=experiment,
        variant="b",
        context={"share": 1.0, "teams": teams, **context},
    )
    exposure_record_many(exposures=[row])
    return str(row.request_id)


def click(shopper: str, request_id: str, *skus: str, kind: str = "click") -> None:
    events_record(*(event(kind, shopper=shopper, sku=sku, request_id=request_id) for sku in skus))


def read(experiment: int = 7) -> list[tuple[int, int]]:
    """Clicks of A and of B by slate, in the order of their shoppers."""
    found = clicks(experiment)
    return sorted(zip(found.a.tolist(), found.b.tolist(), strict=True))


def clicks(experiment: int = 7) -> TeamClicks:
    now = clock.now()
    return team_clicks_read(
        experiment_id=experiment, start=now - timedelta(hours=1), end=now + timedelta(hours=1)
    )


def test_a_click_counts_for_the_ranking_that_put_the_item_there() -> None:
    click("s1", slate("s1", "ABBA-"), "p2", "p3", "p4")
    assert read() == [(1, 2)]


def test_each_item_counts_once_and_what_both_pinned_for_neither() -> None:
    request_id = slate("s1", "-ABBA")
    click("s1", request_id, "p1", "p2")
    click("s1", request_id, "p2", "p2")
    click("s1", request_id, "p5", kind="view")
    assert read() == [(1, 0)]


def test_slates_without_a_click_count_as_seen_and_bots_clicks_do_not() -> None:
    slate("s1", "ABABA")
    click("s2", slate("s2", "ABABA"), "p1")
    Interaction.objects.update(bot=True)
    assert read() == [(0, 0), (0, 0)]
    assert preference_facts(clicks(), 0.05)["preference"]["units"] == 2


def test_only_the_experiments_own_slates() -> None:
    click("s1", slate("s1", "ABABA", experiment=8), "p1")
    assert read() == []
    assert preference_facts(clicks(), 0.05)["preference"]["share"] is None
    assert read(8) == [(1, 0)]


def test_who_was_a_stranger_then_is_one_unit_with_who_they_are_now() -> None:
    click("s1", slate("stranger", "ABABA", unit="s1"), "p1")
    click("s1", slate("s1", "BABAB"), "p1")
    assert len(set(clicks().unit.tolist())) == 1


def test_a_readout_keeps_the_preference() -> None:
    made = experiment_run(kind="interleaving")
    request_id = slate("s1", "ABABA", experiment=made.pk)
    click("s1", request_id, "p2")
    Experiment.objects.update(started_at=clock.now() - timedelta(hours=1))
    stored = readout_refresh(experiment_id=made.pk, now=clock.now() + timedelta(minutes=1)).analysis
    assert stored["interleaving"]["preference"]["wins_b"] == 1


def test_what_is_kept_of_a_clear_preference() -> None:
    for name in ("s1", "s2", "s3"):
        click(name, slate(name, "ABABA"), "p2")
    facts = preference_facts(clicks(), 0.05)
    assert facts["preference"]["share"] == 1.0
    assert facts["preference"]["wins_b"] == 3
    assert set(facts) == {"preference", "sensitivity"}
