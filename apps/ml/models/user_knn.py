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

from apps.ml.base import History, Progress, TrainOptions, csr_from_arrays, csr_to_arrays, positive_only
from apps.ml.configs import Config
from apps.ml.configs.neighbours import UserKnnConfig
from apps.ml.dataset import Dataset, IdMap, Ints
from apps.ml.models.item_knn import indicator
from apps.ml.models.shoppers_alike import ShoppersAlike
from apps.ml.signals import Csr, user_item
from apps.ml.similarity import mean_length, nearest, term_weights, weigh
from apps.ml.topn import Floats


@dataclass
class UserKnnModel(ShoppersAlike[UserKnnConfig]):
    """own, vectors: weighed as likeness is measured. interest: decayed. idf: float32 [N], weights of the
    items. typical: what an average shopper of the pool has chosen, in summed interest.
    """

    idf: NDArray[np.float32]
    typical: float

    family: ClassVar[str] = "user_knn"
    config_class: ClassVar[type[Config]] = UserKnnConfig

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

    def asked(self, sessions: Sequence[Ints]) -> Csr:
        return sparse.csr_matrix(indicator(sessions, len(self.idf)) @ sparse.diags(self.idf))

    def alike(self, asked: Csr) -> Csr:
        return nearest(asked, self.vectors, self.config.neighbours, self.config.shrink)

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
