"""Online Retail for the timed processes: the last test window, and how good the lists of each side are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.ml.evaluate import evaluate_lists
from apps.ml.topn import TopN
from tests.benchmarks.models.windows import RETAIL_FILE, Window, online_retail, rolling, shared_data


@dataclass(frozen=True)
class Retail:
    """window: train and test. arrays: purchases before the cut, on rows of the shoppers and items in them."""

    window: Window
    arrays: dict[str, NDArray[Any]]
    users: NDArray[np.int64]
    items: NDArray[np.int64]

    def ndcg(self, lists: NDArray[np.int64]) -> dict[str, float]:
        """NDCG@10 and its 95 % interval on what the shoppers had not bought before."""
        truth = self.window.truth["new"]
        rows = lists[np.searchsorted(self.users, truth.users)]
        ids = np.where(rows >= 0, self.items[np.maximum(rows, 0)], -1)
        scores = np.where(ids >= 0, -np.arange(ids.shape[1], dtype=np.float32), -np.inf)
        found = evaluate_lists(TopN(ids, scores.astype(np.float32)), truth, self.window.split.catalogue_size)
        return {"ndcg10": round(found.mean("ndcg10"), 4)}


def retail() -> Retail:
    """FileNotFoundError where the shared data is absent."""
    window = rolling(online_retail(shared_data() / RETAIL_FILE), 1)[0]
    train = window.split.train.purchases().identified()
    users, user = np.unique(train.user_ids, return_inverse=True)
    items, item = np.unique(train.item_ids, return_inverse=True)
    pairs, first = np.unique(user * len(items) + item, return_index=True)
    return Retail(
        window,
        {
            "user": pairs // len(items),
            "item": pairs % len(items),
            "value": np.ones(len(pairs), dtype=np.float32),
            "timestamp": train.timestamp[first],
            "shape": np.array([len(users), len(items)]),
        },
        users,
        items,
    )
