"""Sessions whose next product only the search before it tells, or nothing does."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from apps.ml.dataset import Dataset
from apps.ml.topn import TopN
from tests.ml.planted import ITEM_BASE, PER_TASTE, TASTES, items_frame

SESSIONS = 500
TEST_SESSIONS = 120
SHOPPERS = 60
EVENTS = 4


@cache
def searched(telling: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Events and searches of sessions that jump from taste to taste, half of them anonymous.

    Three quarters of the views come 20 seconds after a search that names a taste: that of the view, or where
    `telling` is False any.
    """
    rng = np.random.default_rng(11)
    events, searches = [], []
    for session in range(SESSIONS):
        user = int(rng.integers(SHOPPERS)) if session % 2 else -1
        for place in range(EVENTS):
            taste = int(rng.integers(len(TASTES)))
            stamp = 10_000.0 * session + 60.0 * place
            item = ITEM_BASE + taste * PER_TASTE + int(rng.integers(PER_TASTE))
            events.append((user, item, "view", 1.0, stamp, f"s{session}"))
            named = TASTES[taste if telling else int(rng.integers(len(TASTES)))]
            if rng.random() < 0.75:
                words = ("茶具", "红茶杯")[place % 2] if named == "tea" else f"  {named.title()} things"
                searches.append((user, f"s{session}", stamp - 20.0, words))
    columns = ["user_id", "item_id", "kind", "weight", "timestamp", "basket"]
    return pd.DataFrame(events, columns=columns), pd.DataFrame(
        searches, columns=["user_id", "basket", "timestamp", "query"]
    )


def searched_dataset(telling: bool) -> Dataset:
    """All but the last sessions."""
    events, searches = searched(telling)
    whole = Dataset.from_frames(events, items_frame(), searches=searches)
    return whole.before(10_000.0 * (SESSIONS - TEST_SESSIONS) - 5_000.0)


def questions(telling: bool) -> tuple[list[list[int]], list[list[str]], list[int]]:
    """Beginnings of the last sessions, the search since their last item, and the item that came."""
    events, searches = searched(telling)
    begun, asked, came = [], [], []
    for _, own in events.tail(TEST_SESSIONS * EVENTS).groupby("basket", sort=False):
        items, stamps = own["item_id"].tolist(), own["timestamp"].tolist()
        said = searches[searches["basket"] == own["basket"].iloc[0]]
        for place in range(1, EVENTS):
            since = said["timestamp"].between(stamps[place - 1], stamps[place])
            begun.append(items[:place])
            asked.append(said.loc[since, "query"].tolist())
            came.append(items[place])
    return begun, asked, came


def next_item_ndcg(lists: TopN, came: list[int]) -> np.ndarray:
    """1 / log2(rank + 1) of the item that came among the first ten, else 0: float64 [n]."""
    hits = lists.ids[:, :10] == np.array(came)[:, None]
    return (hits / np.log2(np.arange(10) + 2.0)).sum(axis=1)
