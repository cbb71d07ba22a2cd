"""Units, least change and days: as statsmodels has them, inverse to each other, None without an answer."""

import math
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import NormalIndPower, normal_power_het, normal_sample_size_one_tail

from apps.experiments.stats import sequential
from apps.experiments.stats.frequentist import relative
from apps.experiments.stats.moments import Moments, QuantileMoments
from apps.experiments.stats.power import (
    Baseline,
    Plan,
    SampleSize,
    days_for,
    inflation,
    least_change,
    power_of,
    sample_size,
    units_through,
    whole_weeks,
)
from apps.experiments.stats.quantiles import quantile_of

View = Literal["fixed", "sequential", "bayes"]
BASKET = Baseline(40.0, 900.0)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("share", [0.5, 0.2])
@pytest.mark.parametrize("change", [0.02, -0.05, 0.2])
def test_means_as_in_statsmodels(change: float, share: float, alpha: float) -> None:
    plan = Plan(shares=(1 - share, share), alpha=alpha)
    theirs, ratio = NormalIndPower(), share / (1 - share)
    effect = abs(change) * 40.0 / 30.0
    for units in (100, 5000):
        expected = theirs.power(effect, units * (1 - share), alpha, ratio=ratio)
        assert power_of(BASKET, change, units, plan) == pytest.approx(expected, rel=1e-9)
    control = theirs.solve_power(effect, alpha=alpha, power=0.8, ratio=ratio)
    found = sample_size(BASKET, change, plan)
    assert found is not None
    assert found.total == math.ceil(control / (1 - share) - 1e-6)


@pytest.mark.parametrize("rate", [0.004, 0.1, 0.7])
@pytest.mark.parametrize("change", [0.1, -0.1])
def test_proportions_as_in_statsmodels_with_two_variances(rate: float, change: float) -> None:
    other = rate * (1 + change)
    spread = math.sqrt(rate * (1 - rate) + other * (1 - other))
    gap = abs(change) * rate
    base = Baseline.proportion(rate)
    each = normal_sample_size_one_tail(gap, 0.8, 0.025, std_null=spread, std_alternative=spread)
    found = sample_size(base, change)
    assert found is not None
    assert found.arms[0] == pytest.approx(each, abs=2)
    expected = normal_power_het(gap, 20_000, 0.05, std_null=spread, std_alternative=spread)
    assert power_of(base, change, 40_000) == pytest.approx(float(np.squeeze(expected)), rel=1e-9)


def test_a_treatment_with_more_spread() -> None:
    wide = replace(BASKET, treatment_variance=2700.0)
    same = sample_size(BASKET, 0.03)
    more = sample_size(wide, 0.03)
    assert same is not None
    assert more is not None
    assert more.total == pytest.approx(2 * same.total, rel=1e-3)


@pytest.mark.parametrize("change", [0.5, -0.3])
def test_relative_power_uses_the_error_that_depends_on_the_change(change: float) -> None:
    # the error the readout will show at the planned change: relative() on the planned moments
    arms = Moments(300, 40.0, 900.0), Moments(300, 40.0 * (1 + change), 900.0)
    error = relative(*arms).se
    assert error is not None
    z = change / error
    expected = stats.norm.sf(stats.norm.ppf(0.975) - z) + stats.norm.cdf(-stats.norm.ppf(0.975) - z)
    assert power_of(BASKET, change, 600, Plan(relative=True)) == pytest.approx(expected, rel=1e-9)


def test_cuped_needs_one_minus_the_squared_correlation() -> None:
    plain = sample_size(BASKET, 0.01)
    cut = sample_size(replace(BASKET, correlation=0.6), 0.01)
    assert plain is not None
    assert cut is not None
    assert cut.total == pytest.approx(0.64 * plain.total, rel=1e-3)


def test_many_arms_divide_alpha() -> None:
    plan = Plan(shares=(0.4, 0.3, 0.3), correction="holm", goals=2)
    assert plan.alpha_each == pytest.approx(0.0125)
    assert Plan(shares=(0.4, 0.3, 0.3)).alpha_each == 0.05
    found = sample_size(BASKET, 0.05, plan)
    control = NormalIndPower().solve_power(0.05 * 40 / 30, alpha=0.0125, power=0.8, ratio=0.75)
    assert found is not None
    assert found.total == math.ceil(control / 0.4 - 1e-6)
    assert found.arms == tuple(math.ceil(share * found.total - 1e-6) for share in plan.shares)


def test_the_smallest_treatment_decides() -> None:
    uneven = Plan(shares=(0.5, 0.4, 0.1))
    assert power_of(BASKET, 0.05, 10_000, uneven) == power_of(BASKET, 0.05, 6000, Plan(shares=(5 / 6, 1 / 6)))


@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_sequential_power_is_the_chance_to_leave_its_interval(alpha: float) -> None:
    plan = Plan(view="sequential", alpha=alpha)
    units, change = 20_000, 0.03
    error = math.sqrt(900.0 * 4 / units)
    bounds = sequential.interval(0.0, error, units, alpha, 5000)
    assert bounds is not None
    chance = stats.norm.sf(bounds.high, 40 * change, error) + stats.norm.cdf(bounds.low, 40 * change, error)
    # steady: nothing is added for skewness, which BASKET has a little of as its treatment is larger
    assert power_of(replace(BASKET, steady=True), change, units, plan) == pytest.approx(chance, rel=1e-9)
    assert power_of(BASKET, change, units, plan) == pytest.approx(chance, rel=2e-3)


def test_sequential_size_is_where_the_power_is_reached() -> None:
    for plan in (
        Plan(view="sequential"),
        Plan(view="sequential", tuning_n=5000),
        Plan((0.9, 0.1), view="sequential"),
    ):
        found = sample_size(Baseline.proportion(0.05), 0.1, plan)
        assert found is not None
        assert power_of(Baseline.proportion(0.05), 0.1, found.total, plan) == pytest.approx(0.8, abs=1e-4)
        assert (power_of(Baseline.proportion(0.05), 0.1, found.total - 3, plan) or 0) < 0.8


def test_inflation_of_the_views() -> None:
    assert inflation(BASKET, 0.02, Plan()) == 1.0
    usual = inflation(BASKET, 0.02, Plan(view="sequential"))
    tuned = inflation(BASKET, 0.02, Plan(view="sequential", tuning_n=None))
    assert usual is not None
    assert tuned is not None
    assert 1.5 < tuned < usual < 2.5
    quick = inflation(BASKET, 0.02, Plan(view="bayes"))
    # a one-sided 95 % is a two-sided 90 %
    assert quick == pytest.approx(((1.645 + 0.8416) / (1.96 + 0.8416)) ** 2, rel=1e-3)


def test_skewed_arms_need_more_units_before_there_is_a_sequential_interval() -> None:
    rare = Baseline.proportion(0.0001)
    plan = Plan(view="sequential")
    assert power_of(rare, 200.0, 40_000, plan) == 0.0  # two conversions expected in control
    assert power_of(replace(rare, steady=True), 200.0, 40_000, plan) == pytest.approx(1.0)


@given(
    st.floats(0.001, 0.9),
    st.floats(0.01, 0.5),
    st.sampled_from(["fixed", "sequential", "bayes"]),
    st.sampled_from([(0.5, 0.5), (0.8, 0.1, 0.1)]),
    st.booleans(),
)
def test_least_change_and_sample_size_are_inverse(
    rate: float, change: float, view: View, shares: tuple[float, ...], is_relative: bool
) -> None:
    base = Baseline(rate, rate * (1 - rate))
    plan = Plan(shares, view=view, correction="holm", relative=is_relative)
    found = sample_size(base, change, plan)
    assert found is not None
    back = least_change(base, found.total, plan)
    assert back == pytest.approx(change, rel=2.0 / found.total + 1e-6)


def test_a_fall_and_a_rise_of_a_rate_differ() -> None:
    base = Baseline.proportion(0.04)
    rise, fall = least_change(base, 50_000), least_change(base, 50_000, direction=-1)
    assert rise is not None
    assert fall is not None
    assert -rise < fall < 0
    assert power_of(base, fall, 50_000) == pytest.approx(0.8, abs=1e-6)


def test_ratio_and_quantile_baselines() -> None:
    ratio = Moments(1000, 0.3, 0.5, 2.0, 1.5, 0.4, 1.0, 4.0, 0.6, 0.9)
    base, line = Baseline.of(ratio), ratio.linear()
    assert base is not None
    assert (base.mean, base.variance) == (0.15, line.var_y)
    assert base.correlation == pytest.approx(line.cov_xy / math.sqrt(4.0 * line.var_y))
    values = np.random.default_rng(1).lognormal(0, 1, 2000)
    median = quantile_of(values, 0.5)
    quantile = Baseline.of(median)
    assert quantile is not None
    assert quantile.variance / 2000 == pytest.approx(median.variance)
    zeros_and_ones = Baseline.of(Moments.of_count(30, 600), is_proportion=True)
    assert zeros_and_ones == Baseline.proportion(0.05)


@pytest.mark.parametrize(
    "arm",
    [
        Moments(0, 0.0, 0.0),
        Moments(1, 3.0, 0.0),
        Moments.of([1.0], [0.0]),
        QuantileMoments(3, 0.5, 2.0, None),
    ],
)
def test_a_past_that_says_nothing(arm: Moments | QuantileMoments) -> None:
    assert Baseline.of(arm) is None


@pytest.mark.parametrize(
    "base",
    [
        Baseline(0.0, 1.0),
        Baseline(3.0, 0.0),
        Baseline(3.0, 1.0, correlation=1.0),
        Baseline.proportion(0.0),
        Baseline.proportion(1.0),
        Baseline(math.inf, 1.0),
        Baseline(1.0, math.inf),
    ],
)
@pytest.mark.parametrize("view", ["fixed", "sequential", "bayes"])
def test_no_answer_is_none(base: Baseline, view: View) -> None:
    plan = Plan(view=view)
    assert power_of(base, 0.1, 1000, plan) is None
    assert sample_size(base, 0.1, plan) is None
    assert least_change(base, 1000, plan) is None


def test_no_change_and_no_units() -> None:
    assert sample_size(BASKET, 0.0) is None
    assert power_of(BASKET, 0.1, 0) is None
    assert least_change(BASKET, 0) is None
    assert power_of(Baseline.proportion(0.6), 0.9, 1000) is None  # a rate of 1.14
    assert sample_size(Baseline.proportion(0.6), 0.9) is None
    assert least_change(Baseline.proportion(0.9), 20) is None  # even 100 % would not show
    assert sample_size(Baseline(1e-9, 1.0), 1e-3) is None  # more than 1e15 units


def test_relative_to_a_noisy_control_a_rise_may_never_be_clear() -> None:
    noisy = Baseline(1.0, 400.0)
    assert least_change(noisy, 1000, Plan(relative=True)) is None
    assert least_change(noisy, 1000, Plan(relative=False)) is not None


def test_huge_numbers_of_units() -> None:
    found = least_change(Baseline.proportion(0.25), 2e12)
    assert found == pytest.approx((1.95996 + 0.84162) * math.sqrt(0.1875 * 2 / 1e12) / 0.25, rel=1e-4)
    assert sample_size(BASKET, 1e4) == SampleSize(4, (2, 2))


def test_days_from_history_and_beyond() -> None:
    cumulative = [100.0, 180.0, 250.0, 310.0, 370.0, 430.0, 490.0, 550.0, 610.0]
    assert days_for(100, cumulative) == 1
    assert days_for(251, cumulative) == 4
    assert days_for(610, cumulative) == 9
    # the last week brought (610 - 180) / 7 = 61.4 new units a day
    assert days_for(611, cumulative) == 10
    assert days_for(610 + 62, cumulative) == 11
    assert days_for(100, cumulative, traffic=0.5) == 3
    assert units_through(3, cumulative, traffic=0.5) == 125.0
    assert units_through(11, cumulative) == pytest.approx(610 + 2 * 430 / 7)


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=28), st.floats(0.01, 1), st.integers(1, 60))
def test_days_and_units_are_inverse(new: list[float], traffic: float, day: int) -> None:
    cumulative = list(np.cumsum(new))
    units = units_through(day, cumulative, traffic)
    found = days_for(units * (1 - 1e-9), cumulative, traffic)
    assert found == day


def test_history_without_units() -> None:
    assert days_for(10, []) is None
    assert days_for(10, [0.0, 0.0]) is None
    assert days_for(1e9, [5.0, 5.0, 5.0]) is None
    assert days_for(1e9, [5.0, 6.0]) is None  # three million years
    assert units_through(5, []) == 0.0
    assert units_through(0, [5.0]) == 0.0
    assert days_for(20, [5.0]) == 4


@pytest.mark.parametrize(("days", "weeks"), [(1, 7), (7, 7), (8, 14), (0, 0)])
def test_whole_weeks(days: int, weeks: int) -> None:
    assert whole_weeks(days) == weeks
