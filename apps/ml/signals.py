"""User x item matrices from events: relative weights, time decay, what was bought and what was rejected."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from apps.ml.dataset import Dataset

Csr = sparse.csr_matrix
Aggregate = Literal["sum", "max", "log"]


def decay(age_days: NDArray[Any], half_life_days: float | None) -> NDArray[np.float64]:
    """0.5 ** (age / half-life); 1 everywhere without a half-life."""
    if half_life_days is None:
        return np.ones(len(age_days))
    return np.exp2(-np.asarray(age_days, dtype=np.float64) / half_life_days)


def relative_weights(dataset: Dataset) -> NDArray[np.float64]:
    """Event weights with the strongest kind at 1 and negative ones at 0, so a shop's scale of weights is no
    setting.
    """
    positive = np.maximum(dataset.weight.astype(np.float64), 0.0)
    top = positive.max(initial=0.0)
    return positive / top if top > 0 else positive


def user_item(
    dataset: Dataset, half_life_days: float | None = None, aggregate: Aggregate = "sum", binary: bool = False
) -> Csr:
    """Positive interest per (user, item): float32 CSR [n_users, n_items], rejected pairs left out.

    An event counts weight * decay(age). sum: events add up; max: the strongest counts; log: log1p of the sum.
    binary: weights are taken as 1 before the decay.
    """
    weight = relative_weights(dataset)
    keep = (dataset.user >= 0) & (weight > 0)
    value = (1.0 if binary else weight[keep]) * decay(dataset.ages_days()[keep], half_life_days)
    shape = (len(dataset.users), len(dataset.items))
    if aggregate == "max":
        matrix = _strongest(dataset.user[keep], dataset.item[keep], value, shape)
    else:
        matrix = sparse.csr_matrix((value, (dataset.user[keep], dataset.item[keep])), shape=shape)
        if aggregate == "log":
            matrix.data = np.log1p(matrix.data)
    return _without(matrix, rejected(dataset)).astype(np.float32)


def basket_item(
    dataset: Dataset, half_life_days: float | None = None, anonymous_only: bool = False, largest: int = 200
) -> Csr:
    """Items per basket (session or invoice): float32 CSR [n_baskets, n_items], each value the decay of its
    age.

    anonymous_only: only baskets without a shopper, which no user row covers. Baskets above `largest`
    distinct items are left out: they are price-list orders that tie everything to everything.
    """
    keep = (dataset.basket >= 0) & (dataset.weight > 0)
    if anonymous_only:
        keep &= dataset.user < 0
    _, rows = np.unique(dataset.basket[keep], return_inverse=True)
    value = decay(dataset.ages_days()[keep], half_life_days)
    n_rows = int(rows.max(initial=-1)) + 1
    matrix = _strongest(rows.astype(np.int64), dataset.item[keep], value, (n_rows, len(dataset.items)))
    sizes = np.diff(matrix.indptr)
    return matrix[(sizes > 0) & (sizes <= largest)].astype(np.float32)


def bought(dataset: Dataset) -> Csr:
    """Who bought what: bool CSR [n_users, n_items]."""
    purchases = dataset.purchases()
    keep = purchases.user >= 0
    return _pairs(purchases.user[keep], purchases.item[keep], (len(dataset.users), len(dataset.items)))


def rejected(dataset: Dataset) -> Csr:
    """Pairs whose latest event is a dislike or "not interested": bool CSR [n_users, n_items]."""
    shape = (len(dataset.users), len(dataset.items))
    known = dataset.user >= 0
    if not (dataset.weight[known] < 0).any():
        return _pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), shape)
    pair = dataset.user[known] * shape[1] + dataset.item[known]
    # events ascend in time: the first occurrence in the reversed array is the latest event
    latest, place = np.unique(pair[::-1], return_index=True)
    negative = latest[dataset.weight[known][::-1][place] < 0]
    return _pairs(negative // shape[1], negative % shape[1], shape)


def item_strength(
    dataset: Dataset, half_life_days: float | None, anonymous: bool = True
) -> NDArray[np.float64]:
    """Decayed sum of positive weights per item: float64 [n_items].

    anonymous=False counts shoppers with an id only, unless the data has none at all.
    """
    value = relative_weights(dataset) * decay(dataset.ages_days(), half_life_days)
    known = dataset.user >= 0
    if not anonymous and known.any():
        value = value * known
    strength = np.bincount(dataset.item, weights=value, minlength=len(dataset.items))
    return strength.astype(np.float64)


def _pairs(rows: NDArray[np.int64], columns: NDArray[np.int64], shape: tuple[int, int]) -> Csr:
    matrix = sparse.csr_matrix((np.ones(len(rows), dtype=np.bool_), (rows, columns)), shape=shape)
    matrix.sum_duplicates()
    return matrix


def _strongest(
    rows: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[np.float64], shape: tuple[int, int]
) -> Csr:
    """The largest value of each pair: one sort of one number per event, which NumPy does in vectors."""
    if not len(rows):
        return sparse.csr_matrix((values, (rows, columns)), shape=shape)
    keys = rows * shape[1] + columns
    order = np.argsort(keys)
    keys = keys[order]
    first = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
    owner, column = np.divmod(keys[first], shape[1])
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=shape[0]))])
    return sparse.csr_matrix((np.maximum.reduceat(values[order], first), column, starts), shape=shape)


def _without(matrix: Csr, pairs: Csr) -> Csr:
    if not pairs.nnz:
        return matrix
    kept = matrix - matrix.multiply(pairs)
    kept.eliminate_zeros()
    return sparse.csr_matrix(kept)


def by_order(dataset: Dataset, matrix: Csr, factor: float) -> Csr:
    """The matrix with each shopper's values times factor ** (how many of their items they chose later).

    matrix: CSR [n_users, n_items] of pairs that have an event in the dataset.
    """
    known = dataset.user >= 0
    key = dataset.user[known] * len(dataset.items) + dataset.item[known]
    # events ascend in time: the last to be written is the latest
    latest, back = np.unique(key[::-1], return_index=True)
    moment = len(key) - 1 - back
    owner = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    when = moment[np.searchsorted(latest, owner * len(dataset.items) + matrix.indices)]
    order = np.lexsort((-when, owner))
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(matrix.indptr[:-1], np.diff(matrix.indptr))
    data = (matrix.data * np.power(float(factor), rank)).astype(np.float32)
    return sparse.csr_matrix((data, matrix.indices, matrix.indptr), shape=matrix.shape)


def attribute_item(dataset: Dataset, columns: tuple[str, ...] = ("category", "brand", "group_key")) -> Csr:
    """One row per value of each catalogue column that two items or more share: float32 CSR [n_values,
    n_items], 1 where the item has it.
    """
    parts = []
    for column in columns:
        names = np.asarray(dataset.text(column), dtype=np.str_)
        has = np.flatnonzero(names != "")
        _, codes = np.unique(names[has], return_inverse=True)
        shape = (int(codes.max(initial=-1)) + 1, len(dataset.items))
        rows = sparse.csr_matrix((np.ones(len(has), np.float32), (codes, has)), shape=shape)
        parts.append(rows[np.diff(rows.indptr) > 1])
    return sparse.csr_matrix(sparse.vstack(parts)).astype(np.float32)
