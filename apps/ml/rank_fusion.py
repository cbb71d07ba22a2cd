"""Reciprocal-rank fusion: lists joined by places alone, for when scores can not be compared or no validation
data exists to weigh them. NumPy only.

score(item) = sum over sources of w / (constant + rank), rank from 1; a source that does not list the item
adds nothing (Cormack, Clarke, Buettcher 2009, "Reciprocal rank fusion outperforms Condorcet and individual
rank learning methods").
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from apps.ml.blend import weights_check
from apps.ml.topn import TopN

CONSTANT = 60.0
"""The constant of the article: the larger, the less the first places stand out."""


def fuse(
    lists: Sequence[TopN], k: int, *, weights: Sequence[float] | None = None, constant: float = CONSTANT
) -> TopN:
    """The k best items of each row; every TopN holds the same users in the same order.

    weights: one finite number >= 0 per source, 1 each by default. Equal scores are ordered by ascending id.
    ValueError on differing rows, a wrong weight or a constant below 0.
    """
    if not lists:
        raise ValueError("no lists to fuse")
    if any(len(top) != len(lists[0]) for top in lists):
        raise ValueError(f"lists differ in rows: {[len(top) for top in lists]}")
    if not constant >= 0:
        raise ValueError(f"the constant must be 0 or more, got {constant}")
    weight = weights_check(weights if weights is not None else np.ones(len(lists)), len(lists))
    n = len(lists[0])
    chosen = [(top, w) for top, w in zip(lists, weight, strict=True) if w > 0]
    rows, ids, gains = [], [], []
    for top, w in chosen:
        row, place = np.nonzero(top.ids >= 0)
        rows.append(row)
        ids.append(top.ids[row, place])
        gains.append(w / (constant + 1 + place))
    fused = TopN.empty(n, k)
    if not chosen:
        return fused
    row, item, gain = np.concatenate(rows), np.concatenate(ids), np.concatenate(gains)
    values, code = np.unique(item, return_inverse=True)
    pair, inverse = np.unique(row * max(len(values), 1) + code, return_inverse=True)
    total = np.bincount(inverse, weights=gain, minlength=len(pair))
    row, item = pair // max(len(values), 1), values[pair % max(len(values), 1)]
    # pairs ascend by row and id, so a stable sort leaves equal scores in order of id
    order = np.lexsort((-np.round(total, 12), row))
    row, item, total = row[order], item[order], total[order]
    place = np.arange(len(row)) - np.searchsorted(row, row)
    keep = place < k
    fused.ids[row[keep], place[keep]] = item[keep]
    fused.scores[row[keep], place[keep]] = total[keep]
    return fused
