"""Events of a made-up shop: power laws over shoppers and items, seeded."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

START, SPAN = 1.7e9, 1e7


def power_law(n_events: int, n_users: int, n_items: int, seed: int = 0) -> dict[str, NDArray[Any]]:
    """Arrays as the timed processes read them: user, item int64 [n_events]; value float32, 1 each; timestamp
    float64; shape. Popularity falls as rank^-0.9, activity as rank^-0.6.
    """
    rng = np.random.default_rng(seed)
    users = np.arange(1, n_users + 1) ** -0.6
    items = np.arange(1, n_items + 1) ** -0.9
    return {
        "user": rng.permutation(n_users)[rng.choice(n_users, n_events, p=users / users.sum())],
        "item": rng.permutation(n_items)[rng.choice(n_items, n_events, p=items / items.sum())],
        "value": np.ones(n_events, dtype=np.float32),
        "timestamp": np.sort(START + SPAN * rng.random(n_events)),
        "shape": np.array([n_users, n_items]),
    }
