"""Before the start: how many units and days a change needs to be seen, and what a given number could show.

    base = Baseline.proportion(0.042)
    plan = Plan(shares=(0.5, 0.25, 0.25), correction="holm", view="sequential")
    sample_size(base, 0.05, plan)        # units for a 5 % change, over all arms
    least_change(base, 200_000, plan)    # the least change 200,000 units show
    power_of(base, 0.05, 200_000, plan)

Changes are relative (.05 is 5 % of control) and the test is of the absolute difference, unless the plan says
relative. Large samples: normal quantiles, as in GrowthBook. The treatment in question is the smallest one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from apps.experiments.stats import sequential
from apps.experiments.stats.moments import Moments, QuantileMoments

CHANCE_TO_ACT = 0.95  # of the Bayesian view, with its flat prior
UNITS_MOST = 1e15
DAYS_MOST = 3650


@dataclass(frozen=True, slots=True)
class Baseline:
    """The metric as control shows it: mean and variance of a unit (of a ratio: as `Moments.linear` has them).

    treatment_variance: None for that of control (of a proportion: p (1 - p) at the changed rate).
    correlation: of the metric with its covariate; CUPED leaves 1 - correlation^2 of the variance. signed:
    values may be below 0. steady: nothing is skewed (a quantile), so that the sequential view needs no
    burn-in.
    """

    mean: float
    variance: float
    is_proportion: bool = False
    treatment_variance: float | None = None
    correlation: float = 0.0
    signed: bool = False
    steady: bool = False

    @classmethod
    def proportion(cls, rate: float, correlation: float = 0.0) -> Baseline:
        """Zeros and ones with that share of ones."""
        return cls(rate, rate * (1.0 - rate), is_proportion=True, correlation=correlation)

    @classmethod
    def of(
        cls, arm: Moments | QuantileMoments, is_proportion: bool = False, signed: bool = False
    ) -> Baseline | None:
        """From units of the past: a mean, a ratio (linear), a proportion, a quantile; their covariate's too.

        None where they say nothing (fewer than two units, no denominator, a quantile without a variance).
        """
        if isinstance(arm, QuantileMoments):
            if arm.value is None or arm.variance is None:
                return None
            return cls(arm.value, arm.variance * arm.n, steady=True)
        line = arm.linear()
        if line.n < 2:
            return None
        both = line.var_x * line.var_y
        correlation = max(-1.0, min(1.0, line.cov_xy / math.sqrt(both))) if both > 0 else 0.0
        if is_proportion:
            return cls.proportion(line.mean_y, correlation)
        return cls(line.mean_y, line.var_y, correlation=correlation, signed=signed)


@dataclass(frozen=True, slots=True)
class Plan:
    """How the experiment will be judged. shares: of the units taking part, control's first, sum 1.

    correction: with holm or bh, alpha is divided by (arms - 1) x goals, which is what the hardest of the
    comparisons has to pass. view: fixed (one look at the end), sequential (always-valid interval; tuning_n as
    the readout has it, None for one tuned to the size asked about, see `sequential.tuned`), bayes (chance to
    win above 95 %, no correction).
    """

    shares: tuple[float, ...] = (0.5, 0.5)
    alpha: float = 0.05
    power: float = 0.8
    correction: Literal["none", "holm", "bh"] = "none"
    goals: int = 1
    view: Literal["fixed", "sequential", "bayes"] = "fixed"
    tuning_n: float | None = sequential.TUNING_N
    relative: bool = False

    @property
    def alpha_each(self) -> float:
        """Level of one comparison."""
        if self.correction == "none":
            return self.alpha
        return self.alpha / max((len(self.shares) - 1) * self.goals, 1)


@dataclass(frozen=True, slots=True)
class SampleSize:
    """Units over all arms, and in each in the order of the plan's shares."""

    total: int
    arms: tuple[int, ...]


def power_of(baseline: Baseline, change: float, units: float, plan: Plan = Plan()) -> float | None:
    """Chance that a relative change is told from none with that many units over all arms.

    1 - Phi(c - d/se) + Phi(-c - d/se), c the critical value of the view: z_{1-alpha/2}; the half-width of the
    sequential interval in standard errors (a lower bound then: it may also cross earlier); z_{.95} for bayes.
    absolute: d = change |m|, se^2 = vT/nT + vC/nC. relative: d = change, se^2 = vT/(nT m^2) +
    vC (1 + change)^2/(nC m^2). None where it says nothing: a mean of 0, no spread, no units, a rate above 1.
    """
    arms = _arms(baseline, change, plan)
    if arms is None or not units > 0:
        return None
    mean, var_c, var_t = arms
    n_c, n_t = _pair(units, plan)
    kept = 1.0 - baseline.correlation**2
    if plan.relative:
        d, squared = change, kept * (var_t / n_t + var_c * (1.0 + change) ** 2 / n_c) / mean / mean
    else:
        d, squared = change * abs(mean), kept * (var_t / n_t + var_c / n_c)
    if not 0.0 < squared < math.inf or not math.isfinite(d):
        return None
    c = _critical(baseline, change, units, plan)
    z = d / math.sqrt(squared)
    return float(special.ndtr(z - c) + special.ndtr(-z - c))


def sample_size(baseline: Baseline, change: float, plan: Plan = Plan()) -> SampleSize | None:
    """The least number of units, over all arms, with which a relative change has the plan's power.

    For one look this is the textbook's (z_{1-alpha/2} + z_{power})^2 (vT/sT + vC/sC) / d^2, but for the
    chance of a significant result in the wrong direction. None without a change, for what `power_of` has no
    answer to, and above 1e15 units.
    """

    def enough(units: float) -> bool:
        found = power_of(baseline, change, units, plan)
        return found is not None and found >= plan.power

    found = _least(enough, 2.0 / min(plan.shares), UNITS_MOST, factor=4.0) if change else None
    if found is None:
        return None
    total = math.ceil(found * (1.0 - 1e-11))
    return SampleSize(total, tuple(math.ceil(share * total * (1.0 - 1e-11)) for share in plan.shares))


def least_change(
    baseline: Baseline, units: float, plan: Plan = Plan(), direction: Literal[1, -1] = 1
) -> float | None:
    """The least relative change that has the plan's power with that many units over all arms: the MDE.

    Positive for direction 1, negative for -1; they differ where the error depends on the change. Searched
    for, as there is no closed form. None where no change is large enough: a rate can't pass 1, nothing loses
    more than all, and relative to a noisy control a rise may never be clear.
    """
    most = 1.0 if direction < 0 else 1e9
    if baseline.is_proportion and direction > 0:
        most = (1.0 - baseline.mean) / baseline.mean if 0.0 < baseline.mean < 1.0 else 0.0

    def enough(size: float) -> bool:
        found = power_of(baseline, direction * size, units, plan)
        return found is not None and found >= plan.power

    arms = _arms(baseline, 0.0, plan)
    if arms is None or not units > 0 or not most > 0:
        return None
    n_c, n_t = _pair(units, plan)
    noise = math.sqrt((1.0 - baseline.correlation**2) * arms[1] * (1.0 / n_c + 1.0 / n_t)) / abs(arms[0])
    # a hair below the most, where a proportion still has a spread to speak of
    most *= 1.0 - 1e-12
    # small steps: a fall so deep that the treatment has too few events for an interval is not "enough" again
    found = _least(enough, min(noise / 100.0, most), most, factor=1.25) if noise > 0 else None
    return None if found is None else direction * found


def inflation(baseline: Baseline, change: float, plan: Plan) -> float | None:
    """How many times the units of a single look at the end the plan's view takes for the same power."""
    one_look = Plan(plan.shares, plan.alpha, plan.power, plan.correction, plan.goals, relative=plan.relative)
    once, planned = sample_size(baseline, change, one_look), sample_size(baseline, change, plan)
    return None if once is None or planned is None else planned.total / once.total


def days_for(units: float, cumulative: Sequence[float], traffic: float = 1.0) -> int | None:
    """Days until that many units took part, from the shop's own history; None if never, or not in ten years.

    cumulative: different units through day 1, 2, ... of the placements and audience, so returning shoppers
    are counted once. After its end as many new ones come each day as in its last week. traffic: share taking
    part.
    """
    day = next((at for at, total in enumerate(cumulative, 1) if total * traffic >= units), None)
    if day is not None:
        return day
    rate = _new_a_day(cumulative) * traffic
    if rate <= 0.0:
        return None
    day = len(cumulative) + math.ceil((units - cumulative[-1] * traffic) / rate - 1e-9)
    return day if day <= DAYS_MOST else None


def units_through(day: int, cumulative: Sequence[float], traffic: float = 1.0) -> float:
    """Units that take part through that day: the other way round of `days_for`; 0 without history."""
    if not cumulative or day < 1:
        return 0.0
    known = cumulative[min(day, len(cumulative)) - 1]
    return traffic * (known + max(day - len(cumulative), 0) * _new_a_day(cumulative))


def whole_weeks(days: int) -> int:
    """Days rounded up to whole weeks: a part of a week would count some weekdays twice."""
    return 7 * math.ceil(days / 7)


def _arms(baseline: Baseline, change: float, plan: Plan) -> tuple[float, float, float] | None:
    """Control's mean, and the unit variance of control and treatment; None where they can't be."""
    mean, variance = baseline.mean, baseline.variance
    if not mean or not math.isfinite(mean) or not 0.0 <= variance < math.inf or len(plan.shares) < 2:
        return None
    if not baseline.is_proportion:
        other = baseline.treatment_variance
        return mean, variance, variance if other is None else other
    rate = mean * (1.0 + change)
    return (mean, variance, rate * (1.0 - rate)) if 0.0 <= rate <= 1.0 else None


def _pair(units: float, plan: Plan) -> tuple[float, float]:
    """Units of control and of the smallest treatment."""
    return units * plan.shares[0], units * min(plan.shares[1:])


def _critical(baseline: Baseline, change: float, units: float, plan: Plan) -> float:
    """Standard errors the difference has to exceed; infinite while the sequential view has no interval."""
    if plan.view == "bayes":
        return float(special.ndtri(CHANCE_TO_ACT))
    if plan.view == "fixed":
        return float(special.ndtri(1.0 - plan.alpha_each / 2.0))
    n_c, n_t = _pair(units, plan)
    skew = 0.0 if baseline.steady else _skew(baseline, change, n_c, n_t, plan)
    if skew is None:
        return math.inf
    tuning = plan.tuning_n if plan.tuning_n is not None else sequential.tuned(n_c + n_t)
    bounds = sequential.interval(0.0, 1.0, n_c + n_t, plan.alpha_each, tuning, skew=skew)
    return math.inf if bounds is None else bounds.high


def _skew(baseline: Baseline, change: float, n_c: float, n_t: float, plan: Plan) -> float | None:
    """What `sequential.small_sample` would expect of such arms; None as long as it would not have settled."""
    arms = _arms(baseline, change, plan)
    if arms is None:
        return None
    mean, var_c, var_t = arms
    with np.errstate(over="ignore", invalid="ignore"):
        if baseline.signed:
            k_c, k_t = n_c / sequential.SKEWNESS_OF_AN_EVENT**2, n_t / sequential.SKEWNESS_OF_AN_EVENT**2
        else:
            k_c = float(sequential.effective_events(n_c, mean, var_c))
            k_t = float(sequential.effective_events(n_t, mean * (1.0 + change), var_t))
        if min(k_c, k_t) < sequential.EVENTS_AT_LEAST:
            return None
        of_an_event = 1.0 if baseline.is_proportion else sequential.SKEWNESS_OF_AN_EVENT
        skew = float(sequential.assumed_skewness(k_c, k_t, var_c / n_c, var_t / n_t, of_an_event))
    return skew if math.isfinite(skew) else None


def _least(enough: Callable[[float], bool], low: float, high: float, factor: float) -> float | None:
    """The least value from low to high that is enough, to 12 digits; None if no step finds one."""
    step = below = low
    while not enough(step):
        if step >= high:
            return None
        below, step = step, min(step * factor, high)
    while step - below > 1e-12 * step:
        middle = 0.5 * (below + step)
        below, step = (below, middle) if enough(middle) else (middle, step)
    return step


def _new_a_day(cumulative: Sequence[float]) -> float:
    if not cumulative:
        return 0.0
    back = min(7, len(cumulative) - 1)
    return (cumulative[-1] - cumulative[-1 - back]) / back if back else cumulative[-1]
