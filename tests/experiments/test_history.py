"""The shop's past as a rehearsal of an experiment."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from django.core.cache import cache

from apps.core import clock
from apps.events.models import Interaction, Shopper
from apps.experiments.history import history_read, instant_aa, placement_history
from apps.experiments.models import Experiment
from apps.experiments.stats.moments import Moments
from apps.experiments.stats.power import Baseline, days_for
from apps.merchandising.models import PlacementKind
from apps.merchandising.services import placement_create
from tests.experiments.test_readouts import experiment
from tests.metrics.conftest import Shop, moment, shop

__all__ = ["experiment", "shop"]
pytestmark = pytest.mark.django_db

NOW = moment("20 15:00")


@pytest.fixture
def past(shop: Shop) -> Shop:
    """Ten shoppers and a session see home from the sixteenth on; two of three buy, some did before."""
    shop.product("a", price=10)
    for number in range(11):
        who, session = (f"s{number}", "") if number < 10 else ("", "anon")
        shop.slate(who, f"{16 + number % 4} 10:00", "a", session=session)
        shop.slate(who, f"{16 + number % 4} 12:00", "a", session=session)
        if number % 3:
            shop.event("purchase", who, "19 11:00", "a", session=session, quantity=number)
        if number % 2:
            shop.event("purchase", who, "08 11:00", "a", session=session, quantity=number)
    shop.slate("s1", "19 10:00", "a")
    shop.slate("other", "19 10:00", "a", placement="cart")
    shop.slate("late", "20 10:00", "a")  # today is not over yet
    shop.event("view", "bot", "19 09:00", "a", bot=True)
    shop.slate("bot", "19 10:00", "a")
    return shop


def test_units_by_day_and_metrics_of_a_placement(past: Shop) -> None:
    found = placement_history(placements=["home"], metrics=["conversion", "aov", "nothing"], days=4, now=NOW)
    assert found.daily == (3, 3, 3, 4)  # the bot's slate was served, too
    assert found.cumulative == (3, 6, 9, 11)
    assert (found.units, found.units_a_day) == (11, 3.25)
    arm = found.arms["conversion"]
    assert isinstance(arm, Moments)
    assert (arm.n, round(arm.mean_y * 11), round(arm.mean_x * 11)) == (11, 7, 5)
    assert set(found.arms) == {"conversion", "aov"}
    assert Baseline.of(arm, is_proportion=True) is not None
    assert days_for(22, found.cumulative) is not None
    y, x = np.array([n % 3 > 0 for n in range(11)]), np.array([n % 2 > 0 for n in range(11)])
    assert found.correlation("conversion") == pytest.approx(np.corrcoef(y, x)[0, 1])
    assert found.correlation("nothing") is None


def test_all_placements(past: Shop) -> None:
    assert placement_history(placements=[], metrics=[], days=4, now=NOW).units == 12


def test_audience_narrows_the_past(past: Shop) -> None:
    Shopper.objects.filter(external_id__in=["s1", "s2"]).update(region="North", language="de-AT")
    Shopper.objects.filter(external_id__in=["s2", "s3"]).update(first_seen_at=moment("01 00:00"))
    Shopper.objects.exclude(external_id__in=["s2", "s3"]).update(first_seen_at=moment("17 00:00"))

    def units(**audience: object) -> int:
        return placement_history(placements=["home"], metrics=[], days=4, audience=audience, now=NOW).units

    assert units(known=True) == 10
    assert units(known=False) == 1
    assert units(regions=["north"]) == 2
    assert units(languages=["de"]) == 2
    assert units(history="returning") == 2
    assert units(history="new") == 9  # the session is new, too
    assert units(history="returning", regions=["North"]) == 1


def test_asking_again_soon_reads_nothing(past: Shop) -> None:
    cache.clear()
    with clock.pinned(NOW):
        first = placement_history(placements=["home"], metrics=["conversion"], days=4)
        Interaction.objects.all().delete()
        assert placement_history(placements=["home"], metrics=["conversion"], days=4) == first
    assert history_read(first.as_json()) == first
    with clock.pinned(NOW + timedelta(days=1)):
        assert placement_history(placements=["home"], metrics=["conversion"], days=3) != first


def test_random_splits_of_the_past_find_what_chance_finds(
    shop: Shop, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    placement = placement_create(code="home2", name="Home", kind=PlacementKind.SHOPPER)
    experiment.placements.add(placement)
    experiment.layer.salt = "main"  # else a random one
    draw = np.random.default_rng(4)
    for number in range(240):
        shop.slate(f"h{number}", "15 10:00", "a", placement="home2")
        if draw.random() < 0.4:
            price = round(float(draw.exponential(30)), 2)
            shop.event("purchase", f"h{number}", "15 11:00", "a", price=price)
    for primary in ("conversion", "revenue_per_shopper", "ctr", "revenue_median"):
        experiment.primary = primary
        found = instant_aa(experiment=experiment, splits=60, now=NOW)
        if primary == "ctr":  # nobody clicked: no split says anything
            assert (found.splits, found.share) == (0, None)
            continue
        assert (found.splits, found.units, found.alpha) == (60, 240, 0.05)
        assert found.share is not None
        assert found.share <= 0.15, primary
        assert found.low <= 0.05 <= found.high
        assert found.srm_p is not None
        assert found.srm_p > 0.001
    experiment.primary = "conversion"
    first = instant_aa(experiment=experiment, splits=60, now=NOW)
    assert instant_aa(experiment=experiment, splits=60, now=NOW) == first
    assert first.passed
    monkeypatch.setattr("apps.experiments.history.difference", lambda *_: type("P", (), {"p": 0.01}))
    assert not instant_aa(experiment=experiment, splits=20, now=NOW).passed


def test_too_little_history_says_so(shop: Shop, experiment: Experiment) -> None:
    found = instant_aa(experiment=experiment, now=NOW)
    assert (found.share, found.units, found.srm_p) == (None, 0, None)
    assert placement_history(placements=["home"], metrics=["conversion"], now=NOW).units == 0
