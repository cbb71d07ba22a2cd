"""What models of plain lists share: each shopper's last items in order, asked like a session.

Shape suffixes: B rows in a block, L items of a list, N items of the catalogue.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from apps.ml import signals
from apps.ml.base import History, Model, positive_only
from apps.ml.configs.sessions import AssociationConfig, CoVisitConfig, SessionKnnConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.query_items import QueryItems, query_dials
from apps.ml.searches import Heard, weighed
from apps.ml.sequences import sequences_of
from apps.ml.signals import Csr
from apps.ml.text_files import EventLists, offsets
from apps.ml.topn import Floats

ListConfigT = TypeVar("ListConfigT", CoVisitConfig, SessionKnnConfig, AssociationConfig)


@dataclass
class ListModel(Model[ListConfigT]):
    """tails: the last items of each shopper, by row of `history.users`. asked, heard: what searches lead to,
    and what each shopper searched for last; None where there were none or nobody listens.
    """

    tails: EventLists
    asked: QueryItems | None = field(default=None, kw_only=True)
    heard: Heard | None = field(default=None, kw_only=True)

    folds_in: ClassVar[bool] = True

    @abstractmethod
    def scores_of(self, lists: EventLists) -> Floats:
        """Scores [B, N], 0 for nothing to say."""

    def score_users(self, rows_B: Ints) -> Floats:
        evidence = self.scores_of(self.tails.take(rows_B))
        if self.heard is not None:
            evidence = self._with_searches(evidence, self.heard.now[rows_B], self.heard.texts)
        return positive_only(evidence)

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        return positive_only(
            self.scores_of(lists_from(sessions, len(self.history.items), self.config.memory))
        )

    @property
    def hears(self) -> bool:
        return self.asked is not None

    def score_asked(self, sessions: Sequence[Ints], queries: Sequence[Sequence[str]]) -> Floats:
        evidence = self.scores_of(lists_from(sessions, len(self.history.items), self.config.memory))
        told = [self.told_by(None, texts) for texts in queries]
        texts = [text for row in told for text, _ in row]
        starts = offsets(np.array([len(row) for row in told], dtype=np.int64))
        weights = np.array([weight for row in told for _, weight in row], dtype=np.float32)
        shape = (len(sessions), len(texts))
        asked = sparse.csr_matrix((weights, np.arange(len(texts)), starts), shape=shape)
        return positive_only(self._with_searches(evidence, asked, texts))

    def told_by(self, row: int | None, queries: Sequence[str]) -> list[tuple[str, float]]:
        if row is not None:
            return [] if self.heard is None else self.heard.of_row(row)
        dials = query_dials(self.config)
        return [] if dials is None else weighed(queries, dials)

    def query_terms(
        self, row: int | None, items_L: Ints, told: Sequence[tuple[str, float]], item: int
    ) -> NDArray[np.float64]:
        """Exact: searches are added, in units of what the items say together."""
        if row is not None:
            lists = self.tails.take(np.array([row]))
        else:
            lists = lists_from([items_L], len(self.history.items), self.config.memory)
        asked = sparse.csr_matrix(np.diag([weight for _, weight in told]).astype(np.float32))
        evidence = np.repeat(self.scores_of(lists), len(told), axis=0)
        found = self._with_searches(evidence.copy(), asked, [text for text, _ in told])
        terms: NDArray[np.float64] = (found - evidence)[:, item].astype(np.float64)
        return terms

    def _with_searches(self, evidence: Floats, asked: Csr, texts: Sequence[str]) -> Floats:
        """The evidence [B, N] with query_weight times its sum per row spread over where searches lead.

        asked: [B, queries], weights of `texts`. A row without evidence counts as a sum of 1.
        """
        dials = query_dials(self.config)
        if self.asked is None or dials is None or not asked.nnz:
            return evidence
        lead = sparse.csr_matrix(asked @ self.asked.shares(texts, dials.query_prior))
        total = evidence.sum(axis=1, dtype=np.float64)
        scale = dials.query_weight * np.where(total > 0, total, 1.0)
        owner = np.repeat(np.arange(len(evidence)), np.diff(lead.indptr))
        evidence[owner, lead.indices] += (scale[owner] * lead.data).astype(np.float32)
        return evidence

    def score_similar(self, rows_B: Ints) -> Floats:
        return self.score_sessions([rows_B[at : at + 1] for at in range(len(rows_B))])

    def items_of(self, row: int) -> Ints:
        own = self.tails.row(row)[::-1]
        _, last = np.unique(own, return_index=True)
        return own[np.sort(last)][::-1]

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        tails = tails_of(dataset, self.config.memory)
        heard = None if self.asked is None else heard_by(dataset, self.config)
        return replace(self, history=history, tails=tails, heard=heard, metrics=dict(self.metrics))

    def tail_arrays(self) -> dict[str, NDArray[Any]]:
        """The shoppers' part of `to_arrays`, and that of searches."""
        found = {"tails.item": self.tails.item, "tails.indptr": self.tails.indptr}
        if self.asked is not None and self.heard is not None:
            found |= self.asked.to_arrays() | self.heard.to_arrays()
        return found

    def to_texts(self) -> dict[str, Any]:
        return {} if self.heard is None else {"queries": list(self.heard.texts)}


class Listening(TypedDict):
    """The part of a list model that knows of searches."""

    asked: QueryItems | None
    heard: Heard | None


def listening(dataset: Dataset, config: Any) -> Listening:
    """Learned from the searches of the data, as the settings ask for."""
    dials = query_dials(config)
    if dials is None or not len(dataset.searches):
        return {"asked": None, "heard": None}
    found = sequences_of(_accepted(dataset), "collapse", dials=dials)
    texts = dataset.text("text") if "text" in dataset.catalogue else dataset.text("title")
    asked = QueryItems.fit(found, dataset.searches.texts, texts)
    return {"asked": asked, "heard": heard_by(dataset, config)}


def heard_by(dataset: Dataset, config: Any) -> Heard | None:
    """What each shopper searched for last."""
    dials = query_dials(config)
    if dials is None:
        return None
    found = sequences_of(_accepted(dataset), "collapse", anonymous=False)
    n_users = len(dataset.users)
    return Heard.of(dataset.searches, found.owner[found.row_of], found.time, n_users, dataset.end, dials)


def listening_from(
    arrays: dict[str, NDArray[Any]], texts: dict[str, Any], n_users: int, n_items: int
) -> Listening:
    """The inverse of `tail_arrays` and `to_texts`."""
    if "query.keys" not in arrays:
        return {"asked": None, "heard": None}
    asked = QueryItems.from_arrays(arrays, n_items)
    return {"asked": asked, "heard": Heard.from_parts(arrays, texts["queries"], n_users)}


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
