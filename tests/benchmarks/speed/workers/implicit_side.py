"""implicit (github.com/benfred/implicit): ALS, BPR and cosine neighbours, in C++."""

from typing import Any

import numpy as np
import turns
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import CosineRecommender


def _sides(model_of: Any, data: Any, k: int) -> tuple[turns.Fit, turns.Top]:
    matrix = turns.matrix_of(data)
    users = np.arange(matrix.shape[0])

    def fit() -> Any:
        model = model_of()
        model.fit(matrix, show_progress=False)
        return model

    def top(model: Any) -> Any:
        ids, scores = model.recommend(users, matrix, N=k, filter_already_liked_items=True)
        return np.where((ids >= 0) & (scores > -1e30), ids, -1)

    return fit, top


def als(data: Any, settings: dict[str, Any], threads: int) -> tuple[turns.Fit, turns.Top]:
    k = settings.pop("k")
    return _sides(lambda: AlternatingLeastSquares(num_threads=threads, random_state=0, **settings), data, k)


def bpr(data: Any, settings: dict[str, Any], threads: int) -> tuple[turns.Fit, turns.Top]:
    k = settings.pop("k")
    return _sides(
        lambda: BayesianPersonalizedRanking(num_threads=threads, random_state=0, **settings), data, k
    )


def cosine(data: Any, settings: dict[str, Any], threads: int) -> tuple[turns.Fit, turns.Top]:
    k = settings.pop("k")
    return _sides(lambda: CosineRecommender(num_threads=threads, **settings), data, k)


if __name__ == "__main__":
    turns.main({"als": als, "bpr": bpr, "cosine": cosine})
