"""User neighbours: an item's score is the SUM over like shoppers of similarity times their decayed interest.

The sum is the point: the article's formula scores by a single neighbour (see the ADR on formulas).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from apps.ml.base import History, Model, Progress, TrainOptions, csr_from_arrays, csr_to_arrays, positive_only
from apps.ml.configs import Config
from apps.ml.configs.neighbours import UserKnnConfig
from apps.ml.dataset import Dataset, IdMap, Ints
from apps.ml.models.item_knn import column_of, indicator
from apps.ml.signals import Csr, user_item
from apps.ml.similarity import mean_length, nearest, term_weights, weigh
from apps.ml.topn import Floats


@dataclass
class UserKnnModel(Model[UserKnnConfig]):
    """pool: the P shoppers learned from, who stay when others are folded in. neighbours: float32 CSR
    [n_users, P]. own: float32 CSR [n_users, N], what likeness is measured on; vectors: the same of the pool
    [P, N]. interest: float32 CSR [P, N], decayed. idf: float32 [N], weights of the items. typical: what an
    average shopper of the pool has chosen, in summed interest.
    """

    pool: IdMap
    neighbours: Csr
    own: Csr
    vectors: Csr
    interest: Csr
    idf: NDArray[np.float32]
    typical: float

    family: ClassVar[str] = "user_knn"
    config_class: ClassVar[type[Config]] = UserKnnConfig
    folds_in: ClassVar[bool] = True

    @classmethod
    def fit(cls, dataset: Dataset, config: UserKnnConfig, options: TrainOptions) -> Self:
        counts = user_item(dataset, config.similarity_half_life_days, aggregate="max")
        telling = np.bincount(counts.indices, minlength=counts.shape[1]) <= config.likeness_ceiling
        plain = config.weighting == "cosine"
        terms = np.ones(counts.shape[1]) if plain else term_weights(counts, counts.shape[0])
        idf = (terms * telling).astype(np.float32)
        typical = mean_length(counts)
        vectors = weigh(counts, config.weighting, idf, typical)
        vectors.eliminate_zeros()
        options.report(Progress("similarity", 0.1, message=f"{counts.shape[0]} shoppers"))
        neighbours = nearest(
            vectors,
            vectors,
            config.neighbours,
            config.shrink,
            selves=np.arange(len(dataset.users)),
            check=options.check,
            threads=options.threads,
        )
        interest = user_item(dataset, config.interest_half_life_days, aggregate="max")
        history = History.from_dataset(dataset)
        return cls(config, history, dataset.users, neighbours, vectors, vectors, interest, idf, typical)

    def score_users(self, rows_B: Ints) -> Floats:
        return positive_only((self.neighbours[rows_B] @ self.interest).toarray())

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        vectors = sparse.csr_matrix(indicator(sessions, len(self.history.items)) @ sparse.diags(self.idf))
        alike = nearest(vectors, self.vectors, self.config.neighbours, self.config.shrink)
        return positive_only((alike @ self.interest).toarray())

    def score_similar(self, rows_B: Ints) -> Floats:
        return self.score_sessions([rows_B[i : i + 1] for i in range(len(rows_B))])

    def items_of(self, row: int) -> Ints:
        return self.own[row].indices.astype(np.int64)

    def contributions(self, row: int | None, items_L: Ints, item: int) -> NDArray[np.float64]:
        """Exact: a likeness is a sum over shared items, so each neighbour's say is divided among those they
        share.
        """
        if row is None:
            own = sparse.csr_matrix(indicator([items_L], len(self.idf)) @ sparse.diags(self.idf))
            alike = nearest(own, self.vectors, self.config.neighbours, self.config.shrink)
        else:
            own, alike = self.own[row], self.neighbours[row]
        vectors = self.vectors[alike.indices]
        overlap = np.asarray((vectors @ own.T).todense(), dtype=np.float64).ravel()
        say = (
            alike.data
            * column_of(self.interest, alike.indices.astype(np.int64), item)
            / np.maximum(overlap, 1e-12)
        )
        chosen = np.asarray(own[0, items_L].todense(), dtype=np.float64).ravel()
        return np.asarray(say @ vectors[:, items_L], dtype=np.float64).ravel() * chosen

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        counts = user_item(dataset, self.config.similarity_half_life_days, aggregate="max")
        own = weigh(counts, self.config.weighting, self.idf, self.typical)
        own.eliminate_zeros()
        selves = self.pool.rows(dataset.users.ids)
        neighbours = nearest(own, self.vectors, self.config.neighbours, self.config.shrink, selves)
        return replace(self, history=history, neighbours=neighbours, own=own, metrics=dict(self.metrics))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "pool": self.pool.ids,
            **csr_to_arrays("neighbours", self.neighbours),
            **csr_to_arrays("own", self.own),
            **csr_to_arrays("vectors", self.vectors),
            **csr_to_arrays("interest", self.interest),
            "idf": self.idf,
            "typical": np.array([self.typical]),
        }

    @classmethod
    def from_parts(
        cls, config: UserKnnConfig, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        n_users, n_items, pool = len(history.users), len(history.items), IdMap(arrays["pool"])
        return cls(
            config,
            history,
            pool,
            csr_from_arrays("neighbours", arrays, (n_users, len(pool))),
            csr_from_arrays("own", arrays, (n_users, n_items)),
            csr_from_arrays("vectors", arrays, (len(pool), n_items)),
            csr_from_arrays("interest", arrays, (len(pool), n_items)),
            arrays["idf"],
            float(arrays["typical"][0]),
        )
