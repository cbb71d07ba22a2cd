"""Switchback: the whole shop changes variant from slot to slot, and slots are the units.

For changes that touch every shopper at once (prices, delivery, a shared stock), where splitting shoppers
would let one arm spoil the other. Each slot's variant is drawn by itself, with the same share.

**Burn-in.** What the slot before left behind (open sessions, caches, queues) belongs to nobody: the first
minutes of every slot are left out, of every slot alike so that slots stay comparable. It has to be longer
than the effect lingers.

**Estimate.** Weighted least squares of the slots' values on the treatment, with one level for each stratum
(hour of the day, hour of the week), weights the slots' denominators: without strata it is sum y / sum d
under treatment less that under control. The error is the larger of two sandwich estimates: White's (1980),
enough where variants are drawn independently, for then the scores are uncorrelated however much the shop's
own course is; and Newey & West's (1987, Bartlett weights, lags by their 1994 rule, floor(4
(slots/100)^(2/9))), which also allows for effects that linger. Student's t with slots - columns degrees of
freedom.

**Randomisation test.** The drawing of the slots repeated on the same values with a fixed seed; exact for
"no effect at all in any slot" whatever the shop's course (Fisher 1935; for switchbacks Bojinov, Simchi-Levi
& Zhao 2023, "Design and analysis of switchback experiments", Management Science), with the studentised
effect as its statistic (Wu & Ding 2021).

What is undefined is None. NumPy and SciPy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]

REDRAWS = 2_000
SEED = 20_211
SLOTS_AT_MOST = 1_000_000
CELLS_AT_ONCE = 2_000_000


@dataclass(frozen=True, slots=True)
class Slots:
    """What happened in each slot after its burn-in: sums of a numerator and a denominator, float64
    [slots]."""

    y: Floats
    d: Floats


@dataclass(frozen=True, slots=True)
class SwitchbackEffect:
    """Treatment less control at the slot.

    control, treatment: sum y / sum d of their slots. effect: adjusted for strata. carry_over: the effect of
    the slot *before* having been treated, None with fewer than four slots of either kind; p_carry_over: its
    test. A small one says that the burn-in is too short. None where a slot kind is missing or nothing
    varies.
    """

    slots: int
    treated_slots: int
    control: float | None
    treatment: float | None
    effect: float | None = None
    se: float | None = None
    df: int = 0
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_randomised: float | None = None
    carry_over: float | None = None
    p_carry_over: float | None = None


def slots_of(
    minutes: ArrayLike,
    y: ArrayLike,
    d: ArrayLike | None = None,
    *,
    slots: int,
    slot_minutes: float,
    burn_in_minutes: float = 0.0,
) -> Slots:
    """Sums by slot of what happened at these minutes since the first slot began.

    minutes, y and d: one entry an event (or a small bin of time). d: None counts the entries. Entries
    before the start, after the last slot or in a burn-in are left out. ValueError for a burn-in as long as
    the slot.
    """
    if not 0 <= burn_in_minutes < slot_minutes:
        raise ValueError(f"burn_in_minutes = {burn_in_minutes}: must be below slot_minutes = {slot_minutes}.")
    if not 0 < slots <= SLOTS_AT_MOST:
        raise ValueError(f"slots = {slots}: must lie between 1 and {SLOTS_AT_MOST}.")
    at, top = np.asarray(minutes, dtype=np.float64), np.asarray(y, dtype=np.float64)
    bottom = np.ones_like(top) if d is None else np.asarray(d, dtype=np.float64)
    slot = np.floor(at / slot_minutes)
    kept = (slot >= 0) & (slot < slots) & (at - slot * slot_minutes >= burn_in_minutes)
    place = slot[kept].astype(np.int64)
    sums = [np.bincount(place, part[kept], slots).astype(np.float64) for part in (top, bottom)]
    return Slots(sums[0], sums[1])


def compare(
    y: ArrayLike,
    treated: ArrayLike,
    d: ArrayLike | None = None,
    strata: ArrayLike | None = None,
    *,
    alpha: float = 0.05,
    share: float = 0.5,
    lags: int | None = None,
    redraws: int = REDRAWS,
) -> SwitchbackEffect:
    """Effect over slots in the order of time.

    y, d: sums by slot, float [slots]; d None: the values are y, all slots weigh the same. treated: bool
    [slots].
    strata: any label of each slot. share: with which a slot is drawn for treatment. Slots with d = 0 hold
    their place in time and weigh nothing. ValueError for arrays that don't fit.
    """
    top, on = np.asarray(y, dtype=np.float64), np.asarray(treated, dtype=np.bool_)
    weights = np.ones_like(top) if d is None else np.asarray(d, dtype=np.float64)
    labels = _labels(strata, top.size)
    if top.ndim != 1 or not top.shape == on.shape == weights.shape == labels.shape:
        raise ValueError("There must be one entry for each slot in y, treated, d and strata.")
    if weights.size and (weights.min() < 0 or not np.isfinite(weights).all() or not np.isfinite(top).all()):
        raise ValueError("Slots need finite values, and d can't be negative.")
    used = weights > 0
    values = np.where(used, top / np.where(used, weights, 1.0), 0.0)
    known = SwitchbackEffect(
        slots=int(used.sum()),
        treated_slots=int((used & on).sum()),
        control=_quotient(top[used & ~on], weights[used & ~on]),
        treatment=_quotient(top[used & on], weights[used & on]),
    )
    if lags is None:
        lags = int(4 * (top.size / 100) ** (2 / 9))
    levels = _levels(labels, used)
    fit = _fit(values, weights, [on.astype(np.float64)], levels, lags)
    if fit is None:
        return known
    effect, se, df = fit
    carry_over, p_carry_over = _carry_over(values, weights, on, levels, lags)
    known = replace(known, effect=effect, df=df, carry_over=carry_over, p_carry_over=p_carry_over)
    if not se > 0:
        return known
    half = float(special.stdtrit(df, 1 - alpha / 2)) * se
    return replace(
        known,
        se=se,
        low=effect - half,
        high=effect + half,
        p=2 * float(special.stdtr(df, -abs(effect) / se)),
        p_randomised=_randomised(values, weights, on, levels, share, redraws),
    )


def power(slots: int, effect: float, sd: float, *, share: float = 0.5, alpha: float = 0.05) -> float | None:
    """Chance that a two-sided t test over that many slots finds the effect. sd: of slot values within strata.

    Noncentral t with effect / (sd sqrt(1/treated + 1/control)) and slots - 2 degrees of freedom (Cohen 1988).
    The shop's own autocorrelation costs nothing when slots are drawn independently. None without a slot of
    either kind, or spread.
    """
    treated, control = slots * share, slots * (1 - share)
    if min(treated, control) < 1 or slots < 3 or not sd > 0:
        return None
    shift = abs(effect) / (sd * math.sqrt(1 / treated + 1 / control))
    df = slots - 2
    edge = float(special.stdtrit(df, 1 - alpha / 2))
    # The t statistic given its spread is normal; SciPy's noncentral t has no value for many slots.
    chances = (np.arange(4_000) + 0.5) / 4_000
    spread = np.sqrt(special.chdtri(df, 1 - chances) / df)
    return float(np.mean(special.ndtr(shift - edge * spread) + special.ndtr(-shift - edge * spread)))


def slots_needed(
    effect: float, sd: float, *, share: float = 0.5, alpha: float = 0.05, goal: float = 0.8
) -> int | None:
    """The least number of slots with that power, None if it is above SLOTS_AT_MOST."""
    low, high = 3, SLOTS_AT_MOST
    if (power(high, effect, sd, share=share, alpha=alpha) or 0.0) < goal:
        return None
    while low < high:
        middle = (low + high) // 2
        if (power(middle, effect, sd, share=share, alpha=alpha) or 0.0) >= goal:
            high = middle
        else:
            low = middle + 1
    return low


def spread_of(values: ArrayLike, strata: ArrayLike | None = None) -> float | None:
    """The sd of past slots' values about their stratum's mean, for `power`; None without degrees of
    freedom."""
    v = np.asarray(values, dtype=np.float64)
    labels = _labels(strata, v.size)
    groups = np.unique(labels).size
    if v.size <= groups:
        return None
    means = np.bincount(labels, v) / np.bincount(labels)
    return float(np.sqrt(((v - means[labels]) ** 2).sum() / (v.size - groups)))


def _labels(strata: ArrayLike | None, slots: int) -> NDArray[np.int64]:
    """Strata as numbers from 0 on; one stratum where none are given."""
    if strata is None:
        return np.zeros(slots, dtype=np.int64)
    return np.asarray(np.unique(np.asarray(strata), return_inverse=True)[1], dtype=np.int64)


def _quotient(y: Floats, d: Floats) -> float | None:
    return float(y.sum() / d.sum()) if d.size and d.sum() > 0 else None


def _levels(labels: NDArray[np.int64], used: NDArray[np.bool_]) -> Floats:
    """One column for each stratum that has slots: float64 [slots, strata]."""
    columns = (labels[:, None] == np.unique(labels[used])[None, :]).astype(np.float64)
    return columns * used[:, None]


def _without_levels(columns: Floats, weights: Floats, levels: Floats) -> Floats:
    """What the strata don't say of these columns [..., slots]: less their weighted means within strata."""
    sums = weights @ levels
    means = (columns * weights) @ levels / np.where(sums > 0, sums, 1.0)
    return np.asarray(columns - means @ levels.T)


def _fit(
    values: Floats, weights: Floats, columns: list[Floats], levels: Floats, lags: int
) -> tuple[float, float, int] | None:
    """Coefficient of the first column, its error and degrees of freedom; None if it can't be told."""
    x = _without_levels(np.stack(columns), weights, levels)
    v = _without_levels(values, weights, levels)
    slots = int((weights > 0).sum())
    df = slots - levels.shape[1] - len(columns)
    gram = (x * weights) @ x.T
    scale = np.abs(np.diag(gram)).max(initial=0.0)
    total = weights.sum()
    if df < 1 or not scale > 1e-12 * total or np.linalg.cond(gram) > 1e10:
        return None
    bread = np.linalg.inv(gram)
    coefficients = bread @ ((x * weights) @ v)
    residuals = v - coefficients @ x
    residuals = np.where(np.abs(residuals) > 1e-12 * np.abs(values).max(initial=0.0), residuals, 0.0)
    scores = x * weights * residuals
    meat = scores @ scores.T
    white = (bread @ meat @ bread)[0, 0]
    for lag in range(1, min(lags, values.size - 1) + 1):
        shifted = scores[:, lag:] @ scores[:, :-lag].T
        meat = meat + (1 - lag / (lags + 1)) * (shifted + shifted.T)
    wide = max((bread @ meat @ bread)[0, 0], white)
    return float(coefficients[0]), math.sqrt(max(wide, 0.0) * slots / df), df


def _carry_over(
    values: Floats, weights: Floats, on: NDArray[np.bool_], levels: Floats, lags: int
) -> tuple[float | None, float | None]:
    """The effect of the slot before, beside that of the slot itself, from the second slot on; and its p."""
    now, before = on[1:].astype(np.float64), on[:-1].astype(np.float64)
    if min(on.sum(), (~on).sum()) < 4:
        return None, None
    kept = levels[1:, levels[1:].any(axis=0)]
    fit = _fit(values[1:], weights[1:], [before, now], kept, lags)
    if fit is None:
        return None, None
    effect, se, df = fit
    return effect, 2 * float(special.stdtr(df, -abs(effect) / se)) if se > 0 else None


def _randomised(
    values: Floats, weights: Floats, on: NDArray[np.bool_], levels: Floats, share: float, redraws: int
) -> float | None:
    """p of the randomisation test; None if the draws leave nothing to compare with."""
    rng = np.random.default_rng(SEED)
    v = _without_levels(values, weights, levels)
    least = 1e-9 * weights.sum()
    t = _statistics(on[None, :], v, weights, levels, least)
    rows = max(CELLS_AT_ONCE // values.size, 1)  # a year of half hours at 2,000 redraws would take a gigabyte
    chunks = [
        _statistics(rng.random((min(rows, redraws - done), values.size)) < share, v, weights, levels, least)
        for done in range(0, redraws, rows)
    ]
    others = np.concatenate(chunks) if chunks else np.empty(0)
    if not t.size or not others.size:
        return None
    return float((1 + (others >= t[0] * (1 - 1e-12)).sum()) / (1 + others.size))


def _statistics(drawn: NDArray[np.bool_], v: Floats, weights: Floats, levels: Floats, least: float) -> Floats:
    """Studentised effects, absolute, of those of these assignments [draws, slots] that have both kinds."""
    x = _without_levels(drawn.astype(np.float64), weights, levels)
    squares = (x * x) @ weights
    x, squares = x[squares > least], squares[squares > least]
    effects = (x * weights) @ v / squares
    residuals = v - effects[:, None] * x
    errors = np.sqrt(((x * weights * residuals) ** 2).sum(axis=1)) / squares
    return np.asarray(np.abs(effects) / np.where(errors > 0, errors, np.inf))
