"""Small data with known structure: shoppers of six tastes, each taste with its own fifteen products."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from apps.ml.dataset import DAY, Dataset
from apps.ml.evaluate import Split, split_last_days

TASTES = ("tea", "garden", "party", "kitchen", "christmas", "toys")
PER_TASTE = 15
N_USERS = 180
USER_BASE = 1_000
ITEM_BASE = 5_000
START = 1_700_000_000.0
DAYS = 120
UNKNOWN_USER = 77
UNKNOWN_ITEM = 88
ADJECTIVES = ("red", "blue", "small", "large", "vintage", "paper", "glass", "wooden")


def items_frame() -> pd.DataFrame:
    """Products whose titles and category name their taste; one taste is described in Chinese."""
    rows = []
    for index in range(len(TASTES) * PER_TASTE):
        taste = TASTES[index // PER_TASTE]
        look = ADJECTIVES[index % len(ADJECTIVES)]
        text = f"红茶杯{index} 茶具" if taste == "tea" else f"{look} {taste} thing no {index}"
        rows.append((ITEM_BASE + index, f"S{index}", text, text, f"Home > {taste.title()}", True))
    return pd.DataFrame(rows, columns=["item_id", "sku", "title", "text", "category", "available"])


def taste_of_item(item_ids: np.ndarray) -> np.ndarray:
    return (np.asarray(item_ids) - ITEM_BASE) // PER_TASTE


def taste_of_user(user_ids: np.ndarray) -> np.ndarray:
    return (np.asarray(user_ids) - USER_BASE) % len(TASTES)


def interactions_frame(seed: int = 0, rated: bool = False) -> pd.DataFrame:
    """Views, purchases, a few dislikes; five sessions in six of a shopper are of their taste; some are
    anonymous. rated: with stars besides.
    """
    rng = np.random.default_rng(seed)
    within = 1 / np.arange(1, PER_TASTE + 1) ** 0.4
    rows = []
    for session in range(N_USERS * 7):
        user = session % N_USERS
        taste = user % len(TASTES) if rng.random() < 0.85 else int(rng.integers(len(TASTES)))
        moment = START + rng.random() * DAYS * DAY
        picks = rng.choice(PER_TASTE, size=4, replace=False, p=within / within.sum())
        shown = -1 if rng.random() < 0.1 else USER_BASE + user
        for place, pick in enumerate(picks):
            item = ITEM_BASE + taste * PER_TASTE + int(pick)
            stamp = moment + 60.0 * place
            rows.append((shown, item, "view", 1.0, stamp, 1.0, 5.0, f"s{session}", 0.0))
            if place < 3:
                rows.append((shown, item, "purchase", 5.0, stamp + 30.0, 1.0, 5.0, f"s{session}", 0.0))
        if shown >= 0 and rng.random() < 0.05:
            item = ITEM_BASE + int(rng.integers(len(TASTES) * PER_TASTE))
            rows.append((shown, item, "not_interested", -3.0, moment + 600.0, 1.0, 5.0, f"s{session}", 0.0))
    if rated:
        rows += _ratings(rows, np.random.default_rng(seed + 1))
    names = ["user_id", "item_id", "kind", "weight", "timestamp", "quantity", "price", "basket", "value"]
    return pd.DataFrame(rows, columns=names)


def _ratings(rows: list[tuple[Any, ...]], rng: np.random.Generator) -> list[tuple[Any, ...]]:
    """Stars for half of the purchases, at once: fours and fives within the shopper's taste, ones to threes
    outside. Their weight is 0, so that they tell nothing to a model that does not read stars.
    """
    found = []
    for user, item, kind, _, stamp, *_ in rows:
        if kind == "purchase" and user >= 0 and rng.random() < 0.5:
            own = (item - ITEM_BASE) // PER_TASTE == (user - USER_BASE) % len(TASTES)
            stars = float(rng.integers(4, 6) if own else rng.integers(1, 4))
            found.append((user, item, "rating", 0.0, stamp + 1.0, 1.0, 0.0, "", stars))
    return found


def shoppers_frame() -> pd.DataFrame:
    ids = np.arange(USER_BASE, USER_BASE + N_USERS)
    regions = ["north" if taste < 3 else "south" for taste in taste_of_user(ids)]
    return pd.DataFrame({"user_id": ids, "age_band": "", "region": regions, "language": "en"})


@cache
def planted(rated: bool = False) -> Dataset:
    return Dataset.from_frames(interactions_frame(rated=rated), items_frame(), shoppers_frame())


@cache
def planted_split(rated: bool = False) -> Split:
    return split_last_days(planted(rated), 30)
