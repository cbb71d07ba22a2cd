"""Items by items from ordered lists: who follows whom, how soon, and the linear models built on it.

Every model here is a matrix of item weights and a way to read a history: a profile that counts the last item
most, times the weights. Shape suffixes: B histories, N items.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from apps.ml.signals import Csr
from apps.ml.similarity import products, stacked, strongest
from apps.ml.text_files import EventLists, offsets, ranges
from apps.ml.topn import Floats

Weights = Csr | Floats
ROW_LIMIT = 200
"""Only the last items of a list are learned from: the cost of a row grows with its square."""


def profiles(lists: EventLists, decay: float, own: bool = False) -> Csr:
    """decay ** (items after it) for each item of each list, its latest place counting: float32 CSR [B, N]."""
    weight = np.power(decay, np.minimum(lists.from_end(), 500))
    owner = lists.owners()
    # the latest place of an item is the largest weight; it is kept by writing it last
    key = owner * lists.n_items + lists.item
    order = np.lexsort((weight, key))
    last = np.ones(len(order), dtype=np.bool_)
    last[:-1] = key[order][1:] != key[order][:-1]
    kept = order[last]
    return sparse.csr_matrix(
        (weight[kept].astype(np.float32), (owner[kept], lists.item[kept])), shape=(len(lists), lists.n_items)
    )


def follows(lists: EventLists, *, reach: int, power: float, backward: float, length_exponent: float) -> Csr:
    """How strongly each item is followed by each other within `reach` places: float32 CSR [N, N].

    A pair g places apart counts g ** -power, times (events of its list) ** -length_exponent; the earlier item
    follows the later one with `backward` of that.
    """
    shape = (lists.n_items, lists.n_items)
    total = no_pairs(*shape)
    per_event = np.repeat(np.maximum(lists.lengths, 1) ** -length_exponent, lists.lengths)
    left = lists.from_end()
    for gap in range(1, min(reach, int(lists.lengths.max(initial=1)) - 1) + 1):
        early = np.flatnonzero(left >= gap)
        if not len(early):
            break
        worth = (per_event[early] * gap**-power).astype(np.float32)
        first, second = lists.item[early], lists.item[early + gap]
        apart = first != second
        total = total + sparse.csr_matrix((worth[apart], (first[apart], second[apart])), shape=shape)
    if backward:
        total = total + backward * sparse.csr_matrix(total.T)
    return sparse.csr_matrix(total).astype(np.float32)


def discounted(counts: Csr, *, own: float, other: float, shrink: float, neighbours: int) -> Csr:
    """Counts over strength(row) ** own * strength(column) ** other + shrink, the strongest of each row."""
    row_strength = np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1e-12)
    column_strength = np.maximum(np.asarray(counts.sum(axis=0)).ravel(), 1e-12)
    owner = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    scaled = counts.astype(np.float64)
    scaled.data = scaled.data / (
        row_strength[owner] ** own * column_strength[counts.indices] ** other + shrink
    )
    return strongest(sparse.csr_matrix(scaled), neighbours).astype(np.float32)


def together(
    lists: EventLists,
    *,
    length_exponent: float,
    own: float,
    other: float,
    shrink: float,
    neighbours: int,
    check: Callable[[], None] | None = None,
) -> Csr:
    """Item neighbours by shared lists, order aside: sum over lists of n ** -length_exponent, over n_i ** own
    * n_j ** other + shrink with n the lists of an item; the strongest per item: float32 CSR [N, N].
    """
    rows = profiles(lists, 1.0)
    count = np.bincount(rows.indices, minlength=lists.n_items)
    scaled = sparse.csr_matrix(sparse.diags(np.maximum(np.diff(rows.indptr), 1.0) ** -length_exponent) @ rows)
    turned, scaled_turned = sparse.csr_matrix(rows.T), sparse.csr_matrix(scaled.T)
    own_scale = np.maximum(count, 1.0) ** own
    other_scale = np.maximum(count, 1.0) ** other
    found = []
    for start, product in products(scaled_turned, turned, np.arange(lists.n_items), check):
        owner = np.repeat(np.arange(start, start + product.shape[0]), np.diff(product.indptr))
        product.data = product.data / (own_scale[owner] * other_scale[product.indices] + shrink)
        found.append(strongest(product, neighbours))
    return stacked(found, lists.n_items)


@dataclass(frozen=True)
class Regression:
    """Ridge regression of what comes next on what came before (SLIST: Choi et al. 2021; EASE: Steck 2019).

    ridge: lambda. dropout: share of an item's own diagonal that is added to it (Steck, "Autoencoders that
    don't overfit towards the identity", 2020). length_exponent: whole lists count by this power of 1 / their
    length. input_decay, target_decay: weight per place of earlier and of later items. whole: weight of
    the plain autoencoder of whole lists; alone it is EASE. forward: of futures told from pasts; backward: of
    pasts told from futures.
    """

    ridge: float
    input_decay: float = 0.7
    target_decay: float = 0.5
    whole: float = 1.0
    forward: float = 1.0
    backward: float = 0.0
    reach: int = 20
    dropout: float = 0.0
    length_exponent: float = 0.0


def moments(lists: EventLists, how: Regression) -> tuple[Csr, Csr | None]:
    """S'S and S'Y of the regression: float32 CSR [N, N] each; None for S'Y where Y is S."""
    recent = lists.last(ROW_LIMIT)
    gram = no_pairs(lists.n_items, lists.n_items)
    cross = gram
    for part, weight in ((recent, how.forward), (_turned_around(recent), how.backward)):
        if weight:
            past = _windows(part, how.input_decay, how.reach, forward=False)
            future = _windows(part, how.target_decay, how.reach, forward=True)
            turned = sparse.csr_matrix(past.T)
            gram = gram + weight * sparse.csr_matrix(turned @ past)
            cross = cross + weight * sparse.csr_matrix(turned @ future)
    if not (how.forward or how.backward):
        return _whole(recent, how), None
    if how.whole:
        both = _whole(recent, how)
        gram, cross = gram + both, cross + both
    return sparse.csr_matrix(gram).astype(np.float32), sparse.csr_matrix(cross).astype(np.float32)


def ridge_of(gram: Csr, how: Regression) -> Floats:
    """What is added to the diagonal: float32 [N]."""
    return np.asarray(how.ridge + how.dropout * gram.diagonal(), dtype=np.float32)


def regression(lists: EventLists, how: Regression, threads: int = 1) -> Floats:
    """Weights [N, N], row to column, diagonal 0.

    They minimise the sum over parts p of weight_p |Y_p - S_p B|^2 + |ridge^(1/2) B|^2; S and Y are whole
    lists (0/1), or decayed pasts and futures of every event.
    With P = (sum S'S + ridge)^-1 and A = sum S'Y: B = PA - P diag(PA) / diag(P), the second term being the
    multiplier of the diagonal's constraint.
    """
    gram, cross = moments(lists, how)
    torch.set_num_threads(threads)
    system = torch.from_numpy(gram.toarray())
    system.diagonal().add_(torch.from_numpy(ridge_of(gram, how)))
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(system))
    del system
    if cross is None:
        weights = -inverse / inverse.diagonal()
    else:
        # the inverse is symmetric: (A' P)' = P A, with the sparse factor on the left
        weights = torch.from_numpy(np.ascontiguousarray((sparse.csr_matrix(cross.T) @ inverse.numpy()).T))
        weights -= inverse * (weights.diagonal() / inverse.diagonal())
    weights.fill_diagonal_(0.0)
    found: Floats = weights.numpy()
    return found


def _whole(lists: EventLists, how: Regression) -> Csr:
    rows = profiles(lists, 1.0)
    scaled = rows
    if how.length_exponent:
        sizes = np.maximum(np.diff(rows.indptr), 1.0) ** -how.length_exponent
        # of mean 1 over events, so that the ridge keeps its meaning
        sizes *= len(rows.indices) / max(float((sizes * np.diff(rows.indptr)).sum()), 1e-12)
        scaled = sparse.csr_matrix(sparse.diags_array(sizes) @ rows)
    return sparse.csr_matrix((rows.T @ scaled) * how.whole).astype(np.float32)


def _turned_around(lists: EventLists) -> EventLists:
    """Every list from its end to its beginning."""
    starts = np.repeat(lists.indptr[:-1], lists.lengths)
    return replace(lists, item=lists.item[starts + lists.from_end()])


def _windows(lists: EventLists, decay: float, reach: int, forward: bool) -> Csr:
    """One row per event that has a past: decay ** (places before it - 1) of its earlier items or, forward,
    decay ** (places after it) of itself and its later items.
    """
    place = ranges(np.zeros(len(lists), np.int64), lists.lengths)
    events = np.flatnonzero(place > 0)
    if forward:
        lengths = np.minimum(lists.from_end()[events] + 1, reach)
        starts = events
    else:
        lengths = np.minimum(place[events], reach)
        starts = events - lengths
    at = ranges(starts, lengths)
    inside = ranges(np.zeros(len(events), np.int64), lengths)
    steps = inside if forward else np.repeat(lengths, lengths) - 1 - inside
    matrix = sparse.csr_matrix(
        ((decay**steps).astype(np.float32), lists.item[at], offsets(lengths)),
        shape=(len(events), lists.n_items),
    )
    matrix.sum_duplicates()
    return matrix


def spread(profile: Csr, weights: Weights) -> Floats:
    """Scores [B, N] of profiles over item weights."""
    product: Any = profile @ weights
    dense: NDArray[Any] = product if isinstance(product, np.ndarray) else product.toarray()
    return dense.astype(np.float32, copy=False)


def no_pairs(rows: int, columns: int) -> Csr:
    """An empty matrix: float32 CSR [rows, columns]."""
    nothing = np.zeros(0, dtype=np.int64)
    return sparse.csr_matrix((np.zeros(0, np.float32), (nothing, nothing)), shape=(rows, columns))
