"""95 % intervals for the kinds of figures the rollups give. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its sample size and, where it is an estimate, its 95 % interval and standard error."""

    value: float | None
    n: float
    low: float | None = None
    high: float | None = None
    error: float | None = None


def wilson(successes: float, n: float) -> Estimate:
    """A share of independent trials (Wilson 1927)."""
    if n <= 0:
        return Estimate(value=None, n=0)
    p = min(successes / n, 1.0)
    centre = (p + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z / (1 + Z * Z / n) * math.sqrt(p * (1 - p) / n + Z * Z / (4 * n * n))
    return Estimate(p, n, max(0.0, centre - half), min(1.0, centre + half), math.sqrt(p * (1 - p) / n))


def around(value: float, error: float, n: float) -> Estimate:
    """value ± z times its standard error; no interval for fewer than two observations."""
    if n < 2:
        return Estimate(value=value, n=n)
    return Estimate(value, n, value - Z * error, value + Z * error, error)


def mean(total: float, n: float, *, gross: float, gross_squares: float) -> Estimate:
    """total / n, its spread taken from the observations' sum and sum of squares (`gross` before returns)."""
    if n <= 0:
        return Estimate(value=None, n=0)
    variance = max(0.0, gross_squares / n - (gross / n) ** 2) * (n / (n - 1) if n > 1 else 1.0)
    return around(total / n, math.sqrt(variance / n), n)


def ratio(y: float, x: float, *, yy: float, xx: float, xy: float, clusters: float) -> Estimate:
    """sum(y) / sum(x) over independent clusters by the delta method; the sums of squares are given."""
    if x <= 0:
        return Estimate(value=None, n=0)
    value = y / x
    squares = max(0.0, yy - 2 * value * xy + value * value * xx)
    factor = clusters / (clusters - 1) if clusters > 1 else 1.0
    estimate = around(value, math.sqrt(squares * factor) / x, clusters)
    return Estimate(estimate.value, x, estimate.low, estimate.high, estimate.error)


def ratio_of_days(pairs: Sequence[tuple[float, float]]) -> Estimate:
    """sum(y) / sum(x) with the days as clusters; pairs of (y, x), one a day."""
    y, x = sum(a for a, _ in pairs), sum(b for _, b in pairs)
    used = [(a, b) for a, b in pairs if b > 0]
    return ratio(
        y,
        x,
        yy=sum(a * a for a, _ in used),
        xx=sum(b * b for _, b in used),
        xy=sum(a * b for a, b in used),
        clusters=len(used),
    )


def relative_change(now: Estimate, before: Estimate) -> Estimate:
    """now / before - 1 with its interval on the log scale (independent periods)."""
    if not now.value or not before.value or now.value < 0 or before.value <= 0:
        value = None if not before.value or now.value is None else now.value / before.value - 1
        return Estimate(value=value, n=now.n + before.n)
    change = now.value / before.value
    if now.error is None or before.error is None:
        return Estimate(value=change - 1, n=now.n + before.n)
    spread = math.sqrt((now.error / now.value) ** 2 + (before.error / before.value) ** 2)
    low, high = change * math.exp(-Z * spread) - 1, change * math.exp(Z * spread) - 1
    return Estimate(change - 1, now.n + before.n, low, high, change * spread)
