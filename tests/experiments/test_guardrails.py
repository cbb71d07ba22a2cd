"""What an experiment does by itself: rolling back, ramping, ending, shipping, moving a bandit's shares."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

import pytest

from apps.core import clock
from apps.experiments.models import DayMoments, Experiment, Readout
from apps.experiments.results import (
    Analysis,
    Bayes,
    Comparison,
    Effect,
    Guardrail,
    MetricResult,
    Relative,
    Srm,
    Verdict,
)
from apps.experiments.selectors import shares_by_time
from apps.experiments.services import experiment_pause
from apps.experiments.stats.moments import Moments
from apps.experiments.watching import experiment_steer, experiments_watched
from apps.merchandising.models import Placement
from tests.factories.experiments import experiment_run, placement_make, purchases_make

pytestmark = pytest.mark.django_db
RAMP = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0]
AOV = [{"metric": "aov", "margin": 0.02}]


@pytest.fixture(autouse=True)
def shop(db: None) -> None:
    """A placement, and a purchase."""
    placement_make("home", als=1.0)
    purchases_make()


def comparison(
    state: Literal["passed", "failed", "open"] = "open", *, units: int = 1_000, guarded: bool = True
) -> Comparison:
    """Variant b against control, with a guardrail in this state."""
    guard = Guardrail(margin=0.02, low=-0.2, high=-0.1, state=state)
    return Comparison(
        variant="b", n_control=units, n_treatment=units, control=1.0, treatment=0.9,
        difference=Effect(-0.1, -0.2, -0.05, 0.001), relative=Relative(-0.1, -0.2, -0.05), sequential=None,
        bayes=Bayes(0.01, 0.1, -0.2, -0.05), guardrail=guard if guarded else None,
    )  # fmt: skip


def analysis(**changes: Any) -> Analysis:
    """An analysis in which nothing is wrong; `changes` to it."""
    guard = MetricResult("aov", "ratio", "guardrail", True, 0.02, (comparison(),))
    base = Analysis(
        control="control", alpha=0.05, view="sequential", correction="holm", started=clock.now(),
        through=clock.now(), elapsed_days=10.0, units={"control": 1_000, "b": 1_000}, metrics=(guard,),
        srm=Srm(0.5, "none", 0.5, {"control": 1_000, "b": 1_000}, {"control": 0.5, "b": 0.5}),
        verdict=Verdict("keep_running", "", (), ()),
    )  # fmt: skip
    return replace(base, **changes)


def stored(made: Experiment, found: Analysis, *, minutes: int = 0) -> None:
    """Keep it as the readout of some minutes ago."""
    Readout.objects.update_or_create(
        experiment=made,
        defaults={"computed_at": clock.now() - timedelta(minutes=minutes), "analysis": found.as_json()},
    )


def failing(units: int = 1_000) -> Analysis:
    """A guardrail that failed."""
    guard = MetricResult("aov", "ratio", "guardrail", True, 0.02, (comparison("failed", units=units),))
    return analysis(metrics=(guard,))


def hours_ago(made: Experiment, hours: float) -> None:
    """Let it have begun, and taken its last step, that long ago."""
    then = clock.now() - timedelta(hours=hours)
    Experiment.objects.filter(pk=made.pk).update(started_at=then, ramped_at=then)
    made.log.filter(kind__in=("launched", "shares_moved")).update(at=then)


def steer(made: Experiment) -> str:
    """One look."""
    done = experiment_steer(experiment_id=made.pk)
    made.refresh_from_db()
    return done


# --- guardrails ---


def test_a_failed_guardrail_rolls_back_once() -> None:
    made = experiment_run(guardrails=AOV, ramp=RAMP)
    stored(made, failing())
    assert steer(made) == "rolled_back"
    assert (made.status, made.decision, made.decided_by) == ("ended", "roll_back", None)
    assert made.decision_reason["guardrails"][0]["metric"] == "aov"
    assert steer(made) == ""
    kinds = [one.kind for one in made.log.order_by("id")]
    assert kinds[-2:] == ["guardrail_failed", "rolled_back"]
    home = Placement.objects.select_related("live_publication").get(code="home")
    assert home.live_publication is not None
    assert home.live_publication.number == 1


def test_without_automatic_rollback_it_only_says_so_once_and_ramps_no_further() -> None:
    made = experiment_run(guardrails=AOV, ramp=RAMP, auto_rollback=False, ramp_hours=1)
    hours_ago(made, 5)
    for _ in range(2):
        stored(made, failing())
        assert steer(made) == ""
    assert (made.status, made.traffic) == ("running", 0.01)
    assert made.log.filter(kind="guardrail_failed").count() == 1


def test_a_guardrail_is_not_judged_by_a_handful_of_units_nor_by_old_or_broken_readouts() -> None:
    made = experiment_run(guardrails=AOV, min_units=150)
    stored(made, failing(units=149))
    assert steer(made) == ""
    hours_ago(made, 48)
    stored(made, failing(), minutes=60 * 24)
    assert steer(made) == ""
    stored(made, failing())
    Readout.objects.update(error="No exposures.")
    assert steer(made) == ""
    Readout.objects.update(error="")
    assert steer(made) == "rolled_back"


def test_a_readout_from_before_the_launch_says_nothing() -> None:
    made = experiment_run(guardrails=AOV)
    stored(made, failing(), minutes=5)
    assert steer(made) == ""


# --- the ramp ---


def test_the_ramp_takes_a_step_when_its_time_has_come_and_all_is_well() -> None:
    made = experiment_run(ramp=RAMP, ramp_hours=24)
    hours_ago(made, 23)
    stored(made, analysis())
    assert steer(made) == ""
    hours_ago(made, 25)
    assert steer(made) == "ramped"
    assert (made.traffic, made.ramp_step) == (0.05, 1)
    assert steer(made) == "", "the next step waits as long"
    for share in RAMP[2:]:
        hours_ago(made, 25)
        stored(made, analysis())
        assert (steer(made), made.traffic) == ("ramped", share)
    hours_ago(made, 25)
    assert steer(made) == ""


@pytest.mark.parametrize("alarm", ["warning", "blocked"])
def test_the_ramp_waits_while_the_split_looks_wrong(alarm: Literal["warning", "blocked"]) -> None:
    made = experiment_run(ramp=RAMP, ramp_hours=1)
    hours_ago(made, 5)
    found = analysis()
    stored(made, replace(found, srm=replace(found.srm, alarm=alarm)))
    assert (steer(made), made.traffic) == ("", 0.01)


def test_the_ramp_waits_for_units_and_for_a_readout_since_the_last_step() -> None:
    made = experiment_run(ramp=RAMP, ramp_hours=1)
    hours_ago(made, 1.5)
    stored(made, analysis(units={"control": 0, "b": 0}))
    assert steer(made) == ""
    stored(made, analysis(), minutes=100)
    assert steer(made) == ""


# --- ends ---


def test_the_planned_end_comes_also_while_paused_and_without_a_readout() -> None:
    made = experiment_run(ends_at=clock.now() + timedelta(hours=1))
    assert steer(made) == ""
    experiment_pause(actor=None, experiment_id=made.pk)
    Experiment.objects.filter(pk=made.pk).update(ends_at=clock.now() - timedelta(seconds=1))
    assert steer(made) == "ended"
    assert (made.status, made.decision) == ("ended", "")
    assert made.log.get(kind="ended").details["planned"] is True


def test_an_ended_one_is_watched_until_its_last_purchases_are_in() -> None:
    made = experiment_run()
    assert experiments_watched() == [made.pk]
    hours_ago(made, 100)
    ended = clock.now() - timedelta(hours=25)
    Experiment.objects.filter(pk=made.pk).update(status="ended", ended_at=ended)
    assert experiments_watched() == [made.pk]
    stored(made, analysis(), minutes=90)
    assert experiments_watched() == [made.pk]
    stored(made, analysis())
    assert experiments_watched() == []


# --- shipping by itself ---


def test_it_ships_by_itself_only_where_that_was_asked_for() -> None:
    won = analysis(verdict=Verdict("ship", "b", (), ()))
    made = experiment_run(layer_to=5_000)
    stored(made, won)
    assert steer(made) == ""
    other = experiment_run(auto_ship=True)
    stored(other, won)
    assert steer(other) == "shipped"
    assert (other.winner, other.decision_reason["automatic"]) == ("b", True)
    home = Placement.objects.select_related("live_publication").get(code="home")
    assert home.live_publication is not None
    assert home.live_publication.weights == {"ease": 1.0}


@pytest.mark.parametrize("view", ["fixed", "bayes"])
def test_it_does_not_ship_by_itself_too_early_or_on_a_doubtful_split(view: str) -> None:
    """A chance to win of 95 % is reached far too often by somebody who looks every ten minutes."""
    made = experiment_run(auto_ship=True, view=view, planned_days=14)
    won = analysis(verdict=Verdict("ship", "b", (), ()))
    stored(made, won)
    assert steer(made) == "", "judged at the end that was planned"
    doubtful = replace(won, elapsed_days=14.0, srm=replace(won.srm, alarm="warning"))
    stored(made, doubtful)
    assert steer(made) == ""
    stored(made, replace(won, elapsed_days=14.0))
    assert steer(made) == "shipped"


# --- bandits ---


def moments_store(made: Experiment, rates: dict[str, float], *, day: int = 1, segment: str = "") -> None:
    """What each variant converted so far, of 1,000 units."""
    for variant, rate in rates.items():
        arm = Moments(n=1_000, mean_y=rate, var_y=rate * (1 - rate) * 1_000 / 999)
        DayMoments.objects.create(
            experiment=made,
            day=day,
            metric="conversion",
            variant=variant,
            segment=segment,
            moments=arm.as_json(),
        )


def test_a_bandit_moves_traffic_at_most_every_quarter_of_an_hour_and_logs_it() -> None:
    made = experiment_run(kind="bandit", bandit_floor=0.05)
    stored(made, analysis())
    moments_store(made, {"control": 0.05, "b": 0.06})
    assert steer(made) == "", "it has just begun"
    hours_ago(made, 0.3)
    stored(made, analysis())
    assert steer(made) == "shares_moved"
    shares = {one.code: one.share for one in made.variants.all()}
    assert 0.75 < shares["b"] < 0.95
    assert sum(shares.values()) == pytest.approx(1)
    assert steer(made) == ""
    times = [found for _event, found in shares_by_time(experiment=made)]
    assert times == [{"control": 0.5, "b": 0.5}, pytest.approx(shares)]


def test_a_bandit_with_few_units_keeps_its_shares() -> None:
    made = experiment_run(kind="bandit")
    hours_ago(made, 1)
    stored(made, analysis())
    assert steer(made) == ""
    moments_store(made, {"control": 0.05})
    assert steer(made) == ""


def test_a_bandit_compares_within_periods_of_constant_shares() -> None:
    """Pooled, b looks better only because it had more traffic on the good day."""
    made = experiment_run(kind="bandit")
    hours_ago(made, 1)
    stored(made, analysis())
    moments_store(made, {"control": 0.10, "b": 0.19})
    for segment, units in (
        ("period:1", {"control": 900, "b": 100}),
        ("period:2", {"control": 100, "b": 900}),
    ):
        rate = 0.05 if segment == "period:1" else 0.2
        for variant, n in units.items():
            arm = Moments(n=n, mean_y=rate, var_y=rate * (1 - rate))
            DayMoments.objects.create(
                experiment=made,
                day=1,
                metric="conversion",
                variant=variant,
                segment=segment,
                moments=arm.as_json(),
            )
    assert steer(made) == ""
    assert {one.share for one in made.variants.all()} == {0.5}
