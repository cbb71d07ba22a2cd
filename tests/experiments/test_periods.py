"""A bandit's readout: within periods of constant shares, and units where they first came in."""

import pytest

from apps.experiments.bandits import bandit_arms
from apps.experiments.layers import layer_main
from apps.experiments.models import Experiment, ExperimentEvent, Variant
from apps.experiments.periods import periods_of
from apps.experiments.readouts import moments_readout, readout_refresh
from apps.experiments.results import analysis_read
from tests.experiments.test_readouts import expose
from tests.metrics.conftest import Shop, moment, shop

__all__ = ["shop"]
pytestmark = pytest.mark.django_db
# By period: when it began, its shares, units by variant, of how many each one buys. b gets the good days.
DAYS = (
    ("10", {"control": 0.9, "b": 0.1}, {"control": 36, "b": 4}, 4),
    ("12", {"control": 0.1, "b": 0.9}, {"control": 4, "b": 36}, 2),
)


@pytest.fixture
def experiment(shop: Shop) -> Experiment:
    """A bandit whose shares moved once."""
    shop.product("a", price=10)
    made = Experiment.objects.create(
        code="x1", name="X one", kind="bandit", layer=layer_main(), salt="x1", status="running",
        started_at=moment("10 08:00"), primary="conversion",
        secondary=["revenue_median"],
    )  # fmt: skip
    for position, code in enumerate(("control", "b")):
        Variant.objects.create(
            experiment=made,
            code=code,
            name=code,
            share=DAYS[1][1][code],
            is_control=not position,
            position=position,
        )
    for kind, (day, shares, _units, _buys) in zip(("launched", "shares_moved"), DAYS, strict=True):
        ExperimentEvent.objects.create(
            experiment=made, at=moment(f"{day} 08:00"), kind=kind, details={"shares": shares}
        )
    for day, _shares, units, buys in DAYS:
        for variant, count in units.items():
            for number in range(count):
                who = f"{variant}-{day}-{number}"
                expose(shop, made, who, variant, f"{day} 10:00")
                if number % buys == 0:
                    shop.event("purchase", who, f"{day} 11:00", "a")
    return made


def test_pooled_days_fool_nobody(shop: Shop, experiment: Experiment) -> None:
    """Pooled, b converts 49 of 100 and control 28; on each of the days they convert alike."""
    readout = readout_refresh(experiment_id=experiment.pk, now=moment("14 12:00"))
    assert readout.error == ""
    for analysis in (analysis_read(readout.analysis), moments_readout(experiment)):
        assert analysis.primary is not None
        (found,) = analysis.primary.comparisons
        assert found.difference is not None
        assert (found.control, found.treatment) == (pytest.approx(0.375), pytest.approx(0.375))
        assert found.difference.p > 0.9
        assert analysis.units == {"control": 40, "b": 40}
        assert analysis.srm.expected == {"control": pytest.approx(0.5), "b": pytest.approx(0.5)}
        assert analysis.srm.alarm == "none"
        assert analysis.segments == {}
        median = analysis.metric("revenue_median")
        assert median is not None
        assert [one.state for one in median.comparisons] == ["no_data"]
    arms = bandit_arms(experiment)
    assert arms["control"].mean_y == pytest.approx(arms["b"].mean_y)


def test_who_comes_back_stays_where_they_came_in(shop: Shop, experiment: Experiment) -> None:
    """A move gives some units another variant; to drop them would drop those who come back."""
    for number in range(4):
        expose(shop, experiment, f"control-10-{number}", "b", "12 10:00")
    readout = readout_refresh(experiment_id=experiment.pk, now=moment("14 12:00"))
    analysis = analysis_read(readout.analysis)
    assert analysis.units == {"control": 40, "b": 40}
    assert analysis.excluded.get("multiple_exposure", 0) == 0


def test_other_kinds_have_no_periods(experiment: Experiment) -> None:
    assert [one.shares["b"] for one in periods_of(experiment)] == [0.1, 0.9]
    experiment.kind = "ab"
    assert periods_of(experiment) == ()
