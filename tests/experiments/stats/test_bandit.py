"""Shares and the stratified analysis, by hand and against unit-level weighting."""

from __future__ import annotations

import math

import numpy as np
import pytest

from apps.experiments.stats import bandit, bayes
from apps.experiments.stats.moments import Moments

A = Moments.of_count(100, 1_000)
B = Moments.of_count(130, 1_000)
C = Moments.of_count(90, 1_000)


def test_shares_are_the_chances_to_be_best_above_a_floor() -> None:
    found = bandit.allocation({"a": A, "b": B, "c": C}, floor=0.02)
    draws = np.random.default_rng(1).normal(
        [arm.mean_y for arm in (A, B, C)], [math.sqrt(arm.var_y / arm.n) for arm in (A, B, C)], (400_000, 3)
    )
    won = np.bincount(draws.argmax(axis=1), minlength=3) / len(draws)

    assert found.chances is not None
    assert list(found.chances.values()) == pytest.approx(won, abs=0.003)
    assert list(found.shares.values()) == pytest.approx(0.02 + 0.94 * won, abs=0.003)
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.losses is not None
    assert min(found.losses, key=lambda name: found.losses[name] if found.losses else 0) == "b"


def test_fewer_is_better_turns_the_shares_round() -> None:
    found = bandit.allocation({"a": A, "b": B, "c": C}, higher_is_better=False)

    assert max(found.shares, key=found.shares.__getitem__) == "c"


@pytest.mark.parametrize("poor", [Moments.of_count(9, 99), Moments.of_count(0, 5_000), Moments(0, 0, 0)])
def test_shares_are_equal_until_every_arm_has_units_and_a_spread(poor: Moments) -> None:
    found = bandit.allocation({"a": A, "b": B, "c": poor})

    assert found.exploring
    assert list(found.shares.values()) == pytest.approx([1 / 3] * 3)
    assert found.chances is None


@pytest.mark.parametrize(("arms", "floor"), [(0, 0.01), (3, 0.4), (2, -0.1)])
def test_impossible_floors_are_refused(arms: int, floor: float) -> None:
    with pytest.raises(ValueError, match="can't each have that share"):
        bandit.allocation({str(i): A for i in range(arms)}, floor=floor)


def test_ratios_are_played_by_their_linear_form() -> None:
    rng = np.random.default_rng(2)
    d = 1.0 + rng.poisson(5, (2, 3_000))
    y = rng.binomial(d.astype(int), [[0.10], [0.13]]).astype(float)
    found = bandit.allocation({"a": Moments.of(y[0], d[0]), "b": Moments.of(y[1], d[1])})

    assert found.shares["b"] > 0.9


def test_top_two_shares_are_those_of_its_draws() -> None:
    means, sds = np.array([0.1, 0.11, 0.102, 0.09]), np.array([0.006, 0.007, 0.01, 0.004])
    rng = np.random.default_rng(3)
    first = rng.normal(means, sds, (300_000, 4)).argmax(axis=1)
    played = first.copy()
    challenge = rng.random(first.size) < 0.5
    again = challenge.copy()
    while again.any():
        played[again] = rng.normal(means, sds, (int(again.sum()), 4)).argmax(axis=1)
        again = challenge & (played == first)
    expected = np.bincount(played, minlength=4) / first.size

    chances = bayes.best_of_normals(means.tolist(), sds.tolist()).chances
    assert bandit.top_two_shares(chances) == pytest.approx(expected, abs=0.004)


def test_top_two_leaves_half_to_the_others_when_one_is_certain() -> None:
    assert bandit.top_two_shares([1.0, 0.0, 0.0]) == pytest.approx([0.5, 0.25, 0.25])
    assert bandit.top_two_shares([1 - 1e-12, 1e-12, 0.0]) == pytest.approx([0.5, 0.5, 0.0], abs=1e-6)
    assert bandit.top_two_shares([1.0]) == (1.0,)
    found = bandit.allocation({"a": A, "b": Moments.of_count(400, 1_000)}, top_two=True)
    assert found.shares["b"] == pytest.approx(0.5, abs=0.02)


def periods_by_hand() -> tuple[list[dict[str, Moments]], list[tuple[str, int, np.ndarray]]]:
    rng = np.random.default_rng(4)
    cells = [
        (name, period, rng.gamma(2, 3 * (1 + period), size))
        for period, sizes in enumerate([(300, 300), (100, 900), (30, 2_000)])
        for name, size in zip(("a", "b"), sizes, strict=True)
    ]
    periods: list[dict[str, Moments]] = [{}, {}, {}]
    for name, period, values in cells:
        periods[period][name] = Moments.of(values)
    return periods, cells


def test_stratified_is_unit_level_inverse_propensity_weighting() -> None:
    periods, cells = periods_by_hand()
    found = bandit.stratified(periods)
    sizes = [sum(arm.n for arm in period.values()) for period in periods]
    for name in ("a", "b"):
        values = np.concatenate([y for own, _, y in cells if own == name])
        weights = np.concatenate(
            [np.full(y.size, sizes[period] / y.size) for own, period, y in cells if own == name]
        )
        assert found[name].mean_y == pytest.approx(np.average(values, weights=weights), rel=1e-12)
        error = sum(
            (sizes[period] / sum(sizes)) ** 2 * y.var(ddof=1) / y.size
            for own, period, y in cells
            if own == name
        )
        assert found[name].var_y / found[name].n == pytest.approx(error, rel=1e-12)
        assert found[name].n == values.size
        assert not found[name].is_ratio


def test_one_period_changes_nothing() -> None:
    found = bandit.stratified([{"a": A, "b": B}])

    assert found["a"].as_json() == pytest.approx(A.as_json())
    assert found["b"].as_json() == pytest.approx(B.as_json())


def test_simpsons_paradox_is_undone() -> None:
    """b is better on both days, and pooled looks worse."""
    good = {"a": Moments.of_count(180, 900), "b": Moments.of_count(22, 100)}
    bad = {"a": Moments.of_count(5, 100), "b": Moments.of_count(63, 900)}
    arms = bandit.stratified([good, bad])

    assert (22 + 63) / 1_000 < (180 + 5) / 1_000
    assert arms["b"].mean_y - arms["a"].mean_y == pytest.approx(0.02)


def test_periods_without_an_arm_are_joined_and_lone_units_borrow_a_spread() -> None:
    none = Moments(0, 0, 0)
    one = Moments.of_count(1, 1)
    arms = bandit.stratified(
        [{"a": A, "b": B}, {"a": A, "b": none}, {}, {"a": A}, {"a": A, "b": one}, {"a": A}]
    )

    assert arms["b"].n == 1_001
    # Period 0 weighs 2000 of 6001; all that follows is one stratum, in which b was shown once.
    assert arms["b"].mean_y == pytest.approx((2_000 * 0.13 + 4_001 * 1.0) / 6_001)
    assert arms["a"].mean_y == pytest.approx(0.1)
    assert arms["b"].var_y / arms["b"].n > 0.05  # one unit stands for four thousand, and it shows


def test_arms_never_shown_stay_empty() -> None:
    arms = bandit.stratified([{"a": A, "b": Moments(0, 0, 0)}])

    assert arms["b"].n == 0
    assert arms["a"].mean_y == pytest.approx(0.1)
    assert bandit.stratified([]) == {}
    late = bandit.stratified([{"a": A}, {"a": A, "b": B}])
    assert late["b"].mean_y == pytest.approx(0.13)
