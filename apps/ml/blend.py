"""The one blender: weighted sum of normalised lists. NumPy only: the web process imports this module.

Law: score = sum over sources of w * norm(score). Scores are normalised within each list; an item missing
from a list takes that list's minimum; a constant list counts 0 everywhere; an empty list and a source of
weight 0 say nothing (no candidates either). A positive affine change of a source's raw scores never changes
the result. Equal blended scores are ordered by ascending id.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apps.ml.topn import PADDING_ID, Ids, TopN

Doubles = NDArray[np.float64]

_TIE_DECIMALS = 9  # equal sums must stay equal whatever rounding the raw scale of a source brings


Distinct = Callable[[Ids], tuple[Ids, NDArray[Any]]]
"""ids to each of them once, in any order, and the place of every given one among them."""


@dataclass(frozen=True)
class BlendResult:
    """ids: int64 [n]. scores: float64 [n]. parts: float64 [n_sources, n]; its columns sum to scores. listed:
    bool [n_sources, n], where the source itself lists the item. Best first, unless it says `mixed`.
    """

    ids: Ids
    scores: Doubles
    parts: Doubles
    listed: NDArray[np.bool_]

    @property
    def arrival(self) -> Doubles:
        """What orders the items, the highest first, then by id: float64 [n]."""
        rounded: Doubles = np.round(self.scores, _TIE_DECIMALS)
        return rounded

    def ordered(self) -> BlendResult:
        """The same, best first."""
        order = np.lexsort((self.ids, -self.arrival))
        return BlendResult(self.ids[order], self.scores[order], self.parts[:, order], self.listed[:, order])


def z_normalise(scores: Doubles, present: NDArray[np.bool_]) -> Doubles:
    """(score - mean) / standard deviation along the last axis over the present entries; constant lists give
    0.
    """
    count = np.maximum(present.sum(axis=-1, keepdims=True), 1)
    mean = np.where(present, scores, 0.0).sum(axis=-1, keepdims=True) / count
    centred = np.where(present, scores - mean, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=-1, keepdims=True) / count)
    varied = deviation > _noise_floor(scores, present)
    return np.where(varied, centred / np.where(varied, deviation, 1.0), 0.0)


def minmax_normalise(scores: Doubles, present: NDArray[np.bool_]) -> Doubles:
    """(score - min) / (max - min) along the last axis over the present entries; constant lists give 0."""
    low = np.where(present, scores, np.inf).min(axis=-1, keepdims=True)
    high = np.where(present, scores, -np.inf).max(axis=-1, keepdims=True)
    width = np.where(np.isfinite(high - low), high - low, 0.0)
    varied = width > _noise_floor(scores, present)
    low = np.where(np.isfinite(low), low, 0.0)
    return np.where(present & varied, (scores - low) / np.where(varied, width, 1.0), 0.0)


def _noise_floor(scores: Doubles, present: NDArray[np.bool_]) -> Doubles:
    """Spread below which a list is constant but for rounding: scores reach us as float32."""
    return 1e-12 * np.abs(np.where(present, scores, 0.0)).max(axis=-1, keepdims=True)


NORMALISATIONS: Mapping[str, Callable[[Doubles, NDArray[np.bool_]], Doubles]] = {
    "z": z_normalise,
    "minmax": minmax_normalise,
}


class NormalList(NamedTuple):
    """One source's list, normalised. ids: int64 [n], unique; gains: float64 [n], not yet weighted; low: the
    least of them, 0 when there are none.
    """

    ids: Ids
    gains: Doubles
    low: float = 0.0


NOTHING = NormalList(np.zeros(0, dtype=np.int64), np.zeros(0))


def normal_list(raw_ids: ArrayLike, raw_scores: ArrayLike, normalisation: str = "z") -> NormalList:
    """A list with its scores normalised; entries with id -1 or no finite score are left out."""
    ids = np.asarray(raw_ids, dtype=np.int64)
    scores = np.asarray(raw_scores, dtype=np.float64)
    if ids.shape != scores.shape or ids.ndim != 1:
        raise ValueError(f"ids {ids.shape} and scores {scores.shape} must be equal 1-D shapes")
    normalise = _normalisation(normalisation)
    present = (ids >= 0) & np.isfinite(scores)
    if not present.all():
        ids, scores = ids[present], scores[present]
    if not len(ids):
        return NormalList(ids, scores)
    if normalise is z_normalise:
        gains = _z_normal(scores)
    else:
        gains = normalise(scores, np.ones(len(scores), dtype=np.bool_))
    return NormalList(ids, gains, float(gains.min()))


def _z_normal(scores: Doubles) -> Doubles:
    """`z_normalise` of one list that is all there, for a slate normalises several."""
    centred = scores - scores.sum() / len(scores)
    deviation = math.sqrt((centred * centred).sum() / len(scores))
    if deviation > 1e-12 * max(scores.max(), -scores.min()):
        centred /= deviation
        return centred
    return np.zeros(len(scores))


def blend_lists(
    sources: Sequence[tuple[ArrayLike, ArrayLike]], weights: Sequence[float], normalisation: str = "z"
) -> BlendResult:
    """Blends the lists of one request, best first.

    sources: one (ids, scores) pair per source, 1-D and equally long, ids unique; entries with id -1 are
    padding. weights: one finite number >= 0 per source. Raises ValueError on anything else.
    """
    weights_check(weights, len(sources))
    _normalisation(normalisation)
    lists = []
    for index, (ids, scores) in enumerate(sources):
        try:
            lists.append(normal_list(ids, scores, normalisation))
        except ValueError as error:
            raise ValueError(f"source {index}: {error}") from error
    return blend_normal(lists, weights).ordered()


def distinct_sorted(ids: Ids) -> tuple[Ids, NDArray[Any]]:
    """Each id once, ascending, and the place of every given one among them."""
    return np.unique(ids, return_inverse=True)


def blend_normal(
    lists: Sequence[NormalList], weights: Sequence[float], distinct: Distinct = distinct_sorted
) -> BlendResult:
    """`blend_lists` of lists that are normalised already, mixed: in no order."""
    if not lists:
        none = np.zeros((0, 0))
        return BlendResult(np.zeros(0, dtype=np.int64), np.zeros(0), none, none.astype(np.bool_))
    # A source of weight 0 brings no candidates either.
    used = [found if weight > 0 else NOTHING for found, weight in zip(lists, weights, strict=True)]
    sizes = [len(found.ids) for found in used]
    weight_each = np.asarray(weights, dtype=np.float64)
    candidates, inverse = distinct(np.concatenate([found.ids for found in used]))
    sources = np.arange(len(lists)).repeat(sizes)
    parts = np.empty((len(lists), len(candidates)))
    parts[:] = (weight_each * [found.low for found in used])[:, None]
    parts[sources, inverse] = np.concatenate([found.gains for found in used]) * weight_each.repeat(sizes)
    listed = np.zeros(parts.shape, dtype=np.bool_)
    listed[sources, inverse] = True
    return BlendResult(candidates, parts.sum(axis=0), parts, listed)


@dataclass(frozen=True)
class BlendTable:
    """Lists of many users laid out so that another set of weights costs one product.

    ids: int64 [n, c] candidates ascending, padded with -1. norms: float64 [n_sources, n, c], missing = list
    minimum. listed: bool [n_sources, n, c], where the source itself lists the item.
    """

    ids: Ids
    norms: Doubles
    listed: NDArray[np.bool_]

    @classmethod
    def from_lists(cls, lists: Sequence[TopN], normalisation: str = "z") -> BlendTable:
        """lists: one TopN per source, all with the same users in the same order."""
        if not lists:
            raise ValueError("no lists to blend")
        n = len(lists[0])
        if any(len(top) != n for top in lists):
            raise ValueError(f"lists differ in rows: {[len(top) for top in lists]}")
        normalise = _normalisation(normalisation)
        all_ids = np.concatenate([top.ids for top in lists], axis=1)
        candidates, width = _distinct_per_row(all_ids)
        norms = np.zeros((len(lists), n, width))
        listed = np.zeros((len(lists), n, width), dtype=np.bool_)
        for source, top in enumerate(lists):
            present = (top.ids >= 0) & np.isfinite(top.scores)
            normed = normalise(np.where(present, top.scores, 0.0).astype(np.float64), present)
            floor = np.where(present, normed, np.inf).min(axis=1, initial=np.inf)
            norms[source] = np.where(np.isfinite(floor), floor, 0.0)[:, None]
            rows, columns = np.nonzero(present)
            places = _places(candidates, rows, top.ids[rows, columns])
            norms[source, rows, places] = normed[rows, columns]
            listed[source, rows, places] = True
        return cls(candidates, norms, listed)

    def near(self, lists: Sequence[TopN]) -> BlendTable:
        """The same table with only the candidates found in these lists (heads of the lists it was made
        of).
        """
        ids, _ = _distinct_per_row(np.concatenate([top.ids for top in lists], axis=1))
        rows, columns = np.nonzero(ids >= 0)
        places = _places(self.ids, rows, ids[rows, columns])
        norms = np.zeros((len(self.norms), *ids.shape))
        listed = np.zeros(norms.shape, dtype=np.bool_)
        norms[:, rows, columns] = self.norms[:, rows, places]
        listed[:, rows, columns] = self.listed[:, rows, places]
        return BlendTable(ids, norms, listed)

    def blend(self, weights: Sequence[float] | Doubles, k: int) -> TopN:
        """The k best of the weighted sum, as `blend_lists` would give them for each row."""
        weight = weights_check(weights, len(self.norms))
        active = np.flatnonzero(weight > 0)
        n, width = self.ids.shape
        top = TopN.empty(n, k)
        if not len(active) or not width:
            return top
        total = np.tensordot(weight[active], self.norms[active], axes=1)
        open_ = self.listed[active].any(axis=0)
        key = np.where(open_, np.round(total, _TIE_DECIMALS), -np.inf)
        order = np.argsort(-key, axis=1, kind="stable")[:, :k]
        keep = np.take_along_axis(open_, order, axis=1)
        size = order.shape[1]
        top.ids[:, :size] = np.where(keep, np.take_along_axis(self.ids, order, axis=1), PADDING_ID)
        top.scores[:, :size] = np.where(keep, np.take_along_axis(total, order, axis=1), -np.inf)
        return top


def blend_many(
    lists: Sequence[TopN], weights: Sequence[float], k: int, normalisation: str = "z", block: int = 2048
) -> TopN:
    """`blend_lists` for many users at once; every TopN holds the same users in the same order."""
    n = len(lists[0]) if lists else 0
    parts = []
    for start in range(0, n, block):
        rows = np.arange(start, min(n, start + block))
        parts.append(
            BlendTable.from_lists([top.take(rows) for top in lists], normalisation).blend(weights, k)
        )
    return TopN.stack(parts, k)


def weights_check(weights: Sequence[float] | Doubles, n_sources: int) -> Doubles:
    """The weights as an array; ValueError unless there is one finite number >= 0 per source."""
    weight = np.asarray(weights, dtype=np.float64)
    if weight.shape != (n_sources,):
        raise ValueError(f"{n_sources} sources need as many weights, got {weight.size}")
    if not np.isfinite(weight).all() or (weight < 0).any():
        raise ValueError(f"weights must be finite and not negative, got {weight.tolist()}")
    return weight


def _normalisation(name: str) -> Callable[[Doubles, NDArray[np.bool_]], Doubles]:
    if name not in NORMALISATIONS:
        raise ValueError(f"normalisation {name!r} is unknown; use one of {sorted(NORMALISATIONS)}")
    return NORMALISATIONS[name]


def _distinct_per_row(ids: Ids) -> tuple[Ids, int]:
    """Each row's distinct ids ascending, padded at the end with -1; and the width."""
    big = np.iinfo(np.int64).max
    ordered = np.sort(np.where(ids >= 0, ids, big), axis=1)
    repeated = np.zeros(ordered.shape, dtype=np.bool_)
    repeated[:, 1:] = ordered[:, 1:] == ordered[:, :-1]
    ordered = np.sort(np.where(repeated, big, ordered), axis=1)
    width = int((ordered < big).sum(axis=1).max(initial=0))
    ordered = ordered[:, :width]
    return np.where(ordered == big, PADDING_ID, ordered), width


def _places(candidates: Ids, rows: NDArray[np.intp], ids: Ids) -> NDArray[np.intp]:
    """Column of each (row, id) pair in `candidates`, by one search over the rows laid end to end."""
    n, width = candidates.shape
    if not len(ids):
        return np.zeros(0, dtype=np.intp)
    values = np.unique(candidates)
    span = len(values) + 1
    rank = np.searchsorted(values, np.where(candidates >= 0, candidates, values[-1]))
    rank = np.where(candidates >= 0, rank, span - 1)
    keys = (np.arange(n)[:, None] * span + rank).ravel()
    wanted = rows * span + np.searchsorted(values, ids)
    return np.searchsorted(keys, wanted) - rows * width
