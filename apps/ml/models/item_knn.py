"""Item neighbours: items that the same shoppers chose and that lie in the same baskets, anonymous ones
included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from apps.ml.base import History, Model, Progress, TrainOptions, csr_from_arrays, csr_to_arrays, positive_only
from apps.ml.configs import Config, ItemKnnConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.signals import Csr, basket_item, user_item
from apps.ml.similarity import nearest, weigh
from apps.ml.topn import Floats


@dataclass
class ItemKnnModel(Model[ItemKnnConfig]):
    """similarity: float32 CSR [N, N], neighbours per item. profile: float32 CSR [n_users, N], decayed
    interest.
    """

    similarity: Csr
    profile: Csr

    family: ClassVar[str] = "item_knn"
    config_class: ClassVar[type[Config]] = ItemKnnConfig

    @classmethod
    def fit(cls, dataset: Dataset, config: ItemKnnConfig, options: TrainOptions) -> Self:
        rows = [user_item(dataset, config.row_half_life_days, aggregate="max")]
        if config.baskets:
            rows.append(basket_item(dataset, config.row_half_life_days) * config.basket_weight)
        together = sparse.csr_matrix(sparse.vstack(rows))
        options.report(Progress("similarity", 0.1, message=f"{together.shape[0]} shoppers and baskets"))
        documents = weigh(sparse.csr_matrix(together.T), config.weighting)
        similarity = nearest(
            documents, documents, config.neighbours, config.shrink, skip_self=True, check=options.check
        )
        profile = user_item(dataset, config.profile_half_life_days, aggregate="max")
        return cls(config, History.from_dataset(dataset), similarity, profile)

    def score_users(self, rows_B: Ints) -> Floats:
        return positive_only((self.profile[rows_B] @ self.similarity).toarray())

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        return positive_only((indicator(sessions, len(self.history.items)) @ self.similarity).toarray())

    def score_similar(self, rows_B: Ints) -> Floats:
        return positive_only(self.similarity[rows_B].toarray())

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {**csr_to_arrays("similarity", self.similarity), **csr_to_arrays("profile", self.profile)}

    @classmethod
    def from_parts(
        cls, config: ItemKnnConfig, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        n = len(history.items)
        similarity = csr_from_arrays("similarity", arrays, (n, n))
        return cls(config, history, similarity, csr_from_arrays("profile", arrays, (len(history.users), n)))


def indicator(sessions: Sequence[Ints], n_items: int) -> Csr:
    """1 for every distinct item of each session: float32 CSR [n_sessions, n_items]."""
    distinct = [np.unique(session) for session in sessions]
    rows = np.repeat(np.arange(len(distinct)), [len(session) for session in distinct])
    columns = np.concatenate(distinct) if distinct else np.zeros(0, dtype=np.int64)
    return sparse.csr_matrix(
        (np.ones(len(columns), np.float32), (rows, columns)), shape=(len(distinct), n_items)
    )
