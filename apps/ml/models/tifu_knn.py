"""Next basket by decayed personal item frequency and shoppers alike (TIFU-kNN; Hu et al., SIGIR 2020).

    score(u) = s * v_u + (1 - s) * sum over neighbours n of w_n * z_n / sum of w_n

v_u counts the items of each basket, later groups of baskets and later baskets within a group counting more;
z_n is the neighbour's vector. The article has z = v and w = 1. Here time may decay as well, faster in z than
in v: what neighbours bring in is news, what the shopper repeats is habit. Everything stays sparse: shoppers
who share no item are no neighbours.
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
from apps.ml.configs.repeat import TifuKnnConfig
from apps.ml.dataset import Dataset, IdMap, Ints
from apps.ml.models.item_knn import indicator
from apps.ml.models.shoppers_alike import ShoppersAlike
from apps.ml.signals import Csr, decay
from apps.ml.similarity import normalised, products, stacked, strongest
from apps.ml.topn import Floats


@dataclass
class TifuKnnModel(ShoppersAlike[TifuKnnConfig]):
    """own: the shoppers' vectors of baskets. neighbours: weights that sum to 1. vectors: those of the pool
    without what nearly everybody has. interest: decayed faster, what is news.
    """

    family: ClassVar[str] = "tifu_knn"
    config_class: ClassVar[type[Config]] = TifuKnnConfig

    @classmethod
    def fit(cls, dataset: Dataset, config: TifuKnnConfig, options: TrainOptions) -> Self:
        own = basket_vectors(dataset, config, config.half_life_days)
        interest = basket_vectors(dataset, config, config.neighbour_half_life_days)
        telling = np.bincount(own.indices, minlength=own.shape[1]) <= config.likeness_ceiling
        vectors = sparse.csr_matrix(own @ sparse.diags(telling.astype(np.float32)))
        vectors.eliminate_zeros()
        options.report(Progress("likeness", 0.2, message=f"{own.shape[0]} shoppers"))
        everyone = np.arange(len(dataset.users))
        neighbours = _alike(vectors, vectors, config, everyone, options)
        history = History.from_dataset(dataset)
        return cls(config, history, dataset.users, neighbours, own, vectors, interest)

    def score_users(self, rows_B: Ints) -> Floats:
        share = self.config.own_share
        mixed = share * self.own[rows_B] + (1.0 - share) * (self.neighbours[rows_B] @ self.interest)
        return positive_only(mixed.toarray())

    def asked(self, sessions: Sequence[Ints]) -> Csr:
        return indicator(sessions, len(self.history.items))

    def alike(self, asked: Csr) -> Csr:
        return _alike(asked, self.vectors, self.config)

    def contributions(self, row: int | None, items_L: Ints, item: int) -> NDArray[np.float64]:
        """Exact: what neighbours say as for shoppers alike, and the item speaks for itself."""
        said = super().contributions(row, items_L, item)
        if row is None:
            return said
        share, own = self.config.own_share, self.own[row, item]
        return (1.0 - share) * said + np.where(items_L == item, share * own, 0.0)

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        own = basket_vectors(dataset, self.config, self.config.half_life_days)
        neighbours = _alike(own, self.vectors, self.config, self.pool.rows(dataset.users.ids))
        return replace(self, history=history, own=own, neighbours=neighbours, metrics=dict(self.metrics))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "pool": self.pool.ids,
            **csr_to_arrays("own", self.own),
            **csr_to_arrays("neighbours", self.neighbours),
            **csr_to_arrays("vectors", self.vectors),
            **csr_to_arrays("interest", self.interest),
        }

    @classmethod
    def from_parts(
        cls, config: TifuKnnConfig, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
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
        )


def basket_vectors(dataset: Dataset, config: TifuKnnConfig, half_life_days: float | None) -> Csr:
    """Weighted count of baskets per shopper and item: float32 CSR [n_users, N].

    An event without a basket belongs to that of its moment. The weight of a basket, b places before the last
    of its group, in the group g places before the last: basket_decay^b * group_decay^g * decay(age), divided
    by the size and the number of groups where the settings ask for the mean.
    """
    bought = dataset.purchases()
    bought = bought.select(bought.user >= 0)
    shape = (len(dataset.users), len(dataset.items))
    moments = -1.0 - np.unique(bought.timestamp, return_inverse=True)[1]
    label = np.where(bought.basket >= 0, bought.basket, moments)
    # events ascend in time, so the first event of a basket is its start
    _, first, basket = np.unique(
        np.stack([bought.user, label]), axis=1, return_index=True, return_inverse=True
    )
    owner, age = bought.user[first], bought.ages_days()[first]
    order = np.lexsort((age, owner))
    n_baskets = np.bincount(owner, minlength=shape[0])
    place = np.empty(len(first), dtype=np.int64)
    place[order] = np.arange(len(first)) - (np.cumsum(n_baskets) - n_baskets)[owner[order]]
    group, within = np.divmod(place, config.group_size)
    weight = config.basket_decay**within * config.group_decay**group * decay(age, half_life_days)
    if config.averaged:
        n_groups = -(-n_baskets[owner] // config.group_size)
        oldest = group == n_groups - 1
        size = np.where(oldest, n_baskets[owner] - (n_groups - 1) * config.group_size, config.group_size)
        weight = weight / (n_groups * size)
    pairs = np.unique(np.stack([basket.ravel(), bought.item]), axis=1)
    return sparse.csr_matrix((weight[pairs[0]].astype(np.float32), (owner[pairs[0]], pairs[1])), shape=shape)


def _alike(
    queries: Csr,
    vectors: Csr,
    config: TifuKnnConfig,
    selves: Ints | None = None,
    options: TrainOptions | None = None,
) -> Csr:
    """Weights of the nearest shoppers of each query, summing to 1: float32 CSR [n_queries, P]."""
    check = None if options is None else options.check
    cosine = config.likeness == "cosine"
    left, right = (normalised(queries), normalised(vectors)) if cosine else (queries, vectors)
    left_length = np.asarray(left.multiply(left).sum(axis=1), dtype=np.float64).ravel()
    right_length = np.asarray(right.multiply(right).sum(axis=1), dtype=np.float64).ravel()
    found = []
    for start, product in products(sparse.csr_matrix(left), right, selves, check):
        if not cosine:
            owner = np.repeat(np.arange(start, start + product.shape[0]), np.diff(product.indptr))
            squared = left_length[owner] + right_length[product.indices] - 2.0 * product.data
            near = 1.0 / (1.0 + np.sqrt(np.maximum(squared, 0.0)))
            product.data = np.where(product.data > 0, near, 0.0)
        found.append(strongest(product, config.neighbours))
    alike = stacked(found, vectors.shape[0])
    alike.data = alike.data**config.likeness_exponent
    total = np.asarray(alike.sum(axis=1), dtype=np.float64).ravel()
    scale = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
    return sparse.csr_matrix(sparse.diags(scale) @ alike).astype(np.float32)
