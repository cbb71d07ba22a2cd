"""Thompson's bandit: how the traffic moves, and an analysis that stays honest while it does.

**Shares.** Thompson (1933): each arm gets traffic by its chance to be the best one, over independent normal
posteriors with a flat prior, N(value, se^2). The chances are exact (`bayes.best_of_normals`), not counted
in draws. A floor keeps every arm alive: share = floor + (1 - k floor) chance, k arms. With `top_two`, for
finding the best arm sooner rather than for earning on the way, share i is chance_i (b + (1 - b) sum over j
!= i of chance_j / (1 - chance_j)), b = 1/2 (Russo 2020, "Simple Bayesian algorithms for best-arm
identification", top-two Thompson sampling with its mean written out). Until every arm has some units and a
spread, shares are equal.

**Analysis.** When shares change, arms meet different days: pooled means compare an arm that was large on
good days with one that was large on bad days (Simpson's paradox), however many units there are.
`stratified` compares within periods of constant shares and averages the periods by the units of *all* arms,
which no share can change:

    value of arm a = sum_p W_p mean_pa,  W_p = N_p / N,  squared error = sum_p W_p^2 var_pa / n_pa.

Every unit is thus weighted by the inverse of its arm's part of its period (the Hajek form of inverse
propensity weighting with observed propensities; Lunceford & Davidian 2004), and each period's means are
unbiased given all that went before. The Bayesian shares should be computed on it too.

What is undefined is None. NumPy only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.experiments.stats import bayes
from apps.experiments.stats.moments import Moments, merged

Floats = NDArray[np.float64]

FLOOR = 0.01
"""The least share of an arm (GrowthBook's)."""
UNITS_AT_LEAST = 100
"""Units of every arm before shares move (GrowthBook's)."""
SPREAD_FROM = 20
"""Units of an arm in a period from which its own spread is used; below, that of all its periods."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """Shares for the next period, by arm, summing to 1.

    chances: the arms' chances to be the best, None while exploring. losses: what choosing the arm now would
    lose on average. exploring: the arms get equal shares because some have too few units, or no spread.
    """

    shares: Mapping[str, float]
    chances: Mapping[str, float] | None
    losses: Mapping[str, float] | None
    exploring: bool


def allocation(
    arms: Mapping[str, Moments],
    *,
    floor: float = FLOOR,
    units_at_least: int = UNITS_AT_LEAST,
    top_two: bool = False,
    higher_is_better: bool = True,
) -> Allocation:
    """The next shares, from the arms' moments (give `stratified` ones once shares have moved).

    ValueError without an arm, or with a floor that the arms can't all have.
    """
    k = len(arms)
    if not k or not 0 <= floor * k <= 1:
        raise ValueError(f"floor = {floor}: {k} arms can't each have that share.")
    lines = [arm.linear() for arm in arms.values()]
    if any(line.n < max(units_at_least, 2) or not 0 < line.var_y < math.inf for line in lines):
        return Allocation(dict.fromkeys(arms, 1 / k), None, None, exploring=True)
    best = bayes.best_of_normals(
        [line.mean_y for line in lines],
        [math.sqrt(line.var_y / line.n) for line in lines],
        higher_is_better=higher_is_better,
    )
    wanted = top_two_shares(best.chances) if top_two else best.chances
    shares = [floor + (1 - k * floor) * share for share in wanted]
    return Allocation(
        dict(zip(arms, shares, strict=True)),
        dict(zip(arms, best.chances, strict=True)),
        dict(zip(arms, best.losses, strict=True)),
        exploring=False,
    )


def top_two_shares(chances: Sequence[float], leader: float = 0.5) -> tuple[float, ...]:
    """How often top-two Thompson sampling plays each arm, from the chances to be the best (sum 1).

    It plays the best arm of a draw with probability `leader`, else the best arm of the next draw that has
    another one. Where one arm is all but certain, half of the traffic goes to the others by their chances.
    """
    w = np.asarray(chances, dtype=np.float64)
    k = w.size
    if k == 1:
        return (1.0,)
    rest = np.array([np.delete(w, j).sum() for j in range(k)])  # 1 - w, without its rounding
    shares = leader * w
    for j in range(k):
        others = np.arange(k) != j
        part = w[others] / rest[j] if rest[j] > 0 else np.full(k - 1, 1 / (k - 1))
        shares[others] += (1 - leader) * w[j] * part
    return tuple((shares / shares.sum()).tolist())


def stratified(periods: Sequence[Mapping[str, Moments]]) -> Mapping[str, Moments]:
    """The arms as if their shares had never moved, as moments that every other analysis takes.

    periods: units by the period in which they were first exposed, shares constant within each. Arms may be
    missing from a period; periods are joined to the next one until every arm that has any units has some (the
    last to the one before). Within joined periods an arm is known from those where it was shown.
    n: the arm's units. Means: weighted as above. Second moments: such that var / n is the squared error.
    """
    names = list(dict.fromkeys(name for period in periods for name in period))
    whole = {name: merged(period[name] for period in periods if name in period) for name in names}
    seen = [name for name in names if whole[name].n]
    strata = _strata(periods, seen)
    return {
        name: _over(name, whole[name], periods, strata) if name in seen else whole[name] for name in names
    }


def _strata(periods: Sequence[Mapping[str, Moments]], names: Sequence[str]) -> list[list[int]]:
    """Indices of periods, joined so that each of these arms has units in each stratum."""
    strata: list[list[int]] = []
    open_: list[int] = []
    missing = set(names)
    for index, period in enumerate(periods):
        if not _units(period):
            continue
        open_.append(index)
        missing -= {name for name, arm in period.items() if arm.n}
        if not missing:
            strata.append(open_)
            open_, missing = [], set(names)
    if open_ and strata:
        strata[-1] += open_
    elif open_:
        strata.append(open_)
    return strata


def _over(
    name: str, whole: Moments, periods: Sequence[Mapping[str, Moments]], strata: Sequence[Sequence[int]]
) -> Moments:
    """One arm over all strata."""
    every = sum(_units(period) for period in periods)
    rows = []
    for stratum in strata:
        size = sum(_units(periods[index]) for index in stratum)
        shown = [index for index in stratum if name in periods[index] and periods[index][name].n]
        known = sum(_units(periods[index]) for index in shown)
        for index in shown:
            arm = periods[index][name]
            weight = size / every * _units(periods[index]) / known
            spread = arm if arm.n >= SPREAD_FROM else whole
            rows.append(
                (
                    weight, whole.n * weight**2 / arm.n, arm.mean_y, arm.mean_d, arm.mean_x,
                    spread.var_y, spread.var_d, spread.cov_yd, spread.var_x, spread.cov_xy, spread.cov_xd,
                )
            )  # fmt: skip
    table = np.array(rows, dtype=np.float64)
    mean_y, mean_d, mean_x = (table[:, 0] @ table[:, 2:5]).tolist()
    var_y, var_d, cov_yd, var_x, cov_xy, cov_xd = (table[:, 1] @ table[:, 5:]).tolist()
    if not whole.is_ratio:
        mean_d, var_d, cov_yd = 1.0, 0.0, 0.0  # not a rounding error away from it
    return Moments(
        n=whole.n, mean_y=mean_y, var_y=var_y, mean_d=mean_d, var_d=var_d, cov_yd=cov_yd,
        mean_x=mean_x, var_x=var_x, cov_xy=cov_xy, cov_xd=cov_xd,
    )  # fmt: skip


def _units(period: Mapping[str, Moments]) -> int:
    return sum(arm.n for arm in period.values())
