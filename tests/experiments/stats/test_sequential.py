"""The sequence against gbstats, and its own promises: duality, orientation, edges, running intersection."""

from __future__ import annotations

import math

import numpy as np
import pytest
from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
from gbstats.models.statistics import ProportionStatistic, SampleMeanStatistic
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from apps.experiments.stats import sequential
from apps.experiments.stats.moments import Moments

GRID = [
    (0.10, 0.11, 1_000, 1_000, 5_000, 0.05),
    (0.10, 0.11, 40_000, 10_000, 5_000, 0.05),
    (0.02, 0.02, 2_000_000, 1_999_000, 5_000, 0.01),
    (0.5, 0.9, 60, 55, 500, 0.1),
    (0.3, 0.1, 3_000, 3_000, 20_000, 0.05),
]


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize(("p_c", "p_t", "n_c", "n_t", "tuning_n", "alpha"), GRID)
def test_interval_and_p_are_those_of_gbstats(
    p_c: float, p_t: float, n_c: int, n_t: int, tuning_n: int, alpha: float, relative: bool
) -> None:
    a, b = ProportionStatistic(n=n_c, sum=int(p_c * n_c)), ProportionStatistic(n=n_t, sum=int(p_t * n_t))
    config = SequentialConfig(
        alpha=alpha,
        sequential_tuning_parameter=tuning_n,
        difference_type="relative" if relative else "absolute",
    )
    test = SequentialTwoSidedTTest(a, b, config)
    theirs = test.compute_result()

    ours = sequential.interval(test.point_estimate, math.sqrt(test.variance), n_c + n_t, alpha, tuning_n)

    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.ci), rel=1e-10)
    assert ours.p == pytest.approx(theirs.p_value, rel=1e-9)


def test_interval_of_means_is_that_of_gbstats() -> None:
    draws = np.random.default_rng(1).lognormal(1, 1, (2, 800))
    a, b = (SampleMeanStatistic(n=800, sum=float(y.sum()), sum_squares=float((y * y).sum())) for y in draws)
    config = SequentialConfig(difference_type="absolute")
    theirs = SequentialTwoSidedTTest(a, b, config).compute_result()
    se = math.sqrt(sum(y.var(ddof=1) / 800 for y in draws))

    ours = sequential.interval(float(draws[1].mean() - draws[0].mean()), se, 1_600)

    assert ours is not None
    assert list(ours) == pytest.approx([*theirs.ci, theirs.p_value], rel=1e-9)


def test_the_width_is_least_near_the_tuning_n() -> None:
    n = np.arange(100, 200_000, 50)
    widths = sequential.critical(n, tuning_n=10_000) / np.sqrt(n)
    tunings = range(2_000, 40_000, 250)
    best = tunings[int(np.argmin([sequential.critical(10_000, tuning_n=tuning) for tuning in tunings]))]

    assert np.all(np.diff(widths) < 0)  # a fixed spread: ever narrower
    assert best == pytest.approx(10_000, rel=0.15)
    assert sequential.tuned(None) == 5_000
    assert sequential.tuned(80_000) == 80_000
    assert sequential.tuned(10) == 1_000


def test_always_valid_p_is_the_mixture_martingale_turned_round() -> None:
    """1/p is the likelihood ratio of a normal mixture N(0, rho^2) of drifts, by quadrature."""
    n, z, rho = 8_000.0, 3.1, sequential.rho(0.05)
    total = z * math.sqrt(n)
    drifts = np.linspace(-12 * rho, 12 * rho, 200_001)
    mixed = np.trapezoid(np.exp(drifts * total - n * drifts**2 / 2) * stats.norm.pdf(drifts, 0, rho), drifts)

    found = sequential.interval(z * 2.5, 2.5, n)

    assert found is not None
    assert found.p == pytest.approx(1 / mixed, rel=1e-6)


@given(
    difference=st.floats(-5, 5),
    se=st.floats(0.01, 3),
    n=st.integers(10, 10**7),
    alpha=st.sampled_from([0.01, 0.05, 0.1]),
    skew=st.sampled_from([0.0, 0.05, 0.5]),
    null=st.floats(-1, 1),
)
def test_the_interval_leaves_out_what_its_p_refutes(
    difference: float, se: float, n: int, alpha: float, skew: float, null: float
) -> None:
    found = sequential.interval(difference, se, n, alpha, null=null, skew=skew)
    lower = sequential.one_sided(difference, se, n, alpha, null=null, skew=skew)
    upper = sequential.one_sided(difference, se, n, alpha, null=null, skew=skew, side="upper")
    assert found is not None
    assert lower is not None
    assert upper is not None

    assert found.low < difference < found.high
    if abs(found.p / alpha - 1) > 1e-9:
        assert (found.low > null or found.high < null) == (found.p < alpha)
    if abs(lower.p / alpha - 1) > 1e-9:
        assert (lower.bound > null) == (lower.p < alpha)
    if abs(upper.p / alpha - 1) > 1e-9:
        assert (upper.bound < null) == (upper.p < alpha)
    assert max(lower.p, upper.p) == 1.0


def half_normal_boundary(y: float, x: float) -> float:
    """Zero where the mixture over positive drifts, 2 exp(y^2/2) Phi(y) / sqrt(x + 1), reaches 1/.05."""
    return math.log(2) + y * y / 2 + float(stats.norm.logcdf(y)) - 0.5 * math.log1p(x) - math.log(20)


def test_one_sided_is_tighter_on_its_side_and_never_beyond_the_closed_form() -> None:
    for n in (100, 5_000, 10**6):
        one = float(sequential.critical_one_sided(n))
        x = n * sequential.rho(0.1) ** 2
        exact = optimize.brentq(half_normal_boundary, 0, 30, args=(x,)) * math.sqrt((x + 1) / x)

        assert one < float(sequential.critical(n))
        assert exact <= one <= exact * 1.02


def test_skew_widens_and_vanishes() -> None:
    plain, mild, strong = (sequential.interval(1.0, 0.3, 4_000, skew=g) for g in (0.0, 0.1, 0.6))
    assert plain is not None
    assert mild is not None
    assert strong is not None

    assert plain.high < mild.high < strong.high
    assert plain.p < mild.p < strong.p
    c = float(sequential.critical(4_000))
    assert mild.high == pytest.approx(1 + 0.3 * (c + 0.1 * (2 * c * c + 1) / 6))
    assert sequential.interval(1.0, 0.3, 4_000, skew=-0.1) == mild


def test_effective_events_are_conversions_and_weigh_large_orders() -> None:
    conversions = Moments.of_count(37, 5_000)
    orders = np.zeros(5_000)
    orders[:40] = 10.0
    one_large = orders.copy()
    one_large[0] = 400.0
    equal, unequal = Moments.of(orders), Moments.of(one_large)

    def events(moments: Moments) -> float:
        return float(sequential.effective_events(moments.n, moments.mean_y, moments.var_y))

    assert events(conversions) == pytest.approx(37)
    assert events(equal) == pytest.approx(40)
    assert events(unequal) == pytest.approx(790**2 / (400**2 + 39 * 100), rel=1e-9)
    assert events(Moments.of_count(0, 100)) == 0
    assert events(Moments(0, 0, 0)) == 0


def test_a_small_sample_is_told_from_the_arms_moments() -> None:
    few = sequential.small_sample(Moments.of_count(500, 50_000), Moments.of_count(19, 1_900))
    some = sequential.small_sample(Moments.of_count(500, 50_000), Moments.of_count(21, 2_100))
    even = sequential.small_sample(Moments.of_count(500, 50_000), Moments.of_count(500, 50_000))
    none = sequential.small_sample(Moments(0, 0, 0), Moments.of_count(5, 10))
    constant = sequential.small_sample(Moments.of([2.0] * 50), Moments.of([2.0] * 50))

    assert (few.settled, some.settled, even.settled, none.settled) == (False, True, True, False)
    assert few.events == pytest.approx(19)
    assert some.skew == pytest.approx(1 / math.sqrt(21), rel=0.1)  # all of it from the small arm
    assert even.skew == pytest.approx(0, abs=1e-12)
    assert not constant.settled  # nothing varies, so nothing is known of its spread


def test_amounts_count_as_more_skewed_than_zeros_and_ones() -> None:
    control, treatment = Moments.of_count(900, 9_000), Moments.of_count(100, 1_000)
    ones = sequential.small_sample(control, treatment)
    amounts = sequential.small_sample(
        Moments(9_000, 0.1, control.var_y * 1.001), Moments(1_000, 0.1, treatment.var_y * 1.001)
    )

    assert amounts.skew == pytest.approx(3 * ones.skew, rel=0.01)
    assert amounts.events < ones.events


def test_a_ratio_has_the_events_of_its_rarer_side() -> None:
    rng = np.random.default_rng(2)
    slates = rng.poisson(6, 4_000).astype(float)
    clicks = rng.binomial(slates.astype(int), 0.02).astype(float)
    arm = Moments.of(clicks, slates)
    found = sequential.small_sample(arm, arm)

    assert found.events == pytest.approx(clicks.sum() ** 2 / (clicks**2).sum())
    assert sequential.small_sample(Moments(50, 1.0, 1.0, 0.0, 1.0, 0.1), arm).settled is False


def test_values_below_zero_are_taken_by_their_units() -> None:
    y = np.random.default_rng(3).normal(0, 1, 900)
    arm = Moments.of(y)

    assert not sequential.small_sample(arm, arm).settled
    assert sequential.small_sample(arm, arm, signed=True).settled
    assert sequential.small_sample(arm, arm, signed=True).events == pytest.approx(100)


def test_margins_near_zero_get_an_interval_but_no_sooner_than_rare_units_allow() -> None:
    rng = np.random.default_rng(3)
    paid = rng.random(6_000) < 0.04
    lossy = Moments.of(np.where(paid, rng.lognormal(3, 1, 6_000) * 0.3 - 10, 0))
    sound = Moments.of(np.where(paid, rng.lognormal(3, 1, 6_000) * 0.3, 0))

    assert not sequential.small_sample(lossy, lossy).settled
    found = sequential.small_sample(lossy, lossy, signed=True, sparse=True)
    assert found.settled
    assert found.events == pytest.approx(6_000 * (3 / 45) ** 2)
    signed = sequential.small_sample(sound, sound, signed=True, sparse=True)
    assert signed == sequential.small_sample(sound, sound)


@pytest.mark.parametrize(("control", "treatment"), [(0.1, 0.12), (0.1, 0.08), (-4.0, -3.5), (-4.0, -5.0)])
def test_relative_interval_solves_fiellers_equation(control: float, treatment: float) -> None:
    se_c, se_t, covariance, n = abs(control) / 40, abs(control) / 30, control**2 / 9_000, 6_000
    found = sequential.relative_interval(control, se_c, treatment, se_t, n, covariance=covariance)
    whole = sequential.interval(treatment - control, math.sqrt(se_c**2 + se_t**2 - 2 * covariance), n)
    assert found is not None
    assert whole is not None
    c = float(sequential.critical(n))

    for end in (found.low, found.high):
        factor = 1 + end * math.copysign(1, control)
        se = math.sqrt(se_t**2 + factor**2 * se_c**2 - 2 * factor * covariance)
        assert abs(treatment - factor * control) == pytest.approx(c * se, rel=1e-9)
    assert found.low < (treatment - control) / abs(control) < found.high
    assert found.p == whole.p
    assert (found.low > 0 or found.high < 0) == (whole.low > 0 or whole.high < 0)


def test_relative_interval_nears_the_delta_method_as_data_come_in() -> None:
    delta = sequential.interval(0.02, math.sqrt(0.001**2 + (1.02 * 0.001) ** 2), 2_000_000)
    fieller = sequential.relative_interval(1.0, 0.001, 1.02, 0.001, 2_000_000)
    assert delta is not None
    assert fieller is not None

    assert fieller[:2] == pytest.approx(delta[:2], rel=0.01)


def test_a_guardrail_fails_when_the_best_it_can_be_is_too_bad() -> None:
    bad = sequential.relative_bound(0.1, 0.0005, 0.09, 0.0005, 500_000, side="upper", null=-0.02)
    fine = sequential.relative_bound(0.1, 0.0005, 0.1, 0.0005, 5_000_000, side="lower", null=-0.04)
    unknown = sequential.relative_bound(0.1, 0.05, 0.1, 0.05, 500, side="lower", null=-0.02)
    assert bad is not None
    assert fine is not None

    assert bad.bound < -0.02
    assert bad.p < 0.05
    assert fine.bound > -0.04
    assert fine.p < 0.05
    assert unknown is None
    at_the_bound = sequential.relative_bound(0.1, 0.0005, 0.09, 0.0005, 500_000, side="upper", null=bad.bound)
    assert at_the_bound is not None
    assert at_the_bound.p == pytest.approx(0.05, rel=1e-6)


@pytest.mark.parametrize(
    ("difference", "se", "n"),
    [(0.1, 0.0, 100), (math.nan, 0.1, 100), (0.1, math.nan, 100), (0.1, 0.1, 0), (0.1, math.inf, 100)],
)
def test_what_is_undefined_is_none(difference: float, se: float, n: float) -> None:
    assert sequential.interval(difference, se, n) is None
    assert sequential.one_sided(difference, se, n) is None
    looks = sequential.sequence([difference], [se], [n])
    assert (looks.low[0], looks.high[0], looks.p[0]) == (-math.inf, math.inf, 1.0)


def test_one_unit_huge_counts_and_overwhelming_evidence_stay_finite() -> None:
    one = sequential.interval(0.5, 1.0, 1)
    huge = sequential.interval(0.001, 1e-6, 10**12)
    assert one is not None
    assert huge is not None
    assert one.p == 1.0
    assert one.high > 30
    assert huge.p == 0.0
    assert 0 < huge.low < 0.001 < huge.high


def test_looks_are_the_intervals_one_by_one_and_burn_in_hides_early_ones() -> None:
    d, se, n = np.array([0.5, 0.2, 0.1]), np.array([0.4, 0.1, 0.02]), np.array([100, 900, 9_000])
    looks = sequential.sequence(d, se, n, skew=[0.3, 0.1, 0.0], settled=[False, True, True])

    assert (looks.low[0], looks.high[0], looks.p[0]) == (-math.inf, math.inf, 1.0)
    for at, skew in ((1, 0.1), (2, 0.0)):
        assert sequential.interval(d[at], se[at], n[at], skew=skew) == pytest.approx(
            (looks.low[at], looks.high[at], looks.p[at])
        )
    assert sequential.sequence(np.ones((2, 3)), np.ones((2, 3)), np.array([10, 20, 30])).low.shape == (2, 3)


def test_running_narrows_keeps_the_least_p_and_lets_a_contradiction_stand() -> None:
    looks = sequential.sequence([0.3, 0.1, 0.2], [0.1, 0.05, 0.03], [1_000, 4_000, 10_000])
    running = sequential.running(looks)
    assert np.all(np.diff(running.low) >= 0)
    assert np.all(np.diff(running.high) <= 0)
    assert np.all(running.p == np.minimum.accumulate(looks.p))

    moved = sequential.sequence([1.0, -1.0], [0.01, 0.01], [5_000, 10_000])
    after = sequential.running(moved)
    assert (after.low[1], after.high[1]) == (moved.low[1], moved.high[1])


@pytest.mark.parametrize(("alpha", "tuning_n"), [(0.0, 5_000), (1.0, 5_000), (0.05, 0)])
def test_what_makes_no_sequence_is_refused(alpha: float, tuning_n: float) -> None:
    with pytest.raises(ValueError, match="want 0 < alpha < 1"):
        sequential.rho(alpha, tuning_n)
