"""Is the experiment itself sound? Sample ratio mismatch, bias before exposure, units seen in several arms.

A warning below p = .01; below p = .001 no verdict should be shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special, stats

from apps.experiments.stats.corrections import holm
from apps.experiments.stats.frequentist import difference
from apps.experiments.stats.moments import Floats, Moments

Alarm = Literal["none", "warning", "blocked"]

WARNING = 0.01
BLOCKED = 0.001
SPARSE = 5.0  # an expected count below this is too small for chi-square's approximation (Cochran 1954)
STRAY = 0.001  # share of all units in arms that should have none, above which the verdict is blocked
CONCENTRATION = 10_000.0  # of the Dirichlet prior: looks for deviations about as large as 1/100


@dataclass(frozen=True, slots=True)
class Srm:
    """One check of the counts. stray: units by arm in arms whose share is 0, an alarm of its own.

    p, statistic and df are None where there is nothing to test (no unit, or one arm). exact: few units, so
    that p comes from exact binomial tests and there is no statistic. expected holds counts, not shares.
    """

    p: float | None
    alarm: Alarm
    statistic: float | None
    df: int | None
    exact: bool
    observed: Mapping[str, int]
    expected: Mapping[str, float]
    stray: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SegmentSrm:
    """The check inside one segment; the alarm is raised on p_adjusted (Holm over the segments)."""

    segment: str
    srm: Srm
    p_adjusted: float | None
    alarm: Alarm


@dataclass(frozen=True, slots=True)
class Bias:
    """Difference of a metric between an arm and control before anybody was exposed."""

    metric: str
    variant: str
    difference: float | None
    p: float | None
    p_adjusted: float | None
    biased: bool


@dataclass(frozen=True, slots=True)
class MultipleExposure:
    """Units that were exposed to more than one arm."""

    units: int
    share: float | None
    alarm: bool


def srm(observed: Mapping[str, int], shares: Mapping[str, float]) -> Srm:
    """Do the counts fit the shares? Pearson's chi-square: sum (O - E)^2 / E, df = arms with a share, less 1.

    Pearson (1900); Fabijan et al. (2019), "Diagnosing sample ratio mismatch in online controlled
    experiments". Shares are normalised; an arm that isn't among them has share 0, one that wasn't counted
    has 0 units. Expected counts are of the units in arms with a share: strays are an alarm of their own
    (blocked above STRAY of all units, else a warning), not noise in this one. (gbstats leaves arms of share
    0 out of the sum but not of df.) With an expected count below 5, p is the least of the arms' exact
    two-sided binomial p-values, times their number (Bonferroni; one test for two arms). ValueError for a
    negative share or count, or without any positive share.
    """
    if any(share < 0 or not math.isfinite(share) for share in shares.values()) or not sum(shares.values()):
        raise ValueError(f"shares = {dict(shares)}: none may be negative, and one must be positive.")
    if any(count < 0 for count in observed.values()):
        raise ValueError(f"observed = {dict(observed)}: counts can't be negative.")
    whole = sum(shares.values())
    arms = [name for name, share in shares.items() if share > 0]
    counts = {name: observed.get(name, 0) for name in arms}
    stray = {name: count for name, count in observed.items() if name not in counts and count}
    n = sum(counts.values())
    expected = {name: n * shares[name] / whole for name in arms}
    p, statistic, df, exact = None, None, None, False
    if n and len(arms) > 1:
        exact = min(expected.values()) < SPARSE
        if exact:
            tests = [stats.binomtest(counts[name], n, shares[name] / whole).pvalue for name in arms]
            p = float(tests[0]) if len(arms) == 2 else min(1.0, len(arms) * float(min(tests)))
        else:
            statistic = sum((counts[name] - expected[name]) ** 2 / expected[name] for name in arms)
            df = len(arms) - 1
            p = float(special.chdtrc(df, statistic))
    alarm = alarm_of(p)
    if stray and alarm != "blocked":
        alarm = "blocked" if sum(stray.values()) > STRAY * (n + sum(stray.values())) else "warning"
    return Srm(p, alarm, statistic, df, exact, dict(observed), expected, stray)


def srm_by_segment(
    segments: Mapping[str, Mapping[str, int]], shares: Mapping[str, float]
) -> tuple[SegmentSrm, ...]:
    """The check inside each segment, in the order given; Holm over all segments of the call.

    Strays raise their alarm uncorrected: they are no matter of chance.
    """
    found = {segment: srm(observed, shares) for segment, observed in segments.items()}
    adjusted = holm([one.p for one in found.values()])
    return tuple(
        SegmentSrm(segment, one, p, worst((alarm_of(p), one.alarm if one.stray else "none")))
        for (segment, one), p in zip(found.items(), adjusted, strict=True)
    )


def sequential_srm(
    observed: Mapping[str, int], shares: Mapping[str, float], concentration: float = CONCENTRATION
) -> float | None:
    """Always-valid p of the counts so far: 1 / e-value, at most 1; None without units or with one arm.

    The e-value is the Bayes factor of a Dirichlet-multinomial with mean at the shares theta against the
    shares themselves: B(a + counts) / B(a) / prod theta_i^count_i, a = concentration theta, B the
    multivariate beta function. A martingale under the shares, whatever the order units came in (Lindon &
    Malek 2022, "Anytime-valid inference for multinomial count data", eq. 5), so checking daily costs no
    false alarms. It is 1 / e of *this* look; the least over all looks (`sequential_srm_path`) is valid too.
    """
    arms = [name for name, share in shares.items() if share > 0]
    counts = np.array([observed.get(name, 0) for name in arms], dtype=np.float64)
    n = float(counts.sum())
    if len(arms) < 2 or not n:
        return None
    theta = np.array([shares[name] for name in arms], dtype=np.float64)
    theta /= theta.sum()
    log_e = _log_marginal(concentration, theta, counts) - _log_marginal(concentration, theta, 0.0 * counts)
    return math.exp(-max(log_e, 0.0))


def sequential_srm_path(
    looks: Sequence[Mapping[str, int]], shares: Mapping[str, float], concentration: float = CONCENTRATION
) -> list[float | None]:
    """The always-valid p at each look (cumulative counts, oldest first): the least so far."""
    path: list[float | None] = []
    least: float | None = None
    for observed in looks:
        p = sequential_srm(observed, shares, concentration)
        least = p if least is None else least if p is None else min(least, p)
        path.append(least)
    return path


def pre_exposure_bias(
    metrics: Mapping[str, Mapping[str, Moments]], control: str, alpha: float = 0.001
) -> tuple[Bias, ...]:
    """Did arms differ before anybody was exposed? Welch's t on the covariates' means, with Bonferroni.

    metrics: the arms' moments by metric; those without a covariate (no spread in either arm) are left out.
    Biased: p x (metrics x arms tested) below alpha, .001 as at GrowthBook.
    """
    tests = [
        (metric, variant, difference(_before(arms[control]), _before(arm)))
        for metric, arms in metrics.items()
        if control in arms
        for variant, arm in arms.items()
        if variant != control and (arms[control].var_x > 0 or arm.var_x > 0)
    ]
    count = sum(effect.p is not None for _, _, effect in tests)
    result = []
    for metric, variant, effect in tests:
        p = None if effect.p is None else min(1.0, effect.p * count)
        result.append(Bias(metric, variant, effect.difference, effect.p, p, p is not None and p < alpha))
    return tuple(result)


def multiple_exposure(multiple: int, units: int, limit: float = 0.01, least: int = 10) -> MultipleExposure:
    """Units in several arms among all: an alarm above 1 % with at least 10 of them (GrowthBook's rule)."""
    share = multiple / units if units else None
    return MultipleExposure(multiple, share, share is not None and share > limit and multiple >= least)


def alarm_of(p: float | None) -> Alarm:
    """none, warning (p < .01) or blocked (p < .001)."""
    if p is None or p >= WARNING:
        return "none"
    return "blocked" if p < BLOCKED else "warning"


def worst(alarms: Iterable[Alarm]) -> Alarm:
    """The most serious of several alarms."""
    order: tuple[Alarm, ...] = ("none", "warning", "blocked")
    return max(alarms, key=order.index, default="none")


def _before(arm: Moments) -> Moments:
    return Moments(n=arm.n, mean_y=arm.mean_x, var_y=arm.var_x)


def _log_marginal(concentration: float, theta: Floats, counts: Floats) -> float:
    """sum of (log Gamma(z_i) - z_i log theta_i) - log Gamma(Z), less a constant; z = concentration theta + n.

    By Stirling's formula with its rest, because for 1e12 units the terms themselves are 1e13 and leave no
    digits: what remains of them is the divergence sum of z_i log(z_i / (theta_i Z)), taken from the
    deviations.
    """
    z = concentration * theta + counts
    whole = concentration + float(counts.sum())
    divergence = z * np.log1p((counts - theta * counts.sum()) / (theta * whole))
    parts = divergence - 0.5 * np.log(z) + _stirling_rest(z)
    return float(parts.sum()) + 0.5 * math.log(whole) - float(_stirling_rest(np.array([whole]))[0])


def _stirling_rest(z: Floats) -> Floats:
    """log Gamma(z) - ((z - 1/2) log z - z + log(2 pi)/2)."""
    large = np.maximum(z, 20.0)
    series = (1.0 - (1.0 / 30.0 - 1.0 / (105.0 * large**2)) / large**2) / (12.0 * large)
    direct = special.gammaln(z) - ((z - 0.5) * np.log(z) - z + 0.5 * math.log(2.0 * math.pi))
    return np.where(z >= 20.0, series, direct)
