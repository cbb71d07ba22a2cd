"""Ranked lists as two arrays. NumPy only: the web process imports this module."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
Floats = NDArray[np.float32]

PADDING_ID = -1
SERVED_LIST_LENGTH = 100
"""Items per stored list of one shopper or item; offline evaluation blends lists of exactly this length."""
SHARED_LIST_LENGTH = 1_000
"""Items per stored list that is the same for everyone (popular, trend): one row for the whole shop costs
nothing, and a long one lets the blender tell rising from fading items in every shopper's own list."""


@dataclass(frozen=True)
class TopN:
    """One ranked list per row, best first, with raw item ids.

    ids: int64 [n, k], padded at the end with -1. scores: float32 [n, k], padded with -inf. A list never
    repeats an id.
    """

    ids: Ids
    scores: Floats

    def __post_init__(self) -> None:
        if self.ids.ndim != 2 or self.ids.shape != self.scores.shape:
            raise ValueError(f"ids {self.ids.shape} and scores {self.scores.shape} must be equal 2-D shapes")
        if np.isnan(self.scores).any():
            raise ValueError(f"{int(np.isnan(self.scores).sum())} scores are NaN; leave such items out")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def k(self) -> int:
        return self.ids.shape[1]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Items in each list, padding not counted: int64 [n]."""
        return np.count_nonzero(self.ids >= 0, axis=1).astype(np.int64)

    def row(self, index: int) -> tuple[Ids, Floats]:
        """One list without its padding."""
        length = int(np.count_nonzero(self.ids[index] >= 0))
        return self.ids[index, :length], self.scores[index, :length]

    def head(self, k: int) -> TopN:
        """The first k columns."""
        return TopN(self.ids[:, :k], self.scores[:, :k])

    def take(self, rows: NDArray[np.int64]) -> TopN:
        """The lists at these rows, in this order."""
        return TopN(self.ids[rows], self.scores[rows])

    @classmethod
    def empty(cls, n: int, k: int) -> TopN:
        return cls(np.full((n, k), PADDING_ID, dtype=np.int64), np.full((n, k), -np.inf, dtype=np.float32))

    @classmethod
    def from_lists(
        cls, lists: Sequence[tuple[Sequence[int] | Ids, Sequence[float] | Floats]], k: int
    ) -> TopN:
        """Pads ragged (ids, scores) pairs, each already best first, to k columns; items whose score is NaN
        are left out.
        """
        top = cls.empty(len(lists), k)
        for row, (ids, scores) in enumerate(lists):
            told = np.flatnonzero(~np.isnan(np.asarray(scores, dtype=np.float64)))[:k]
            top.ids[row, : len(told)] = np.asarray(ids, dtype=np.int64)[told]
            top.scores[row, : len(told)] = np.asarray(scores, dtype=np.float32)[told]
        return top

    @classmethod
    def stack(cls, parts: Sequence[TopN], k: int) -> TopN:
        """Rows of all parts, one part below the other."""
        if not parts:
            return cls.empty(0, k)
        return cls(
            np.concatenate([part.ids for part in parts]), np.concatenate([part.scores for part in parts])
        )


def top_k(scores: Floats, item_ids: Ids, k: int) -> TopN:
    """The k best columns of each row; NaN and infinite scores mean "not a candidate".

    scores: [n, n_items]; item_ids: [n_items], ascending. Equal scores are ordered by ascending id, so the
    answer does not depend on memory layout.
    """
    n, n_items = scores.shape
    width = min(k, n_items)
    top = TopN.empty(n, k)
    if n == 0 or width == 0:
        return top
    clean = np.ascontiguousarray(scores, dtype=np.float32)
    columns = _best_columns(clean, width)
    if columns is None:
        return top_k(np.where(np.isfinite(clean), clean, np.float32(-np.inf)), item_ids, k)
    columns.sort(axis=1)
    chosen = _taken(clean, columns)
    order = np.argsort(-chosen, axis=1, kind="stable")
    chosen = np.take_along_axis(chosen, order, axis=1)
    ids = item_ids[np.take_along_axis(columns, order, axis=1)]
    top.scores[:, :width] = chosen
    top.ids[:, :width] = np.where(np.isneginf(chosen), PADDING_ID, ids)
    return top


def _best_columns(scores: Floats, width: int) -> NDArray[np.intp] | None:
    """Columns of the best of each row, in any order: [n, width]; None when the scores hold NaN or
    positive infinity.

    The best `width` items lie in the `width` groups of items with the largest maxima. One pass over the
    scores finds the maxima; partitions then see about sqrt(width * n_items) figures, not n_items.
    """
    n, n_items = scores.shape
    depth = int((n_items / width) ** 0.5)
    if depth < 3:
        if not (scores.max(axis=1) < np.inf).all():  # a maximum is NaN where anything is
            return None
        groups = np.broadcast_to(np.arange(n_items), (n, n_items))
        maxima, candidates = scores, groups
    else:
        # column c is in group c % n_groups, so that the maximum runs along whole stretches of memory
        n_groups = n_items // depth
        inside = n_groups * depth
        maxima = scores[:, :inside].reshape(n, depth, n_groups).max(axis=1)
        tail = np.arange(inside, n_items)
        if not ((maxima < np.inf).all() and (scores[:, inside:] < np.inf).all()):
            return None
        groups = np.argpartition(maxima, n_groups - width, axis=1)[:, n_groups - width :]
        members = groups[:, None, :] + (n_groups * np.arange(depth))[:, None]
        candidates = np.concatenate(
            [members.reshape(n, depth * width), np.broadcast_to(tail, (n, len(tail)))], axis=1
        )
    found = _taken(scores, candidates)
    n_found = found.shape[1]
    places = np.argpartition(found, n_found - width, axis=1)[:, n_found - width :]
    columns = np.take_along_axis(candidates, places, axis=1)
    last = np.take_along_axis(found, places, axis=1).min(axis=1)
    # where several items tie for the last places, those with the lowest ids are kept
    tied = np.count_nonzero(found >= last[:, None], axis=1) > width
    if depth >= 3:
        tied |= np.count_nonzero(maxima >= last[:, None], axis=1) > width
    for row in np.flatnonzero(tied & ~np.isneginf(last)):
        better = np.flatnonzero(scores[row] > last[row])
        equal = np.flatnonzero(scores[row] == last[row])[: width - len(better)]
        columns[row] = np.concatenate([better, equal])
    return columns


def _taken(scores: Floats, columns: NDArray[np.intp]) -> Floats:
    """The scores at these columns of each row; faster than `take_along_axis`."""
    starts = np.arange(len(scores))[:, None] * scores.shape[1]
    return scores.reshape(-1).take(columns + starts)
