"""Fixed-horizon comparison of two arms: Welch's t, absolute and relative, for means, proportions and ratios.

One look at the end, at level alpha. Proportions are means of zeros and ones; ratios enter as the mean they
behave like (`Moments.linear`); quantiles come with the variance of their estimate. What needs two units in
each arm, a spread, or a control other than 0 is None without them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from scipy import special

from apps.experiments.stats.moments import Moments, QuantileMoments, finite, positive

# Above this, the denominator's own error makes the delta method's symmetric interval a poor one: Finney's g
# (Finney 1978, "Statistical Method in Biological Assay", 3rd ed., section 4.13).
NEAR_ZERO = 0.05

Arm = Moments | QuantileMoments


@dataclass(frozen=True, slots=True)
class Effect:
    """Treatment minus control, in the metric's unit: interval at 1 - alpha, two-sided p, its error and df."""

    difference: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    se: float | None = None
    df: float | None = None


@dataclass(frozen=True, slots=True)
class Relative:
    """(treatment - control) / |control|: .03 is 3 % up. Its interval, two-sided p and error.

    near_zero: the control's mean is so close to 0, for its error, that the delta method's interval should
    not be trusted (Finney's g above .05); `relative(..., method="fieller")` gives the better one, if there
    is one.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    se: float | None = None
    near_zero: bool = False


@dataclass(frozen=True, slots=True)
class _Estimate:
    """What an arm shows, and the variance of that; variance None where it can't be had."""

    n: int
    value: float | None
    variance: float | None
    shared: float = 0.0


def difference(control: Arm, treatment: Arm, alpha: float = 0.05) -> Effect:
    """Welch's t-test of treatment minus control (two-sided) and its interval.

    se^2 = vT/nT + vC/nC; df by Satterthwaite (1946): (vT/nT + vC/nC)^2 / ((vT/nT)^2/(nT - 1) + (vC/nC)^2/(nC
    - 1)). Welch (1947), "The generalization of Student's problem when several different population variances
    are involved". One arm without spread is allowed (0 conversions); with no spread in both there is no
    test.
    """
    c, t = _estimate(control), _estimate(treatment)
    if c.value is None or t.value is None:
        return Effect(None)
    gap = finite(t.value - c.value)
    error = _error(c, t)
    if gap is None or error is None:
        return Effect(gap)
    se, df = error
    half = float(special.stdtrit(df, 1.0 - alpha / 2.0)) * se
    return Effect(gap, finite(gap - half), finite(gap + half), _p(gap / se, df), se, df)


def relative(
    control: Arm, treatment: Arm, alpha: float = 0.05, method: Literal["delta", "fieller"] = "delta"
) -> Relative:
    """The change as a share of control, with the df of the absolute difference.

    delta: se^2 = vT / (nT mC^2) + vC mT^2 / (nC mC^4), and after an adjustment the two means' covariance;
    interval symmetric. Deng, Knoblich & Lu (2018), eq. 3; the default of GrowthBook (gbstats).

    fieller: all r with |mT - r mC| <= t se(mT - r mC). Not symmetric, right also for a control near 0, and
    without bounds (None) where the control could be 0. Its p is that of the absolute difference, with which
    it always agrees. Fieller (1954), "Some problems in interval estimation".

    A control of 0 has no relative change: all None. The sign is that of the absolute change, whatever the
    control's.
    """
    c, t = _estimate(control), _estimate(treatment)
    if not c.value or t.value is None:
        return Relative(None)
    value = finite((t.value - c.value) / abs(c.value))
    error = _error(c, t)
    if value is None or error is None or c.variance is None or t.variance is None:
        return Relative(value)
    se_absolute, df = error
    quantile = float(special.stdtrit(df, 1.0 - alpha / 2.0))
    # in units of the control's mean, so that nothing of the fourth power over- or underflows
    var_c, var_t = c.variance / c.value / c.value, t.variance / c.value / c.value
    shared_c, shared_t = c.shared / c.value / c.value, t.shared / c.value / c.value
    lift = t.value / c.value
    g = quantile * quantile * (var_c + 2.0 * shared_c)
    if method == "fieller":
        low, high = _fieller(lift, var_t + 2.0 * shared_t, shared_c + shared_t, quantile, g)
        sign = math.copysign(1.0, c.value)
        ends = [None if end is None else sign * (end - 1.0) for end in (low, high)]
        low, high = ends if sign > 0 else reversed(ends)
        p = _p((t.value - c.value) / se_absolute, df)
        return Relative(value, low, high, p, near_zero=g > NEAR_ZERO)
    pooled = 2.0 * (1.0 - lift) * (shared_t - lift * shared_c)
    apart = var_t + var_c * lift * lift
    se = finite(math.sqrt(max(positive(apart + pooled, apart), 0.0)))
    if not se:
        return Relative(value, near_zero=g > NEAR_ZERO)
    half = quantile * se
    return Relative(
        value, finite(value - half), finite(value + half), _p(value / se, df), se, near_zero=g > NEAR_ZERO
    )


def standard_error(arm: Arm) -> float | None:
    """Standard error of one arm's own value, with what pooled figures add; None with fewer than two units."""
    one = _estimate(arm)
    if one.value is None or one.variance is None or one.n < 2:
        return None
    squared = finite(one.variance + 2.0 * one.shared)
    return None if squared is None else math.sqrt(max(squared, 0.0))


def covariance(control: Arm, treatment: Arm) -> float:
    """Covariance of two arms' values: 0, unless both were adjusted together with pooled figures."""
    return _estimate(control).shared + _estimate(treatment).shared


def mean_interval(arm: Arm, alpha: float = 0.05) -> tuple[float, float] | None:
    """Student's interval of one arm's own value (its ratio, its quantile); None with fewer than two units."""
    one, se = _estimate(arm), standard_error(arm)
    if one.value is None or se is None:
        return None
    half = float(special.stdtrit(one.n - 1, 1.0 - alpha / 2.0)) * se
    low, high = finite(one.value - half), finite(one.value + half)
    return None if low is None or high is None else (low, high)


def _estimate(arm: Arm) -> _Estimate:
    if isinstance(arm, QuantileMoments):
        return _Estimate(arm.n, arm.value, arm.variance)
    line = arm.linear()
    if not line.n:
        return _Estimate(0, None, None)
    variance = finite(line.var_y / line.n) if line.n > 1 else None
    return _Estimate(line.n, finite(line.mean_y), variance, line.shared)


def _error(c: _Estimate, t: _Estimate) -> tuple[float, float] | None:
    """Standard error of the difference and its Satterthwaite df; None without a spread. `shared` cancels."""
    if c.variance is None or t.variance is None or c.n < 2 or t.n < 2:
        return None
    whole = c.variance + t.variance
    if not 0.0 < whole < math.inf:
        return None
    part = c.variance / whole
    return math.sqrt(whole), 1.0 / (part * part / (c.n - 1) + (1.0 - part) ** 2 / (t.n - 1))


def _p(statistic: float, df: float) -> float:
    return min(1.0, 2.0 * float(special.stdtr(df, -abs(statistic))))


def _fieller(
    lift: float, var_t: float, cov: float, quantile: float, g: float
) -> tuple[float | None, float | None]:
    """Bounds of mT / mC with everything in units of mC: roots of (1 - g) r^2 - 2 b r + c = 0."""
    if g >= 1.0:
        return None, None
    square = quantile * quantile
    b, c = lift - square * cov, lift * lift - square * var_t
    root = math.sqrt(max(b * b - (1.0 - g) * c, 0.0))
    return finite((b - root) / (1.0 - g)), finite((b + root) / (1.0 - g))
