"""Less noise from what was known before: CUPED, and post-stratification.

Both give back moments that `frequentist.difference` and `.relative` take like any others: means adjusted, and
var_y what is left of the variance. Deng, Xu, Kohavi & Walker (2013), "Improving the sensitivity of online
controlled experiments by utilizing pre-experiment data".
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from apps.experiments.stats.moments import Floats, Moments, finite, merged, positive


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What CUPED did: arms adjusted, theta, the correlation of y and x in the arms, and its square, the cut.

    theta is 0 and the cut None where there is nothing to adjust by (no covariate, or no spread).
    """

    arms: Mapping[str, Moments]
    theta: float
    correlation: float | None
    variance_cut: float | None


@dataclass(frozen=True, slots=True)
class Stratified:
    """Two arms after post-stratification, and how many strata there were (those too small count as one)."""

    control: Moments
    treatment: Moments
    strata: int


def adjusted(arms: Mapping[str, Moments], base: str = "") -> Mapping[str, Moments]:
    """The arms with their means adjusted for the covariate; see `adjustment`."""
    return adjustment(arms, base).arms


def adjustment(arms: Mapping[str, Moments], base: str = "") -> Adjustment:
    """CUPED with one theta for all arms: y - theta (x - mean of x over all arms, or over the arm `base`).

    theta = sum (n_a - 1) cov_a(y, x) / sum (n_a - 1) var_a(x): pooled *within* the arms, so that it is the
    slope of the analysis of covariance (y on arm and x), and a large effect can't leak into it. gbstats takes
    the covariance of all units as one sample; both agree where the arms' covariates do, which randomisation
    brings about. What is left in an arm is var_y + theta^2 var_x - 2 theta cov_xy: 1 - correlation^2 of it.

    All arms' means hold theta times the pooled mean of x. In a difference it cancels; for the relative change
    `shared` keeps theta c_a / N + theta^2 var_x / 2N, c_a = cov_a(y - theta x, x) the covariance that one
    theta leaves in this arm.

    A ratio is adjusted as the mean it behaves like (`Moments.linear`) and comes back as one. Arms without
    units stay as they are; x must be known for all arms or none.
    """
    lines = {name: arm.linear() for name, arm in arms.items()}
    freedom = {name: max(line.n - 1, 0) for name, line in lines.items()}
    whole_x = sum(freedom[name] * line.var_x for name, line in lines.items())
    whole_y = sum(freedom[name] * line.var_y for name, line in lines.items())
    together = sum(freedom[name] * line.cov_xy for name, line in lines.items())
    units = sum(line.n for line in lines.values())
    theta = finite(together / whole_x) if whole_x > 0.0 else None
    if theta is None or whole_y <= 0.0:
        return Adjustment(dict(arms), 0.0, None, None)
    correlation = max(-1.0, min(1.0, together / math.sqrt(whole_x) / math.sqrt(whole_y)))
    centre = sum(line.n * line.mean_x for line in lines.values()) / units
    variance = whole_x / sum(freedom.values())
    if base in lines and lines[base].n:
        found = {
            name: _beside(line, theta, lines[base], of_base=name == base) for name, line in lines.items()
        }
    else:
        found = {name: _adjusted(line, theta, centre, variance, units) for name, line in lines.items()}
    return Adjustment(
        found,
        theta,
        correlation,
        correlation * correlation,
    )


def linearised(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """The covariate of a ratio: numerator - R denominator of the time before, of shape [n].

    R is the ratio over the units of *all* arms (0 without a denominator): give all of them at once. For a
    ratio, this is the covariate that follows its own error; Deng, Knoblich & Lu (2018), section 3.
    """
    top, bottom = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    whole = float(bottom.sum())
    return top - (float(top.sum()) / whole if whole else 0.0) * bottom


def post_stratified(
    control: Mapping[str, Moments], treatment: Mapping[str, Moments], cuped: bool = False
) -> Stratified | None:
    """Both arms as if each held every stratum in its share of all units: sum of w_s mean_s, w_s = n_s / N.

    Variance of an arm's mean: sum of w_s^2 v_s / n_s within the strata, and sum of w_s (m_s - m)^2 / N
    between them, as the shares are themselves random; the latter goes along in both arms (`shared`), and
    what is left of it in the difference is sum of w_s (d_s - d)^2 / N, d_s the strata's differences. So the
    interval is about shoppers like these, not only about these (Miratrix, Sekhon & Yu 2013, "Adjusting
    treatment effect estimates by post-stratification in randomized experiments", section 2.3).

    Ratios: numerator and denominator are stratified each, then the delta method. With cuped the arms of each
    stratum are adjusted for the covariate first, with one theta for all.

    Strata with fewer than two units in either arm are put together; if that is still too few, into the
    smallest of the others. None where not even the arms as a whole have two units each, and where numbers
    overflow.
    """
    strata = _strata(control, treatment)
    if not strata:
        return None
    sizes = np.array([c.n + t.n for c, t in strata], dtype=np.float64)
    weights = sizes / sizes.sum()
    lines: list[list[Moments]] = []
    for arms in zip(*strata, strict=True):
        top = float(weights @ [arm.mean_y for arm in arms])
        bottom = float(weights @ [arm.mean_d for arm in arms])
        if not bottom:
            return None
        lines.append([_around(arm, top / bottom, bottom) for arm in arms])
    if cuped:
        lines = _within_strata(lines)
    with np.errstate(over="ignore", invalid="ignore"):
        means = np.array([[line.mean_y for line in arm] for arm in lines])
        spread = means - (means @ weights)[:, None]
        between = (spread * weights) @ spread.T / sizes.sum()
        within = [float((weights**2) @ [line.var_y / line.n for line in arm]) for arm in lines]
    if not np.isfinite(between).all() or not np.isfinite(within).all():
        return None
    # Each arm's own part gets half of what different effects add to the difference, so that it is never
    # below 0; the rest of the variance of its mean is shared.
    apart = max(float(between[0, 0] + between[1, 1] - 2.0 * between[0, 1]), 0.0)
    result = [
        Moments(
            n=sum(line.n for line in arm),
            mean_y=float(weights @ means[at]),
            var_y=(within[at] + 0.5 * apart) * sum(line.n for line in arm),
            shared=float((weights**2) @ [line.shared for line in arm])
            + 0.5 * float(between[at, at] - 0.5 * apart),
        )
        for at, arm in enumerate(lines)
    ]
    return Stratified(result[0], result[1], len(strata))


def _adjusted(line: Moments, theta: float, centre: float, variance: float, units: int) -> Moments:
    """One arm; centre and variance are the covariate's over all arms, units those of all arms."""
    if not line.n:
        return line
    whole = line.var_y + theta * theta * line.var_x
    return Moments(
        n=line.n,
        mean_y=line.mean_y - theta * (line.mean_x - centre),
        var_y=positive(whole - 2.0 * theta * line.cov_xy, whole),
        shared=theta * (line.cov_xy - theta * line.var_x + 0.5 * theta * variance) / units,
    )


def _beside(line: Moments, theta: float, base: Moments, *, of_base: bool) -> Moments:
    """One arm, its covariate centred on the base's."""
    if not line.n:
        return line
    whole = line.var_y + theta * theta * line.var_x
    shared = theta * theta * base.var_x
    return Moments(
        n=line.n,
        mean_y=line.mean_y - theta * (line.mean_x - base.mean_x),
        var_y=positive(whole - 2.0 * theta * line.cov_xy, whole),
        shared=(2.0 * theta * base.cov_xy - shared if of_base else shared) / 2.0 / base.n,
    )


def _around(arm: Moments, ratio: float, bottom: float) -> Moments:
    """A stratum's linear moments around the whole arm's ratio (a mean: bottom is 1 and nothing changes)."""
    if not arm.is_ratio and bottom == 1.0:
        return arm
    whole = arm.var_y + ratio * ratio * arm.var_d
    return Moments(
        n=arm.n,
        mean_y=ratio + (arm.mean_y - ratio * arm.mean_d) / bottom,
        var_y=positive(whole - 2.0 * ratio * arm.cov_yd, whole) / bottom / bottom,
        mean_x=arm.mean_x,
        var_x=arm.var_x,
        cov_xy=(arm.cov_xy - ratio * arm.cov_xd) / bottom,
    )


def _within_strata(lines: list[list[Moments]]) -> list[list[Moments]]:
    """CUPED inside every stratum, theta pooled over all strata and arms."""
    everyone = [line for arm in lines for line in arm]
    whole_x = sum((line.n - 1) * line.var_x for line in everyone)
    theta = finite(sum((line.n - 1) * line.cov_xy for line in everyone) / whole_x) if whole_x > 0.0 else None
    if theta is None:
        return lines
    result: list[list[Moments]] = [[], []]
    for pair in zip(*lines, strict=True):
        n = sum(line.n for line in pair)
        centre = sum(line.n * line.mean_x for line in pair) / n
        variance = sum((line.n - 1) * line.var_x for line in pair) / (n - 2)
        for at, line in enumerate(pair):
            result[at].append(_adjusted(line, theta, centre, variance, n))
    return result


def _strata(
    control: Mapping[str, Moments], treatment: Mapping[str, Moments]
) -> list[tuple[Moments, Moments]]:
    """Strata with two units at least in both arms, smallest last; () if there can be none."""
    none = Moments(n=0, mean_y=0.0, var_y=0.0)
    pairs = [
        (control.get(name, none), treatment.get(name, none))
        for name in sorted(control.keys() | treatment.keys())
    ]
    large = sorted((pair for pair in pairs if _enough(pair)), key=lambda pair: -(pair[0].n + pair[1].n))
    small = [pair for pair in pairs if not _enough(pair)]
    rest = (merged(pair[0] for pair in small), merged(pair[1] for pair in small))
    if _enough(rest):
        return [*large, rest]
    if large and rest[0].n + rest[1].n:
        large[-1] = (large[-1][0].merged(rest[0]), large[-1][1].merged(rest[1]))
    return large


def _enough(pair: tuple[Moments, Moments]) -> bool:
    return pair[0].n > 1 and pair[1].n > 1
