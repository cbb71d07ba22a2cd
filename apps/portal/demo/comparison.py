"""Whose slates sell best: the API's over HTTP against rankings by true taste, by sales and by chance."""

from itertools import pairwise
from typing import Any

import numpy as np

from apps.core import clock
from apps.portal.demo.catalogue import Floats, Ints
from apps.portal.demo.slates import SlateValue, rank_popular, rank_random, rank_true, slate_value
from apps.portal.demo.traffic import PLACES
from apps.portal.demo.truth import Stage
from recoportal.client import RecoPortal

_AT_ONCE = 500


def policies_compare(
    stage: Stage, client: RecoPortal, *, slates: int, seed: int, placement: str = "home"
) -> dict[str, Any]:
    """Show the same shoppers the API's slates and the reference rankings, with the same luck.

    Nothing is reported to the API. See `comparison_report` for what is returned.
    """
    users = np.random.default_rng(seed).choice(
        len(stage.shoppers), size=slates, p=stage.activity / stage.activity.sum(dtype=np.float64)
    )
    items = stage.item_of
    answered = np.full((slates, PLACES), -1, dtype=np.int64)
    for row, user in enumerate(users):
        found = client.slate(placement, shopper=stage.shoppers[user], n=PLACES).items
        answered[row, : len(found)] = [items.get(item.sku, -1) for item in found]
    return comparison_report(stage, users, answered, stage.day_of(clock.now()), seed=seed)


def comparison_report(
    stage: Stage, users: Ints, answered: Ints, day: float, *, seed: int = 0
) -> dict[str, Any]:
    """Value `answered` [s, k] for `users` [s] beside the references, under one behaviour model.

    Per policy: purchases and clicks, expected per slate and simulated in all. Per neighbouring pair of the
    order true_taste > api > popular > random: the paired difference of expected purchases a slate as
    [difference, low, high] with its 95 % interval.
    """
    days = np.full(len(users), day, dtype=np.float32)
    allowed, places = np.sort(stage.popular), answered.shape[1]
    lists = {
        "true_taste": _true_in_parts(stage, users, days, places, allowed),
        "api": answered,
        "popular": rank_popular(stage.minds, users, places, stage.popular),
        "random": rank_random(stage.minds, users, places, allowed, seed),
    }
    values = {
        name: slate_value(stage.minds, users, ranked, days, seed=seed) for name, ranked in lists.items()
    }
    return {
        "slates": len(users),
        "policies": {name: _figures(value) for name, value in values.items()},
        "differences": {
            f"{better} - {worse}": paired_interval(
                values[better].expected_purchases - values[worse].expected_purchases
            )
            for better, worse in pairwise(lists)
        },
    }


def _true_in_parts(stage: Stage, users: Ints, days: Floats, places: int, allowed: Ints) -> Ints:
    parts = [
        rank_true(stage.minds, users[at : at + _AT_ONCE], days[at : at + _AT_ONCE], places, allowed)
        for at in range(0, len(users), _AT_ONCE)
    ]
    return np.concatenate(parts)


def _figures(value: SlateValue) -> dict[str, float | int]:
    return {
        "expected_purchases": round(float(value.expected_purchases.mean()), 5),
        "expected_clicks": round(float(value.expected_clicks.mean()), 4),
        "purchases": int(value.purchases.sum()),
        "clicks": int(value.clicks.sum()),
    }


def paired_interval(gap: Floats) -> list[float]:
    """[mean, low, high] of paired differences, 95 %."""
    middle, half = float(gap.mean()), 1.96 * float(gap.std(ddof=1)) / len(gap) ** 0.5
    return [round(middle, 5), round(middle - half, 5), round(middle + half, 5)]
