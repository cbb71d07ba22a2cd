"""Arms of experiments as they look day after day, many runs at once: what the simulations watch.

A run is one experiment; a look is the end of a day. All figures are cumulative and of shape [runs, looks].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from apps.experiments.stats import sequential

Floats = NDArray[np.float64]
ALPHA = 0.05


@dataclass(frozen=True)
class Stream:
    """One arm: units, the value shown (a mean or a ratio), its squared error, effective events so far."""

    n: Floats
    value: Floats
    error: Floats
    events: Floats

    @property
    def runs(self) -> int:
        """How many experiments."""
        return self.value.shape[0]


def _of_sums(n: Floats, total: Floats, squares: Floats) -> Stream:
    n, total, squares = (np.cumsum(part, axis=1) for part in (n, total, squares))
    mean = total / n
    variance = np.maximum(squares - total * mean, 0.0) / np.maximum(n - 1, 1)
    return Stream(n, mean, variance / n, sequential.effective_events(n, mean, variance))


def normal(rng: Generator, runs: int, looks: int, daily: int, *, mean: float = 10, sd: float = 3) -> Stream:
    """Values N(mean, sd^2): sums and sums of squares are drawn from their own distributions."""
    n = np.full((runs, looks), float(daily))
    total = rng.normal(daily * mean, np.sqrt(daily) * sd, (runs, looks))
    squares = total**2 / daily + sd**2 * rng.chisquare(max(daily - 1, 1), (runs, looks)) * (daily > 1)
    return _of_sums(n, total, squares)


def conversions(rng: Generator, runs: int, looks: int, daily: int, *, rate: float) -> Stream:
    """Zeros and ones."""
    bought = rng.binomial(daily, rate, (runs, looks)).astype(np.float64)
    return _of_sums(np.full((runs, looks), float(daily)), bought, bought)


def revenue(
    rng: Generator, runs: int, looks: int, daily: int, *, rate: float, spread: float, cap: float = np.inf
) -> Stream:
    """Nothing for most, exp(N(0, spread^2)) for buyers, at most `cap`."""
    buyers = rng.binomial(daily, rate, (runs, looks))
    orders = np.minimum(rng.lognormal(0, spread, int(buyers.sum())), cap)
    day = np.repeat(np.arange(runs * looks), buyers.ravel())
    total, squares = (
        np.bincount(day, amount, runs * looks).astype(np.float64).reshape(runs, looks)
        for amount in (orders, orders**2)
    )
    return _of_sums(np.full((runs, looks), float(daily)), total, squares)


def click_rate(
    rng: Generator, runs: int, looks: int, daily: int, *, rate: float = 0.03, lift: float = 0.0
) -> Stream:
    """Clicks over slates of shoppers who see 1 to dozens of slates and click at rates of their own."""
    shape = (runs, looks, daily)
    slates = 1.0 + rng.poisson(rng.exponential(4.0, shape))
    own = rng.beta(2, 2 * (1 - rate) / rate, shape) * (1 + lift)
    clicks = rng.binomial(slates.astype(np.int64), np.minimum(own, 1)).astype(np.float64)
    y, d, yy, dd, yd = (
        np.cumsum(part.sum(axis=2), axis=1)
        for part in (clicks, slates, clicks**2, slates**2, clicks * slates)
    )
    n = np.cumsum(np.full((runs, looks), float(daily)), axis=1)
    ratio = y / d
    spread = (yy - 2 * ratio * yd + ratio**2 * dd) / (n - 1)
    events = np.minimum(y * y / np.maximum(yy, 1e-12), d * d / dd)
    return Stream(n, ratio, spread / n / (d / n) ** 2, events)


def late_buyers(rng: Generator, runs: int, looks: int, units: int, *, rate: float) -> Stream:
    """Everybody comes on the first day, and some buy on each day after it: units stand still, values grow."""
    left = np.full(runs, units)
    bought = np.zeros((runs, looks))
    for day in range(looks):
        new = rng.binomial(left, rate)
        left = left - new
        bought[:, day] = new
    n = np.full((runs, looks), float(units))
    mean = np.cumsum(bought, axis=1) / units
    variance = mean * (1 - mean) * units / (units - 1)
    return Stream(n, mean, variance / units, np.cumsum(bought, axis=1))


def watched(
    control: Stream, treatment: Stream, *, of_an_event: float = 3.0, tuning_n: float = sequential.TUNING_N
) -> sequential.Looks:
    """The sequence as an analysis shows it: burn-in and widening included."""
    events = np.minimum(control.events, treatment.events)
    skew = sequential.assumed_skewness(
        control.events, treatment.events, control.error, treatment.error, of_an_event
    )
    return sequential.sequence(
        treatment.value - control.value,
        np.sqrt(control.error + treatment.error),
        control.n + treatment.n,
        ALPHA,
        tuning_n,
        skew=skew,
        settled=(events >= sequential.EVENTS_AT_LEAST) & np.isfinite(skew),
    )


def plain(control: Stream, treatment: Stream, *, tuning_n: float = sequential.TUNING_N) -> sequential.Looks:
    """The published sequence: no burn-in, no widening."""
    return sequential.sequence(
        treatment.value - control.value,
        np.sqrt(control.error + treatment.error),
        control.n + treatment.n,
        ALPHA,
        tuning_n,
    )


def ever_away(looks: sequential.Looks, truth: float | Floats = 0.0) -> float:
    """The share of runs in which any look's interval leaves out the truth."""
    return float(((looks.low > truth) | (looks.high < truth)).any(axis=1).mean())


def z_scores(control: Stream, treatment: Stream) -> Floats:
    """The usual statistic at each look; 0 where there is no spread yet."""
    error = np.sqrt(control.error + treatment.error)
    return np.where(error > 0, (treatment.value - control.value) / np.where(error > 0, error, 1.0), 0.0)
