"""Welch's t and relative changes: as SciPy, statsmodels and gbstats have them, and at the edges."""

import math
from dataclasses import replace

import numpy as np
import pytest
from gbstats.models.statistics import SampleMeanStatistic
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from apps.experiments.stats.frequentist import (
    Effect,
    Relative,
    covariance,
    difference,
    mean_interval,
    relative,
    standard_error,
)
from apps.experiments.stats.moments import Moments
from tests.experiments.stats.reference import (
    Floats,
    gbstats_test,
    mean_statistic,
    ones,
    pairs,
    proportion_statistic,
)

GRID = [pytest.param(control, treatment, id=name) for name, control, treatment in pairs()]
FINITE = st.floats(-1e9, 1e9, allow_nan=False)
ARMS = st.builds(Moments, st.integers(0, 10**12), FINITE, st.floats(0, 1e12))


def clear(arms: tuple[Moments, Moments]) -> bool:
    return all(arm.n > 1 and arm.var_y > 1e-9 for arm in arms)


@pytest.mark.parametrize("alpha", [0.05, 0.001, 0.2])
@pytest.mark.parametrize(("control", "treatment"), GRID)
def test_welch_as_in_scipy_and_statsmodels(control: Floats, treatment: Floats, alpha: float) -> None:
    effect = difference(Moments.of(control), Moments.of(treatment), alpha)
    scipys = stats.ttest_ind(treatment, control, equal_var=False)
    bounds = scipys.confidence_interval(1 - alpha)
    assert effect.difference == pytest.approx(treatment.mean() - control.mean(), rel=1e-9)
    assert (effect.p, effect.df) == pytest.approx((scipys.pvalue, scipys.df), rel=1e-6)
    assert (effect.low, effect.high) == pytest.approx((bounds.low, bounds.high), rel=1e-6)

    models = CompareMeans(DescrStatsW(treatment), DescrStatsW(control))
    _, p, df = models.ttest_ind(usevar="unequal")
    assert (effect.p, effect.df, effect.se) == pytest.approx(
        (p, df, models.std_meandiff_separatevar), rel=1e-6
    )
    assert (effect.low, effect.high) == pytest.approx(models.tconfint_diff(alpha, usevar="unequal"), rel=1e-6)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize(
    ("control", "treatment"), [one for one in GRID if one.id not in ("far from zero", "tiny")]
)
def test_both_kinds_of_change_as_in_gbstats(control: Floats, treatment: Floats, alpha: float) -> None:
    arms = Moments.of(control), Moments.of(treatment)
    statistics = mean_statistic(control), mean_statistic(treatment)
    effect, absolute = difference(*arms, alpha), gbstats_test(*statistics, "absolute", alpha)
    assert (effect.difference, effect.p) == pytest.approx(
        (absolute.point_estimate, absolute.p_value), rel=1e-7
    )
    assert [effect.low, effect.high] == pytest.approx(absolute.confidence_interval, rel=1e-7)
    if not control.mean():
        return
    change, lift = relative(*arms, alpha), gbstats_test(*statistics, "relative", alpha)
    # gbstats divides by a negative control as it is; its interval is then ours turned round
    sign = math.copysign(1.0, control.mean())
    bounds = sorted(sign * bound for bound in lift.confidence_interval)
    assert (change.value, change.p) == pytest.approx((sign * lift.point_estimate, lift.p_value), rel=1e-7)
    assert [change.low, change.high] == pytest.approx(bounds, rel=1e-7)
    assert change.se == pytest.approx(math.sqrt(lift.variance), rel=1e-7)


def test_proportions_as_in_gbstats_but_for_one_unit() -> None:
    # gbstats takes p (1 - p) for the variance; ours is the sample's, n/(n - 1) times that
    rng = np.random.default_rng(3)
    control, treatment = ones(rng, 900, 0.2), ones(rng, 1100, 0.23)
    theirs = gbstats_test(proportion_statistic(control), proportion_statistic(treatment), "absolute")
    arms = [Moments.of_count(int(units.sum()), units.size) for units in (control, treatment)]
    plain = [replace(arm, var_y=arm.var_y * (arm.n - 1) / arm.n) for arm in arms]
    effect = difference(plain[0], plain[1])
    assert [effect.low, effect.high, effect.p] == pytest.approx([*theirs.confidence_interval, theirs.p_value])
    assert difference(arms[0], arms[1]).p == pytest.approx(
        stats.ttest_ind(treatment, control, equal_var=False).pvalue
    )


def test_relative_error_is_the_gradients() -> None:
    # the delta method taken literally: a numerical gradient and the whole covariance matrix of the two means
    control, treatment = Moments(50, 2.0, 3.0, shared=0.01), Moments(80, 2.9, 4.0, shared=0.004)
    matrix = np.array([[3.0 / 50 + 0.02, 0.014], [0.014, 4.0 / 80 + 0.008]])
    step = 1e-6
    gradient = np.array(
        [
            (2.9 / (2.0 + step) - 2.9 / (2.0 - step)) / (2 * step),
            ((2.9 + step) / 2.0 - (2.9 - step) / 2.0) / (2 * step),
        ]
    )
    assert relative(control, treatment).se == pytest.approx(math.sqrt(gradient @ matrix @ gradient), rel=1e-8)
    assert difference(control, treatment).se == pytest.approx(math.sqrt(3.0 / 50 + 4.0 / 80))
    assert standard_error(control) == pytest.approx(math.sqrt(0.08))
    assert covariance(control, treatment) == pytest.approx(0.014)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("shared", [0.0, 0.02])
def test_fieller_bounds_are_where_the_test_just_rejects(sign: float, shared: float) -> None:
    control = Moments(50, sign * 2.0, 3.0, shared=shared)
    treatment = Moments(80, sign * 2.9, 4.0, shared=0.5 * shared)
    exact, effect = relative(control, treatment, 0.05, method="fieller"), difference(control, treatment, 0.05)
    assert exact.low is not None
    assert exact.high is not None
    assert effect.df is not None
    for bound in (exact.low, exact.high):
        rho = 1 + sign * bound
        variance = (4.0 / 80 + shared) + rho**2 * (3.0 / 50 + 2 * shared) - 2 * rho * 1.5 * shared
        statistic = (treatment.mean_y - rho * control.mean_y) / math.sqrt(variance)
        assert abs(statistic) == pytest.approx(stats.t.ppf(0.975, effect.df), rel=1e-9)
    assert exact.low < 0.45 * sign < exact.high
    assert exact.p == effect.p


def test_fieller_near_zero() -> None:
    noisy, treatment = Moments(30, 0.1, 4.0), Moments(30, 0.5, 4.0)
    open_ended = relative(noisy, treatment, method="fieller")
    assert open_ended.value == pytest.approx(4.0)
    assert replace(open_ended, value=None) == Relative(None, p=difference(noisy, treatment).p, near_zero=True)
    assert relative(noisy, treatment).near_zero
    firm = Moments(10**9, 2.0, 4.0), Moments(10**9, 2.1, 4.0)
    exact, delta = relative(*firm, method="fieller"), relative(*firm)
    assert (exact.low, exact.high) == pytest.approx((delta.low, delta.high), rel=1e-5)
    assert not delta.near_zero


@given(ARMS, ARMS)
def test_swapping_the_arms_turns_the_sign(control: Moments, treatment: Moments) -> None:
    there, back = difference(control, treatment), difference(treatment, control)
    assert (there.p, there.se) == pytest.approx((back.p, back.se))
    if there.difference is not None and back.difference is not None:
        assert there.difference == -back.difference
    if there.low is not None and there.high is not None and there.se:
        tolerance = 1e-9 * (abs(there.low) + abs(there.high))
        assert (-there.high, -there.low) == pytest.approx((back.low, back.high), abs=tolerance)


@given(st.tuples(ARMS, ARMS).filter(clear), st.floats(1e-3, 1e3))
def test_another_currency_changes_no_p_and_no_relative_change(
    arms: tuple[Moments, Moments], rate: float
) -> None:
    assume(abs(arms[0].mean_y) > 1e-3)
    other = [Moments(arm.n, arm.mean_y * rate, arm.var_y * rate * rate) for arm in arms]
    mine, theirs = difference(*arms), difference(other[0], other[1])
    assert mine.se is not None
    assert theirs.se == pytest.approx(mine.se * rate)
    assert theirs.p == pytest.approx(mine.p, rel=1e-6, abs=1e-12)
    mine_lift, their_lift = relative(*arms), relative(other[0], other[1])
    assert their_lift.value == pytest.approx(mine_lift.value, rel=1e-6, abs=1e-9)
    assert their_lift.se == pytest.approx(mine_lift.se, rel=1e-6)


@given(ARMS, ARMS, st.sampled_from([0.05, 1e-6]))
def test_all_is_finite_or_none(control: Moments, treatment: Moments, alpha: float) -> None:
    for found in (
        difference(control, treatment, alpha),
        relative(control, treatment, alpha),
        relative(control, treatment, alpha, method="fieller"),
    ):
        numbers = [getattr(found, name) for name in type(found).__slots__]
        assert all(number is None or math.isfinite(number) for number in numbers)
        if found.low is not None and found.high is not None:
            assert found.low <= found.high
        if found.p is not None:
            assert 0.0 <= found.p <= 1.0


NONE = Moments(0, 0.0, 0.0)
ONE = Moments(1, 3.0, 0.0)
FLAT = Moments(50, 2.0, 0.0)
SOME = Moments(50, 2.5, 1.0)


@pytest.mark.parametrize(
    ("control", "treatment", "effect"),
    [
        pytest.param(NONE, SOME, Effect(None), id="no unit"),
        pytest.param(ONE, SOME, Effect(-0.5), id="one unit"),
        pytest.param(FLAT, FLAT, Effect(0.0), id="no spread, no difference"),
        pytest.param(FLAT, Moments(9, 3.0, 0.0), Effect(1.0), id="no spread, a difference"),
        pytest.param(Moments.of_count(0, 90), Moments.of_count(0, 80), Effect(0.0), id="no conversions"),
        pytest.param(Moments(9, -1e308, 1.0), Moments(9, 1e308, 1.0), Effect(None), id="overflow"),
        pytest.param(Moments.of([1.0, 2.0], [0.0, 0.0]), SOME, Effect(None), id="ratio without denominator"),
    ],
)
def test_what_is_undefined_is_none(control: Moments, treatment: Moments, effect: Effect) -> None:
    assert difference(control, treatment) == effect


def test_relative_to_nothing_is_none() -> None:
    assert relative(Moments.of_count(0, 90), Moments.of_count(9, 80)) == Relative(None)
    assert relative(NONE, SOME) == Relative(None)
    assert relative(FLAT, Moments(9, 3.0, 0.0)) == Relative(0.5)
    assert relative(ONE, SOME) == Relative((2.5 - 3.0) / 3.0)


def test_one_arm_without_spread_is_still_tested() -> None:
    effect = difference(FLAT, SOME)
    assert (effect.df, effect.se) == pytest.approx((49.0, math.sqrt(1 / 50)))


def test_huge_counts() -> None:
    rate = Moments.of_count(25 * 10**10, 10**12), Moments.of_count(25 * 10**10 + 10**6, 10**12)
    effect = difference(*rate)
    assert effect.p == pytest.approx(2 * stats.norm.sf(1e-6 / math.sqrt(2 * 0.1875e-12)), rel=1e-3)
    assert effect.df == pytest.approx(2e12)
    assert difference(Moments(10**12, 0.0, 1.0), Moments(10**12, 1.0, 1.0)).p == 0.0


def test_an_arms_own_interval_is_students() -> None:
    values = np.array([1.0, 2.0, 4.0, 9.0])
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert mean_interval(Moments.of(values), 0.1) == pytest.approx((expected.low, expected.high))
    assert mean_interval(ONE) is None
    assert mean_interval(NONE) is None


def test_gbstats_has_no_answer_where_an_arm_has_no_spread() -> None:
    # why such pairs stand in no grid above: gbstats says p = 1 and an interval of 0 to 0 there
    flat = SampleMeanStatistic(n=50, sum=100.0, sum_squares=200.0)
    found = gbstats_test(flat, mean_statistic(np.array([1.0, 2.0, 5.0])), "absolute").compute_result()
    assert (found.p_value, found.ci) == (1.0, [0.0, 0.0])
