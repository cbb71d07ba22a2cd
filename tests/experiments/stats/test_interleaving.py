"""Credit, preferences and tests of interleaved slates, by hand and against SciPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestPower

from apps.experiments.stats import interleaving
from apps.experiments.stats.interleaving import UnitPreferences
from apps.experiments.stats.moments import Moments


def test_a_slate_prefers_the_ranking_with_more_clicks_and_a_unit_is_the_mean_of_its_slates() -> None:
    units = interleaving.by_unit(
        clicks_a=[2, 0, 0, 1, 0, 3],
        clicks_b=[0, 1, 0, 1, 0, 0],
        unit=["ann", "ann", "ann", "bob", "cem", "dee"],
    )

    assert units.score.tolist() == [0.0, 0.0, 0.0, -1.0]
    assert units.clicked.tolist() == [True, True, False, True]
    found = interleaving.preference_of(units)
    assert (found.units, found.clicking, found.wins_a, found.wins_b, found.ties) == (4, 3, 1, 0, 2)
    assert found.preference == pytest.approx(-1 / 3)
    assert found.share == pytest.approx(1 / 3)


def test_tests_and_interval_are_scipys() -> None:
    rng = np.random.default_rng(1)
    score = rng.choice([-1, -0.5, 0, 1 / 3, 0.5, 1], 400, p=[0.3, 0.05, 0.1, 0.05, 0.1, 0.4])
    clicked = rng.random(400) < 0.8
    found = interleaving.preference_of(UnitPreferences(score, clicked), alpha=0.1)
    own = score[clicked]
    t = stats.ttest_1samp(own, 0)
    interval = t.confidence_interval(0.9)

    assert found.p_t == pytest.approx(t.pvalue, rel=1e-10)
    assert (found.low, found.high) == pytest.approx(
        ((1 + interval.low) / 2, (1 + interval.high) / 2), rel=1e-10
    )
    assert found.p_sign == pytest.approx(stats.binomtest(int((own > 0).sum()), int((own != 0).sum())).pvalue)
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(own, zero_method="pratt").pvalue)
    assert found.se == pytest.approx(stats.sem(own))


def test_turning_the_teams_round_turns_the_preference_round() -> None:
    rng = np.random.default_rng(2)
    a, b, unit = rng.poisson(0.3, 900), rng.poisson(0.4, 900), rng.integers(0, 500, 900)
    one = interleaving.preference_of(interleaving.by_unit(a, b, unit))
    other = interleaving.preference_of(interleaving.by_unit(b, a, unit))
    assert one.preference is not None
    assert other.preference is not None

    assert one.preference == pytest.approx(-other.preference)
    assert one.p_t == pytest.approx(other.p_t)
    assert (one.wins_a, one.wins_b) == (other.wins_b, other.wins_a)


def test_nobody_one_and_agreement_are_said_plainly() -> None:
    nobody = interleaving.preference_of(interleaving.by_unit([], [], []))
    silent = interleaving.preference_of(interleaving.by_unit([0, 0], [0, 0], [1, 2]))
    one = interleaving.preference_of(interleaving.by_unit([0], [1], [1]))
    ties = interleaving.preference_of(interleaving.by_unit([1, 1], [1, 1], [1, 2]))
    agreed = interleaving.preference_of(interleaving.by_unit([0] * 20, [1] * 20, range(20)))

    assert (nobody.units, nobody.preference, nobody.p_sign) == (0, None, None)
    assert (silent.units, silent.clicking, silent.share) == (2, 0, None)
    assert (one.share, one.low, one.p_t, one.p_sign) == (1.0, None, None, 1.0)
    assert (ties.share, ties.p_t, ties.p_sign, ties.p_wilcoxon) == (0.5, 1.0, 1.0, 1.0)
    assert (ties.low, ties.high) == (0.5, 0.5)
    # All say the same: no spread to make an interval of, but the sign test knows.
    assert (agreed.low, agreed.p_t) == (None, None)
    assert agreed.p_sign == pytest.approx(2 * 0.5**20)


@pytest.mark.parametrize(
    ("a", "b", "unit"),
    [([1], [1, 2], [1, 2]), ([1, 1], [1, 2], [1]), ([-1], [1], [1]), ([[1]], [[1]], [[1]])],
)
def test_entries_that_do_not_fit_are_refused(a: list[int], b: list[int], unit: list[int]) -> None:
    with pytest.raises(ValueError, match=r"one entry|negative"):
        interleaving.by_unit(a, b, unit)


def test_units_needed_is_statsmodels_one_sample_size() -> None:
    expected = TTestPower().solve_power(effect_size=0.04 / 0.9, alpha=0.05, power=0.8)
    found = interleaving.units_needed(0.52, clicking=0.25, sd=0.9)
    assert found is not None

    assert found * 0.25 == pytest.approx(expected, rel=0.001)
    assert interleaving.units_needed(0.5, clicking=0.3) is None
    assert interleaving.units_needed(0.52, clicking=0) is None


def test_sensitivity_is_the_quotient_of_the_units_each_needs() -> None:
    rng = np.random.default_rng(3)
    clicked = rng.random(4_000) < 0.3
    score = np.where(clicked, rng.choice([-1.0, 1.0], 4_000, p=[0.4, 0.6]), 0.0)
    found = interleaving.preference_of(UnitPreferences(score, clicked))
    control, treatment = Moments.of_count(3_000, 30_000), Moments.of_count(3_200, 30_000)
    result = interleaving.sensitivity(found, control, treatment)
    assert result is not None
    assert found.preference is not None
    assert found.sd is not None

    effect = (3_200 - 3_000) / 30_000
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert result.ab == pytest.approx(z**2 * 2 * (control.var_y + treatment.var_y) / effect**2)
    assert result.interleaving == pytest.approx(
        interleaving.units_needed(
            (1 + found.preference) / 2, clicking=found.clicking / found.units, sd=found.sd
        )
    )
    assert result.times == pytest.approx(result.ab / result.interleaving)
    assert result.low < result.times < result.high
    assert math.log(result.high / result.times) == pytest.approx(math.log(result.times / result.low))


def test_no_sensitivity_without_effects() -> None:
    rng = np.random.default_rng(4)
    clicked = np.full(1_000, True)
    level = interleaving.preference_of(UnitPreferences(rng.choice([-1.0, 1.0], 1_000), clicked))
    strong = interleaving.preference_of(
        UnitPreferences(rng.choice([-1.0, 1.0], 1_000, p=[0.3, 0.7]), clicked)
    )
    same = Moments.of_count(300, 3_000)

    assert interleaving.sensitivity(strong, same, same) is None
    assert interleaving.sensitivity(strong, same, Moments(0, 0, 0)) is None
    assert interleaving.sensitivity(level, same, Moments.of_count(600, 3_000)) is None
    assert interleaving.sensitivity(strong, same, Moments.of_count(600, 3_000)) is not None


def test_least_advantage_is_the_quotient_of_variances_over_units() -> None:
    rng = np.random.default_rng(5)
    unit = rng.integers(0, 800, 6_000)
    keen = rng.gamma(0.5, 0.4, 800)[unit]
    a, b = rng.poisson(keen), rng.poisson(1.1 * keen)
    found = interleaving.least_advantage(a, b, unit)
    assert found is not None
    sums = np.array([[a[unit == i].sum(), b[unit == i].sum()] for i in np.unique(unit)])
    draws = [sums[rng.integers(0, len(sums), len(sums))] for _ in range(400)]
    again = [(one.sum(axis=1).var() / (one[:, 1] - one[:, 0]).var()) for one in draws]

    assert found.times == pytest.approx(sums.sum(axis=1).var() / (sums[:, 1] - sums[:, 0]).var())
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(again, [0.025, 0.975])), rel=0.1)
    assert found.low > 1


def test_no_advantage_without_units_or_a_spread() -> None:
    assert interleaving.least_advantage([], [], []) is None
    assert interleaving.least_advantage([1], [0], [1]) is None
    assert interleaving.least_advantage([1, 1], [1, 1], [1, 2]) is None
    with pytest.raises(ValueError, match="one entry"):
        interleaving.least_advantage([1], [1, 2], [1])
