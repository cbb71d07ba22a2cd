"""Bandits over shops whose days differ: pooling the units misleads, the stratified analysis does not."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from apps.experiments.stats import bandit
from apps.experiments.stats.moments import Moments, merged

Floats = NDArray[np.float64]
RUNS, PERIODS, DAILY = 300, 20, 600
RATES = {"a": 0.100, "b": 0.112, "c": 0.100}
FALLING = np.linspace(2.0, 0.6, PERIODS)
"""Everything sells worse by the day: arms that are large late look bad when pooled."""


@cache
def runs(adapting: bool) -> tuple[Floats, Floats, Floats]:
    """Naive values, stratified values and their errors, [runs, arms], of runs to the last period."""
    rng = np.random.default_rng(1)
    naive, honest, errors = (np.zeros((RUNS, len(RATES))) for _ in range(3))
    for run in range(RUNS):
        shares = dict.fromkeys(RATES, 1 / len(RATES))
        periods: list[dict[str, Moments]] = []
        for level in FALLING:
            sizes = rng.multinomial(DAILY, list(shares.values()))
            periods.append(
                {
                    name: Moments.of_count(int(rng.binomial(n, rate * level)), int(n))
                    for (name, rate), n in zip(RATES.items(), sizes, strict=True)
                }
            )
            if adapting:
                shares = dict(bandit.allocation(bandit.stratified(periods), floor=0.05).shares)
        arms = bandit.stratified(periods)
        naive[run] = [merged(period[name] for period in periods).mean_y for name in RATES]
        honest[run] = [arms[name].mean_y for name in RATES]
        errors[run] = [np.sqrt(arms[name].var_y / arms[name].n) for name in RATES]
    return naive, honest, errors


def biases(values: Floats) -> tuple[Floats, Floats]:
    """Mean error of b - a and of c - a, and the standard error of that mean."""
    truth = np.array([RATES["b"] - RATES["a"], RATES["c"] - RATES["a"]]) * FALLING.mean()
    differences = values[:, 1:] - values[:, :1] - truth
    return differences.mean(axis=0), differences.std(axis=0) / np.sqrt(RUNS)


def test_pooled_units_mislead_when_shares_follow_the_results() -> None:
    mean, error = biases(runs(True)[0])

    assert mean[0] < -6 * error[0]  # the better arm grew on the bad days
    assert mean[0] < -0.003  # a quarter of its true lead
    assert np.all(np.abs(biases(runs(False)[0])[0]) < 4 * biases(runs(False)[0])[1])


@pytest.mark.parametrize("adapting", [True, False])
def test_the_stratified_analysis_is_unbiased(adapting: bool) -> None:
    mean, error = biases(runs(adapting)[1])

    assert np.all(np.abs(mean) < 4 * error)


@pytest.mark.parametrize("adapting", [True, False])
def test_its_intervals_cover(adapting: bool) -> None:
    _, values, errors = runs(adapting)
    truth = np.array([RATES["b"] - RATES["a"], RATES["c"] - RATES["a"]]) * FALLING.mean()
    differences = values[:, 1:] - values[:, :1]
    se = np.sqrt(errors[:, 1:] ** 2 + errors[:, :1] ** 2)
    covered = (np.abs(differences - truth) < stats.norm.ppf(0.975) * se).mean(axis=0)

    assert np.all(covered > 0.95 - 4 * np.sqrt(0.05 * 0.95 / RUNS))


def test_the_bandit_sends_its_traffic_to_the_better_arm() -> None:
    """Thompson's regret is below that of equal shares, and the floor is kept."""
    rng = np.random.default_rng(3)
    got = np.zeros(3)
    for _ in range(40):
        shares = np.full(3, 1 / 3)
        periods: list[dict[str, Moments]] = []
        for _ in range(15):
            sizes = rng.multinomial(2_000, shares)
            periods.append(
                {
                    name: Moments.of_count(int(rng.binomial(n, rate)), int(n))
                    for (name, rate), n in zip(RATES.items(), sizes, strict=True)
                }
            )
            shares = np.array(list(bandit.allocation(bandit.stratified(periods)).shares.values()))
            assert shares.min() >= bandit.FLOOR
        got += shares / 40
    assert got[1] > 0.6
