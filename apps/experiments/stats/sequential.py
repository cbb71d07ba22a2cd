"""Always-valid inference: intervals and p-values that hold however often anybody looks.

The asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas ("Time-uniform central
limit theory and asymptotic confidence sequences", arXiv:2103.06476; Annals of Statistics 2024), a normal
mixture martingale (Robbins 1970) under a strong approximation. With n units in both arms together and se
the standard error of the difference, x = n rho^2:

    two-sided  half-width = se sqrt(2 (x + 1)/x ln(sqrt(x + 1)/alpha))                         (their eq. 9)
    one-sided  half-width = se sqrt(2 (x + 1)/x ln(1 + sqrt(x + 1)/(2 alpha)))                 (their eq. 134)
    rho        = sqrt((-2 ln a + ln(-2 ln a + 1)) / tuning_n); a = alpha, or 2 alpha one-sided (their eq. 161)

The width is least near n = tuning_n, which has to be chosen before the data are seen (`tuned`).

**Small samples.** The theory is asymptotic. With few conversions, or with revenue of a few large orders, in
arms of unequal size, the studentised difference is skewed and the plain sequence gives several times alpha
of false alarms (tests/experiments/simulations/test_sequential_burn_in.py). `small_sample` says how far the
arms are from that, from their moments alone; two things follow from it.

- *Burn-in*: there is no interval before each arm has EVENTS_AT_LEAST effective events. Effective events are
  Kish's (sum y)^2 / sum y^2: the conversions of a proportion; for revenue as many equal orders as would be as
  unsteady.
- *Widening*: the critical value c grows by g (2 c^2 + 1)/6, the first term of the Edgeworth expansion of a
  studentised mean (Hall 1992, "The Bootstrap and Edgeworth Expansion", section 2.6), g a bound on the
  skewness of the difference. It vanishes where the arms are equally large, and as events come in. With g =
  0 the numbers are the published ones.

**Relative change.** The delta method is poor just where an early look happens: the interval here is
Fieller's (1954), the changes r for which treatment - (1 + r) control is not refuted. So it leaves out 0
exactly when the interval of the difference does.

What is undefined is None. NumPy only.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apps.experiments.stats.moments import Moments

Floats = NDArray[np.float64]
Side = Literal["lower", "upper"]

TUNING_N = 5_000
"""Units at which the sequence is tightest, unless a plan says otherwise (GrowthBook's default)."""
EVENTS_AT_LEAST = 20.0
"""Effective events in each arm before there is an interval. Found by simulation."""
SKEWNESS_OF_AN_EVENT = 3.0
"""Skewness of a mean, times the root of its effective events: 1 for rare conversions, exp(s^2) for amounts
that are lognormal with spread s (3: s = 1.05). Sample skewness is no use here: it is too small just when it
matters.
"""
SKEWNESS_OF_A_RARE_UNIT = 45.0
"""Skewness assumed of a unit's value where most have none and some may be below 0: about that of lognormal
amounts that one unit in a hundred has. For means near 0 only, of which Kish's events say nothing.
"""


class Interval(NamedTuple):
    """A two-sided always-valid interval, and the always-valid p-value of the null value."""

    low: float
    high: float
    p: float


class Bound(NamedTuple):
    """A one-sided always-valid bound, and the always-valid p-value against the null value on its outer
    side."""

    bound: float
    p: float


class Looks(NamedTuple):
    """Two-sided intervals and p-values at each look, float64 [looks]; -inf, inf and 1 before there are
    any."""

    low: Floats
    high: Floats
    p: Floats


class SmallSample(NamedTuple):
    """How far two arms are from the normal approximation.

    events: effective events of the arm that has fewer. skew: what to give `interval` as skew. settled:
    whether there are events enough for an interval at all.
    """

    events: float
    skew: float
    settled: bool


def rho(alpha: float, tuning_n: float = TUNING_N) -> float:
    """The mixture's parameter, for which the two-sided width is (nearly) least at tuning_n units."""
    if not 0 < alpha < 1 or not tuning_n > 0:
        raise ValueError(f"alpha = {alpha}, tuning_n = {tuning_n}: want 0 < alpha < 1 and tuning_n > 0.")
    a = -2 * math.log(alpha)
    return math.sqrt((a + math.log(a + 1)) / tuning_n)


def tuned(planned_n: float | None, *, least: float = 1_000) -> float:
    """The tuning_n for an experiment planned for that many units in all arms compared, TUNING_N without a
    plan.

    Only a plan made before the first look keeps the guarantee: never pass the units seen so far.
    """
    return TUNING_N if planned_n is None or not planned_n > 0 else max(float(planned_n), least)


def critical(n: ArrayLike, alpha: float = 0.05, tuning_n: float = TUNING_N) -> Floats:
    """Half-width of the two-sided sequence in standard errors, for n units: float64 like n, inf at 0."""
    x = np.asarray(n, dtype=np.float64) * rho(alpha, tuning_n) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(x > 0, np.sqrt(2 * (x + 1) / x * (0.5 * np.log1p(x) - math.log(alpha))), np.inf)


def critical_one_sided(n: ArrayLike, alpha: float = 0.05, tuning_n: float = TUNING_N) -> Floats:
    """The same for the one-sided sequence; alpha below one half."""
    x = np.asarray(n, dtype=np.float64) * rho(2 * alpha, tuning_n) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(x > 0, np.sqrt(2 * (x + 1) / x * np.log1p(np.sqrt(x + 1) / (2 * alpha))), np.inf)


def interval(
    difference: float,
    se: float,
    n: float,
    alpha: float = 0.05,
    tuning_n: float = TUNING_N,
    *,
    null: float = 0.0,
    skew: float = 0.0,
) -> Interval | None:
    """Interval of a difference of any kind (absolute; or relative by the delta method, for comparison).

    n: units in both arms (of interleaving or switchback: units or slots behind the estimate). skew: from
    `small_sample`. p: 1 / e-value of the mixture, at most 1; alpha enters it through rho only. None without
    units, spread or finite numbers.
    """
    if not _usable(difference, se, n):
        return None
    looks = sequence([difference], [se], [n], alpha, tuning_n, null=null, skew=[skew])
    low, high = float(looks.low[0]), float(looks.high[0])
    return Interval(low, high, float(looks.p[0])) if math.isfinite(low) and math.isfinite(high) else None


def one_sided(
    difference: float,
    se: float,
    n: float,
    alpha: float = 0.05,
    tuning_n: float = TUNING_N,
    *,
    side: Side = "lower",
    null: float = 0.0,
    skew: float = 0.0,
) -> Bound | None:
    """A bound below (`lower`: the truth is at least that) or above the difference, for guardrails.

    p is against "the truth is at most null" for `lower`, "at least null" for `upper`: the bound reaches null
    exactly at p = alpha. None as for `interval`.
    """
    if not _usable(difference, se, n):
        return None
    sign = 1.0 if side == "lower" else -1.0
    c = float(_widened(critical_one_sided(n, alpha, tuning_n), skew))
    statistic, bound = sign * (difference - null) / se, difference - sign * c * se
    if not math.isfinite(statistic) or not math.isfinite(bound):
        return None
    z = float(_narrowed(statistic, skew))
    x = n * rho(2 * alpha, tuning_n) ** 2
    exponent = z * z * x / (2 * (x + 1))
    # the closed form turned round: sqrt(x + 1) / (2 (exp(exponent) - 1))
    log_p = 0.0
    if exponent > 0:
        log_p = 0.5 * math.log1p(x) - math.log(2) - exponent - math.log(-math.expm1(-exponent))
    return Bound(bound, math.exp(min(0.0, log_p)))


def relative_interval(
    control: float,
    control_se: float,
    treatment: float,
    treatment_se: float,
    n: float,
    alpha: float = 0.05,
    tuning_n: float = TUNING_N,
    *,
    covariance: float = 0.0,
    skew: float = 0.0,
) -> Interval | None:
    """Fieller's interval of treatment / control - 1, from the arms' values and their standard errors.

    covariance: that of the two values (adjusted moments' `shared`). Its p is that of the difference. None
    where control is not told from 0 (any change is possible then), or as for `interval`.
    """
    c = float(_widened(critical(n, alpha, tuning_n), skew)) if n > 0 else math.inf
    ends = _fieller(control, control_se, treatment, treatment_se, covariance, c)
    variance = control_se * control_se + treatment_se * treatment_se - 2 * covariance
    whole = interval(treatment - control, math.sqrt(max(variance, 0.0)), n, alpha, tuning_n, skew=skew)
    if ends is None or whole is None:
        return None
    return Interval(ends[0], ends[1], whole.p)


def relative_bound(
    control: float,
    control_se: float,
    treatment: float,
    treatment_se: float,
    n: float,
    alpha: float = 0.05,
    tuning_n: float = TUNING_N,
    *,
    side: Side = "lower",
    null: float = 0.0,
    covariance: float = 0.0,
    skew: float = 0.0,
) -> Bound | None:
    """One-sided bound of the relative change; p against a change of at most (`lower`) or at least null.

    A guardrail that accepts a loss of m is failed when the upper bound is below -m, passed when the lower
    bound is above it. None as for `relative_interval`.
    """
    c = float(_widened(critical_one_sided(n, alpha, tuning_n), skew)) if n > 0 else math.inf
    ends = _fieller(control, control_se, treatment, treatment_se, covariance, c)
    factor = 1 + null if control > 0 else 1 - null
    variance = (
        treatment_se * treatment_se + factor * factor * control_se * control_se - 2 * factor * covariance
    )
    rest = treatment - factor * control
    whole = one_sided(rest, math.sqrt(max(variance, 0.0)), n, alpha, tuning_n, side=side, skew=skew)
    if ends is None or whole is None:
        return None
    return Bound(ends[0] if side == "lower" else ends[1], whole.p)


def sequence(
    differences: ArrayLike,
    ses: ArrayLike,
    ns: ArrayLike,
    alpha: float = 0.05,
    tuning_n: float = TUNING_N,
    *,
    null: float = 0.0,
    skew: ArrayLike = 0.0,
    settled: ArrayLike = True,
) -> Looks:
    """`interval` at every look: arrays of one shape (or that broadcast), any number of dimensions.

    settled: looks before which the burn-in has not ended are False, and have (-inf, inf, 1), as those without
    units, spread or finite numbers have.
    """
    d, se, n, g = (np.asarray(part, dtype=np.float64) for part in (differences, ses, ns, skew))
    usable = np.isfinite(d) & np.isfinite(se) & (se > 0) & (n > 0) & np.asarray(settled, dtype=np.bool_)
    d, se, n, g, usable = np.broadcast_arrays(d, se, n, g, usable)
    safe = np.where(usable, se, 1.0)
    x = np.where(usable, n, 1.0) * rho(alpha, tuning_n) ** 2
    with np.errstate(over="ignore"):  # to infinity: no interval, and no doubt
        half = _widened(critical(np.where(usable, n, 1.0), alpha, tuning_n), g) * safe
        z = _narrowed(np.abs(d - null) / safe, g)
        log_p = np.minimum(0.0, 0.5 * np.log1p(x) - z * z * x / (2 * (x + 1)))
    return Looks(
        low=np.where(usable, d - half, -np.inf),
        high=np.where(usable, d + half, np.inf),
        p=np.where(usable, np.exp(log_p), 1.0),
    )


def running(looks: Looks, axis: int = -1) -> Looks:
    """What all looks so far say together: the intersection of their intervals, the least of their p-values.

    Valid (at the same alpha) for one fixed effect: a metric with a window of its own for each unit, no
    novelty. The p-values are always valid for "no effect at any time". Where the intersection is empty,
    which refutes a fixed effect, the look's own interval stands.
    """
    low, high = np.maximum.accumulate(looks.low, axis=axis), np.minimum.accumulate(looks.high, axis=axis)
    empty = low > high
    return Looks(
        low=np.where(empty, looks.low, low),
        high=np.where(empty, looks.high, high),
        p=np.minimum.accumulate(looks.p, axis=axis),
    )


def effective_events(n: ArrayLike, mean: ArrayLike, variance: ArrayLike) -> Floats:
    """Kish's effective number of equal events behind a mean of values that are not negative, 0 without any.

    (sum y)^2 / sum y^2 = n mean^2 / (mean^2 + variance (n - 1)/n). Kish 1965, "Survey Sampling", section
    11.7.
    """
    n, mean, variance = (np.asarray(part, dtype=np.float64) for part in (n, mean, variance))
    sd = np.sqrt(np.maximum(variance, 0.0))
    size = np.maximum(np.abs(mean), sd)  # taken out first: squares over- and underflow
    with np.errstate(divide="ignore", invalid="ignore"):
        share, spread = (mean / size) ** 2, (sd / size) ** 2
        events = n * share / (share + spread * np.maximum(n - 1, 0) / np.maximum(n, 1))
    return np.where((size > 0) & (share > 0), events, 0.0)


def assumed_skewness(
    control_events: ArrayLike,
    treatment_events: ArrayLike,
    control_variance: ArrayLike,
    treatment_variance: ArrayLike,
    of_an_event: ArrayLike = SKEWNESS_OF_AN_EVENT,
) -> Floats:
    """A bound on the skewness of the difference of two means, from their effective events and squared errors.

    |a^1.5 / sqrt(k_t) - b^1.5 / sqrt(k_c)| / (a + b)^1.5, times the skewness of an event. 0 for equal arms;
    inf without events or spread.
    """
    k_c, k_t, b, a = (
        np.asarray(part, dtype=np.float64)
        for part in (control_events, treatment_events, control_variance, treatment_variance)
    )
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        part = a / (a + b)
        skew = np.abs(part**1.5 / np.sqrt(k_t) - (1 - part) ** 1.5 / np.sqrt(k_c)) * np.asarray(of_an_event)
        return np.where((k_c > 0) & (k_t > 0) & np.isfinite(skew), skew, np.inf)


def small_sample(
    control: Moments, treatment: Moments, *, signed: bool = False, sparse: bool = False
) -> SmallSample:
    """What `interval` needs to be honest on these two arms. Give the moments as measured, before CUPED.

    Zeros and ones are told from their moments (variance = p (1 - p)) and are taken for less skewed than
    amounts. A ratio has the effective events of its numerator or its denominator, whichever are fewer.
    signed: the values can be below 0 (a temperature, a score) and their mean says nothing of their spread;
    the events are then taken to be one for each SKEWNESS_OF_AN_EVENT squared units. sparse: they can be below
    0, but most units have none at all (a margin); the events are then Kish's, at least those of a skewness of
    SKEWNESS_OF_A_RARE_UNIT, so that a mean near 0 gets an interval some time.
    """
    arms = [_arm(moments, signed, sparse) for moments in (control, treatment)]
    (k_c, b, plain_c), (k_t, a, plain_t) = arms
    of_an_event = 1.0 if plain_c and plain_t else SKEWNESS_OF_AN_EVENT
    skew = float(assumed_skewness(k_c, k_t, b, a, of_an_event))
    events = min(k_c, k_t)
    return SmallSample(events, skew, events >= EVENTS_AT_LEAST and math.isfinite(skew))


def _arm(moments: Moments, signed: bool, sparse: bool) -> tuple[float, float, bool]:
    """Effective events of an arm, the squared error of its value, whether its values are zeros and ones."""
    n = moments.n
    if n < 2:
        return 0.0, 0.0, False
    if signed and not sparse:
        return n / SKEWNESS_OF_AN_EVENT**2, moments.var_y / n, False
    events = float(effective_events(n, moments.mean_y, moments.var_y))
    if sparse:
        events = max(events, n * (SKEWNESS_OF_AN_EVENT / SKEWNESS_OF_A_RARE_UNIT) ** 2)
    if moments.is_ratio:
        line = moments.linear()
        denominator = float(effective_events(n, moments.mean_d, moments.var_d))
        return (min(events, denominator), line.var_y / line.n, False) if line.n else (0.0, 0.0, False)
    bernoulli = moments.mean_y * (1 - moments.mean_y) * n / (n - 1)
    return events, moments.var_y / n, abs(moments.var_y - bernoulli) <= 1e-9 * max(bernoulli, 1e-12)


def _usable(difference: float, se: float, n: float) -> bool:
    return math.isfinite(difference) and math.isfinite(se) and se > 0 and n > 0


def _widened(c: Floats, skew: ArrayLike) -> Floats:
    """The critical value c, wider for a skewed statistic."""
    return np.asarray(c + np.abs(skew) * (2 * c * c + 1) / 6, dtype=np.float64)


def _narrowed(z: ArrayLike, skew: ArrayLike) -> Floats:
    """The other way round: the z of a statistic without skew that says as much; 0 at least."""
    g = np.abs(np.asarray(skew, dtype=np.float64))
    known = np.where(np.isfinite(g), g, 0.0)
    rest = np.clip(np.asarray(z, dtype=np.float64) - known / 6, 0.0, 1e150)  # an infinite z is no 0 x inf
    return np.where(np.isfinite(g), 2 * rest / (1 + np.sqrt(1 + 4 * known * rest / 3)), 0.0)


def _fieller(
    control: float, control_se: float, treatment: float, treatment_se: float, covariance: float, c: float
) -> tuple[float, float] | None:
    """The r, relative to |control|, for which treatment - (1 + r) control is within c of its errors of 0."""
    if not control or not math.isfinite(c):
        return None
    # in units of control, so that squares don't over- or underflow
    control_se, treatment_se, treatment, covariance, sign = (
        control_se / control, treatment_se / control, treatment / control, covariance / control / control,
        math.copysign(1.0, control),
    )  # fmt: skip
    square = 1 - c * c * control_se * control_se
    if not square > 0:
        return None
    middle = treatment - c * c * covariance
    last = treatment * treatment - c * c * treatment_se * treatment_se
    root = math.sqrt(max(middle * middle - square * last, 0.0))
    low, high = (middle - root) / square - 1, (middle + root) / square - 1
    if not math.isfinite(low) or not math.isfinite(high):
        return None
    return (low, high) if sign > 0 else (-high, -low)
