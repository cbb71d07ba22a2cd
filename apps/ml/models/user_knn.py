"""User neighbours: an item's score is the SUM over like shoppers of similarity times their decayed interest.

The sum is the point: the article's formula scores by a single neighbour (see the ADR on formulas).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from apps.ml.base import History, Model, Progress, TrainOptions, csr_from_arrays, csr_to_arrays, positive_only
from apps.ml.configs import Config
from apps.ml.configs.neighbours import UserKnnConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.models.item_knn import indicator
from apps.ml.signals import Csr, user_item
from apps.ml.similarity import nearest, term_weights, weigh
from apps.ml.topn import Floats


@dataclass
class UserKnnModel(Model[UserKnnConfig]):
    """neighbours: float32 CSR [n_users, n_users]. vectors: float32 CSR [n_users, N], what likeness is
    measured on. interest: float32 CSR [n_users, N], decayed. idf: float32 [N], weights of the items of a
    session.
    """

    neighbours: Csr
    vectors: Csr
    interest: Csr
    idf: NDArray[np.float32]

    family: ClassVar[str] = "user_knn"
    config_class: ClassVar[type[Config]] = UserKnnConfig

    @classmethod
    def fit(cls, dataset: Dataset, config: UserKnnConfig, options: TrainOptions) -> Self:
        counts = user_item(dataset, config.similarity_half_life_days, aggregate="max")
        telling = np.bincount(counts.indices, minlength=counts.shape[1]) <= config.likeness_ceiling
        vectors = sparse.csr_matrix(
            weigh(counts, config.weighting) @ sparse.diags(telling.astype(np.float32))
        )
        vectors.eliminate_zeros()
        options.report(Progress("similarity", 0.1, message=f"{counts.shape[0]} shoppers"))
        neighbours = nearest(
            vectors, vectors, config.neighbours, config.shrink, skip_self=True, check=options.check
        )
        plain = config.weighting == "cosine"
        idf = np.ones(counts.shape[1]) if plain else term_weights(counts, counts.shape[0])
        interest = user_item(dataset, config.interest_half_life_days, aggregate="max")
        return cls(
            config,
            History.from_dataset(dataset),
            neighbours,
            vectors,
            interest,
            (idf * telling).astype(np.float32),
        )

    def score_users(self, rows_B: Ints) -> Floats:
        return positive_only((self.neighbours[rows_B] @ self.interest).toarray())

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        vectors = indicator(sessions, len(self.history.items)) @ sparse.diags(self.idf)
        alike = nearest(sparse.csr_matrix(vectors), self.vectors, self.config.neighbours, self.config.shrink)
        return positive_only((alike @ self.interest).toarray())

    def score_similar(self, rows_B: Ints) -> Floats:
        return self.score_sessions([rows_B[i : i + 1] for i in range(len(rows_B))])

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {
            **csr_to_arrays("neighbours", self.neighbours),
            **csr_to_arrays("vectors", self.vectors),
            **csr_to_arrays("interest", self.interest),
            "idf": self.idf,
        }

    @classmethod
    def from_parts(
        cls, config: UserKnnConfig, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        n_users, n_items = len(history.users), len(history.items)
        return cls(
            config,
            history,
            csr_from_arrays("neighbours", arrays, (n_users, n_users)),
            csr_from_arrays("vectors", arrays, (n_users, n_items)),
            csr_from_arrays("interest", arrays, (n_users, n_items)),
            arrays["idf"],
        )
