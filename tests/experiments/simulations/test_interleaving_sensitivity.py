"""Interleaving beside an A/B test of the same two rankings, with shoppers who look down a list and stop."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from apps.experiments.drafting import FIRST, team_draft
from apps.experiments.stats import frequentist, interleaving
from apps.experiments.stats.interleaving import Preference
from apps.experiments.stats.moments import Moments

Floats = NDArray[np.float64]
ITEMS, SHOWN = 24, 8


def rankings(rng: np.random.Generator, worth: Floats, noise: float) -> NDArray[np.int64]:
    """Items by what a model that sees worth through that noise thinks of them: [units, SHOWN]."""
    return np.argsort(-(worth + rng.normal(0, noise, worth.shape)), axis=1)[:, :SHOWN]


def clicks(rng: np.random.Generator, shown: NDArray[np.int64], worth: Floats) -> NDArray[np.bool_]:
    """Which places are clicked: a shopper reads on with probability .85, and stops after two clicks.

    Shoppers differ much in how readily they click, which is what drowns an A/B test.
    """
    units, places = shown.shape
    keen = rng.beta(0.6, 2.4, (units, 1))
    chance = keen / (1 + np.exp(-np.take_along_axis(worth, shown, axis=1)))
    read = np.cumprod(rng.random((units, places)) < 0.85, axis=1)
    wanted = (rng.random((units, places)) < chance) & (read == 1)
    return wanted & (np.cumsum(wanted, axis=1) <= 2)


def credited(
    rng: np.random.Generator, units: int, noise_a: float, noise_b: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Clicks of either team on one slate a unit, drafted by the code that serves."""
    worth = rng.normal(0, 1, (units, ITEMS))
    first, second = rankings(rng, worth, noise_a), rankings(rng, worth, noise_b)
    coins = rng.integers(0, 2**SHOWN, units)
    drafts = [
        team_draft(a.tolist(), b.tolist(), int(coin)) for a, b, coin in zip(first, second, coins, strict=True)
    ]
    shown = np.array([draft.items[:SHOWN] for draft in drafts])
    of_a = np.array([[team == FIRST for team in draft.teams[:SHOWN]] for draft in drafts])
    clicked = clicks(rng, shown, worth)
    return (clicked & of_a).sum(axis=1), (clicked & ~of_a).sum(axis=1)


def interleaved(rng: np.random.Generator, units: int, noise_a: float, noise_b: float) -> Preference:
    """An interleaved experiment of one slate a unit."""
    a, b = credited(rng, units, noise_a, noise_b)
    return interleaving.preference_of(interleaving.by_unit(a, b, np.arange(units)))


def split(rng: np.random.Generator, units: int, noise: float) -> Moments:
    """One arm of the A/B test: whether a unit clicked anything."""
    worth = rng.normal(0, 1, (units, ITEMS))
    return Moments.of(clicks(rng, rankings(rng, worth, noise), worth).any(axis=1).astype(np.float64))


@cache
def better() -> tuple[Preference, Moments, Moments]:
    """B sees worth through less noise than A."""
    rng = np.random.default_rng(1)
    return interleaved(rng, 10_000, 1.5, 1.0), split(rng, 150_000, 1.5), split(rng, 150_000, 1.0)


def test_interleaving_finds_the_better_ranking_with_a_fraction_of_the_units() -> None:
    found, control, treatment = better()
    result = interleaving.sensitivity(found, control, treatment)
    assert result is not None
    assert found.share is not None

    assert found.share > 0.5
    assert found.p_t is not None
    assert found.p_t < 0.001
    assert result.low > 2
    assert result.times > 5


def test_what_the_slates_alone_promise_is_less_than_what_is_saved() -> None:
    found, control, treatment = better()
    saved = interleaving.sensitivity(found, control, treatment)
    promised = interleaving.least_advantage(
        *credited(np.random.default_rng(6), 4_000, 1.5, 1.0), np.arange(4_000)
    )
    assert saved is not None
    assert promised is not None

    assert 0.9 < promised.times < saved.times


def test_an_ab_test_of_as_many_units_would_mostly_have_missed_it() -> None:
    rng = np.random.default_rng(2)
    missed = 0
    for _ in range(20):
        p = frequentist.difference(split(rng, 5_000, 1.5), split(rng, 5_000, 1.0)).p
        missed += p is None or p > 0.05
    assert missed >= 10


def test_equal_rankings_are_called_different_as_often_as_alpha_says() -> None:
    """Two rankings that are equally good, and differ: team drafting favours neither."""
    rng = np.random.default_rng(3)
    runs = [interleaved(rng, 150, 1.2, 1.2) for _ in range(60)]
    away = [
        sum(p is not None and p < 0.05 for p in column)
        for column in zip(*((run.p_t, run.p_sign, run.p_wilcoxon) for run in runs), strict=True)
    ]
    preferences = np.array([run.preference for run in runs if run.preference is not None])

    assert max(away) <= 9  # of 60: the 99.7th percentile of a binomial of 5 %
    assert abs(preferences.mean()) < 4 * preferences.std() / np.sqrt(len(preferences))


def test_intervals_cover_when_shoppers_have_many_slates_of_one_mind() -> None:
    """Slates of a unit agree with each other; the interval is over units, so that it stays honest."""
    rng = np.random.default_rng(4)
    runs, units, slates = 600, 200, 12
    lean = rng.beta(1.2, 0.8, (runs, units))  # mean .6: truth
    for_b = rng.binomial(slates, lean)
    covered, naive = 0, 0
    for run in range(runs):
        b = (np.arange(slates) < for_b[run][:, None]).ravel().astype(float)
        found = interleaving.preference_of(
            interleaving.by_unit(1 - b, b, np.repeat(np.arange(units), slates))
        )
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.6 <= found.high
        naive += abs(b.mean() - 0.6) < 1.96 * np.sqrt(b.var() / b.size)
    assert abs(covered / runs - 0.95) < 4 * np.sqrt(0.95 * 0.05 / runs)
    assert naive / runs < 0.7
