"""Rankers of a whole catalogue for any list of items, known or not: what the commands on files choose from.

A scorer is fitted on lists and asked with lists; it keeps nothing of the users. Where it has no evidence it
falls back on popularity, far below anything it has evidence for, so that no list ever ends in chance order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy import sparse

from apps.ml.base import Model, TrainOptions
from apps.ml.dataset import Dataset
from apps.ml.least_squares import Ridge, blocks_of, half_step
from apps.ml.ordered_items import Weights, no_pairs, profiles, spread
from apps.ml.signals import Csr
from apps.ml.similarity import strongest
from apps.ml.text_files import EventLists, ranges
from apps.ml.topn import Floats
from apps.ml.train import train

BACKOFF = 1e-4
"""Most that popularity adds, in shares of the row's best score."""
FOLD_STEPS = 6
"""Steps of conjugate gradient that fold a list into factors."""


class Scorer(Protocol):
    """score: float32 [B, N], finite, higher is better; empty lists get what anyone would."""

    def score(self, lists: EventLists) -> Floats: ...


def popularity(lists: EventLists) -> Floats:
    """log(1 + lists that hold the item), scaled to 1 at most: float32 [N]."""
    counts = np.log1p(np.bincount(profiles(lists, 1.0).indices, minlength=lists.n_items))
    return (counts / max(counts.max(initial=0.0), 1e-12)).astype(np.float32)


@dataclass(frozen=True)
class PopularScorer:
    """The same for everyone. popular: float32 [N]."""

    popular: Floats

    def score(self, lists: EventLists) -> Floats:
        return np.tile(self.popular, (len(lists), 1))


@dataclass(frozen=True)
class ItemWeightsScorer:
    """A decayed profile times item weights. weights: [N, N], dense or CSR. lift: how far popular items step
    back, exp(-lift) at most; below 0 they step forward.
    """

    weights: Weights
    decay: float
    popular: Floats
    lift: float = 0.0

    def score(self, lists: EventLists) -> Floats:
        found = spread(profiles(lists, self.decay), self.weights)
        if self.lift:
            found *= np.exp(-self.lift * self.popular)[None, :]
        return with_backoff(found, self.popular)


@dataclass(frozen=True)
class OwnItemsScorer:
    """The list's own items, later and more frequent ones first."""

    decay: float
    popular: Floats

    def score(self, lists: EventLists) -> Floats:
        weight = np.power(self.decay, np.minimum(lists.from_end(), 500)).astype(np.float32)
        shape = (len(lists), lists.n_items)
        own = sparse.csr_matrix((weight, (lists.owners(), lists.item)), shape=shape)
        return with_backoff(own.toarray(), self.popular)


@dataclass(frozen=True)
class LowRankScorer:
    """Profiles through the leading item directions: (x * before) V V' * after. V: float32 [N, F]."""

    directions: Floats
    before: Floats
    after: Floats
    popular: Floats

    def score(self, lists: EventLists) -> Floats:
        profile = sparse.csr_matrix(profiles(lists, 1.0) @ sparse.diags_array(self.before))
        found = (np.asarray(profile @ self.directions) @ self.directions.T) * self.after
        return with_backoff(found.astype(np.float32), self.popular)


@dataclass(frozen=True)
class FactorScorer:
    """Factors of items; a list is folded in as a shopper of iALS. items: float32 [N, F]; extra: confidence of
    a choice, less 1.
    """

    items: Floats
    ridge: Ridge
    extra: float
    popular: Floats

    def score(self, lists: EventLists) -> Floats:
        rows = profiles(lists, 1.0) * np.float32(self.extra)
        folded = torch.zeros(len(lists), self.items.shape[1])
        half_step(
            folded, torch.from_numpy(self.items), blocks_of(rows, folded.device), self.ridge, FOLD_STEPS
        )
        return with_backoff(folded.numpy() @ self.items.T, self.popular)


@dataclass(frozen=True)
class ModelScorer:
    """A family of the registry, asked with sessions."""

    model: Model[Any]
    popular: Floats

    @classmethod
    def fit(
        cls, family: str, config: dict[str, Any], lists: EventLists, options: TrainOptions
    ) -> ModelScorer:
        """Each list is a shopper, each place a second."""
        return cls(train(family, config, dataset_of(lists), options), popularity(lists))

    def score(self, lists: EventLists) -> Floats:
        places = self.model.history.items.rows(np.arange(lists.n_items))
        rows = [places[lists.row(row)] for row in range(len(lists))]
        rows = [row[row >= 0] for row in rows]
        filled = np.flatnonzero([len(row) > 0 for row in rows])
        trace = np.float32(BACKOFF) * self.popular
        found = np.tile(trace, (len(lists), 1))
        if not len(filled):
            return found
        scores = self.model.score_sessions([rows[index] for index in filled])
        told = np.append(np.isfinite(scores).all(axis=0), False)[places]
        if told.all() and len(filled) == len(lists):
            return scores[:, places]
        scores = scores[:, places[told]]
        lowest = scores.min(axis=1, initial=np.inf)[:, None]
        gap = np.maximum(scores.max(axis=1, initial=-np.inf)[:, None] - lowest, 1.0)
        # what the model has never met comes below all it has
        found[filled] = np.where(np.isfinite(lowest), lowest - gap * np.float32(BACKOFF) + gap * trace, trace)
        found[np.ix_(filled, np.flatnonzero(told))] = scores
        return found


def dataset_of(lists: EventLists) -> Dataset:
    """The lists as a dataset of purchases: raw ids are rows, an event's time its place in seconds."""
    frame = pd.DataFrame(
        {
            "user_id": lists.owners(),
            "item_id": lists.item,
            "timestamp": 1e9 + ranges(np.zeros(len(lists), np.int64), lists.lengths).astype(np.float64),
        }
    )
    return Dataset.from_frames(frame)


def with_backoff(scores: Floats, popular: Floats) -> Floats:
    """The scores plus a trace of popularity (in place)."""
    best = np.maximum(scores.max(axis=1, initial=0.0), -scores.min(axis=1, initial=0.0))
    scores += (np.where(best > 0, best, 1.0) * BACKOFF).astype(np.float32)[:, None] * popular[None, :]
    return scores


@dataclass(frozen=True)
class NeighbourLists:
    """How lists that resemble a list speak for items (V-SKNN: Ludewig and Jannach 2018; STAN: Garg et al.
    2019).

    neighbours: lists that speak. decay: weight per place from the end of the list asked with. near: weight
    per place between the latest item in common and the item spoken for, 1 = none. idf: power of the inverse
    document frequency of items in common. length: power of the neighbour's length it is divided by.
    popular_discount: power of an item's popularity its sum is divided by. recent: how much less lists from
    the beginning of the file say, exp(-recent) at most; 0 where their order means nothing.
    """

    neighbours: int = 200
    decay: float = 0.7
    near: float = 0.7
    idf: float = 1.0
    length: float = 0.5
    popular_discount: float = 0.0
    recent: float = 0.0


@dataclass(frozen=True)
class NeighbourScorer:
    """lists: those learned from, distinct items each. by_item: float32 CSC-like CSR [N, lists], 1 where the
    list holds the item. place: float32, place of each stored item of `rows` in its list.
    """

    how: NeighbourLists
    rows: Csr
    turned: Csr
    places: Csr
    idf: Floats
    popular: Floats

    @classmethod
    def fit(cls, how: NeighbourLists, lists: EventLists) -> NeighbourScorer:
        telling = lists.take(np.flatnonzero(lists.lengths > 1))
        last = profiles(telling, 1.0)
        place = ranges(np.zeros(len(telling), np.int64), telling.lengths) + 1.0
        shape = (len(telling), lists.n_items)
        order = np.lexsort((place, telling.owners() * lists.n_items + telling.item))
        key = (telling.owners() * lists.n_items + telling.item)[order]
        kept = order[np.append(key[1:] != key[:-1], True)] if len(order) else order
        places = sparse.csr_matrix(
            (place[kept].astype(np.float32), (telling.owners()[kept], telling.item[kept])), shape=shape
        )
        count = np.bincount(last.indices, minlength=lists.n_items)
        idf = np.log1p(max(len(telling), 1) / (1.0 + count)) ** how.idf
        turned = sparse.csr_matrix(last.T) if len(telling) else no_pairs(lists.n_items, 1)
        return cls(how, last, turned, places, idf.astype(np.float32), popularity(lists))

    def score(self, lists: EventLists) -> Floats:
        return with_backoff(self.evidence(lists), self.popular)

    def evidence(self, lists: EventLists) -> Floats:
        """What neighbours say, 0 where they say nothing: float32 [B, N]."""
        asked = profiles(lists, self.how.decay)
        asked.data = asked.data * self.idf[asked.indices]
        if not self.rows.shape[0]:
            return np.zeros((len(lists), lists.n_items), dtype=np.float32)
        alike = sparse.csr_matrix(asked @ self.turned)
        sizes = np.maximum(np.diff(self.rows.indptr), 1).astype(np.float32)
        alike.data = alike.data / sizes[alike.indices] ** self.how.length
        if self.how.recent:
            age = (self.rows.shape[0] - 1 - alike.indices) / self.rows.shape[0]
            alike.data = alike.data * np.exp(-self.how.recent * age)
        alike = strongest(alike, self.how.neighbours)
        if self.how.near >= 1.0:
            found = np.asarray((alike @ self.rows).toarray(), dtype=np.float32)
        else:
            found = self._spoken(lists, alike)
        if self.how.popular_discount:
            count = np.asarray(self.rows.sum(axis=0)).ravel()
            found /= (np.maximum(count, 1.0) ** self.how.popular_discount).astype(np.float32)[None, :]
        return found

    def _spoken(self, lists: EventLists, alike: Csr) -> Floats:
        """Sums of likeness * near ** (places between the latest common item and the item spoken for - 1)."""
        anchor = self._latest_common(lists, alike)
        sizes = np.diff(self.rows.indptr)[alike.indices]
        owner = np.repeat(np.repeat(np.arange(len(lists)), np.diff(alike.indptr)), sizes)
        at = ranges(self.places.indptr[alike.indices].astype(np.int64), sizes.astype(np.int64))
        apart = np.abs(self.places.data[at] - np.repeat(anchor, sizes))
        weight = np.repeat(alike.data, sizes) * self.how.near ** np.maximum(apart - 1.0, 0.0)
        key = owner * lists.n_items + self.places.indices[at]
        found = np.bincount(key, weights=weight, minlength=len(lists) * lists.n_items)
        return found.reshape(len(lists), lists.n_items).astype(np.float32)

    @cached_property
    def _keys(self) -> NDArray[np.int64]:
        """What is stored in `places`, as list * N + item, ascending."""
        owner = np.repeat(np.arange(self.places.shape[0]), np.diff(self.places.indptr))
        return owner * self.places.shape[1] + self.places.indices

    def _latest_common(self, lists: EventLists, alike: Csr) -> NDArray[np.float64]:
        """Per pair of list and neighbour, the place in the neighbour of the list's latest item it holds."""
        n_items, n_pairs, keys = lists.n_items, len(alike.indices), self._keys
        owner = np.repeat(np.arange(len(lists)), np.diff(alike.indptr))
        anchor = np.zeros(n_pairs)
        open_pairs = np.arange(n_pairs)
        for back in range(1, int(lists.lengths.max(initial=0)) + 1):
            open_pairs = open_pairs[lists.lengths[owner[open_pairs]] >= back]
            if not len(open_pairs):
                break
            item = lists.item[lists.indptr[1:][owner[open_pairs]] - back]
            wanted = alike.indices[open_pairs].astype(np.int64) * n_items + item
            place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            hit = keys[place] == wanted
            anchor[open_pairs[hit]] = self.places.data[place[hit]]
            open_pairs = open_pairs[~hit]
        return anchor


Fit = Callable[[EventLists], Scorer]


def blocks(lists: EventLists, cells: int) -> Sequence[NDArray[np.int64]]:
    """Rows of the lists in blocks of at most `cells` scores."""
    size = max(1, cells // max(1, lists.n_items))
    return [np.arange(start, min(len(lists), start + size)) for start in range(0, len(lists), size)]
