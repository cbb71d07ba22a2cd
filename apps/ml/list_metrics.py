"""What ranked lists are like, whatever was bought: how wide, how new, how varied, how true to a shopper's
taste, how bound to bestsellers. All for the first K = 10 places.

With B shoppers who bought anything in training, b_i of them item i, and N items in the catalogue:

- coverage10: distinct items in all lists / N (Herlocker et al. 2004).
- gini10: sum of (2 i - N - 1) x_i / (N sum x), x_i ascending, how often each catalogue item is shown; 0 all
  alike, 1 one item for everybody (Fleder, Hosanagar 2009).
- novelty10: mean self-information, -log2((b_i + 1) / (B + 1)) in bits (Zhou et al. 2010; add-one, so that an
  item nobody bought has a finite one).
- serendipity10: share of the listed places that hit and are none of the EXPECTED best sellers (Ge,
  Delgado-Battenfeld, Jannach 2010).
- diversity10: mean of 1 - cosine over the pairs of listed items (Ziegler et al. 2005, "intra-list").
- calibration10: KL(p || .99 q + .01 p), p and q the category shares of the shopper's purchases and of the
  list; 0 is true to taste (Steck 2018).
- popularity10: mean of b_i / B, the average recommendation popularity (Yin et al. 2012; Abdollahpouri et al.
  2019).
- head_share10: share of listed items in the head, the HEAD_SHARE of the catalogue with most buyers
  (Abdollahpouri et al. 2019).

A shopper for whom a figure has no meaning (an empty list, one item and no pair, no category) has NaN, and is
left out of the mean; a figure that has none for anybody is left out of the report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from apps.ml.dataset import Dataset, IdMap, Ints
from apps.ml.protocols import Truth
from apps.ml.ranking_metrics import hits_of
from apps.ml.significance import PerUser
from apps.ml.topn import TopN

K = 10
EXPECTED = 100
"""Best sellers that anyone expects to be shown: as many as a stored list holds."""
HEAD_SHARE = 0.2
STECK_ALPHA = 0.01
MAX_WORD_SHARE = 0.5
"""A word in more than half of the titles tells nothing."""
LIST_METRICS = (
    "novelty10",
    "serendipity10",
    "diversity10",
    "calibration10",
    "popularity10",
    "head_share10",
)

Csr = sparse.csr_matrix


@dataclass(frozen=True)
class Background:
    """What training knew of items and shoppers, to judge lists against; nothing of the test is in it.

    items: the id map. trained: bool [N], any event in training. buyers: int64 [N], distinct shoppers who
    bought the item. n_buyers: shoppers who bought anything. head, expected: bool [N]. vectors: float64 CSR
    [N, n_features], rows of length 1 (or empty): category branches, or words of the title where the data
    has no categories. category: int64 [N], -1 = none. tastes: float64 CSR [n_users, n_categories], shares of
    each shopper's purchases. visits: int64 [n_users], days with a purchase.
    """

    users: IdMap
    items: IdMap
    trained: NDArray[np.bool_]
    buyers: Ints
    n_buyers: int
    head: NDArray[np.bool_]
    expected: NDArray[np.bool_]
    vectors: Csr
    category: Ints
    tastes: Csr
    visits: Ints

    @classmethod
    def from_dataset(cls, train: Dataset) -> Background:
        """From the training part of a split, and from nothing else."""
        n_users, n_items = len(train.users), len(train.items)
        bought = train.purchases()
        known = bought.user >= 0
        user, item = bought.user[known], bought.item[known]
        pairs = np.unique(user * max(n_items, 1) + item)
        buyers = np.bincount(pairs % max(n_items, 1), minlength=n_items).astype(np.int64)
        trained = np.zeros(n_items, dtype=np.bool_)
        trained[train.item] = True
        paths = [_steps(path) for path in train.text("category")]
        category = _categories(paths)
        days = np.unique(user * 1_000_000 + (bought.timestamp[known] // 86_400).astype(np.int64))
        return cls(
            train.users,
            train.items,
            trained,
            buyers,
            len(np.unique(user)),
            _most(buyers, trained, max(1, round(HEAD_SHARE * int(trained.sum())))),
            _most(buyers, trained, EXPECTED),
            _vectors(paths, train.text("title")),
            category,
            _shares(user, category[item], n_users, int(category.max(initial=-1)) + 1),
            np.bincount(days // 1_000_000, minlength=n_users).astype(np.int64),
        )

    @property
    def catalogue_size(self) -> int:
        """Items with at least one training event."""
        return int(self.trained.sum())

    def returning(self, users: Ints) -> NDArray[np.bool_]:
        """Whether these shoppers (raw ids) bought on two days or more in training: bool [n]."""
        rows = self.users.rows(users)
        found = np.zeros(len(rows), dtype=np.bool_)
        found[rows >= 0] = self.visits[rows[rows >= 0]] > 1
        return found

    def in_head(self, items: Ints) -> NDArray[np.bool_]:
        """Whether these items (raw ids) are of the head: bool [n]."""
        rows = self.items.rows(items)
        found = np.zeros(len(rows), dtype=np.bool_)
        found[rows >= 0] = self.head[rows[rows >= 0]]
        return found


def coverage_of(top: TopN, catalogue_size: int) -> float:
    """Distinct items in the first K places of all lists / catalogue."""
    shown = np.unique(top.ids[:, :K])
    return int((shown >= 0).sum()) / catalogue_size if catalogue_size else 0.0


def gini_of(top: TopN, catalogue_size: int) -> float | None:
    """Inequality of how often the items of the catalogue are shown in the first K places, 0..1; None when
    nothing is shown.
    """
    shown = top.ids[:, :K]
    counts = np.unique(shown[shown >= 0], return_counts=True)[1]
    n = max(catalogue_size, len(counts))
    if not len(counts):
        return None
    # the items never shown come first and add nothing to the weighted sum
    ranks = np.arange(n - len(counts) + 1, n + 1)
    return float(((2 * ranks - n - 1) * np.sort(counts)).sum() / (n * counts.sum()))


def per_user_lists(top: TopN, truth: Truth, background: Background) -> dict[str, PerUser]:
    """Every metric of LIST_METRICS that this data can tell, for every user: float64 [n] each, NaN where it
    has no meaning.
    """
    first = top.head(K)
    rows = background.items.rows(first.ids)
    listed = rows >= 0
    lengths = listed.sum(axis=1)
    share = background.buyers / max(background.n_buyers, 1)
    novelty = -np.log2((background.buyers + 1) / (background.n_buyers + 1))
    unexpected = hits_of(first, truth) & listed & ~np.where(listed, background.expected[rows], False)
    found = {
        "novelty10": _mean(novelty, rows, lengths),
        "serendipity10": _ratio(unexpected.sum(axis=1), lengths),
        "popularity10": _mean(share, rows, lengths),
        "head_share10": _mean(background.head.astype(np.float64), rows, lengths),
    }
    lists = _indicator(rows, len(background.items))
    if background.vectors.nnz:
        found["diversity10"] = _diversity(lists, background.vectors)
    if background.tastes.shape[1] > 1:
        found["calibration10"] = _calibration(lists, background, truth.users)
    return {name: found[name] for name in LIST_METRICS if name in found}


def _indicator(rows: Ints, n_items: int) -> Csr:
    owner, place = np.nonzero(rows >= 0)
    return sparse.csr_matrix(
        (np.ones(len(owner)), (owner, rows[owner, place])), shape=(len(rows), n_items), dtype=np.float64
    )


def _mean(values: NDArray[np.float64], rows: Ints, lengths: Ints) -> PerUser:
    return _ratio(np.where(rows >= 0, values[rows], 0.0).sum(axis=1), lengths)


def _ratio(sums: NDArray[np.float64] | Ints, counts: NDArray[np.float64] | Ints) -> PerUser:
    return np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)


def _diversity(lists: Csr, vectors: Csr) -> PerUser:
    """The cosines of all pairs at once: |sum of unit vectors|^2 = n + 2 * sum of the pairs' cosines. Items
    without a vector are left out.
    """
    described = np.diff(vectors.indptr) > 0
    kept = lists @ sparse.diags(described.astype(np.float64))
    n = np.asarray(kept.sum(axis=1)).ravel()
    sums = sparse.csr_matrix(kept @ vectors)
    cosines = np.asarray(sums.multiply(sums).sum(axis=1)).ravel() - n
    return 1.0 - _ratio(cosines, n * (n - 1))


def _calibration(lists: Csr, background: Background, users: Ints) -> PerUser:
    known = background.category >= 0
    places = np.flatnonzero(known)
    member = sparse.csr_matrix(
        (np.ones(len(places)), (places, background.category[known])),
        shape=(len(known), background.tastes.shape[1]),
    )
    q = _unit_sums(sparse.csr_matrix(lists @ member))
    rows = background.users.rows(users)
    # a shopper training does not know has no taste: an empty row below the last one
    tastes = sparse.csr_matrix(sparse.vstack([background.tastes, Csr((1, background.tastes.shape[1]))]))
    p = sparse.csr_matrix(tastes[np.where(rows >= 0, rows, tastes.shape[0] - 1)])
    # only categories of the shopper's own taste count in the sum; most are missing from a short list
    with_p, with_q = p.copy(), q.copy()
    with_p.data = np.ones_like(p.data)
    with_q.data = np.ones_like(q.data)
    p_met = sparse.csr_matrix(p.multiply(with_q)).sorted_indices()
    q_met = sparse.csr_matrix(q.multiply(with_p)).sorted_indices()
    missed = np.log(1 / STECK_ALPHA) * (_row_sums(p) - _row_sums(p_met))
    blended = (1 - STECK_ALPHA) * q_met.data + STECK_ALPHA * p_met.data
    met = p_met.copy()
    met.data = p_met.data * np.log(p_met.data / blended)
    judged = (_row_sums(p) > 0) & (_row_sums(q) > 0)
    return np.where(judged, missed + _row_sums(met), np.nan)


def _row_sums(matrix: Csr) -> NDArray[np.float64]:
    return np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()


def _unit_sums(matrix: Csr) -> Csr:
    sums = _row_sums(matrix)
    scale = np.divide(1.0, sums, out=np.zeros_like(sums), where=sums > 0)
    return sparse.csr_matrix(sparse.diags(scale) @ matrix)


def _shares(user: Ints, category: Ints, n_users: int, n_categories: int) -> Csr:
    known = category >= 0
    counts = sparse.csr_matrix(
        (np.ones(int(known.sum())), (user[known], category[known])), shape=(n_users, n_categories)
    )
    return _unit_sums(counts)


def _most(buyers: Ints, trained: NDArray[np.bool_], n: int) -> NDArray[np.bool_]:
    """The n trained items with most buyers, lower rows first among equals: bool [N]."""
    order = np.lexsort((np.arange(len(buyers)), -buyers, ~trained))[:n]
    found = np.zeros(len(buyers), dtype=np.bool_)
    found[order] = trained[order]
    return found


def _steps(path: str) -> list[str]:
    """ "Home > Kitchen" as ["Home", "Home > Kitchen"]."""
    names = [name.strip() for name in path.split(">") if name.strip()]
    return [" > ".join(names[: depth + 1]) for depth in range(len(names))]


def _categories(paths: Sequence[Sequence[str]]) -> Ints:
    """Codes at the first depth that tells items apart: shares of leaves would be too thin to compare."""
    deepest = max(map(len, paths), default=0)
    names: list[str] = [""] * len(paths)
    for depth in range(deepest):
        names = [path[min(depth, len(path) - 1)] if path else "" for path in paths]
        if len(set(names) - {""}) > 1:
            break
    codes = {name: code for code, name in enumerate(sorted(set(names) - {""}))}
    return np.array([codes.get(name, -1) for name in names], dtype=np.int64)


def _vectors(paths: Sequence[Sequence[str]], titles: Sequence[str]) -> Csr:
    told = {step for path in paths for step in path}
    if len(told) > 1:
        return _tf_idf([list(path) for path in paths], 1.0)
    return _tf_idf([title.lower().split() for title in titles], MAX_WORD_SHARE)


def _tf_idf(documents: Sequence[Sequence[str]], max_share: float) -> Csr:
    """Rows of length 1 over distinct terms, idf = log(n / df), without terms of more than `max_share` of the
    items; a row without any other is empty.
    """
    n = len(documents)
    distinct = [set(document) for document in documents]
    df = Counter(term for terms in distinct for term in terms)
    kept = sorted(term for term, count in df.items() if count <= max_share * n)
    columns = {term: column for column, term in enumerate(kept)}
    idf = np.log(n / np.array([df[term] for term in kept])) if kept else np.zeros(0)
    found = [sorted(columns[term] for term in terms if term in columns) for terms in distinct]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in found])]).astype(np.int64)
    indices = np.array([column for row in found for column in row], dtype=np.int64)
    matrix = sparse.csr_matrix((idf[indices], indices, indptr), shape=(n, len(kept)))
    lengths = np.sqrt(_row_sums(sparse.csr_matrix(matrix.multiply(matrix))))
    scale = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    unit = sparse.csr_matrix(sparse.diags(scale) @ matrix)
    unit.eliminate_zeros()
    return unit
