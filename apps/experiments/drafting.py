"""Team-draft interleaving: two rankings shown as one, fair to both (Radlinski, Kurup, Joachims 2008).

In each round a coin says which ranking picks first; each then puts its best item that is not there yet.
Clicks are credited to the ranking that put the item. An item that both hold fast at the same place (a pin)
stays there and belongs to neither.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256

FIRST, SECOND, NEITHER = "A", "B", "-"
# Courses of a draft that are told apart for the propensities; two rankings seldom have more than a few.
COURSES_MAX = 64


@dataclass(frozen=True, slots=True)
class Draft:
    """What is shown: items and, for each, its team: FIRST, SECOND or NEITHER. propensities: the probability
    over the coins that this item stands at this place.
    """

    items: tuple[int, ...]
    teams: str
    propensities: tuple[float, ...]


def coins_of(salt: str, name: str) -> int:
    """256 coins for a name, one in each bit: SHA-256(salt + ":coins:" + name)."""
    return int.from_bytes(sha256(f"{salt}:coins:{name}".encode()).digest(), "big")


def team_draft(
    first: Sequence[int], second: Sequence[int], coins: int, pinned: Collection[int] = ()
) -> Draft:
    """Both rankings as one, as long as the longer. coins: bit i decides round i, 0: `first` picks first.

    pinned: items that hold their place if both rankings have them at it. When a ranking has no item left the
    other goes on alone.
    """
    size = max(len(first), len(second))
    fixed = {
        place: item
        for place, (item, same) in enumerate(zip(first, second, strict=False))
        if item == same and item in pinned
    }
    free = [place for place in range(size) if place not in fixed]
    shown, teams = dict(fixed), dict.fromkeys(fixed, NEITHER)
    taken = set(fixed.values())
    for turn, place in enumerate(free):
        flipped = bool(coins >> (turn // 2) & 1) != bool(turn % 2)
        picked = _pick(first, second, flipped, taken)
        if picked is None:
            break
        shown[place], teams[place] = picked
        taken.add(shown[place])
    # Where items ran out before the places did, what stands fast behind the gap moves up.
    order = sorted(shown)
    chances = _chances(first, second, free, frozenset(fixed.values()))
    return Draft(
        tuple(shown[place] for place in order),
        "".join(teams[place] for place in order),
        tuple(
            1.0 if place in fixed else chances.get((place, shown[place]), 0.5 ** (len(free) / 2))
            for place in order
        ),
    )


def _pick(
    first: Sequence[int], second: Sequence[int], flipped: bool, taken: Collection[int]
) -> tuple[int, str] | None:
    """The next item and its team. flipped: it is the second's turn."""
    sides = ((second, SECOND), (first, FIRST)) if flipped else ((first, FIRST), (second, SECOND))
    for ranking, team in sides:
        for item in ranking:
            if item not in taken:
                return item, team
    return None


def _chances(
    first: Sequence[int], second: Sequence[int], free: Sequence[int], fixed: frozenset[int]
) -> dict[tuple[int, int], float]:
    """Place and item to the probability over all coins.

    Both orders of a round mostly leave the same items for the next, so there are few courses to follow. Of
    more than COURSES_MAX the likeliest are.
    """
    chances: dict[tuple[int, int], float] = {}
    courses = {fixed: 1.0}
    for start in range(0, len(free), 2):
        places = free[start : start + 2]
        after: dict[frozenset[int], float] = {}
        for taken, chance in courses.items():
            for flipped in (False, True):
                now = taken
                for turn, place in enumerate(places):
                    picked = _pick(first, second, flipped != bool(turn), now)
                    if picked is None:
                        break
                    chances[place, picked[0]] = chances.get((place, picked[0]), 0.0) + chance / 2
                    now = now | {picked[0]}
                after[now] = after.get(now, 0.0) + chance / 2
        if len(after) > COURSES_MAX:
            after = dict(sorted(after.items(), key=lambda one: -one[1])[:COURSES_MAX])
        courses = after
    return chances
