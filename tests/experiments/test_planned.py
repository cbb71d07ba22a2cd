"""The number of units the always-valid interval is made for: from history, at the launch, for good."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.core import clock
from apps.experiments.models import Experiment
from apps.experiments.planned import units_planned, units_planned_at_launch
from apps.experiments.readouts import spec_of
from apps.experiments.services import experiment_launch
from tests.factories.experiments import experiment_make, experiment_run, placement_make, purchases_make
from tests.metrics.conftest import Shop, moment, shop

__all__ = ["shop"]
pytestmark = pytest.mark.django_db

NOW = moment("20 15:00")


@pytest.fixture
def draft(shop: Shop) -> Experiment:
    """On home, where one new shopper a day was served in the week before."""
    placement_make("home", als=1.0)
    purchases_make()
    shop.product("a", price=10)
    for day in range(13, 20):
        shop.slate(f"s{day}", f"{day} 10:00", "a", placement="home")
    with clock.pinned(NOW):
        return experiment_make(planned_days=28)


def test_units_are_those_of_the_planned_days_in_the_slice_at_full_traffic(draft: Experiment) -> None:
    with clock.pinned(NOW):
        assert units_planned(draft) == 7  # as many days of history as days planned: its seven shoppers
        draft.planned_days = 35
        assert units_planned(draft) == 14  # and then one a day, as in its last week
        draft.traffic, draft.ramp = 0.5, []
        assert units_planned(draft) == 7
        draft.ramp = [0.1, 0.5, 1.0]
        assert units_planned(draft) == 14
        draft.layer_to = draft.layer_from + 5_000
        assert units_planned(draft) == 7
        draft.kind = "switchback"
        assert units_planned(draft) is None


def test_the_launch_keeps_it_and_no_later_look_changes_it(draft: Experiment, shop: Shop) -> None:
    with clock.pinned(NOW):
        made = experiment_launch(actor=None, experiment_id=draft.pk)
    assert units_planned_at_launch(made) == 7
    for day in range(21, 27):
        shop.slate(f"t{day}", f"{day} 10:00", "a", placement="home")
    made.planned_days = 56
    made.save()
    with clock.pinned(NOW + timedelta(days=8)):
        assert spec_of(made).planned_units == 7


def test_a_shop_without_history_has_no_plan(shop: Shop) -> None:
    placement_make("home", als=1.0)
    purchases_make()
    made = experiment_run()

    assert units_planned_at_launch(made) is None
    assert spec_of(made).planned_units is None
    made.log.all().delete()
    assert units_planned_at_launch(made) is None


def test_what_can_fall_below_zero_is_judged_as_such(draft: Experiment) -> None:
    draft.primary, draft.secondary = "conversion", ["revenue_per_shopper", "margin_per_shopper", "aov", "ctr"]
    draft.save()
    signed = {metric.code: metric.signed for metric in spec_of(draft).metrics}
    assert signed == {
        "conversion": False,
        "revenue_per_shopper": True,
        "margin_per_shopper": True,
        "aov": True,
        "ctr": False,
    }
    assert all(metric.sparse == metric.signed for metric in spec_of(draft).metrics)
