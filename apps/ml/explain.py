"""Why an item is in a list: which items of the history speak for it, and how much."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.ml.dataset import Ints
from apps.ml.topn import Floats

ScoreSessions = Callable[[Sequence[Ints]], Floats]


@dataclass(frozen=True)
class Contribution:
    """One item of the history, or one search. item_id: raw id, -1 for a search. share: its part of what
    speaks for the item, in (0, 1]. query: what was searched for, "" for an item.
    """

    item_id: int
    share: float
    query: str = ""


def shares(
    item_ids: Ints, amounts: NDArray[Any], n: int, queries: Sequence[tuple[str, float]] = ()
) -> list[Contribution]:
    """The n largest positive amounts as shares of the positive total, largest first; ties by ascending id.

    item_ids: int64 [L], raw, distinct. amounts: [L]. queries: searches with their amounts, in the same
    units. Nothing positive: an empty list.
    """
    texts = [""] * len(item_ids) + [text for text, _ in queries]
    item_ids = np.concatenate([item_ids, np.full(len(queries), -1, dtype=np.int64)])
    amounts = np.concatenate([np.asarray(amounts, dtype=np.float64), [amount for _, amount in queries]])
    amounts = np.nan_to_num(amounts, nan=0.0, posinf=0.0, neginf=0.0)
    speaking = np.flatnonzero(amounts > 0)
    total = float(amounts[speaking].sum())
    order = speaking[np.lexsort((item_ids[speaking], -amounts[speaking]))][:n]
    return [
        Contribution(int(item_ids[place]), float(amounts[place]) / total, texts[place]) for place in order
    ]


def left_out(score_sessions: ScoreSessions, items_L: Ints, item: int, block: int) -> NDArray[np.float64]:
    """What the item's score loses when one item of the history is left out: float64 [L].

    The answer for a model that adds nothing up by item. items_L: distinct item rows, oldest first. block:
    sessions scored at once. Where the model falls silent without an item, that item lost it the whole way
    down to the lowest score it gave anything.
    """
    whole = score_sessions([items_L])[0]
    if not np.isfinite(whole[item]):
        return np.zeros(len(items_L))
    if len(items_L) == 1:
        return np.ones(1)
    lowest = float(whole[np.isfinite(whole)].min())
    without = np.empty(len(items_L))
    for start in range(0, len(items_L), block):
        places = range(start, min(start + block, len(items_L)))
        without[places.start : places.stop] = score_sessions([np.delete(items_L, at) for at in places])[
            :, item
        ]
    return float(whole[item]) - np.where(np.isfinite(without), without, lowest)
