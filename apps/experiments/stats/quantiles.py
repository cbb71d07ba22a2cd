"""Quantiles of the units of an arm, and winsorising: what needs the units themselves, not their moments.

A quantile's difference, interval and relative change come from `frequentist.difference` and `.relative`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from apps.experiments.stats.moments import Floats, QuantileMoments

Z = float(special.ndtri(0.975))  # the distance of the two order statistics, in standard errors of the rank


def quantile_of(values: ArrayLike, q: float) -> QuantileMoments:
    """The q-quantile of the units' values [n], and the variance of that estimate from order statistics.

    With the quantiles L and U at q -/+ z sqrt(q (1 - q) / n), z = 1.96, the variance is (n - 1)/n ((U - L) /
    2z)^2: the distribution-free rank interval read as a normal one; Deng, Knoblich & Lu (2018), section 4.2,
    and gbstats. Linear interpolation between order statistics (SQL's percentile_cont). One value for each
    unit: no clustering is left. The variance is None with so few units that a rank falls outside (n <= z^2
    q/(1 - q) or its mirror image), and 0 where L = U (many ties): then there is no test. ValueError unless 0
    < q < 1 and all values are finite.
    """
    if not 0.0 < q < 1.0:
        raise ValueError(f"q = {q}: a quantile lies between 0 and 1.")
    column = np.asarray(values, dtype=np.float64)
    if not np.isfinite(column).all():
        raise ValueError("Units need finite values: drop or fill what is missing first.")
    n = column.size
    if not n:
        return QuantileMoments(0, q, None, None)
    if n <= Z * Z * max(q / (1.0 - q), (1.0 - q) / q):
        return QuantileMoments(n, q, float(np.quantile(column, q)), None)
    reach = Z * math.sqrt(q * (1.0 - q) / n)
    low, value, high = (float(one) for one in np.quantile(column, [q - reach, q, q + reach]))
    return QuantileMoments(n, q, value, (n - 1) / n * ((high - low) / (2.0 * Z)) ** 2)


def winsorise_cap(values: ArrayLike, percentile: float = 0.99) -> float | None:
    """The cap of a metric: that percentile of the positive values of *all* arms together [units].

    One cap for all arms, or the cap itself would make a difference. Zeros are left out, or for most shops
    the cap would be 0. The value is one that occurs (the least with that share at or below it). None without
    a positive value.
    """
    column = np.asarray(values, dtype=np.float64)
    positive = column[column > 0.0]
    return float(np.quantile(positive, percentile, method="inverted_cdf")) if positive.size else None


def winsorised(values: ArrayLike, cap: float | None) -> Floats:
    """The values with everything above the cap at the cap; None caps nothing. Negative values stay."""
    column = np.asarray(values, dtype=np.float64)
    return column if cap is None else np.minimum(column, cap)
