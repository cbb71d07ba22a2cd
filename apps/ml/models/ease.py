"""EASE (Steck 2019), time-weighted: item-item regression in closed form.

B = I - P / diag(P) with P = (X'X + lambda I)^-1, diagonal of B zero. X holds each shopper's strongest
decayed interest per item, never counts of repeats: repeated rows teach the model to predict an item from
itself. Attributes join X as further rows (collective EASE, Jeunen et al. 2020). Items beyond the head that is
solved exactly get their strongest one-variable regressions, shared out among as many as are kept.
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
from apps.ml.models.item_knn import column_of, indicator, interest_of
from apps.ml.signals import Csr, attribute_item, basket_item, by_order, user_item
from apps.ml.similarity import in_blocks, stacked, strongest
from apps.ml.topn import Floats

GRAM_CELLS = 400_000_000
"""Most cells of a dense item x item matrix (1.6 GB as float32): a head of 20,000 items."""
TAILED_KEPT = 500
"""Weights kept per item of the head where the catalogue has a tail, unless the settings say otherwise."""


@dataclass
class EaseModel(Model[EaseConfig]):
    """weights: float32 [M, M], effect of the row's item on the column's; CSR where few are kept or the
    catalogue has a tail. columns: int64 [M], item rows it knows. profile: float32 CSR [n_users, N].
    """

    weights: Floats | Csr
    columns: Ints
    profile: Csr

    family: ClassVar[str] = "ease"
    config_class: ClassVar[type[Config]] = EaseConfig
    folds_in: ClassVar[bool] = True

    @classmethod
    def fit(cls, dataset: Dataset, config: EaseConfig, options: TrainOptions) -> Self:
        device = device_resolve(options)
        matrix = _rows(dataset, config, config.row_half_life_days)
        if config.baskets:
            matrix = sparse.csr_matrix(
                sparse.vstack([matrix, basket_item(dataset, config.row_half_life_days)])
            )
        if config.side_weight:
            sides = attribute_item(dataset) * np.float32(np.sqrt(config.side_weight))
            matrix = sparse.csr_matrix(sparse.vstack([matrix, sides]))
        strength = np.asarray(matrix.sum(axis=0)).ravel()
        busiest = np.argsort(-strength, kind="stable")
        busiest = busiest[strength[busiest] > 0]
        n_head = min(config.max_items, int(GRAM_CELLS**0.5), len(busiest))
        head = np.sort(busiest[:n_head])
        options.report(Progress("gram", 0.1, message=f"{n_head} items"))
        gram = torch.from_numpy(gram_of(sparse.csr_matrix(matrix[:, head]), options)).to(device)
        gram.diagonal().add_(config.regularisation)
        options.report(Progress("inverse", 0.4))
        torch.linalg.cholesky(gram, out=gram)
        inverse = torch.cholesky_inverse(gram, out=gram)
        weights = inverse.div_(-inverse.diagonal().clone())
        weights.fill_diagonal_(0.0)
        exact: Floats = weights.cpu().numpy()
        profile = _rows(dataset, config, config.profile_half_life_days)
        history = History.from_dataset(dataset)
        if n_head == len(busiest) or not config.tail_neighbours:
            kept = exact if config.kept is None else strongest_columns(exact, config.kept)
            return cls(config, history, kept, head, profile)
        options.report(Progress("tail", 0.7, message=f"{len(busiest) - n_head} items"))
        columns = np.sort(busiest)
        inside = np.isin(columns, head)
        tail = _tail(sparse.csr_matrix(matrix[:, columns]), inside, config, options)
        spread = sparse.coo_matrix(strongest_columns(exact, config.kept or TAILED_KEPT))
        places = np.flatnonzero(inside)
        joined = sparse.csr_matrix(
            (spread.data, (places[spread.row], places[spread.col])), shape=(len(columns), len(columns))
        )
        return cls(config, history, sparse.csr_matrix(joined + tail).astype(np.float32), columns, profile)

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
        found = np.zeros(len(items_L))
        places = np.minimum(np.searchsorted(self.columns, [*items_L, item]), max(len(self.columns) - 1, 0))
        known = self.columns[places] == [*items_L, item] if len(self.columns) else places < 0
        if known[-1]:
            rows, column = places[:-1][known[:-1]], int(places[-1])
            if isinstance(self.weights, np.ndarray):
                found[known[:-1]] = self.weights[rows, column]
            else:
                found[known[:-1]] = column_of(self.weights, rows, column)
        return found * interest_of(self.profile, row, items_L)

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        profile = _rows(dataset, self.config, self.config.profile_half_life_days)
        return replace(self, history=history, profile=profile, metrics=dict(self.metrics))

    def _spread(self, profile_BN: Csr) -> Floats:
        """Scores [B, N]; a row without any item the model knows has nothing to say."""
        scores = np.full(profile_BN.shape, -np.inf, dtype=np.float32)
        known = sparse.csr_matrix(profile_BN[:, self.columns])
        filled = np.flatnonzero(np.diff(known.indptr))
        said = known[filled] @ self.weights
        found = said.toarray() if sparse.issparse(said) else said
        if len(filled) == len(scores) and len(self.columns) == scores.shape[1]:
            return np.asarray(found, dtype=np.float32)
        scores[np.ix_(filled, self.columns)] = found
        return scores

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        arrays = {"columns": self.columns, **csr_to_arrays("profile", self.profile)}
        if sparse.issparse(self.weights):
            return arrays | csr_to_arrays("weights", sparse.csr_matrix(self.weights))
        return arrays | {"weights": self.weights}

    @classmethod
    def from_parts(
        cls, config: EaseConfig, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        shape, columns = (len(history.users), len(history.items)), arrays["columns"]
        weights: Floats | Csr
        if "weights.data" in arrays:
            weights = csr_from_arrays("weights", arrays, (len(columns), len(columns)))
        else:
            weights = arrays["weights"]
        return cls(config, history, weights, columns, csr_from_arrays("profile", arrays, shape))


def _rows(dataset: Dataset, config: EaseConfig, half_life_days: float | None) -> Csr:
    matrix = user_item(dataset, half_life_days, aggregate="max")
    return matrix if config.order_decay is None else by_order(dataset, matrix, config.order_decay)


def gram_of(matrix: Csr, options: TrainOptions) -> Floats:
    """matrix' @ matrix, dense: float32 [M, M], in blocks of rows."""
    n = matrix.shape[1]
    gram = np.zeros((n, n), dtype=np.float32)

    def put(start: int, product: Csr) -> None:
        product.toarray(out=gram[start : start + product.shape[0]])

    in_blocks(sparse.csr_matrix(matrix.T), matrix, put, None, options.check, options.threads)
    return gram


def strongest_columns(weights: Floats, k: int) -> Csr:
    """The k weights of largest size of each column, the items that say most for or against it: CSR [M, M]."""
    n = len(weights)
    if k >= n:
        return sparse.csr_matrix(weights)
    rows = [
        np.argpartition(-np.abs(weights[:, start : start + 256]), k - 1, axis=0)[:k]
        for start in range(0, n, 256)
    ]
    kept = np.concatenate(rows, axis=1)
    columns = np.broadcast_to(np.arange(n), kept.shape)
    return sparse.csr_matrix(
        (weights[kept, columns].ravel(), (kept.ravel(), columns.ravel())), shape=weights.shape
    )


def _tail(matrix: Csr, inside: NDArray[np.bool_], config: EaseConfig, options: TrainOptions) -> Csr:
    """Weights of every item on each item outside the head: CSR [M, M].

    One-variable ridge regressions G_ij / (G_ii + lambda), the strongest per item, divided by how many there
    are: their sum counts what they share many times over.
    """
    squares = np.asarray(matrix.multiply(matrix).sum(axis=0), dtype=np.float32).ravel()
    scale = 1.0 / (squares + np.float32(config.regularisation))
    outside = np.flatnonzero(~inside)
    turned = sparse.csr_matrix(matrix[:, outside].T)

    def regress(start: int, product: Csr) -> Csr:
        product.data *= scale[product.indices]
        return strongest(product, config.tail_neighbours)

    found = stacked(
        in_blocks(turned, matrix, regress, outside, options.check, options.threads), matrix.shape[1]
    )
    sizes = np.maximum(np.diff(found.indptr), 1)
    found.data /= np.repeat(sizes**0.5, np.diff(found.indptr))
    placed = sparse.coo_matrix(found)
    return sparse.csr_matrix((placed.data, (placed.col, outside[placed.row])), shape=(len(inside),) * 2)
