"""Item neighbours: items that the same shoppers chose and that lie in the same baskets, anonymous ones
included.

Two answers from one count of joint choices. For a shopper, popular neighbours are discounted and each item
speaks for itself too: who looked at something or bought it often comes back to it. Beside a product, the
share of its company that is the other item, shrunk to the usual company of its category where there is little
evidence; what is popular is often the right companion, so nothing is discounted there.
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
from apps.ml.configs.neighbours import ItemKnnConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.signals import Csr, basket_item, user_item
from apps.ml.similarity import in_blocks, norms, stacked, strongest, weigh
from apps.ml.topn import Floats

ROUNDING = 1e-6
"""Share of the largest figure below which a difference of float32 sums is nothing."""


@dataclass
class ItemKnnModel(Model[ItemKnnConfig]):
    """similarity: float32 CSR [N, N], neighbours per item for shoppers, the item itself among them.
    companions: float32 CSR [N, N], neighbours per item for products and carts, rows sum to at most 1.
    profile: float32 CSR [n_users, N], decayed interest.
    """

    similarity: Csr
    companions: Csr
    profile: Csr

    family: ClassVar[str] = "item_knn"
    config_class: ClassVar[type[Config]] = ItemKnnConfig
    folds_in: ClassVar[bool] = True

    @classmethod
    def fit(cls, dataset: Dataset, config: ItemKnnConfig, options: TrainOptions) -> Self:
        interest = user_item(dataset, config.row_half_life_days, aggregate="max")
        rows = [_rows(interest, config.row_exponent)]
        if config.baskets:
            baskets = basket_item(dataset, config.row_half_life_days)
            rows.append(_rows(baskets, config.row_exponent) * np.sqrt(config.basket_weight))
        together = sparse.csr_matrix(sparse.vstack(rows))
        options.report(Progress("similarity", 0.1, message=f"{together.shape[0]} shoppers and baskets"))
        documents = weigh(sparse.csr_matrix(together.T), config.weighting)
        similarity, companions = _neighbours(documents, dataset.text("category"), config, options)
        profile = interest
        if config.profile_half_life_days != config.row_half_life_days:
            profile = user_item(dataset, config.profile_half_life_days, aggregate="max")
        return cls(config, History.from_dataset(dataset), similarity, companions, profile)

    def score_users(self, rows_B: Ints) -> Floats:
        return positive_only((self.profile[rows_B] @ self.similarity).toarray())

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        return positive_only((indicator(sessions, len(self.history.items)) @ self.companions).toarray())

    def score_similar(self, rows_B: Ints) -> Floats:
        return positive_only(self.companions[rows_B].toarray())

    def items_of(self, row: int) -> Ints:
        return self.profile[row].indices.astype(np.int64)

    def contributions(self, row: int | None, items_L: Ints, item: int) -> NDArray[np.float64]:
        """Exact: interest times likeness; an item of the history speaks for itself too."""
        likeness = self.companions if row is None else self.similarity
        return column_of(likeness, items_L, item) * interest_of(self.profile, row, items_L)

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        profile = user_item(dataset, self.config.profile_half_life_days, aggregate="max")
        return replace(self, history=history, profile=profile, metrics=dict(self.metrics))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {
            **csr_to_arrays("similarity", self.similarity),
            **csr_to_arrays("companions", self.companions),
            **csr_to_arrays("profile", self.profile),
        }

    @classmethod
    def from_parts(
        cls, config: ItemKnnConfig, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        n = len(history.items)
        return cls(
            config,
            history,
            csr_from_arrays("similarity", arrays, (n, n)),
            csr_from_arrays("companions", arrays, (n, n)),
            csr_from_arrays("profile", arrays, (len(history.users), n)),
        )


def _rows(matrix: Csr, exponent: float) -> Csr:
    """Rows of two items or more, so scaled that a pair of a row of n items counts n^-exponent: one item alone
    keeps no company.
    """
    sizes = np.diff(matrix.indptr)
    telling = matrix[sizes > 1]
    return sparse.csr_matrix(sparse.diags(sizes[sizes > 1] ** (-exponent / 2)) @ telling)


def _neighbours(
    documents: Csr, categories: Sequence[str], config: ItemKnnConfig, options: TrainOptions
) -> tuple[Csr, Csr]:
    """For shoppers and for products, from items as rows of shoppers and baskets: float32 CSR [N, N] each."""
    n = documents.shape[0]
    lengths = norms(documents)
    # what an item shares with all others together: its evidence, and its part in anyone's company
    totals = np.maximum(documents @ np.asarray(documents.sum(axis=0)).ravel() - lengths**2, 0.0)
    amount = config.category_prior * float(totals[totals > 0].mean()) if (totals > 0).any() else 0.0
    codes, prior = category_company(documents, totals, categories, config.neighbours)
    discount = (np.maximum(lengths, 1e-12) ** config.popularity_discount + config.shrink).astype(np.float32)

    def both(start: int, product: Csr) -> tuple[Csr, Csr]:
        stop = start + product.shape[0]
        evidence = totals[start:stop].copy()
        if amount > 0:
            known = codes[start:stop] >= 0
            company = sparse.diags(known * amount) @ prior[np.maximum(codes[start:stop], 0)]
            drawn = sparse.csr_matrix(product + _off_diagonal(sparse.csr_matrix(company), start))
            evidence += known * amount
        # the divisor is the same all along a row: those that stay are the same before and after
        kept = strongest(drawn if amount > 0 else product, config.neighbours)
        beside = sparse.csr_matrix(sparse.diags(_inverse(evidence)) @ kept).astype(np.float32)
        product.data /= discount[product.indices]
        kept = strongest(product, config.neighbours)
        own = sparse.diags(
            np.asarray(kept.max(axis=1).todense()).ravel() * config.own_weight, start, (stop - start, n)
        )
        return sparse.csr_matrix(kept + own).astype(np.float32), beside

    turned = sparse.csr_matrix(documents.T)
    found = in_blocks(documents, turned, both, np.arange(n), options.check, options.threads)
    return stacked([one for one, _ in found], n), stacked([other for _, other in found], n)


def category_company(
    documents: Csr, totals: NDArray[np.float64], categories: Sequence[str], k: int
) -> tuple[Ints, Csr]:
    """What usually accompanies the items of each category: how often categories meet, and each item's part in
    its own.

    totals: float64 [N], what each item shares with all others. Returns the category of each item (int64 [N],
    -1 = none) and the k likeliest companions per category with their probability (float64 CSR [n_categories,
    N]; at least one row).
    """
    n = documents.shape[0]
    names = np.asarray(categories, dtype=object)
    known = names != ""
    codes = np.full(n, -1, dtype=np.int64)
    distinct, codes[known] = np.unique(names[known].astype(str), return_inverse=True)
    if not len(distinct):
        return codes, sparse.csr_matrix((1, n))
    member = sparse.csr_matrix(
        (np.ones(int(known.sum())), (codes[known], np.flatnonzero(known))), shape=(len(distinct), n)
    )
    by_category = sparse.csr_matrix(member @ documents.astype(np.float64))
    own = np.asarray(member @ (norms(documents) ** 2))
    meetings = sparse.csr_matrix(by_category @ by_category.T - sparse.diags(own))
    meetings.data[meetings.data < ROUNDING * own.max(initial=0.0)] = 0.0
    shares = sparse.diags(_inverse(np.asarray(member @ totals))) @ member
    parts = sparse.csr_matrix(shares @ sparse.diags(totals))
    per_category = np.asarray(meetings.sum(axis=1), dtype=np.float64).ravel()
    likely = sparse.csr_matrix(sparse.diags(_inverse(per_category)) @ meetings)
    found = [strongest(sparse.csr_matrix(likely[row : row + 1] @ parts), k) for row in range(len(distinct))]
    return codes, sparse.csr_matrix(sparse.vstack(found))


def _inverse(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 1e-12)


def _off_diagonal(block: Csr, start: int) -> Csr:
    """The block of rows from `start` without what lies on the diagonal of the whole."""
    owner = np.repeat(np.arange(start, start + block.shape[0]), np.diff(block.indptr))
    block.data[block.indices == owner] = 0.0
    return block


def indicator(sessions: Sequence[Ints], n_items: int) -> Csr:
    """1 for every distinct item of each session: float32 CSR [n_sessions, n_items]."""
    distinct = [np.unique(session) for session in sessions]
    rows = np.repeat(np.arange(len(distinct)), [len(session) for session in distinct])
    columns = np.concatenate(distinct) if distinct else np.zeros(0, dtype=np.int64)
    return sparse.csr_matrix(
        (np.ones(len(columns), np.float32), (rows, columns)), shape=(len(distinct), n_items)
    )


def interest_of(profile: Csr, row: int | None, items_L: Ints) -> NDArray[np.float64]:
    """A shopper's interest in each of these items, 1 in a session (row None): float64 [L]."""
    if row is None:
        return np.ones(len(items_L))
    return np.asarray(profile[row, items_L].todense(), dtype=np.float64).ravel()


def column_of(matrix: Csr, rows_L: Ints, column: int) -> NDArray[np.float64]:
    """One column of these rows: float64 [L]."""
    return np.asarray(matrix[rows_L, column].todense(), dtype=np.float64).ravel()
