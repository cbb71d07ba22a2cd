"""Effects through time: the path of the intervals, each day by itself, and whether the effect wears off.

Moments are cumulative through a day, as measured (without CUPED), winsorised at one cap for all days. What a
day added is the difference of two days' sums; its spread is taken from the difference of the sums of squares,
which for values that only grow is an upper bound (equal for a conversion), so that the test for a trend is on
the careful side. Pure: imports no Django.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from apps.experiments.comparing import Arm, compare
from apps.experiments.results import DayEffect, Note, Spec, UnitMetricSpec
from apps.experiments.stats.moments import Moments

Table = Mapping[str, Mapping[str, Arm]]

DAYS_FOR_A_TREND = 7
TREND_P = 0.01


@dataclass(frozen=True, slots=True)
class _Added:
    """What a day added in one arm: the change's base (rate) and its squared error."""

    rate: float
    variance: float


def day_effects(
    spec: Spec, metric: UnitMetricSpec, days: Mapping[float, Table], adjusted: Mapping[float, Table]
) -> tuple[DayEffect, ...]:
    """The path of one metric: for each day and treatment the change so far, and on that day.

    adjusted: the same tables after CUPED (or the same ones); days: as measured, for what a day added.
    """
    found: list[DayEffect] = []
    before: Mapping[str, Arm] = {}
    for day in sorted(days):
        raw = days[day].get(metric.code, {})
        arms = adjusted[day].get(metric.code, raw)
        for variant in spec.treatments:
            if spec.control not in raw or variant not in raw:
                continue
            one = compare(spec, metric, variant, arms, raw, whole=False)
            daily = _daily(spec, before, raw, variant)
            found.append(
                DayEffect(
                    day=float(day),
                    variant=variant,
                    n_control=one.n_control,
                    n_treatment=one.n_treatment,
                    value=one.relative.value if one.relative else None,
                    low=one.relative.low if one.relative else None,
                    high=one.relative.high if one.relative else None,
                    sequential_low=one.sequential.relative_low if one.sequential else None,
                    sequential_high=one.sequential.relative_high if one.sequential else None,
                    p=one.difference.p if one.difference else None,
                    sequential_p=one.sequential.p if one.sequential else None,
                    daily=daily[0] if daily else None,
                    daily_low=daily[1] if daily else None,
                    daily_high=daily[2] if daily else None,
                )
            )
        before = raw
    return tuple(found)


def trend_notes(metric: UnitMetricSpec, effects: Sequence[DayEffect], alpha: float) -> list[Note]:
    """A note for each treatment whose daily effect has a trend: fading towards 0, or growing away from it.

    A weighted least-squares line through the logarithms of the daily lifts (a small day's ratio is skewed
    upwards, its logarithm hardly), weights 1/variance; its slope against 0 by the normal law at TREND_P, from
    DAYS_FOR_A_TREND days on.
    """
    notes = []
    z = float(special.ndtri(1 - alpha / 2))
    for variant in dict.fromkeys(effect.variant for effect in effects):
        points = [
            # the longer half: an interval may end at -100 %
            (
                one.day,
                math.log1p(one.daily),
                max(one.daily_high - one.daily, one.daily - one.daily_low) / z / (1 + one.daily),
            )
            for one in effects
            if one.variant == variant
            and one.daily is not None
            and one.daily_low is not None
            and one.daily_high is not None
            and one.daily > -1
        ]
        if len(points) < DAYS_FOR_A_TREND:
            continue
        day, effect, se = (np.array(column) for column in zip(*points, strict=True))
        weight = se**-2.0
        centre = np.average(day, weights=weight)
        spread = float((weight * (day - centre) ** 2).sum())
        if spread <= 0:
            continue
        slope = float((weight * (day - centre) * effect).sum()) / spread
        p = 2 * float(special.ndtr(-abs(slope) * math.sqrt(spread)))
        if p >= TREND_P:
            continue
        middle = float(np.average(effect, weights=weight))
        first, last = (math.expm1(middle + slope * float(day[at] - centre)) for at in (0, -1))
        told = {
            "metric": metric.code, "variant": variant, "first": first, "last": last, "p": p,
        }  # fmt: skip
        growing = abs(math.log1p(last)) > abs(math.log1p(first))
        notes.append(Note("novelty_growing", told) if growing else Note("novelty_fading", told))
    return notes


def _daily(
    spec: Spec, before: Mapping[str, Arm], now: Mapping[str, Arm], variant: str
) -> tuple[float, float, float] | None:
    """The change on the day by itself, with its fixed interval; None where nothing was added, and where one
    arm's day is below 0 (more returned than bought, say) and the other's above: that is no share of anything.
    No share falls by more than all of it, so the interval ends at -1.
    """
    control = _added(before.get(spec.control), now[spec.control])
    treatment = _added(before.get(variant), now[variant])
    if control is None or treatment is None or not control.rate:
        return None
    lift = treatment.rate / control.rate
    if lift < 0:
        return None
    # divided twice: the square of a very small or large rate is no number
    whole = treatment.variance + lift * lift * control.variance
    variance = whole / control.rate / control.rate
    if not (math.isfinite(variance) and variance > 0 and math.isfinite(lift)):
        return None
    half = float(special.ndtri(1 - spec.alpha / 2)) * math.sqrt(variance)
    low, high = max(lift - half, 0.0) - 1, lift + half - 1
    # below 0 less of it is more
    return (lift - 1, low, high) if control.rate > 0 else (1 - lift, -high, -low)


def _added(before: Arm | None, now: Arm) -> _Added | None:
    """What the day added, a unit exposed so far (or for a ratio: a unit of the denominator it added)."""
    if not isinstance(now, Moments) or not now.n:
        return None
    old = before if isinstance(before, Moments) else Moments(n=0, mean_y=0.0, var_y=0.0)
    y = now.n * now.mean_y - old.n * old.mean_y
    if not now.is_ratio:
        squares = _squares(now, 0.0) - _squares(old, 0.0)
        # at least what as many equal amounts would have: a cap or a return can make the difference negative
        spread = max(squares - y * y / now.n, 0.0)
        return _Added(y / now.n, spread / now.n**2) if spread > 0 else None
    d = now.n * now.mean_d - (old.n * old.mean_d if old.n else 0.0)
    if d <= 0:
        return None
    ratio = y / d
    spread = _squares(now, ratio) - (_squares(old, ratio) if old.n else 0.0)
    return _Added(ratio, spread / d / d) if 0 < spread < math.inf else None


def _squares(arm: Moments, ratio: float) -> float:
    """The sum over units of (y - ratio d)^2."""
    centred = arm.var_y - 2 * ratio * arm.cov_yd + ratio * ratio * arm.var_d
    mean = arm.mean_y - ratio * arm.mean_d
    return max(arm.n - 1, 0) * centred + arm.n * mean * mean
