"""Team draft: fair, whole, with chances that are what the coins do."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from apps.experiments.drafting import coins_of, team_draft

A = [1, 2, 3, 4, 5, 6]
PAIRS = {
    "disjoint": (A, [11, 12, 13, 14, 15, 16]),
    "same": (A, A),
    "turned": (A, A[::-1]),
    "shifted": (A, [2, 3, 4, 5, 6, 7]),
    "shared top": (A, [1, 12, 2, 14, 3, 16]),
    "shorter": (A, [9, 2]),
    "odd": (A[:5], [5, 9, 1, 2, 10]),
}


def coins_all(first: Sequence[int], second: Sequence[int]) -> range:
    """Every sequence of coins."""
    return range(2 ** ((max(len(first), len(second)) + 1) // 2))


@pytest.mark.parametrize("name", PAIRS)
def test_the_chances_are_what_all_coins_do(name: str) -> None:
    first, second = PAIRS[name]
    drafts = [team_draft(first, second, coins) for coins in coins_all(first, second)]
    counted = Counter((place, item) for draft in drafts for place, item in enumerate(draft.items))
    for draft in drafts:
        for place, item in enumerate(draft.items):
            assert draft.propensities[place] == pytest.approx(counted[place, item] / len(drafts))


@pytest.mark.parametrize("name", PAIRS)
def test_nothing_is_twice_and_every_team_keeps_its_order(name: str) -> None:
    first, second = PAIRS[name]
    for coins in coins_all(first, second):
        draft = team_draft(first, second, coins)
        assert len(set(draft.items)) == len(draft.items) == max(len(first), len(second)) == len(draft.teams)
        for team, ranking in (("A", first), ("B", second)):
            places = [
                ranking.index(item) for item, of in zip(draft.items, draft.teams, strict=True) if of == team
            ]
            assert places == sorted(places)


@pytest.mark.parametrize("name", ["disjoint", "same", "turned", "shifted", "shared top"])
def test_over_all_coins_no_place_favours_a_team(name: str) -> None:
    first, second = PAIRS[name]
    teams = np.asarray([list(team_draft(first, second, coins).teams) for coins in coins_all(first, second)])
    assert ((teams == "A").mean(axis=0) == 0.5).all()
    assert ((teams == "A").sum(axis=1) == 3).all(), "in each slate, too, both have as many"


def test_what_both_pin_stays_and_belongs_to_neither() -> None:
    first, second = [1, 99, 2, 3], [4, 99, 5, 6]
    for coins in range(4):
        draft = team_draft(first, second, coins, {99})
        assert (draft.items[1], draft.teams[1], draft.propensities[1]) == (99, "-", 1.0)
        assert Counter(draft.teams) == {"A": 2, "B": 1, "-": 1} or Counter(draft.teams) == {
            "A": 1,
            "B": 2,
            "-": 1,
        }
    elsewhere = team_draft(first, [99, 4, 5, 6], 0, {99})
    assert "-" not in elsewhere.teams


def test_many_courses_are_followed_within_bounds() -> None:
    rng = np.random.default_rng(0)
    first = list(range(100))
    second = [place ^ 1 if rng.random() < 0.5 else place for place in first]
    second = list(dict.fromkeys([*second, *first]))[:100]
    draft = team_draft(first, second, coins_of("salt", "s1"))
    assert len(draft.items) == 100
    assert all(0 < chance <= 1 for chance in draft.propensities)


def test_coins_are_fair_and_of_their_name() -> None:
    drawn = [coins_of("salt", f"s{number}") for number in range(400)]
    assert len(set(drawn)) == 400
    heads = sum(coins.bit_count() for coins in drawn) / (256 * 400)
    assert abs(heads - 0.5) < 5 * 0.5 / (256 * 400) ** 0.5
    assert coins_of("salt", "s1") != coins_of("other", "s1")
