"""What an arm of an experiment has to say about one metric: counts, means and centred second moments.

Everything after the raw events works on these, so a readout of a million units is a handful of numbers. Means
and *centred* second moments are kept (not sums of squares), so that amounts in the millions with a small
spread lose no digits. Pure; NumPy only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Moments:
    """Moments over the units of one arm. Variances and covariances are the sample ones (divisor n - 1).

    y: the metric's value of a unit (0/1 for a proportion; the numerator of a ratio).
    d: the denominator of a ratio; 1 for every unit of anything else.
    x: the covariate, known before the unit's first exposure: the same metric in the 14 days before it; for a
       ratio the pre-period linearised (`cuped.linearised`). All zero where there is none.
    n = 0 and n = 1 are allowed: their second moments are 0, and what needs them answers None.
    shared: only adjusted moments have it (CUPED, post-stratification): what the pooled figures that all arms
       use add to the error. The variance of the mean is var_y / n + 2 shared, the covariance of two arms'
       means is the sum of their shared, and in the difference both cancel. `frequentist.standard_error` and
       `.covariance` reckon with it.
    """

    n: int
    mean_y: float
    var_y: float
    mean_d: float = 1.0
    var_d: float = 0.0
    cov_yd: float = 0.0
    mean_x: float = 0.0
    var_x: float = 0.0
    cov_xy: float = 0.0
    cov_xd: float = 0.0
    shared: float = 0.0

    @classmethod
    def of(cls, y: ArrayLike, d: ArrayLike | None = None, x: ArrayLike | None = None) -> Moments:
        """Moments of the units' values, each of shape [n], finite. ValueError if shapes differ or not finite.

        Two passes: means first, then centred products (Chan, Golub & LeVeque 1983, "Algorithms for computing
        the sample variance", eq. 1.2 with the correction term of 1.7).
        """
        columns = [_column(values) for values in (y, d, x) if values is not None]
        n = columns[0].size
        if any(column.size != n for column in columns):
            raise ValueError("y, d and x must hold one value for each unit.")
        if n == 0:
            return cls(n=0, mean_y=0.0, var_y=0.0)
        means = [float(column.mean()) for column in columns]
        centred = np.stack([column - mean for column, mean in zip(columns, means, strict=True)])
        left = centred.mean(axis=1)
        products = (centred @ centred.T - n * np.outer(left, left)) / max(n - 1, 1)
        means = [mean + float(rest) for mean, rest in zip(means, left, strict=True)]
        at_d, at_x = (1 if d is not None else None), (len(columns) - 1 if x is not None else None)

        def second(first: int | None, other: int | None) -> float:
            if first is None or other is None:
                return 0.0
            value = float(products[first, other])
            return max(value, 0.0) if first == other else value

        return cls(
            n=n,
            mean_y=means[0],
            var_y=second(0, 0),
            mean_d=1.0 if at_d is None else means[at_d],
            var_d=second(at_d, at_d),
            cov_yd=second(0, at_d),
            mean_x=0.0 if at_x is None else means[at_x],
            var_x=second(at_x, at_x),
            cov_xy=second(0, at_x),
            cov_xd=second(at_d, at_x),
        )

    @classmethod
    def of_count(cls, successes: int, n: int) -> Moments:
        """Moments of n zeros and ones with that many ones: the variance is n/(n - 1) p(1 - p).

        Exact: the same numbers `of` would give. ValueError unless 0 <= successes <= n.
        """
        if not 0 <= successes <= n:
            raise ValueError(f"successes = {successes}: must lie between 0 and n = {n}.")
        if n == 0:
            return cls(n=0, mean_y=0.0, var_y=0.0)
        rate = successes / n
        return cls(n=n, mean_y=rate, var_y=successes * ((n - successes) / n) / max(n - 1, 1))

    def merged(self, other: Moments) -> Moments:
        """Moments of both sets of units together, as if they had been taken at once.

        Chan, Golub & LeVeque (1983), eq. 2.1, for each pair of columns: the centred products add up, plus
        (difference of means) x (difference of means) x n1 n2 / (n1 + n2). Associative up to rounding; an
        empty set changes nothing. Adjusted moments (shared) can't be merged: ValueError.
        """
        if self.shared or other.shared:
            raise ValueError("Adjusted moments can't be merged: merge first, then adjust.")
        if not other.n:
            return self
        if not self.n:
            return other
        n = self.n + other.n
        part = other.n / n
        weight = self.n * part
        dy, dd, dx = other.mean_y - self.mean_y, other.mean_d - self.mean_d, other.mean_x - self.mean_x

        def second(mine: float, theirs: float, product: float) -> float:
            return ((self.n - 1) * mine + (other.n - 1) * theirs + product * weight) / (n - 1)

        return Moments(
            n=n,
            mean_y=self.mean_y + dy * part,
            var_y=second(self.var_y, other.var_y, dy * dy),
            mean_d=self.mean_d + dd * part,
            var_d=second(self.var_d, other.var_d, dd * dd),
            cov_yd=second(self.cov_yd, other.cov_yd, dy * dd),
            mean_x=self.mean_x + dx * part,
            var_x=second(self.var_x, other.var_x, dx * dx),
            cov_xy=second(self.cov_xy, other.cov_xy, dx * dy),
            cov_xd=second(self.cov_xd, other.cov_xd, dx * dd),
        )

    def linear(self) -> Moments:
        """A ratio as the mean it behaves like; anything else as it is.

        Delta method at the unit (Deng, Knoblich & Lu 2018, "Applying the delta method in metric analytics",
        eq. 4): with R = mean_y / mean_d, the ratio's error is that of the mean of psi = (y - R d) / mean_d,
        so var_y becomes (var_y - 2 R cov_yd + R^2 var_d) / mean_d^2 and cov_xy becomes (cov_xy - R cov_xd) /
        mean_d. A denominator of 0 gives no units (n = 0): there is no ratio.
        """
        if not self.is_ratio:
            return self
        if not self.n or not self.mean_d:
            return Moments(n=0, mean_y=0.0, var_y=0.0)
        ratio = self.mean_y / self.mean_d
        spread = self.var_y + ratio * ratio * self.var_d
        left = spread - 2.0 * ratio * self.cov_yd
        return Moments(
            n=self.n,
            mean_y=ratio,
            var_y=positive(left, spread) / self.mean_d / self.mean_d,
            mean_x=self.mean_x,
            var_x=self.var_x,
            cov_xy=(self.cov_xy - ratio * self.cov_xd) / self.mean_d,
            shared=self.shared,
        )

    @property
    def is_ratio(self) -> bool:
        """Whether the denominator differs from one."""
        return self.mean_d != 1.0 or self.var_d != 0.0

    @property
    def value(self) -> float | None:
        """What the arm shows: the mean, or for a ratio mean_y / mean_d. None without units or denominator."""
        if not self.n or not self.mean_d:
            return None
        return finite(self.mean_y / self.mean_d)

    def as_json(self) -> dict[str, float]:
        """Numbers only, ready for JSON; those at their default are left out."""
        defaults = {field.name: field.default for field in fields(self)}
        return {name: value for name, value in asdict(self).items() if value != defaults[name]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Moments:
        """The other way round of `as_json`, digit for digit. Unknown names are a ValueError."""
        known = {field.name for field in fields(cls)}
        if unknown := set(data) - known:
            raise ValueError(f"Not a moment: {', '.join(sorted(unknown))}.")
        return cls(int(data["n"]), **{name: float(value) for name, value in data.items() if name != "n"})


@dataclass(frozen=True, slots=True)
class QuantileMoments:
    """The q-quantile of one arm's units: its value and the variance *of that estimate* (its squared error).

    value is None without units; variance is None where the order statistics don't allow one (n too small).
    Quantiles can't be merged: they are taken anew from the units (`quantiles.quantile_of`).
    """

    n: int
    q: float
    value: float | None
    variance: float | None

    def as_json(self) -> dict[str, float | None]:
        """Ready for JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> QuantileMoments:
        """The other way round of `as_json`, digit for digit."""
        return cls(
            n=int(data["n"]),
            q=float(data["q"]),
            value=None if data["value"] is None else float(data["value"]),
            variance=None if data["variance"] is None else float(data["variance"]),
        )


def moments_read(data: Mapping[str, Any]) -> Moments | QuantileMoments:
    """What `as_json` of either kind wrote; quantiles are known by their q."""
    return QuantileMoments.from_json(data) if "q" in data else Moments.from_json(data)


def merged(parts: Iterable[Moments]) -> Moments:
    """All parts together; n = 0 without any."""
    whole = Moments(n=0, mean_y=0.0, var_y=0.0)
    for part in parts:
        whole = whole.merged(part)
    return whole


def finite(value: float) -> float | None:
    """The value, or None for what is no number (an overflow, 0/0)."""
    return float(value) if math.isfinite(value) else None


def positive(left: float, whole: float) -> float:
    """What is left of a variance after something was taken off `whole`; 0 where only rounding is left.

    Without this a ratio that is the same for every unit would have a variance of 1e-17 and a p-value of 0.
    What overflowed stays infinite, which is no variance either.
    """
    if not math.isfinite(left):
        return math.inf
    return left if left > 1e-12 * whole else 0.0


def _column(values: ArrayLike) -> Floats:
    column = np.asarray(values, dtype=np.float64)
    if column.ndim != 1:
        raise ValueError("One value for each unit: the array must have one dimension.")
    if not np.isfinite(column).all():
        raise ValueError("Units need finite values: drop or fill what is missing first.")
    return column
