"""Quantiles of units and winsorising: as gbstats and large-sample theory have them, and at the edges."""

import math
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from apps.experiments.stats.frequentist import difference, mean_interval, relative
from apps.experiments.stats.moments import QuantileMoments
from apps.experiments.stats.quantiles import quantile_of, winsorise_cap, winsorised
from tests.experiments.stats.reference import gbstats_test, quantile_statistic, spend

VALUES = st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=60)


@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("kind", ["absolute", "relative"])
def test_as_in_gbstats(q: float, kind: Literal["absolute", "relative"]) -> None:
    rng = np.random.default_rng(12)
    control, treatment = rng.lognormal(3, 1, 1500), rng.lognormal(3.1, 1, 1400)
    theirs = gbstats_test(quantile_statistic(control, q), quantile_statistic(treatment, q), kind)
    arms = quantile_of(control, q), quantile_of(treatment, q)
    if kind == "absolute":
        effect = difference(*arms)
        value, low, high, p = effect.difference, effect.low, effect.high, effect.p
    else:
        change = relative(*arms)
        value, low, high, p = change.value, change.low, change.high, change.p
    assert (value, p) == pytest.approx((theirs.point_estimate, theirs.p_value), rel=1e-9)
    assert [low, high] == pytest.approx(theirs.confidence_interval, rel=1e-9)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.75])
def test_variance_is_that_of_large_samples(q: float) -> None:
    # q (1 - q) / (n f(x_q)^2), Cramer 1946; one sample's estimate of it is itself noisy, so the mean of many
    n = 4000
    samples = np.random.default_rng(1).normal(size=(60, n))
    estimates = [quantile_of(sample, q).variance or math.nan for sample in samples]
    truth = q * (1 - q) / n / stats.norm.pdf(stats.norm.ppf(q)) ** 2
    assert np.mean(estimates) == pytest.approx(truth, rel=0.1)


@given(VALUES, st.floats(0.02, 0.98))
def test_value_is_numpys_and_the_variance_never_negative(values: list[float], q: float) -> None:
    found = quantile_of(values, q)
    assert found.value == pytest.approx(float(np.quantile(values, q)))
    assert found.variance is None or 0 <= found.variance < math.inf


@given(VALUES, st.floats(0.1, 10), st.floats(-100, 100))
def test_shift_and_scale(values: list[float], scale: float, shift: float) -> None:
    plain, moved = quantile_of(values, 0.5), quantile_of(np.array(values) * scale + shift, 0.5)
    assert plain.value is not None
    assert moved.value == pytest.approx(plain.value * scale + shift, rel=1e-9, abs=1e-6)
    if plain.variance is not None:
        assert moved.variance == pytest.approx(plain.variance * scale**2, rel=1e-6, abs=1e-6)


def test_too_few_units_for_the_quantile() -> None:
    assert quantile_of([], 0.5) == QuantileMoments(0, 0.5, None, None)
    assert quantile_of([3.0], 0.5) == QuantileMoments(1, 0.5, 3.0, None)
    # gbstats' rule: n above z^2 q / (1 - q), 380.3 for the 99th percentile
    assert quantile_of(np.arange(380.0), 0.99).variance is None
    assert quantile_of(np.arange(381.0), 0.99).variance is not None
    effect = difference(quantile_of([3.0], 0.5), quantile_of(np.arange(50.0), 0.5))
    assert (effect.difference, effect.p) == (21.5, None)
    assert difference(quantile_of([], 0.5), quantile_of(np.arange(50.0), 0.5)).difference is None
    assert mean_interval(quantile_of([3.0], 0.5)) is None


def test_ties_leave_nothing_to_test() -> None:
    tied = quantile_of(np.repeat([0.0, 1.0], [900, 100]), 0.5)
    assert (tied.value, tied.variance) == (0.0, 0.0)
    assert difference(tied, tied).p is None
    assert relative(tied, tied).value is None


@pytest.mark.parametrize("q", [0.0, 1.0, -0.5])
def test_no_quantile(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile_of([1.0, 2.0], q)


def test_values_must_be_finite() -> None:
    with pytest.raises(ValueError, match="finite"):
        quantile_of([1.0, math.nan], 0.5)


def test_cap_is_the_percentile_of_the_positive_values() -> None:
    values = np.concatenate([np.zeros(900), np.arange(1.0, 101.0), [-50.0]])
    assert winsorise_cap(values, 0.99) == 99.0
    assert winsorise_cap(np.zeros(10)) is None
    assert winsorise_cap([]) is None
    assert winsorise_cap([-1.0, 0.0]) is None


def test_winsorising_touches_only_what_is_above() -> None:
    values = np.array([-5.0, 0.0, 3.0, 900.0])
    assert winsorised(values, 3.0).tolist() == [-5.0, 0.0, 3.0, 3.0]
    assert winsorised(values, None).tolist() == values.tolist()
    assert values[3] == 900.0


def test_winsorising_is_scipys_on_positive_values() -> None:
    spent = spend(np.random.default_rng(9), 4000)
    positive = spent[spent > 0]
    ours = winsorised(positive, winsorise_cap(spent, 0.95))
    theirs = stats.mstats.winsorize(positive, limits=(0, 0.05))
    assert np.sort(ours) == pytest.approx(np.sort(np.asarray(theirs)))
