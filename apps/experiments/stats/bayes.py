"""Bayesian answers: chance to win, expected loss, intervals, and which of several arms is best.

Two kinds of posterior.

- `posterior`: normal, for the difference or the relative change of any metric, from an estimate and its
  standard error. The prior is flat, or N(mean, sd^2); with w = 1/se^2 and v = 1/sd^2 the posterior is
  N((w estimate + v mean)/(w + v), 1/(w + v)) (Gelman et al. 2013, "Bayesian Data Analysis", eq. 2.10).
- `beta` and `gamma`: exact conjugate posteriors of a conversion rate and of a rate of counts, for counts so
  small that the normal one is poor (op. cit., sections 2.4 and 2.6).

Chances over several arms are integrals of products of distribution functions, solved by composite
Gauss-Legendre quadrature between quantiles of all arms: no draws, no seed, about ten digits.

What is undefined is None. NumPy and SciPy only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

Floats = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)
_SIGMAS = (-38.0, -12.0, -8.0, -6.0, -4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 38.0)
"""Where the arms' quantiles cut the line: those of these normal scores."""


class Normal(NamedTuple):
    """A normal prior of an effect. sd > 0."""

    mean: float
    sd: float

    def on_absolute(self, control: float) -> Normal:
        """The prior of the difference that this prior of the relative change means, given control."""
        return Normal(self.mean * abs(control), self.sd * abs(control))


PROPER = Normal(0.0, 0.3)
"""GrowthBook's proper default for relative changes: within 59 % of no change, in 95 of 100 cases."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is believed of an effect after the data.

    chance_to_win: that the treatment is better. expected_loss: what shipping it loses on average, in the
    effect's unit, E max(-effect, 0). control_loss: what keeping control loses, E max(effect, 0). For a metric
    where less is better the two change places. low, high: equal-tail interval of the effect.
    """

    mean: float
    sd: float
    chance_to_win: float
    expected_loss: float
    control_loss: float
    low: float
    high: float


def posterior(
    effect: float,
    se: float,
    *,
    prior: Normal | None = None,
    alpha: float = 0.05,
    higher_is_better: bool = True,
) -> Posterior | None:
    """Posterior of an effect (difference or relative change) with that estimate and standard error.

    prior: None is flat. None without a spread or finite numbers. ValueError for a prior without a spread.
    """
    if prior is not None and not (prior.sd > 0 and math.isfinite(prior.mean)):
        raise ValueError(f"prior = {prior}: its sd must be above 0.")
    if not (math.isfinite(effect) and math.isfinite(se) and se > 0):
        return None
    mean, sd = effect, se
    if prior is not None and math.isfinite(prior.sd):
        both = math.hypot(prior.sd, se)
        of_data, of_prior = (prior.sd / both) * (prior.sd / both), (se / both) * (se / both)
        mean, sd = of_data * effect + of_prior * prior.mean, se * (prior.sd / both)  # no square overflows
    z = float(special.ndtri(1 - alpha / 2)) * sd
    gain, loss = _positive_part(mean, sd), _positive_part(-mean, sd)
    win = float(special.ndtr(mean / sd))
    if not higher_is_better:
        gain, loss, win = loss, gain, float(special.ndtr(-mean / sd))
    return Posterior(mean, sd, win, expected_loss=loss, control_loss=gain, low=mean - z, high=mean + z)


def _positive_part(mean: float, sd: float) -> float:
    """E max(X, 0) of X ~ N(mean, sd^2): sd (phi(u) + u Phi(u)), u = mean/sd, without cancellation below 0."""
    u = mean / sd
    density = math.exp(-u * u / 2) / math.sqrt(2 * math.pi)
    if u < 0 and not density:
        return 0.0
    if u >= 0:
        return sd * density + mean * float(special.ndtr(u))
    mills = math.sqrt(math.pi / 2) * float(special.erfcx(-u / math.sqrt(2)))
    return sd * density * max(1 + u * mills, 0.0)


# --- several arms ----


class Marginal(Protocol):
    """The posterior of one arm's value, as SciPy's frozen distributions have it."""

    def pdf(self, x: Floats, /) -> Floats:
        """Density."""
        ...

    def cdf(self, x: Floats, /) -> Floats:
        """Distribution function."""
        ...

    def ppf(self, q: Floats, /) -> Floats:
        """Quantiles."""
        ...


@dataclass(frozen=True, slots=True)
class Best:
    """Over arms with independent posteriors, in their order.

    chances: that the arm is the best; they sum to 1. losses: what choosing the arm loses on average against
    the best, E[max over arms] - E[arm].
    """

    chances: tuple[float, ...]
    losses: tuple[float, ...]


class _NormalArm:
    """N(mean, sd^2), a good deal faster than SciPy's frozen one; sd = 0 is taken as very small."""

    def __init__(self, mean: float, sd: float) -> None:
        self.mean, self.sd = mean, sd

    def pdf(self, x: Floats, /) -> Floats:
        z = (x - self.mean) / self.sd
        return np.asarray(np.exp(-z * z / 2) / (self.sd * math.sqrt(2 * math.pi)))

    def cdf(self, x: Floats, /) -> Floats:
        return np.asarray(special.ndtr((x - self.mean) / self.sd))

    def ppf(self, q: Floats, /) -> Floats:
        return np.asarray(self.mean + self.sd * special.ndtri(q))


def beta(successes: float, n: float, prior: tuple[float, float] = (1.0, 1.0)) -> Marginal:
    """Posterior of a conversion rate: Beta(a + successes, b + n - successes); prior Beta(1, 1) is uniform."""
    if not 0 <= successes <= n:
        raise ValueError(f"successes = {successes}: must lie between 0 and n = {n}.")
    return stats.beta(prior[0] + successes, prior[1] + n - successes)


def gamma(count: float, exposure: float, prior: tuple[float, float] = (1.0, 1.0)) -> Marginal:
    """Posterior of a rate of counts (orders a shopper): Gamma(shape a + count, rate b + exposure)."""
    if count < 0 or exposure < 0:
        raise ValueError(f"count = {count}, exposure = {exposure}: neither may be negative.")
    return stats.gamma(prior[0] + count, scale=1 / (prior[1] + exposure))


def best_of(arms: Sequence[Marginal], *, higher_is_better: bool = True) -> Best:
    """Which arm is best, by quadrature: P(i) is the integral of its density times the others' chance to be
    below, and E[max] that of the upper tail less the lower one. ValueError without an arm.
    """
    if not arms:
        raise ValueError("There must be at least one arm.")
    if len(arms) == 1:
        return Best((1.0,), (0.0,))
    x, weights = _grid(arms)
    below = np.stack([np.clip(arm.cdf(x), 0, 1) for arm in arms])
    if not higher_is_better:
        below = 1 - below
    density = np.stack([arm.pdf(x) for arm in arms]) * weights
    chances = np.array(
        [(density[i] * np.prod(np.delete(below, i, axis=0), axis=0)).sum() for i in range(len(arms))]
    )
    # E[max] - E[arm] is the integral of F_arm - prod F; mirrored for a minimum.
    losses = np.maximum(((below - np.prod(below, axis=0)) * weights).sum(axis=1), 0.0)
    return Best(tuple((chances / chances.sum()).tolist()), tuple(losses.tolist()))


def best_of_normals(means: Sequence[float], sds: Sequence[float], *, higher_is_better: bool = True) -> Best:
    """`best_of` for normal posteriors (flat prior: the arms' means and standard errors), all sds >= 0.

    An arm without spread is taken to have one a million times smaller than the figures are apart; equal arms
    without spread share the chance.
    """
    if len(means) != len(sds) or any(
        not (sd >= 0 and math.isfinite(sd + mean)) for mean, sd in zip(means, sds, strict=False)
    ):
        raise ValueError("There must be one finite mean and one finite sd >= 0 for each arm.")
    gaps = [mean - means[0] for mean in means]
    scale = max((abs(value) for value in (*gaps, *sds)), default=0.0) or 1.0
    if not math.isfinite(scale):
        raise ValueError("There must be one finite mean and one finite sd >= 0 for each arm.")
    # chances depend on neither place nor scale; figures near 0 and 1 keep their digits
    found = best_of(
        [_NormalArm(gap / scale, max(sd / scale, 1e-6)) for gap, sd in zip(gaps, sds, strict=True)],
        higher_is_better=higher_is_better,
    )
    return Best(found.chances, tuple(scale * loss for loss in found.losses))


def difference_of(
    control: Marginal, treatment: Marginal, *, alpha: float = 0.05, higher_is_better: bool = True
) -> Posterior:
    """Posterior of treatment - control for any two independent posteriors, by quadrature and root finding.

    mean and sd are the exact ones; the interval is equal-tailed.
    """
    x, weights = _grid([control])
    density = control.pdf(x) * weights
    density = density / density.sum()

    def below(d: float) -> float:
        return float((density * treatment.cdf(x + d)).sum())

    moments = []
    for arm in (control, treatment):
        points, own = _grid([arm])
        mass = arm.pdf(points) * own
        mass = mass / mass.sum()
        mean = float((mass * points).sum())
        moments.append((mean, float((mass * (points - mean) ** 2).sum())))
    mean, sd = moments[1][0] - moments[0][0], math.sqrt(moments[0][1] + moments[1][1])
    ends = [
        float(
            optimize.brentq(
                lambda d, q=q: below(d) - q, mean - 40 * sd, mean + 40 * sd, xtol=1e-12 * sd, rtol=1e-12
            )
        )
        for q in (alpha / 2, 1 - alpha / 2)
    ]
    found = best_of([control, treatment], higher_is_better=higher_is_better)
    return Posterior(mean, sd, found.chances[1], found.losses[1], found.losses[0], ends[0], ends[1])


def _grid(arms: Sequence[Marginal]) -> tuple[Floats, Floats]:
    """Points and weights for integrals over the line, fine wherever any arm's posterior changes."""
    quantiles = special.ndtr(np.array(_SIGMAS))
    cuts = np.unique(np.concatenate([np.asarray(arm.ppf(quantiles), dtype=np.float64) for arm in arms]))
    cuts = cuts[np.isfinite(cuts)]
    half = np.diff(cuts)[:, None] / 2
    return ((cuts[:-1, None] + half) + half * _NODES).ravel(), (half * _WEIGHTS).ravel()
