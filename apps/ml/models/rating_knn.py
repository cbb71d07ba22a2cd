"""Mean-centred item neighbours for ratings (Koren 2010, section 3): the biases, moved by what the shopper
gave the most similar of the items they rated.

    r_ui = b_ui + sum over j of w_ij (r_uj - b_uj) / (sum over j of w_ij + damping)
    b_ui = mean + b_u + b_i

j runs over the neighbours of i that u rated; w_ij is the correlation of centred ratings over the n shoppers
who rated both, times (n - 1) / (n - 1 + shrink), to a power; only positive ones count. The printed form that
takes one neighbour's rating times its likeness is no prediction in stars: neither centred nor divided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from apps.ml.base import (
    BLOCK_CELLS,
    History,
    Progress,
    TrainOptions,
    csr_from_arrays,
    csr_to_arrays,
    positive_only,
)
from apps.ml.configs import Config
from apps.ml.configs.ratings import RatingKnnConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.models.rating_model import Doubles, RatingModel, Ratings, held_out_metrics, stage
from apps.ml.signals import Csr
from apps.ml.similarity import stacked, strongest
from apps.ml.topn import Floats

BIAS_ROUNDS = 10


@dataclass
class RatingKnnModel(RatingModel[RatingKnnConfig]):
    """item_bias: float64 [N]. weights: float32 CSR [N, N], of each item's neighbours by row. shopper_bias:
    float64 [n_users]. centred: float64 CSR [n_users, N], ratings less the biases.
    """

    item_bias: Doubles
    weights: Csr
    shopper_bias: Doubles
    centred: Csr

    family: ClassVar[str] = "rating_knn"
    config_class: ClassVar[type[Config]] = RatingKnnConfig
    folds_in: ClassVar[bool] = True

    @classmethod
    def fit(cls, dataset: Dataset, config: RatingKnnConfig, options: TrainOptions) -> Self:
        ratings = Ratings.needed(dataset, cls.family)
        history = History.from_dataset(dataset)
        learned, held = ratings.parted(config.holdout, options.seed)
        found = None
        if held is not None:
            found = cls._fitted(learned, history, config, stage(options, 0.0, 0.5)).error(held)
            options = stage(options, 0.5, 1.0)
        model = cls._fitted(ratings, history, config, options)
        model.metrics.update(held_out_metrics(found, ratings))
        return model

    @classmethod
    def _fitted(
        cls, ratings: Ratings, history: History, config: RatingKnnConfig, options: TrainOptions
    ) -> Self:
        mean = float(ratings.value.mean())
        item_bias, shopper_bias = _biases(ratings, mean, config)
        centred = ratings.matrix(ratings.value - mean - shopper_bias[ratings.user] - item_bias[ratings.item])
        weights = correlations(centred, config, options)
        rated = ratings.matrix(ratings.value)
        known = np.bincount(ratings.item, minlength=ratings.shape[1]) > 0
        return cls(
            config, history, rated, known, mean, ratings.scale, item_bias, weights, shopper_bias, centred
        )

    def predict_rows(self, rows: Ints, columns: Ints) -> Doubles:
        user, item = np.maximum(rows, 0), np.maximum(columns, 0)
        found = np.full(len(rows), self.mean)
        if len(self.shopper_bias):
            found += np.where(rows >= 0, self.shopper_bias[user], 0.0)
        if len(self.item_bias):
            found += np.where(columns >= 0, self.item_bias[item], 0.0)
        both = np.flatnonzero((rows >= 0) & (columns >= 0))
        size = max(1, BLOCK_CELLS // max(1, len(self.known)))
        for start in range(0, len(both), size):
            part = both[start : start + size]
            near = self.weights[columns[part]]
            moved = np.asarray(self.centred[rows[part]].multiply(near).sum(axis=1)).ravel()
            evidence = np.asarray(_ones(self.centred[rows[part]]).multiply(near).sum(axis=1)).ravel()
            found[part] += moved / (evidence + self.config.damping)
        return found

    def score_users(self, rows_B: Ints) -> Floats:
        moved = self._moved(self.centred[rows_B])
        return self.known_only(moved + (self.mean + self.item_bias) + self.shopper_bias[rows_B][:, None])

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        """A choice without stars counts as the highest rating."""
        rows = np.repeat(np.arange(len(sessions)), [len(session) for session in sessions])
        items = np.concatenate(sessions)
        pairs = np.unique(np.stack([rows, items]), axis=1)
        above = self.scale[1] - self.mean - self.item_bias[pairs[1]]
        shape = (len(sessions), len(self.known))
        moved = self._moved(sparse.csr_matrix((above, (pairs[0], pairs[1])), shape=shape))
        return self.known_only(moved + (self.mean + self.item_bias))

    def score_similar(self, rows_B: Ints) -> Floats:
        return positive_only(self.weights[rows_B].toarray())

    def score_anyone(self) -> Floats:
        return self.known_only(self.mean + self.item_bias)

    def _moved(self, centred: Csr) -> Doubles:
        """What neighbours add to the biases for these rows of centred ratings: float64 [B, N]."""
        turned = sparse.csr_matrix(self.weights.T)
        moved = (centred @ turned).toarray()
        evidence = (_ones(centred) @ turned).toarray()
        return np.asarray(moved / (evidence + self.config.damping), dtype=np.float64)

    def contributions(self, row: int | None, items_L: Ints, item: int) -> NDArray[np.float64]:
        """Exact terms of the neighbours' sum."""
        near = np.asarray(self.weights[item, items_L].todense(), dtype=np.float64).ravel()
        if row is None:
            above = self.scale[1] - self.mean - self.item_bias[items_L]
        else:
            above = np.asarray(self.centred[row, items_L].todense(), dtype=np.float64).ravel()
        return near * above / (near.sum() + self.config.damping)

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        ratings = Ratings.of(dataset)
        ratings = ratings.take(self.known[ratings.item])
        bias = _shopper_bias(ratings, self.mean, self.item_bias, self.config)
        gap = ratings.value - self.mean - bias[ratings.user] - self.item_bias[ratings.item]
        return replace(
            self,
            history=history,
            rated=ratings.matrix(ratings.value),
            shopper_bias=bias,
            centred=ratings.matrix(gap),
            metrics=dict(self.metrics),
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {
            **csr_to_arrays("rated", self.rated),
            "known": self.known,
            "levels": np.array([self.mean, *self.scale]),
            "item_bias": self.item_bias,
            **csr_to_arrays("weights", self.weights),
            "shopper_bias": self.shopper_bias,
            **csr_to_arrays("centred", self.centred),
        }

    @classmethod
    def from_parts(
        cls, config: RatingKnnConfig, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        mean, low, high = arrays["levels"].tolist()
        n_items = len(history.items)
        shape = (len(history.users), n_items)
        return cls(
            config,
            history,
            csr_from_arrays("rated", arrays, shape),
            arrays["known"],
            mean,
            (low, high),
            arrays["item_bias"],
            csr_from_arrays("weights", arrays, (n_items, n_items)),
            arrays["shopper_bias"],
            csr_from_arrays("centred", arrays, shape),
        )


def correlations(centred: Csr, config: RatingKnnConfig, options: TrainOptions) -> Csr:
    """Weights of each item's neighbours: float32 CSR [N, N], at most `neighbours` in a row.

    Blocks of items against all items; never shoppers against items.
    """
    n_items = centred.shape[1]
    turned = sparse.csr_matrix(centred.T)
    squares, rated = centred.multiply(centred).tocsr(), _ones(centred)
    size = max(1, BLOCK_CELLS // max(1, n_items))
    found = []
    for start in range(0, n_items, size):
        options.report(Progress("likeness", start / n_items))
        block = turned[start : start + size]
        together = (_ones(block) @ rated).toarray()
        lengths = (block.multiply(block) @ rated).toarray() * (_ones(block) @ squares).toarray()
        alike = (block @ centred).toarray() / np.sqrt(np.maximum(lengths, 1e-12))
        alike *= np.maximum(together - 1.0, 0.0) / np.maximum(together - 1.0 + config.shrink, 1e-12)
        alike[np.arange(len(alike)), np.arange(start, start + len(alike))] = 0.0
        alike = np.maximum(alike, 0.0) ** config.exponent * (alike > 0)
        found.append(strongest(sparse.csr_matrix(alike), config.neighbours))
    return stacked(found, n_items)


def _ones(matrix: Csr) -> Csr:
    """1 for every entry, those of value 0 as well."""
    return sparse.csr_matrix((np.ones(matrix.nnz), matrix.indices, matrix.indptr), shape=matrix.shape)


def _biases(ratings: Ratings, mean: float, config: RatingKnnConfig) -> tuple[Doubles, Doubles]:
    """Biases of items and of shoppers, in turn, each the mean of what is left, drawn to 0 by its prior."""
    count = np.bincount(ratings.item, minlength=ratings.shape[1]) + config.item_prior
    shopper_bias, item_bias = np.zeros(ratings.shape[0]), np.zeros(ratings.shape[1])
    for _ in range(BIAS_ROUNDS):
        left = ratings.value - mean - shopper_bias[ratings.user]
        total = np.bincount(ratings.item, left, minlength=ratings.shape[1])
        item_bias = total / np.maximum(count, 1e-12)
        shopper_bias = _shopper_bias(ratings, mean, item_bias, config)
    return item_bias, shopper_bias


def _shopper_bias(ratings: Ratings, mean: float, item_bias: Doubles, config: RatingKnnConfig) -> Doubles:
    count = np.bincount(ratings.user, minlength=ratings.shape[0]) + config.shopper_prior
    left = ratings.value - mean - item_bias[ratings.item]
    total: Doubles = np.bincount(ratings.user, left, minlength=ratings.shape[0]).astype(np.float64)
    return total / np.maximum(count, 1e-12)
