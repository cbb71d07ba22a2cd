"""Units of shops that are hard on formulas, and gbstats' statistics of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from gbstats.frequentist.tests import FrequentistConfig, TwoSidedTTest
from gbstats.models.statistics import (
    ProportionStatistic,
    QuantileStatistic,
    RatioStatistic,
    RegressionAdjustedStatistic,
    SampleMeanStatistic,
)
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def pairs() -> Iterator[tuple[str, Floats, Floats]]:
    """Name, control's units and treatment's units; seeded."""
    rng = np.random.default_rng(20_05)
    yield "normal", rng.normal(10, 3, 400), rng.normal(10.4, 3, 380)
    yield "unequal spread and size", rng.normal(5, 0.3, 40), rng.normal(5.2, 6, 900)
    yield "rare conversions", ones(rng, 5000, 0.004), ones(rng, 5000, 0.006)
    yield "one arm without conversions", np.zeros(120), np.repeat([1.0, 0.0], [4, 116])
    yield "revenue", spend(rng, 3000), spend(rng, 2800) * 1.05
    yield "negative", -rng.gamma(2, 3, 200), -rng.gamma(2.2, 3, 220)
    yield "two and three units", np.array([1.0, 3.0]), np.array([2.0, 2.5, 4.0])
    yield "far from zero", 1e7 + rng.normal(0, 1, 300), 1e7 + 0.2 + rng.normal(0, 1, 300)
    yield "tiny", rng.gamma(2, 1e-9, 200), rng.gamma(2.1, 1e-9, 200)


def ones(rng: np.random.Generator, n: int, rate: float) -> Floats:
    """Conversions: about that share of ones."""
    return (rng.random(n) < rate).astype(np.float64)


def spend(rng: np.random.Generator, n: int) -> Floats:
    """Revenue: most units nothing, some a lognormal amount."""
    return (rng.random(n) < 0.1) * rng.lognormal(3, 1, n)


def ratio_units(rng: np.random.Generator, n: int, rate: float) -> tuple[Floats, Floats]:
    """Clicks and slates of n units whose own rates and traffic differ and hang together."""
    taste = rng.gamma(2.0, 0.5, n)
    slates = 1.0 + rng.poisson(3.0 * taste).astype(np.float64)
    return rng.binomial(slates.astype(int), np.clip(rate * taste, 0.0, 1.0)).astype(np.float64), slates


def mean_statistic(y: Floats) -> SampleMeanStatistic:
    """gbstats' mean."""
    return SampleMeanStatistic(n=y.size, sum=float(y.sum()), sum_squares=float(y @ y))


def proportion_statistic(y: Floats) -> ProportionStatistic:
    """gbstats' proportion, which has the variance p (1 - p)."""
    return ProportionStatistic(n=y.size, sum=float(y.sum()))


def ratio_statistic(y: Floats, d: Floats) -> RatioStatistic:
    """gbstats' ratio."""
    return RatioStatistic(
        n=y.size,
        m_statistic=mean_statistic(y),
        d_statistic=mean_statistic(d),
        m_d_sum_of_products=float(y @ d),
    )


def cuped_statistic(y: Floats, x: Floats) -> RegressionAdjustedStatistic:
    """gbstats' mean with a covariate; the test sets theta."""
    return RegressionAdjustedStatistic(
        n=y.size,
        post_statistic=mean_statistic(y),
        pre_statistic=mean_statistic(x),
        post_pre_sum_of_products=float(y @ x),
        theta=0.0,
    )


def quantile_statistic(values: Floats, q: float) -> QuantileStatistic:
    """gbstats' quantile of units, its rank interval taken at the same n."""
    reach = 1.959963984540054 * float(np.sqrt(q * (1 - q) / values.size))
    low, middle, high = (float(one) for one in np.quantile(values, [q - reach, q, q + reach]))
    return QuantileStatistic(
        n=values.size,
        n_star=values.size,
        nu=q,
        quantile_hat=middle,
        quantile_lower=low,
        quantile_upper=high,
    )


def gbstats_test(
    control: SampleMeanStatistic
    | ProportionStatistic
    | RatioStatistic
    | RegressionAdjustedStatistic
    | QuantileStatistic,
    treatment: SampleMeanStatistic
    | ProportionStatistic
    | RatioStatistic
    | RegressionAdjustedStatistic
    | QuantileStatistic,
    difference: Literal["absolute", "relative"],
    alpha: float = 0.05,
) -> TwoSidedTTest:
    """gbstats' two-sided test: difference is absolute or relative."""
    return TwoSidedTTest(control, treatment, FrequentistConfig(difference_type=difference, alpha=alpha))
