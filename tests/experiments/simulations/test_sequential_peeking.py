"""A/A experiments looked at every day: the usual test gives false alarms, the sequence at most its alpha."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from apps.experiments.stats import sequential
from apps.experiments.stats.quantiles import quantile_of
from tests.experiments.simulations.streams import (
    ALPHA,
    Stream,
    click_rate,
    conversions,
    ever_away,
    late_buyers,
    normal,
    plain,
    revenue,
    watched,
    z_scores,
)

LOOKS = 35
RUNS = 2_000
Arm = Callable[[np.random.Generator, int], Stream]


def _normal(rng: np.random.Generator, daily: int) -> Stream:
    return normal(rng, RUNS, LOOKS, daily)


def _rare(rng: np.random.Generator, daily: int) -> Stream:
    return conversions(rng, RUNS, LOOKS, daily, rate=0.01)


def _usual(rng: np.random.Generator, daily: int) -> Stream:
    return conversions(rng, RUNS, LOOKS, daily, rate=0.03)


def _revenue(rng: np.random.Generator, daily: int) -> Stream:
    return revenue(rng, RUNS, LOOKS, daily, rate=0.03, spread=1.0)


def _heavy(rng: np.random.Generator, daily: int) -> Stream:
    return revenue(rng, RUNS, LOOKS, daily, rate=0.05, spread=1.3)


KINDS: list[tuple[Arm, float]] = [(_normal, 3), (_rare, 1), (_usual, 1), (_revenue, 3), (_heavy, 3)]


@pytest.mark.parametrize(("daily_control", "daily_treatment"), [(100, 100), (1_000, 1_000), (900, 100)])
@pytest.mark.parametrize(("arm", "of_an_event"), KINDS)
def test_looking_every_day_gives_at_most_alpha_of_false_alarms(
    arm: Arm, of_an_event: float, daily_control: int, daily_treatment: int
) -> None:
    rng = np.random.default_rng(daily_control)
    control, treatment = arm(rng, daily_control), arm(rng, daily_treatment)
    for tuning_n in (sequential.TUNING_N, LOOKS * (daily_control + daily_treatment)):
        looks = watched(control, treatment, of_an_event=of_an_event, tuning_n=tuning_n)

        assert ever_away(looks) <= ALPHA
        assert np.mean(looks.p.min(axis=1) < ALPHA) <= ALPHA


def test_ratio_metrics_hold_too() -> None:
    rng = np.random.default_rng(5)
    control, treatment = (click_rate(rng, 400, LOOKS, 60) for _ in range(2))
    tiny = click_rate(rng, 400, LOOKS, 15)

    assert ever_away(watched(control, treatment)) <= ALPHA
    assert ever_away(watched(control, tiny)) <= ALPHA


@pytest.mark.parametrize(("units", "rate"), [(2_500, 0.01), (50_000, 0.002)])
def test_values_that_grow_while_units_stand_still_hold_too(units: int, rate: float) -> None:
    """A cohort's conversions to date: the information grows with the values, not with n."""
    rng = np.random.default_rng(units)
    control, treatment = (late_buyers(rng, RUNS, LOOKS, units, rate=rate) for _ in range(2))

    for tuning_n in (sequential.TUNING_N, 2 * units):  # the latter: as narrow as it gets, at every look
        assert ever_away(watched(control, treatment, of_an_event=1, tuning_n=tuning_n)) <= ALPHA


@pytest.mark.parametrize(("q", "daily_control", "daily_treatment"), [(0.5, 15, 15), (0.9, 45, 5)])
def test_quantiles_hold_too_with_prices_that_tie(q: float, daily_control: int, daily_treatment: int) -> None:
    """Of what buyers paid, in price points, without a burn-in: large orders skew no order statistic."""
    rng = np.random.default_rng(19)
    runs, away = 250, 0
    for _ in range(runs):
        c, t = (
            np.round(rng.lognormal(3, 1.2, daily * LOOKS) / 5) * 5
            for daily in (daily_control, daily_treatment)
        )
        d, se, n = [], [], []
        for look in range(1, LOOKS + 1):
            one, other = (
                quantile_of(c[: look * daily_control], q),
                quantile_of(t[: look * daily_treatment], q),
            )
            if one.variance is None or other.variance is None:
                continue
            d.append((other.value or 0.0) - (one.value or 0.0))
            se.append(np.sqrt(one.variance + other.variance))
            n.append(one.n + other.n)
        looks = sequential.sequence(d, se, n)
        away += bool(((looks.low > 0) | (looks.high < 0)).any())

    assert away / runs <= ALPHA


@pytest.mark.parametrize(("arm", "of_an_event"), KINDS)
def test_the_usual_test_is_right_once_and_wrong_when_looked_at_daily(arm: Arm, of_an_event: float) -> None:
    rng = np.random.default_rng(7)
    away = np.abs(z_scores(arm(rng, 1_000), arm(rng, 1_000))) > stats.norm.ppf(1 - ALPHA / 2)
    error = np.sqrt(ALPHA * (1 - ALPHA) / RUNS)

    assert abs(away[:, -1].mean() - ALPHA) < 4 * error
    assert away.any(axis=1).mean() > 4 * ALPHA


@pytest.mark.parametrize("side", ["lower", "upper"])
def test_a_guardrail_alarms_without_cause_at_most_as_often_as_it_may(side: sequential.Side) -> None:
    rng = np.random.default_rng(11)
    for daily_control, daily_treatment in ((500, 500), (1_800, 200)):
        control, treatment = _revenue(rng, daily_control), _revenue(rng, daily_treatment)
        n = control.n + treatment.n
        events = np.minimum(control.events, treatment.events)
        skew = sequential.assumed_skewness(control.events, treatment.events, control.error, treatment.error)
        c = sequential.critical_one_sided(n)
        z = z_scores(control, treatment) * (1 if side == "lower" else -1)
        crossed = (z > c + skew * (2 * c * c + 1) / 6) & (events >= sequential.EVENTS_AT_LEAST)

        assert crossed.any(axis=1).mean() <= ALPHA


def test_the_truth_stays_inside_when_there_is_an_effect() -> None:
    rng = np.random.default_rng(13)
    control = conversions(rng, RUNS, LOOKS, 1_000, rate=0.03)
    treatment = conversions(rng, RUNS, LOOKS, 500, rate=0.036)
    looks = watched(control, treatment, of_an_event=1)

    assert ever_away(looks, 0.006) <= ALPHA
    running = sequential.running(looks)
    assert ever_away(running, 0.006) <= ALPHA
    assert np.all(running.low <= running.high)
    assert np.mean(running.high - running.low <= looks.high - looks.low) == 1.0


def test_a_true_effect_is_found_and_most_often_before_the_planned_end() -> None:
    """Tuned to the plan, the sequence gives up some power at the end and saves time on the way."""
    rng = np.random.default_rng(17)
    daily, looks = 1_000, 30
    effect = (1.96 + 1.2816) * 3 * np.sqrt(2 / (daily * looks))  # 90 % power for the one test at the end
    control = normal(rng, RUNS, looks, daily)
    treatment = normal(rng, RUNS, looks, daily, mean=10 + effect)
    seen = plain(control, treatment, tuning_n=sequential.tuned(2 * daily * looks)).low > 0
    default = plain(control, treatment).low > 0
    first = np.where(seen.any(axis=1), seen.argmax(axis=1) + 1, looks)

    assert 0.55 < seen.any(axis=1).mean() < 0.9
    assert default.any(axis=1).mean() < seen.any(axis=1).mean()
    assert np.median(first) < 0.9 * looks
