"""Ratio metrics: the delta method at the unit, as gbstats and statsmodels' cluster-robust errors have it."""

import math
from typing import Literal

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from apps.experiments.stats.frequentist import difference, relative
from apps.experiments.stats.moments import Moments
from tests.experiments.stats.reference import gbstats_test, ratio_statistic, ratio_units


@pytest.mark.parametrize("n", [3, 40, 4000])
def test_error_is_the_cluster_robust_one_of_the_events(n: int) -> None:
    # a click rate over slates is the mean of the slates' clicks, clustered by shopper
    clicks, slates = ratio_units(np.random.default_rng(n), n, 0.2)
    slates, clicks = np.maximum(slates, 1.0), np.minimum(clicks, slates)
    shopper = np.repeat(np.arange(n), slates.astype(int))
    clicked = np.concatenate(
        [np.repeat([1.0, 0.0], [int(c), int(s - c)]) for c, s in zip(clicks, slates, strict=True)]
    )
    fit = sm.OLS(clicked, np.ones(clicked.size)).fit(
        cov_type="cluster", cov_kwds={"groups": shopper, "use_correction": False}
    )
    line = Moments.of(clicks, slates).linear()
    assert line.mean_y == pytest.approx(fit.params[0])
    assert line.var_y / n == pytest.approx(fit.bse[0] ** 2 * n / (n - 1))


@pytest.mark.parametrize(("n_control", "n_treatment"), [(5, 9), (700, 650)])
@pytest.mark.parametrize("kind", ["absolute", "relative"])
def test_as_in_gbstats(n_control: int, n_treatment: int, kind: Literal["absolute", "relative"]) -> None:
    rng = np.random.default_rng(8)
    control, treatment = ratio_units(rng, n_control, 0.3), ratio_units(rng, n_treatment, 0.33)
    theirs = gbstats_test(ratio_statistic(*control), ratio_statistic(*treatment), kind)
    arms = Moments.of(*control), Moments.of(*treatment)
    if kind == "absolute":
        effect = difference(*arms)
        value, low, high, p = effect.difference, effect.low, effect.high, effect.p
    else:
        change = relative(*arms)
        value, low, high, p = change.value, change.low, change.high, change.p
    assert (value, p) == pytest.approx((theirs.point_estimate, theirs.p_value), rel=1e-9)
    assert [low, high] == pytest.approx(theirs.confidence_interval, rel=1e-9)


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_scales_of_numerator_and_denominator(top: float, bottom: float) -> None:
    rng = np.random.default_rng(4)
    y, d = ratio_units(rng, 200, 0.3)
    plain, scaled = Moments.of(y, d).linear(), Moments.of(top * y, bottom * d).linear()
    assert scaled.mean_y == pytest.approx(plain.mean_y * top / bottom)
    assert scaled.var_y == pytest.approx(plain.var_y * (top / bottom) ** 2)


def test_a_denominator_of_ones_is_a_mean() -> None:
    y = np.array([1.0, 2.0, 5.0])
    assert Moments.of(y, np.ones(3)) == Moments.of(y)
    assert Moments.of(y, np.full(3, 2.0)).linear() == Moments.of(y / 2)


def test_a_constant_ratio_has_no_spread() -> None:
    d = np.array([1.0, 3.0, 7.0, 0.1])
    assert Moments.of(0.3 * d, d).linear().var_y == 0.0
    assert difference(Moments.of(0.3 * d, d), Moments.of(0.1 * d, d)).p is None


def test_correlation_of_the_linear_form_is_that_of_its_units() -> None:
    rng = np.random.default_rng(6)
    y, d = ratio_units(rng, 300, 0.3)
    x = rng.normal(size=300) + y
    line = Moments.of(y, d, x).linear()
    psi = (y - line.mean_y * d) / d.mean()
    assert line.cov_xy == pytest.approx(float(np.cov(psi, x)[0, 1]))
    assert line.var_y == pytest.approx(float(psi.var(ddof=1)))


def test_no_denominator_no_ratio() -> None:
    assert Moments.of([0.0, 0.0], [0.0, 0.0]).linear().n == 0
    huge = Moments(10**12, 0.05, 0.06, 1.7, 2.0, 0.1).linear()
    assert huge.mean_y == pytest.approx(0.05 / 1.7)
    assert math.isfinite(huge.var_y)
