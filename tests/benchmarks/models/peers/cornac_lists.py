"""Cornac (github.com/PreferredAI/cornac): EASE, and the next-basket models TIFU-kNN and UPCF."""

from functools import cache
from typing import Any

import exchange
import numpy as np
from cornac.data import BasketDataset, Dataset
from cornac.models import EASE, TIFUKNN, UPCF


class MeanOfNeighbours(TIFUKNN):
    """TIFU-kNN as its article (Hu et al. 2020) has it.

    Cornac 3.0.1 takes the mean over all neighbours *and items*, one number that changes no order, and leaves
    out each user's last basket, which suits its own splits and not a split by time. Both are mended here, so
    that the table can show the method beside the library.
    """

    def _get_user_vectors(self, data_set: Any) -> Any:
        vectors = [self._compute_user_vector(items) for _, _, [items] in data_set.ubi_iter(1, shuffle=False)]
        found = np.asarray(vectors, dtype=np.float32)
        self.lengths = (found**2).sum(axis=1)
        return found

    def score(self, user_idx: int, history_baskets: Any, **_: Any) -> Any:
        own = self._compute_user_vector(history_baskets)
        # exact as the library's tree, which is no quicker than looking at everybody in 3,500 dimensions
        distance = self.lengths - 2 * (self.user_vectors @ own)
        near = np.argpartition(distance, self.n_neighbors - 1)[: self.n_neighbors]
        return self.alpha * own + (1 - self.alpha) * self.user_vectors[near].mean(axis=0)


def ease(train: exchange.Train, setting: dict[str, Any]) -> exchange.Lists:
    """Steck (2019), on binary data."""
    matrix = train.matrix().tocoo()
    triples = list(zip(matrix.row.tolist(), matrix.col.tolist(), matrix.data.tolist(), strict=True))
    data = Dataset.from_uir(triples)
    model = EASE(verbose=False, **setting).fit(data)
    users = np.array([data.uid_map[row] for row in range(train.shape[0])])
    items = np.array([data.iid_map[row] for row in range(train.shape[1])])

    def score(rows: exchange.Ints) -> Any:
        return np.stack([np.asarray(model.score(int(users[row]))).ravel()[items] for row in rows])

    return train.top(score)


def _baskets(train: exchange.Train, model: Any) -> exchange.Lists:
    lines = zip(
        train.user.tolist(), train.basket.tolist(), train.item.tolist(), train.timestamp.tolist(), strict=True
    )
    data = BasketDataset.from_ubit(list(lines))
    model.fit(data)
    items = np.array([data.iid_map[row] for row in range(train.shape[1])])
    # Cornac gives no order to the baskets of a user that is ours to rely on: oldest first, distinct items.
    history: dict[int, dict[int, dict[int, None]]] = {}
    for user, basket, item in zip(
        train.user.tolist(), train.basket.tolist(), train.item.tolist(), strict=True
    ):
        history.setdefault(user, {}).setdefault(basket, {})[data.iid_map[item]] = None

    @cache
    def score_one(row: int) -> Any:
        baskets = [list(basket) for basket in history[row].values()]
        return np.asarray(model.score(data.uid_map[row], baskets), dtype=np.float32).ravel()[items]

    return train.top(lambda rows: np.stack([score_one(row) for row in rows.tolist()]))


def tifuknn(train: exchange.Train, setting: dict[str, Any]) -> exchange.Lists:
    """As the library ships it."""
    return _baskets(train, TIFUKNN(**setting))


def tifuknn_mended(train: exchange.Train, setting: dict[str, Any]) -> exchange.Lists:
    """With the mean per item."""
    return _baskets(train, MeanOfNeighbours(**setting))


def upcf(train: exchange.Train, setting: dict[str, Any]) -> exchange.Lists:
    """Faggioli et al. (2020)."""
    return _baskets(train, UPCF(**setting))


if __name__ == "__main__":
    exchange.main({"ease": ease, "tifuknn": tifuknn, "tifuknn_mended": tifuknn_mended, "upcf": upcf})
