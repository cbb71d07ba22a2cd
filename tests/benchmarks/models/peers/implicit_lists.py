"""implicit (github.com/benfred/implicit): ALS, BPR, BM25 and cosine item neighbours."""

from typing import Any

import exchange
import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender


def _native(train: exchange.Train, model: Any, matrix: Any) -> exchange.Lists:
    """The library's own lists, which leave out what is in `matrix`."""
    model.fit(matrix, show_progress=False)

    def lists(rows: exchange.Ints, variant: str) -> exchange.Ints:
        ids, scores = model.recommend(
            rows, matrix[rows], N=exchange.LENGTH, filter_already_liked_items=variant == "new"
        )
        # places it could not fill carry the lowest float, or an id below 0
        return np.where((ids >= 0) & (scores > -1e30), ids, -1).astype(np.int64)

    return lists


def als(train: exchange.Train, setting: dict[str, Any]) -> exchange.Lists:
    """Hu, Koren, Volinsky (2008)."""
    given = dict(setting)
    matrix = train.matrix(given.pop("values", "binary"))
    return _native(train, AlternatingLeastSquares(random_state=0, num_threads=1, **given), matrix)


def bpr(train: exchange.Train, setting: dict[str, Any]) -> exchange.Lists:
    """Rendle et al. (2009)."""
    model = BayesianPersonalizedRanking(random_state=0, num_threads=1, **setting)
    return _native(train, model, train.matrix())


def bm25(train: exchange.Train, setting: dict[str, Any]) -> exchange.Lists:
    """Item neighbours on BM25 weights."""
    given = dict(setting)
    matrix = train.matrix(given.pop("values", "binary"))
    return _native(train, BM25Recommender(num_threads=1, **given), matrix)


def cosine(train: exchange.Train, setting: dict[str, Any]) -> exchange.Lists:
    """Item neighbours by cosine."""
    given = dict(setting)
    matrix = train.matrix(given.pop("values", "binary"))
    return _native(train, CosineRecommender(num_threads=1, **given), matrix)


if __name__ == "__main__":
    exchange.main({"als": als, "bpr": bpr, "bm25": bm25, "cosine": cosine})
