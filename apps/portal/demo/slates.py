"""What a slate is worth to a shopper, and the reference policies that rank by hidden taste, sales or
nothing.
"""

from dataclasses import dataclass

import numpy as np

from apps.portal.demo.behaviour import (
    NEVER,
    Minds,
    buy_odds,
    cart_odds,
    click_odds,
    examined,
    play,
    ready_odds,
)
from apps.portal.demo.catalogue import Floats, Ints


@dataclass(frozen=True)
class SlateValue:
    """Per slate [s]: expected clicks and purchases under the behaviour model, and one simulated outcome."""

    expected_clicks: Floats
    expected_purchases: Floats
    clicks: Ints
    purchases: Ints


def slate_value(
    minds: Minds, users: Ints, lists: Ints, day: Floats, *, seed: int = 0, context: Ints | None = None
) -> SlateValue:
    """Show `lists` [s, k] (item indices, -1 pads) to `users` [s] on `day` [s].

    The same seed gives every policy the same patience, mood and luck, so that differences are paired.
    """
    wanting = minds.wanting(users, lists, day, context)
    rng = np.random.default_rng(seed)
    odds = ready_odds(minds.tastes.ready[users])
    ready = rng.random(len(users), dtype=np.float32) < odds
    outcome = play(wanting, ready, rng)
    clicks = examined(lists.shape[1])[None, :] * click_odds(wanting) * (wanting > NEVER + 1)
    purchases = clicks * cart_odds(wanting) * buy_odds(wanting) * odds[:, None]
    return SlateValue(
        expected_clicks=clicks.sum(axis=1),
        expected_purchases=purchases.sum(axis=1),
        clicks=outcome.clicked.sum(axis=1),
        purchases=outcome.bought.sum(axis=1),
    )


def rank_true(
    minds: Minds, users: Ints, day: Floats, places: int, allowed: Ints, context: Ints | None = None
) -> Ints:
    """The best slate there is: `allowed` items by their chance of being bought [s, places]."""
    items = np.broadcast_to(allowed, (len(users), len(allowed)))
    wanting = minds.wanting(users, items, day, context)
    worth = click_odds(wanting) * cart_odds(wanting) * buy_odds(wanting)
    if context is not None:
        worth = np.where(items == context[:, None], -1.0, worth)
    order = np.argsort(-worth, axis=1)[:, : places * 8]
    return _one_of_each(minds, np.take_along_axis(items, order, axis=1), places)


def rank_popular(minds: Minds, users: Ints, places: int, popular: Ints) -> Ints:
    """The same best-sellers for everyone [s, places]; `popular` is in order."""
    best = _one_of_each(minds, popular[None, : places * 8], places)
    return np.repeat(best, len(users), axis=0)


def rank_random(minds: Minds, users: Ints, places: int, allowed: Ints, seed: int) -> Ints:
    """Any products, another draw for every slate [s, places]."""
    rng = np.random.default_rng(seed)
    width = min(places * 4, len(allowed))
    picks = np.stack([rng.choice(allowed, width, replace=False) for _ in users])
    return _one_of_each(minds, picks, places)


def _one_of_each(minds: Minds, ranked: Ints, places: int) -> Ints:
    """The first `places` of each row without two variants of one product."""
    slate = np.full((len(ranked), places), -1, dtype=np.int64)
    groups = minds.traits.group
    for row, items in enumerate(ranked):
        first = np.sort(np.unique(groups[items], return_index=True)[1])[:places]
        slate[row, : len(first)] = items[first]
    return slate
