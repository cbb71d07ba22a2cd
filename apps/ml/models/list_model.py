"""What models of plain lists share: each shopper's last items in order, asked like a session.

Shape suffixes: B rows in a block, L items of a list, N items of the catalogue.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from apps.ml import signals
from apps.ml.base import History, Model, positive_only
from apps.ml.configs.sessions import AssociationConfig, CoVisitConfig, SessionKnnConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.sequences import sequences_of
from apps.ml.text_files import EventLists, offsets
from apps.ml.topn import Floats

ListConfigT = TypeVar("ListConfigT", CoVisitConfig, SessionKnnConfig, AssociationConfig)


@dataclass
class ListModel(Model[ListConfigT]):
    """tails: the last items of each shopper, by row of `history.users`."""

    tails: EventLists

    folds_in: ClassVar[bool] = True

    @abstractmethod
    def scores_of(self, lists: EventLists) -> Floats:
        """Scores [B, N], 0 for nothing to say."""

    def score_users(self, rows_B: Ints) -> Floats:
        return positive_only(self.scores_of(self.tails.take(rows_B)))

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        return positive_only(
            self.scores_of(lists_from(sessions, len(self.history.items), self.config.memory))
        )

    def score_similar(self, rows_B: Ints) -> Floats:
        return self.score_sessions([rows_B[at : at + 1] for at in range(len(rows_B))])

    def items_of(self, row: int) -> Ints:
        own = self.tails.row(row)[::-1]
        _, last = np.unique(own, return_index=True)
        return own[np.sort(last)][::-1]

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        tails = tails_of(dataset, self.config.memory)
        return replace(self, history=history, tails=tails, metrics=dict(self.metrics))

    def tail_arrays(self) -> dict[str, NDArray[Any]]:
        """The shoppers' part of `to_arrays`."""
        return {"tails.item": self.tails.item, "tails.indptr": self.tails.indptr}


def tails_from(arrays: dict[str, NDArray[Any]], n_items: int) -> EventLists:
    """The inverse of `tail_arrays`."""
    return unnamed(arrays["tails.indptr"], arrays["tails.item"], n_items)


def unnamed(indptr: Ints, item: Ints, n_items: int) -> EventLists:
    """Lists and a catalogue whose names are their rows."""
    names = np.arange(len(indptr) - 1).astype(object)
    return EventLists(names, np.arange(n_items).astype(object), indptr, item)


def lists_from(sessions: Sequence[Ints], n_items: int, most: int) -> EventLists:
    """The last `most` items of each session."""
    lengths = np.array([len(session) for session in sessions], dtype=np.int64)
    item = np.concatenate(sessions) if len(sessions) else np.zeros(0, dtype=np.int64)
    return unnamed(offsets(lengths), item.astype(np.int64), n_items).last(most)


def taught_lists(dataset: Dataset) -> EventLists:
    """Everything that is learned from: shoppers' histories and anonymous sessions, by the time of their last
    event; a run of the same item is one event, and what a shopper rejected is left out.
    """
    found = sequences_of(_accepted(dataset), "collapse")
    lists = unnamed(found.start, found.items, len(dataset.items))
    if not len(lists):
        return lists
    ends = found.time[np.maximum(found.start[1:] - 1, 0)]
    return lists.take(np.argsort(ends, kind="stable"))


def tails_of(dataset: Dataset, most: int) -> EventLists:
    """Each shopper's last items, empty for those without any."""
    found = sequences_of(_accepted(dataset), "collapse", anonymous=False)
    lengths = np.zeros(len(dataset.users), dtype=np.int64)
    lengths[found.owner] = found.lengths
    return unnamed(offsets(lengths), found.items, len(dataset.items)).last(most)


def _accepted(dataset: Dataset) -> Dataset:
    """Without the events of pairs that ended in a rejection."""
    refused = signals.rejected(dataset)
    if not refused.nnz:
        return dataset
    n_items = len(dataset.items)
    rows = np.repeat(np.arange(refused.shape[0]), np.diff(refused.indptr))
    gone = np.isin(dataset.user * n_items + dataset.item, rows * n_items + refused.indices)
    return dataset.select(~gone | (dataset.user < 0))
