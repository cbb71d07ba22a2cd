"""What a set of weights is worth on one window, evaluated many times over: everything that does not depend on
the weights is laid out once.

Accuracy is NDCG averaged over CUTS. Revenue and margin are the same sum with each hit weighed by what the
item brings, relative to what the shopper's best list would bring. Novelty is the mean self-information of the
first places, -log2 of an item's share of purchases, relative to the rarest item's. Coverage is the share of
the candidates in the first places.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from apps.ml.blend import BlendTable, Doubles
from apps.ml.dataset import Dataset, IdMap
from apps.ml.objectives import PARTS, Objective
from apps.ml.protocols import Truth
from apps.ml.ranking_metrics import hits_of
from apps.ml.topn import Floats, TopN

CUTS = (10, 20)
"""NDCG is averaged over lists of these lengths: longer ones see more of what was bought, so chance moves the
mean less, and 10 is what is judged."""
SHOWN = 10
MAX_USERS = 2_000
DEPTH = 100
"""Candidates are each list's first 100 items: nothing below them all reaches a top 10 worth tuning for."""
Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Window:
    """One validation window (or variant of it): the sources' lists and what was bought, rows as
    truth.users.
    """

    lists: Mapping[str, TopN]
    truth: Truth


@dataclass(frozen=True)
class Worth:
    """What an item brings, by row of `items`: price and margin per piece (float32 [N], 0 where unknown),
    novelty 0..1.
    """

    items: IdMap
    revenue: Floats
    margin: Floats
    novelty: Floats

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> Worth:
        """Mean prices paid (else those of the catalogue), less the catalogue's cost, and rarity."""
        n = len(dataset.items)
        bought = dataset.purchases()
        paid = bought.price > 0
        count = np.bincount(bought.item[paid], minlength=n)
        total = np.bincount(bought.item[paid], weights=bought.price[paid], minlength=n)
        listed = _column(dataset, "price")
        price = np.where(count > 0, total / np.maximum(count, 1), listed)
        cost = _column(dataset, "cost")
        margin = np.where(cost > 0, np.maximum(price - cost, 0.0), 0.0)
        sales = np.bincount(bought.item, minlength=n) + 1.0
        novelty = -np.log2(sales / sales.sum())
        return cls(
            dataset.items,
            price.astype(np.float32),
            margin.astype(np.float32),
            (novelty / max(float(novelty.max(initial=0.0)), 1e-9)).astype(np.float32),
        )


def _column(dataset: Dataset, name: str) -> Doubles:
    if name not in dataset.catalogue:
        return np.zeros(len(dataset.items))
    values = dataset.catalogue[name].to_numpy(np.float64, na_value=0.0)
    return np.where(np.isfinite(values), np.maximum(values, 0.0), 0.0)


@dataclass(frozen=True)
class Scorer:
    """norms: float32 [n, c, n_sources]; listed: bool of the same shape, where the source lists the candidate.
    bought: bool [n, c]. discounts: float32 [n, max(CUTS)], what a hit at each place is worth to the user.
    codes: int64 [n, c], rows in the window's distinct items, -1 = padding. worth: float32 [n, c, 3] revenue,
    margin (relative to the shopper's best list) and novelty, or None. catalogue: distinct candidates.
    """

    norms: Floats
    listed: NDArray[np.bool_]
    bought: NDArray[np.bool_]
    discounts: Floats
    codes: NDArray[np.int64]
    catalogue: int
    worth: Floats | None = None

    @property
    def n_users(self) -> int:
        return len(self.bought)

    @classmethod
    def build(
        cls, window: Window, normalisation: str, rng: np.random.Generator, worth: Worth | None = None
    ) -> Scorer:
        """Draws at most MAX_USERS shoppers."""
        tops, truth = list(window.lists.values()), window.truth
        if len(truth) > MAX_USERS:
            rows = np.sort(rng.choice(len(truth), MAX_USERS, replace=False))
            tops = [top.take(rows) for top in tops]
            truth = truth.take(rows)
        table = BlendTable.from_lists(tops, normalisation).near([top.head(DEPTH) for top in tops])
        bought = hits_of(TopN(table.ids, np.zeros(table.ids.shape, np.float32)), truth)
        distinct = np.unique(table.ids[table.ids >= 0])
        codes = np.where(table.ids >= 0, np.searchsorted(distinct, table.ids), -1)
        return cls(
            np.ascontiguousarray(np.moveaxis(table.norms, 0, 2), dtype=np.float32),
            np.ascontiguousarray(np.moveaxis(table.listed, 0, 2)),
            bought,
            _discounts(truth),
            codes,
            len(distinct),
            None if worth is None else _worth_of(worth, table.ids, truth),
        )

    def order(self, weights: Doubles, width: int) -> NDArray[np.int64]:
        """Columns of the `width` best candidates of each user, best first."""
        active = weights > 0
        total = self.norms @ weights.astype(np.float32)
        # a source of weight 0 brings no candidates: what only it lists is out, as is padding
        listed = self.listed if active.all() else self.listed[:, :, active]
        total[~listed.any(axis=2)] = -np.inf
        width = min(width, total.shape[1])
        places = np.argpartition(-total, width - 1, axis=1)[:, :width]
        best = np.argsort(-np.take_along_axis(total, places, axis=1), axis=1)
        return np.take_along_axis(places, best, axis=1)

    def ndcg(self, weights: Doubles, counts: Counts) -> float:
        """Mean NDCG with each user counted `counts` times."""
        if not self.bought.size or not (weights > 0).any():
            return 0.0
        return float(counts @ self._ndcg(self.order(weights, max(CUTS))) / counts.sum())

    def parts(self, weights: Doubles, objective: Objective) -> dict[str, Counts]:
        """The objective's parts with a share, per user: float64 [n] each. Coverage is the same for all."""
        wanted = [name for name in PARTS if getattr(objective, name) > 0]
        if not self.bought.size or not (weights > 0).any():
            return {name: np.zeros(self.n_users) for name in wanted}
        order = self.order(weights, max(CUTS))
        found: dict[str, Counts] = {}
        for name in wanted:
            if name == "ndcg":
                found[name] = self._ndcg(order)
            elif name == "coverage":
                shown = np.unique(np.take_along_axis(self.codes, order[:, :SHOWN], axis=1))
                share = np.count_nonzero(shown >= 0) / max(self.catalogue, 1)
                found[name] = np.full(self.n_users, share)
            else:
                found[name] = self._worth(name, order)
        return found

    def near(self, orders: list[NDArray[np.int64]]) -> Scorer:
        """The same with only the candidates in these columns: what no promising weights bring up is left
        out.
        """
        kept = np.zeros(self.bought.shape, dtype=np.bool_)
        for order in orders:
            np.put_along_axis(kept, order, True, axis=1)
        width = int(kept.sum(axis=1).max(initial=0))
        columns = np.argsort(~kept, axis=1, kind="stable")[:, :width]
        inside = np.take_along_axis(kept, columns, axis=1)

        def cut(values: NDArray[np.float32]) -> Floats:
            return np.take_along_axis(values, columns[:, :, None], axis=1)

        return replace(
            self,
            norms=cut(self.norms),
            listed=np.take_along_axis(self.listed, columns[:, :, None], axis=1) & inside[:, :, None],
            bought=np.take_along_axis(self.bought, columns, axis=1),
            codes=np.take_along_axis(self.codes, columns, axis=1),
            worth=None if self.worth is None else cut(self.worth),
        )

    def _ndcg(self, order: NDArray[np.int64]) -> Counts:
        hits = np.take_along_axis(self.bought, order, axis=1)
        return (hits * self.discounts[:, : hits.shape[1]]).sum(axis=1).astype(np.float64)

    def _worth(self, name: str, order: NDArray[np.int64]) -> Counts:
        if self.worth is None:
            return np.zeros(self.n_users)
        place = ("revenue", "margin", "novelty").index(name)
        first = order[:, :SHOWN]
        values = np.take_along_axis(self.worth[:, :, place], first, axis=1).astype(np.float64)
        if name == "novelty":
            return values.mean(axis=1)
        hits = np.take_along_axis(self.bought, first, axis=1)
        return (hits * values / np.log2(np.arange(2, first.shape[1] + 2))).sum(axis=1)


def _discounts(truth: Truth) -> Floats:
    """Mean over CUTS of 1 / log2(rank + 1) / ideal DCG, 0 below the cut: float32 [n_users, max(CUTS)]."""
    longest = max(CUTS)
    steps = 1 / np.log2(np.arange(2, longest + 2))
    ideal = np.cumsum(steps)
    shares = [
        np.where(np.arange(longest) < cut, steps, 0.0) / ideal[np.minimum(truth.sizes, cut) - 1][:, None]
        for cut in CUTS
    ]
    return np.mean(shares, axis=0).astype(np.float32)


def _worth_of(worth: Worth, ids: NDArray[np.int64], truth: Truth) -> Floats:
    """[n, c, 3]; money relative to the discounted sum of the shopper's best list of SHOWN."""
    rows = worth.items.rows(ids)
    found = np.zeros((*ids.shape, 3), dtype=np.float32)
    steps = 1 / np.log2(np.arange(2, SHOWN + 2))
    owner = np.repeat(np.arange(len(truth)), truth.sizes)
    truth_rows = worth.items.rows(truth.items)
    for place, values in enumerate((worth.revenue, worth.margin)):
        brought = np.where(truth_rows >= 0, values[truth_rows], 0.0)
        order = np.lexsort((-brought, owner))
        rank = np.arange(len(owner)) - truth.indptr[:-1][owner]
        counted = rank < SHOWN
        sums = np.bincount(
            owner[counted], weights=(brought[order] * steps[np.minimum(rank, SHOWN - 1)])[counted],
            minlength=len(truth),
        )  # fmt: skip
        value = np.where(rows >= 0, values[rows], 0.0)
        found[:, :, place] = value / np.maximum(sums, 1e-9)[:, None]
    found[:, :, 2] = np.where(rows >= 0, worth.novelty[rows], 0.0)
    return found
