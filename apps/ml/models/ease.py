"""EASE (Steck 2019), time-weighted: item-item regression in closed form.

B = I - P / diag(P) with P = (X'X + lambda I)^-1, diagonal of B zero. X holds each shopper's strongest
decayed interest per item, never counts of repeats: repeated rows teach the model to predict an item from
itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from apps.ml.base import History, Model, Progress, TrainOptions, csr_from_arrays, csr_to_arrays
from apps.ml.configs import Config
from apps.ml.configs.factors import EaseConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.device import device_resolve
from apps.ml.models.item_knn import indicator, interest_of
from apps.ml.signals import Csr, basket_item, user_item
from apps.ml.topn import Floats


@dataclass
class EaseModel(Model[EaseConfig]):
    """weights: float32 [M, M], effect of the row's item on the column's. columns: int64 [M], item rows it
    knows. profile: float32 CSR [n_users, N].
    """

    weights: Floats
    columns: Ints
    profile: Csr

    family: ClassVar[str] = "ease"
    config_class: ClassVar[type[Config]] = EaseConfig
    folds_in: ClassVar[bool] = True

    @classmethod
    def fit(cls, dataset: Dataset, config: EaseConfig, options: TrainOptions) -> Self:
        device = device_resolve(options)
        matrix = user_item(dataset, config.row_half_life_days, aggregate="max")
        if config.baskets:
            matrix = sparse.csr_matrix(
                sparse.vstack([matrix, basket_item(dataset, config.row_half_life_days)])
            )
        strength = np.asarray(matrix.sum(axis=0)).ravel()
        busiest = np.argsort(-strength, kind="stable")[: config.max_items]
        columns = np.sort(busiest[strength[busiest] > 0])
        known = sparse.csc_matrix(matrix[:, columns])
        options.report(Progress("gram", 0.1, message=f"{len(columns)} items"))
        gram = torch.from_numpy((known.T @ known).toarray().astype(np.float32)).to(device)
        gram.diagonal().add_(config.regularisation)
        options.report(Progress("inverse", 0.4))
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        weights = -inverse / inverse.diagonal()
        weights.fill_diagonal_(0.0)
        profile = user_item(dataset, config.profile_half_life_days, aggregate="max")
        return cls(config, History.from_dataset(dataset), weights.cpu().numpy(), columns, profile)

    def score_users(self, rows_B: Ints) -> Floats:
        return self._spread(self.profile[rows_B])

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        return self._spread(indicator(sessions, len(self.history.items)))

    def score_similar(self, rows_B: Ints) -> Floats:
        return self._spread(
            indicator([rows_B[i : i + 1] for i in range(len(rows_B))], len(self.history.items))
        )

    def items_of(self, row: int) -> Ints:
        return self.profile[row].indices.astype(np.int64)

    def contributions(self, row: int | None, items_L: Ints, item: int) -> NDArray[np.float64]:
        """Exact: interest times the weight of the history's item on this one."""
        place = {int(column): index for index, column in enumerate(self.columns)}
        found = np.zeros(len(items_L))
        if item not in place:
            return found
        known = np.array([place.get(int(other), -1) for other in items_L], dtype=np.int64)
        found[known >= 0] = self.weights[known[known >= 0], place[item]]
        return found * interest_of(self.profile, row, items_L)

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        profile = user_item(dataset, self.config.profile_half_life_days, aggregate="max")
        return replace(self, history=history, profile=profile, metrics=dict(self.metrics))

    def _spread(self, profile_BN: Csr) -> Floats:
        """Scores [B, N]; a row without any item the model knows has nothing to say."""
        scores = np.full(profile_BN.shape, -np.inf, dtype=np.float32)
        known = sparse.csr_matrix(profile_BN[:, self.columns])
        filled = np.flatnonzero(np.diff(known.indptr))
        scores[np.ix_(filled, self.columns)] = known[filled] @ self.weights
        return scores

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {"weights": self.weights, "columns": self.columns, **csr_to_arrays("profile", self.profile)}

    @classmethod
    def from_parts(
        cls, config: EaseConfig, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        shape = (len(history.users), len(history.items))
        return cls(
            config, history, arrays["weights"], arrays["columns"], csr_from_arrays("profile", arrays, shape)
        )
