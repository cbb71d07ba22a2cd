"""Which of two rankings shoppers prefer, from slates that hold both (team-draft interleaving).

Each item of a slate belongs to the ranking that put it there; so does each click on it. A slate prefers the
ranking with more clicks (Radlinski, Kurup & Joachims 2008, "How does clickthrough data reflect retrieval
quality?", CIKM). A unit's preference is the mean of its slates' preferences, from -1 (always A, the one in
place) to +1 (always B, the new one), over slates where either got a click: slates of one shopper are not
independent, units are. The figure shown is the new ranking's share of preferences, (1 + mean)/2 over
clicking units: the Delta_AB of Chapelle, Joachims, Radlinski & Yue (2012, "Large-scale validation and
analysis of interleaved search evaluation", TOIS), plus one half, at the unit.

For an always-valid interval give `preference`, `se` and `clicking` to `sequential.interval`.
What is undefined is None. NumPy and SciPy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from apps.experiments.stats.moments import Moments

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class UnitPreferences:
    """What each unit said, one entry a unit that saw an interleaved slate.

    score: float64 [units], mean preference over its slates with a credited click, 0 without any. clicked:
    bool [units], whether it has such slates.
    """

    score: Floats
    clicked: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Preference:
    """Which ranking is preferred.

    units: that saw an interleaved slate; clicking: those with a credited click; wins_a, wins_b, ties: of
    these, by the sign of their preference. preference: their mean, -1 to 1; share: (1 + preference)/2, of
    which low and high are the interval (Student's t). sd: of the preference over clicking units; se: of its
    mean.
    p_t: Student's t test; p_sign: exact sign test; p_wilcoxon: signed ranks (Pratt's zeros). All two-sided.
    None where there are too few clicking units; ties only have p = 1.
    """

    units: int
    clicking: int
    wins_a: int
    wins_b: int
    ties: int
    preference: float | None = None
    share: float | None = None
    low: float | None = None
    high: float | None = None
    sd: float | None = None
    se: float | None = None
    p_t: float | None = None
    p_sign: float | None = None
    p_wilcoxon: float | None = None


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """Units that either kind of experiment needs for the same change, and how many times more A/B needs.

    low, high: interval of `times` on the log scale. It is wide: the square of a ratio of two effects.
    """

    interleaving: float
    ab: float
    times: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Advantage:
    """How many times as many units an A/B test needs, with its interval."""

    times: float
    low: float
    high: float


def by_unit(clicks_a: ArrayLike, clicks_b: ArrayLike, unit: ArrayLike) -> UnitPreferences:
    """Preferences by unit from one entry a slate: credited clicks of each ranking, and the unit's number or
    id.

    ValueError for arrays of different lengths or negative counts. Units are in the order of np.unique.
    """
    a, b = np.asarray(clicks_a, dtype=np.float64), np.asarray(clicks_b, dtype=np.float64)
    ids, row = np.unique(np.asarray(unit), return_inverse=True)
    if not a.shape == b.shape == row.shape or a.ndim != 1:
        raise ValueError("There must be one entry for each slate in clicks_a, clicks_b and unit.")
    if a.size and min(a.min(), b.min()) < 0:
        raise ValueError("Clicks can't be negative.")
    slates = np.bincount(row, a + b > 0, ids.size)
    said = np.bincount(row, np.sign(b - a), ids.size)
    return UnitPreferences(said / np.maximum(slates, 1), slates > 0)


def preference_of(units: UnitPreferences, alpha: float = 0.05) -> Preference:
    """Tests and interval over units."""
    score = units.score[units.clicked]
    n = score.size
    wins_a, wins_b = int((score < 0).sum()), int((score > 0).sum())
    known = Preference(units.score.size, n, wins_a, wins_b, ties=n - wins_a - wins_b)
    if not n:
        return known
    mean = float(score.mean())
    anybody = bool(wins_a or wins_b)
    known = replace(
        known,
        preference=mean,
        share=(1 + mean) / 2,
        p_sign=float(stats.binomtest(wins_b, wins_a + wins_b).pvalue) if anybody else 1.0,
        p_wilcoxon=float(stats.wilcoxon(score, zero_method="pratt").pvalue) if anybody else 1.0,
    )
    if n < 2:
        return known
    sd = float(score.std(ddof=1))
    se = sd / math.sqrt(n)
    if not se > 0 and mean:
        return replace(known, sd=sd, se=se)  # all of one mind: no spread to make an interval of
    half = float(special.stdtrit(n - 1, 1 - alpha / 2)) * se
    return replace(
        known,
        low=max((1 + mean - half) / 2, 0.0),
        high=min((1 + mean + half) / 2, 1.0),
        sd=sd,
        se=se,
        p_t=2 * float(special.stdtr(n - 1, -abs(mean) / se)) if se > 0 else 1.0,
    )


def units_needed(
    share: float, *, clicking: float, sd: float = 1.0, alpha: float = 0.05, power: float = 0.8
) -> float | None:
    """Units to expose so that a new ranking with that share of preferences (.52) is told from .5.

    clicking: part of the units that give a credited click. sd: of a unit's preference, 1 at most: ties and
    units of several minds have less. n = ((z_{1-alpha/2} + z_power) sd / (2 share - 1))^2 / clicking. None
    for .5.
    """
    effect = abs(2 * share - 1)
    if not effect > 0 or not clicking > 0:
        return None
    return (_z(alpha, power) * sd / effect) ** 2 / clicking


def sensitivity(
    found: Preference,
    control: Moments,
    treatment: Moments,
    *,
    treated: float = 0.5,
    alpha: float = 0.05,
    power: float = 0.8,
) -> Sensitivity | None:
    """Interleaving against an A/B test of the same two rankings on a metric of the A/B test.

    Both are put as units to expose for the same power at the effects found: interleaving (z s /
    preference)^2 / clicking share; A/B z^2 (v_c / (1 - treated) + v_t / treated) / difference^2, in both
    arms together. Their quotient is the sensitivity (Chapelle et al. 2012, section 6). The interval takes
    either test's statistic for normal with spread 1. None unless both tell a difference at alpha: two
    effects of nothing have no quotient.
    """
    c, t = control.linear(), treatment.linear()
    if min(c.n, t.n) < 2 or found.preference is None or found.sd is None or not found.sd > 0:
        return None
    difference = t.mean_y - c.mean_y
    spread = c.var_y / (1 - treated) + t.var_y / treated
    error = math.sqrt(c.var_y / c.n + t.var_y / t.n)
    if not error > 0 or not difference or not found.preference:
        return None
    z_ab = abs(difference) / error
    z_own = abs(found.preference) * math.sqrt(found.clicking) / found.sd
    z = float(special.ndtri(1 - alpha / 2))
    if min(z_ab, z_own) < z:
        return None
    ab = (_z(alpha, power) / difference) ** 2 * spread
    own = (_z(alpha, power) * found.sd / found.preference) ** 2 * found.units / found.clicking
    half = z * 2 * math.sqrt(1 / z_ab**2 + 1 / z_own**2)
    return Sensitivity(own, ab, ab / own, ab / own * math.exp(-half), ab / own * math.exp(half))


def least_advantage(
    clicks_a: ArrayLike, clicks_b: ArrayLike, unit: ArrayLike, alpha: float = 0.05
) -> Advantage | None:
    """What interleaving saves against an A/B test of clicks a unit, from the interleaved slates alone.

    For before there is an A/B test to compare with. Arrays as for `by_unit`. If a ranking shown whole got
    twice the clicks that it gets sharing the slate, an A/B test in halves would see twice the credited
    difference D, with variance 4 var(a + b)/n; interleaving sees D with var(b - a)/n. So A/B needs var(a +
    b)/var(b - a) times as many units, however large D is: what shoppers who click a lot add to the noise of
    one and not of the other. In truth it needs more, often ten times that: who finds nothing in one ranking
    clicks something else in it, so that the A/B difference is far below 2 D. The interval is normal on the
    log scale, by the influence of each unit. None with fewer than two units or without a spread.
    """
    a, b = np.asarray(clicks_a, dtype=np.float64), np.asarray(clicks_b, dtype=np.float64)
    ids, row = np.unique(np.asarray(unit), return_inverse=True)
    if not a.shape == b.shape == row.shape or a.ndim != 1:
        raise ValueError("There must be one entry for each slate in clicks_a, clicks_b and unit.")
    if ids.size < 2:
        return None
    squares = []
    for values in (np.bincount(row, a + b, ids.size), np.bincount(row, b - a, ids.size)):
        squared = (values - values.mean()) ** 2
        if not squared.mean() > 0:
            return None
        squares.append(squared)
    whole, apart = squares
    times = float(whole.mean() / apart.mean())
    influence = whole / whole.mean() - apart / apart.mean()
    half = float(special.ndtri(1 - alpha / 2)) * float(influence.std(ddof=1)) / math.sqrt(ids.size)
    return Advantage(times, times * math.exp(-half), times * math.exp(half))


def _z(alpha: float, power: float) -> float:
    return float(special.ndtri(1 - alpha / 2) + special.ndtri(power))
