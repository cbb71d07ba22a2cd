"""How shoppers behave: the one model behind both the generated history and the traffic simulator.

A shopper looks at a slate from the top and gives up somewhere (`examined`); what is looked at is clicked,
put into the cart and bought by how much it is wanted at this moment (`Minds.wanting`): taste, current
needs, season, promotions, novelty, what is already owned, and what it goes with.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from apps.portal.demo.catalogue import Floats, Ints, Traits
from apps.portal.demo.leaves import vocabulary
from apps.portal.demo.shoppers import Tastes, features

Bools = NDArray[np.bool_]

NEED_PULL, DUE_PULL, OWNED_PULL = 1.0, 2.2, -2.5
GOES_WITH_PULL, ALIKE_PULL, MATCH_PULL = 1.1, 0.9, 0.3
PROMO_PULL, SEASON_PULL = 4.0, 0.7
NEW_DAYS = 28.0
NEVER = -30.0


def _sigmoid(x: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-x, dtype=np.float32))


def examined(places: int) -> Floats:
    """Probability that each position, counted from the top, is looked at [places]; it only falls."""
    return (0.96 * np.arange(1, places + 1, dtype=np.float32) ** -0.42).astype(np.float32)


def click_odds(wanting: Floats) -> Floats:
    """Probability of a click on something looked at."""
    return _sigmoid(wanting - 4.4)


def cart_odds(wanting: Floats, ready: Floats | float = 1.0) -> Floats:
    """Probability that something opened goes into the cart; who is only looking (ready 0) rarely fills
    one.
    """
    return _sigmoid(0.75 * wanting - 4.8 + 2.0 * ready)


def buy_odds(wanting: Floats) -> Floats:
    """Probability that something in the cart is bought, in a session that reaches the till."""
    return _sigmoid(0.5 * wanting + 0.6)


def dislike_odds(wanting: Floats) -> Floats:
    """Probability of "not interested" on something looked at and not clicked."""
    return _sigmoid(-0.9 * wanting - 4.7)


def ready_odds(log_odds: Floats) -> Floats:
    """Probability that a session reaches the till."""
    return _sigmoid(log_odds)


@dataclass(frozen=True)
class Minds:
    """Everything that decides what shoppers want. `utility` [m, n]; `owned` [m, n] changes as they buy;
    `first_day` is the day of the year on which day 0 fell."""

    traits: Traits
    tastes: Tastes
    utility: Floats
    owned: Bools
    season: Floats
    goes_with: Bools
    replenished: Bools
    first_day: int

    def wanting(self, users: Ints, items: Ints, day: Floats, context: Ints | None = None) -> Floats:
        """How much each shopper wants each item at a moment.

        users [p], items [p, c] (-1 pads: never wanted), day [p] counted from the start of history; context
        [p] is the product whose page or cart the slate stands beside, -1 none. Log-odds scale [p, c].
        """
        traits, tastes = self.traits, self.tastes
        item = np.maximum(items, 0)
        leaf = traits.leaf[item]
        week = (day // 7).astype(np.int64)
        want = self.utility[users[:, None], item].copy()
        needs = tastes.need[users, week % tastes.need.shape[1]]
        for slot in range(needs.shape[1]):
            want += NEED_PULL * (leaf == needs[:, slot : slot + 1])
        want += self._due(users, item, day)
        angle = self.season[leaf, self._year_day(day)[:, None]]
        current = np.minimum(week, traits.discount.shape[1] - 1)
        want += SEASON_PULL * angle + PROMO_PULL * tastes.promo[users][:, None] * traits.discount[
            item, current[:, None]
        ]  # fmt: skip
        age = day[:, None] - traits.born[item]
        want += tastes.novelty[users][:, None] * ((age >= 0) & (age < NEW_DAYS))
        want += OWNED_PULL * (self.owned[users[:, None], item] & ~self.replenished[item])
        if context is not None:
            want += self._beside(item, context)
        want[(items < 0) | (age < 0)] = NEVER
        return want.astype(np.float32)

    def _due(self, users: Ints, item: Ints, day: Floats) -> Floats:
        pull = np.zeros(item.shape, dtype=np.float32)
        tastes = self.tastes
        for slot in range(tastes.staple.shape[1]):
            gone = np.mod(day - tastes.phase[users, slot], tastes.interval[users, slot])
            part = gone / tastes.interval[users, slot]
            due = (part > 0.85) | (part < 0.08)
            pull += DUE_PULL * ((item == tastes.staple[users, slot][:, None]) & due[:, None])
        return pull

    def _beside(self, item: Ints, context: Ints) -> Floats:
        """The pull of standing beside `context`: complements, alternatives, the same style and colour."""
        traits = self.traits
        beside = np.maximum(context, 0)
        leaf = traits.leaf[item]
        complement = self.goes_with[traits.leaf[beside][:, None], leaf]
        alike = leaf == traits.leaf[beside][:, None]
        pull = GOES_WITH_PULL * complement + ALIKE_PULL * alike
        pull += MATCH_PULL * (traits.style[item] == traits.style[beside][:, None])
        same = (traits.family[item] == traits.family[beside][:, None]) & (traits.family[item] >= 0)
        pull += MATCH_PULL * same
        return np.where(context[:, None] >= 0, pull, 0.0).astype(np.float32)

    def _year_day(self, day: Floats) -> Ints:
        return (self.first_day + day.astype(np.int64)) % 365


def minds_build(traits: Traits, tastes: Tastes, first_day: int) -> Minds:
    """Put tastes and products together; nobody owns anything yet."""
    words = vocabulary()
    utility = tastes.weights @ features(traits).T
    utility -= utility.mean()
    codes = [leaf.code for leaf in words.leaves]
    goes_with = np.array([[code in leaf.goes_with for code in codes] for leaf in words.leaves])
    peak = np.array([leaf.season[0] for leaf in words.leaves])[:, None]
    strength = np.array([leaf.season[1] for leaf in words.leaves])[:, None]
    season = strength * np.cos(2 * np.pi * (np.arange(365)[None, :] - peak) / 365)
    return Minds(
        traits=traits,
        tastes=tastes,
        utility=utility.astype(np.float32),
        owned=np.zeros(utility.shape, dtype=bool),
        season=season.astype(np.float32),
        goes_with=goes_with,
        replenished=np.array([leaf.replenish > 0 for leaf in words.leaves])[traits.leaf],
        first_day=first_day,
    )


@dataclass(frozen=True)
class Play:
    """What happened on slates [p, c]: booleans, a click before a cart before a purchase."""

    looked: Bools
    clicked: Bools
    carted: Bools
    bought: Bools
    disliked: Bools


def play(wanting: Floats, ready: Bools, rng: np.random.Generator) -> Play:
    """Let shoppers look through slates; `ready` [p] says whose session reaches the till."""
    pages, places = wanting.shape
    patience = rng.random((pages, 1), dtype=np.float32)
    draws = rng.random((4, pages, places), dtype=np.float32)
    looked = (patience < examined(places)[None, :]) & (wanting > NEVER + 1)
    clicked = looked & (draws[0] < click_odds(wanting))
    carted = clicked & (draws[1] < cart_odds(wanting, ready[:, None].astype(np.float32)))
    bought = carted & ready[:, None] & (draws[2] < buy_odds(wanting))
    disliked = looked & ~clicked & (draws[3] < dislike_odds(wanting))
    return Play(looked, clicked, carted, bought, disliked)
