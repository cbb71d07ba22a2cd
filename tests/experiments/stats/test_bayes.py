"""Posteriors against gbstats, SciPy's integrals and closed forms."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from gbstats.bayesian.tests import EffectBayesianABTest, EffectBayesianConfig, GaussianPrior
from gbstats.models.statistics import SampleMeanStatistic
from scipy import integrate, special, stats

from apps.experiments.stats import bayes
from apps.experiments.stats.bayes import PROPER, Normal

ARMS = [(1_000, 120.0, 1_010, 131.0), (40, 3.0, 44, 9.0), (90_000, 1_802.0, 10_000, 188.0)]


def statistics(n: int, total: float) -> SampleMeanStatistic:
    """Mostly zeros, and orders of 1 to 3."""
    return SampleMeanStatistic(n=n, sum=total, sum_squares=2.2 * total)


@pytest.mark.parametrize("kind", ["relative", "absolute"])
@pytest.mark.parametrize("prior", [None, PROPER, Normal(0.05, 0.02)])
@pytest.mark.parametrize("lower_is_better", [False, True])
@pytest.mark.parametrize(("n_c", "total_c", "n_t", "total_t"), ARMS)
def test_posterior_is_that_of_gbstats(
    n_c: int,
    total_c: float,
    n_t: int,
    total_t: float,
    kind: Literal["relative", "absolute"],
    prior: Normal | None,
    lower_is_better: bool,
) -> None:
    a, b = statistics(n_c, total_c), statistics(n_t, total_t)
    theirs = EffectBayesianABTest(
        a,
        b,
        EffectBayesianConfig(
            difference_type=kind,
            inverse=lower_is_better,
            prior_effect=GaussianPrior()
            if prior is None
            else GaussianPrior(mean=prior.mean, variance=prior.sd**2, proper=True),
        ),
    ).compute_result()
    effect, variance = b.mean - a.mean, a.variance / a.n + b.variance / b.n
    own = prior
    if kind == "relative":
        effect = effect / a.mean
        variance = b.variance / b.n / a.mean**2 + a.variance / a.n * b.mean**2 / a.mean**4
    elif prior is not None:
        own = prior.on_absolute(a.mean)

    ours = bayes.posterior(effect, math.sqrt(variance), prior=own, higher_is_better=not lower_is_better)

    assert ours is not None
    assert ours.chance_to_win == pytest.approx(theirs.chance_to_win, rel=1e-9)
    assert [ours.low, ours.high] == pytest.approx(theirs.ci, rel=1e-9)
    assert (ours.mean, ours.sd) == pytest.approx((theirs.uplift.mean, theirs.uplift.stddev), rel=1e-9)
    # gbstats lists the loss of keeping control first.
    assert [ours.control_loss, ours.expected_loss] == pytest.approx(theirs.risk, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("mean", [-0.3, -0.01, 0.0, 0.02, 0.4])
def test_expected_loss_is_the_integral_of_what_is_lost(mean: float) -> None:
    found = bayes.posterior(mean, 0.05)
    assert found is not None

    def lost(sign: float) -> float:
        return float(
            integrate.quad(
                lambda x: max(sign * x, 0.0) * stats.norm.pdf(x, mean, 0.05), -1, 1, points=[0.0, mean]
            )[0]
        )

    assert found.expected_loss == pytest.approx(lost(-1), rel=1e-7, abs=1e-13)
    assert found.control_loss == pytest.approx(lost(1), rel=1e-7, abs=1e-13)
    assert found.control_loss - found.expected_loss == pytest.approx(mean, abs=1e-12)


def test_certainty_leaves_a_tiny_loss_and_never_a_negative_one() -> None:
    sure = bayes.posterior(0.5, 0.025)
    surer = bayes.posterior(5.0, 0.01)
    assert sure is not None
    assert surer is not None
    assert 0 < sure.expected_loss < 1e-80
    assert surer.expected_loss == 0.0
    assert surer.chance_to_win == 1.0


def test_the_prior_pulls_small_samples_and_leaves_large_ones() -> None:
    small, large = (bayes.posterior(0.4, se, prior=PROPER) for se in (0.5, 0.001))
    assert small is not None
    assert large is not None
    assert 0 < small.mean < 0.12
    assert large.mean == pytest.approx(0.4, rel=1e-4)
    assert small.chance_to_win < stats.norm.cdf(0.4 / 0.5)


@pytest.mark.parametrize(("effect", "se"), [(0.1, 0.0), (math.nan, 0.1), (0.1, math.inf), (0.1, math.nan)])
def test_what_is_undefined_is_none(effect: float, se: float) -> None:
    assert bayes.posterior(effect, se) is None


def test_a_prior_without_spread_is_refused() -> None:
    with pytest.raises(ValueError, match="sd must be above 0"):
        bayes.posterior(0.1, 0.1, prior=Normal(0, 0))


def test_two_normal_arms_win_as_the_closed_form_says() -> None:
    found = bayes.best_of_normals([0.1, 0.103], [0.002, 0.001])
    sd = math.hypot(0.002, 0.001)
    two = bayes.posterior(0.003, sd)
    assert two is not None

    assert found.chances[1] == pytest.approx(special.ndtr(0.003 / sd), rel=1e-10)
    assert found.losses == pytest.approx((two.control_loss, two.expected_loss), rel=1e-8)


@pytest.mark.parametrize("higher_is_better", [True, False])
def test_many_arms_win_as_often_as_their_draws(higher_is_better: bool) -> None:
    means, sds = np.array([0.10, 0.104, 0.098, 0.10, 0.05]), np.array([0.002, 0.004, 0.01, 1e-5, 0.02])
    found = bayes.best_of_normals(means.tolist(), sds.tolist(), higher_is_better=higher_is_better)
    draws = np.random.default_rng(1).normal(means, sds, (2_000_000, 5)) * (1 if higher_is_better else -1)
    won = np.bincount(draws.argmax(axis=1), minlength=5) / len(draws)
    lost = draws.max(axis=1).mean() - draws.mean(axis=0)

    assert found.chances == pytest.approx(won, abs=0.0015)
    assert found.losses == pytest.approx(lost, abs=2e-5)
    assert sum(found.chances) == pytest.approx(1)


def test_equal_arms_share_and_arms_without_spread_are_known() -> None:
    assert bayes.best_of_normals([1, 1, 1], [0.2, 0.2, 0.2]).chances == pytest.approx([1 / 3] * 3)
    assert bayes.best_of_normals([1, 1], [0, 0]).chances == pytest.approx([0.5, 0.5])
    assert bayes.best_of_normals([1, 2], [0, 0]).chances == pytest.approx([0, 1], abs=1e-12)
    assert bayes.best_of_normals([5], [1]).chances == (1.0,)
    point = bayes.best_of_normals([0.0, 0.1], [1.0, 0.0])
    assert point.chances[0] == pytest.approx(stats.norm.sf(0.1), abs=1e-5)
    with pytest.raises(ValueError, match="one finite mean"):
        bayes.best_of_normals([1.0, math.nan], [1.0, 1.0])
    with pytest.raises(ValueError, match="at least one arm"):
        bayes.best_of([])


@pytest.mark.parametrize(("place", "scale"), [(0.0, 1e-200), (1e6, 1e-3), (-5.0, 1e200)])
def test_chances_depend_on_neither_place_nor_scale(place: float, scale: float) -> None:
    plain = bayes.best_of_normals([0.0, 1.0, -1.0], [1.0, 2.0, 0.5])
    moved = bayes.best_of_normals([place + scale * gap for gap in (0, 1, -1)], [scale, 2 * scale, scale / 2])

    assert moved.chances == pytest.approx(plain.chances, rel=1e-4)
    assert moved.losses == pytest.approx([scale * loss for loss in plain.losses], rel=1e-4)


def closed_form(a_c: int, b_c: int, a_t: int, b_t: int) -> float:
    """P(p_t > p_c) of two beta posteriors with whole parameters (Miller 2015, "Formulas for Bayesian A/B
    testing")."""
    i = np.arange(a_t)
    return float(
        np.exp(
            special.betaln(a_c + i, b_t + b_c)
            - np.log(b_t + i)
            - special.betaln(1 + i, b_t)
            - special.betaln(a_c, b_c)
        ).sum()
    )


@pytest.mark.parametrize(
    ("won_c", "n_c", "won_t", "n_t"),
    [(0, 5, 3, 5), (0, 0, 0, 0), (12, 600, 21, 610), (900, 9_000, 990, 9_000)],
)
def test_conversion_rates_win_as_the_closed_form_says(won_c: int, n_c: int, won_t: int, n_t: int) -> None:
    control, treatment = bayes.beta(won_c, n_c), bayes.beta(won_t, n_t)
    expected = closed_form(1 + won_c, 1 + n_c - won_c, 1 + won_t, 1 + n_t - won_t)

    assert bayes.best_of([control, treatment]).chances[1] == pytest.approx(expected, rel=1e-7)
    whole = bayes.difference_of(control, treatment)
    assert whole.chance_to_win == pytest.approx(expected, rel=1e-7)
    draws = np.random.default_rng(2)
    d = draws.beta(1 + won_t, 1 + n_t - won_t, 400_000) - draws.beta(1 + won_c, 1 + n_c - won_c, 400_000)
    assert [whole.low, whole.high] == pytest.approx(np.quantile(d, [0.025, 0.975]), abs=0.01 * d.std())
    assert (whole.mean, whole.sd) == pytest.approx((d.mean(), d.std()), rel=0.01, abs=0.005 * d.std())
    assert whole.expected_loss == pytest.approx(np.maximum(-d, 0).mean(), rel=0.02)


def test_rates_of_counts_win_as_their_quotient_says() -> None:
    """b_c g_t / (b_t g_c) of gammas is an F variable, over its degrees of freedom."""
    control, treatment = bayes.gamma(14, 400), bayes.gamma(25, 380)
    f = stats.f(2 * 26, 2 * 15)

    expected = f.sf((381 / 26) / (401 / 15))
    assert bayes.best_of([control, treatment]).chances[1] == pytest.approx(expected, rel=1e-8)
    assert bayes.best_of([control, treatment], higher_is_better=False).chances[0] == pytest.approx(
        expected, rel=1e-8
    )


def test_large_counts_bring_the_exact_posterior_to_the_normal_one() -> None:
    exact = bayes.difference_of(bayes.beta(30_000, 1_000_000), bayes.beta(30_400, 1_000_000))
    se = math.sqrt(0.03 * 0.97 / 1e6 + 0.0304 * 0.9696 / 1e6)
    normal = bayes.posterior(0.0004, se)
    assert normal is not None

    assert exact.chance_to_win == pytest.approx(normal.chance_to_win, rel=1e-3)
    assert (exact.low, exact.high) == pytest.approx((normal.low, normal.high), abs=0.01 * se)


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="must lie between"):
        bayes.beta(3, 2)
    with pytest.raises(ValueError, match="neither may be negative"):
        bayes.gamma(-1, 2)
