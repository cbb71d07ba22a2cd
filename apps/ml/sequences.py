"""Histories in order of time, and batches of them in which every position is trained at once.

Shape suffixes: B rows of a batch, M positions of its longest row, P positions that hold a target.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from apps.ml.configs.queries import QueryDials
from apps.ml.configs.sequences import Repeats, SequenceConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.signals import Csr, relative_weights
from apps.ml.topn import Floats

MINUTE = 60.0
BUCKET_BATCHES = 32
"""Rows are sorted by length within this many batches: almost no padding, and batches still differ."""
SPAN = 0.3
"""Part of a row that `reorder` permutes."""
LEAST_CROP = 0.4
"""Least part of a row that `crop` keeps."""


@dataclass(frozen=True)
class Sequences:
    """Histories one after the other. items: int64 [T] rows of the catalogue; time: float64 [T], epoch s;
    strength: float32 [T], relative weight of the event's kind; start: int64 [n + 1]; owner: int64 [n], row
    of the shopper, -1 for an anonymous session. asked: float32 CSR [T, queries], what had been searched for
    lately when each event came (`Searches.heard`), None where nobody listens.
    """

    items: Ints
    time: NDArray[np.float64]
    strength: Floats
    start: Ints
    owner: Ints
    asked: Csr | None = None

    def __len__(self) -> int:
        return len(self.owner)

    @cached_property
    def lengths(self) -> Ints:
        return np.diff(self.start)

    @cached_property
    def row_of(self) -> Ints:
        """The history each event belongs to: int64 [T]."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def select(self, kept: NDArray[np.bool_]) -> Self:
        """The events under the mask; a history that loses all of them stays, empty."""
        counts = np.bincount(self.row_of[kept], minlength=len(self))
        return replace(
            self,
            items=self.items[kept],
            time=self.time[kept],
            strength=self.strength[kept],
            start=_starts(counts),
            asked=None if self.asked is None else sparse.csr_matrix(self.asked[np.flatnonzero(kept)]),
        )

    def tails(self, length: int) -> Self:
        """The last `length` events of each history."""
        place_from_end = np.repeat(self.start[1:], self.lengths) - np.arange(len(self.items))
        return self.select(place_from_end <= length)

    def shuffled_ties(self, rng: np.random.Generator) -> Self:
        """Events of one moment in another order; what was asked came before all of them."""
        order = np.lexsort((rng.random(len(self.items)), self.time, self.row_of))
        return replace(self, items=self.items[order], time=self.time[order], strength=self.strength[order])


def sequences_of(
    dataset: Dataset, repeats: Repeats, anonymous: bool = True, dials: QueryDials | None = None
) -> Sequences:
    """One history per shopper with an event of positive weight, then one per anonymous basket or session.

    dials: listens to searches as they say, and not at all where they are None.
    """
    weights = relative_weights(dataset)
    kept = (weights > 0) & ((dataset.user >= 0) | (anonymous & (dataset.basket >= 0)))
    user, basket = dataset.user[kept], dataset.basket[kept]
    key = np.where(user >= 0, user, len(dataset.users) + basket)
    # events ascend in time already: a stable sort by owner is all it takes
    order = np.argsort(key, kind="stable")
    keys, counts = np.unique(key, return_counts=True)
    found = Sequences(
        dataset.item[kept][order],
        dataset.timestamp[kept][order],
        weights[kept][order].astype(np.float32),
        _starts(counts),
        np.where(keys < len(dataset.users), keys, -1).astype(np.int64),
    )
    found = _repeats_treated(found, repeats)
    if dials is None or not dials.queries or not len(dataset.searches):
        return found
    return replace(
        found, asked=dataset.searches.heard(keys[found.row_of], found.time, len(dataset.users), dials)
    )


def _repeats_treated(found: Sequences, repeats: Repeats) -> Sequences:
    if repeats == "keep" or not len(found.items):
        return found
    row, item = found.row_of, found.items
    if repeats == "collapse":
        first = np.ones(len(item), dtype=np.bool_)
        first[1:] = (item[1:] != item[:-1]) | (row[1:] != row[:-1])
        # the one event that stands for the run is as strong as the strongest of it
        strongest = np.maximum.reduceat(found.strength, np.flatnonzero(first)).astype(np.float32)
        return replace(found.select(first), strength=strongest)
    pair = row * (int(item.max()) + 1) + item
    if repeats == "last":
        _, place = np.unique(pair[::-1], return_index=True)
        place = len(pair) - 1 - place
    else:
        _, place = np.unique(pair, return_index=True)
    kept = np.zeros(len(pair), dtype=np.bool_)
    kept[place] = True
    return found.select(kept)


def _starts(counts: NDArray[Any]) -> Ints:
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


@dataclass(frozen=True)
class Bags:
    """Weighted hashed words, one bag after the other. words: int64 [W]; start: int64 [P], where each bag
    begins; weights: float32 [W].
    """

    words: torch.Tensor
    start: torch.Tensor
    weights: torch.Tensor

    @classmethod
    def from_rows(cls, rows: Csr) -> Self:
        """One bag per row of a matrix [P, buckets]."""
        return cls(
            torch.from_numpy(rows.indices.astype(np.int64)),
            torch.from_numpy(rows.indptr[:-1].astype(np.int64)),
            torch.from_numpy(rows.data.astype(np.float32)),
        )

    def to(self, device: torch.device) -> Bags:
        """The same bags on this device."""
        return Bags(self.words.to(device), self.start.to(device), self.weights.to(device))


@dataclass(frozen=True)
class SequenceBatch:
    """items: int64 [B, M], padded at the end; pauses: int64 [B, M] or None; picked: int64 [P], places of the
    flattened [B * M] that have a target; targets: int64 [P]; weights: float32 [P]; asked: words of the
    searches before each target, None where nobody listens.
    """

    items: torch.Tensor
    pauses: torch.Tensor | None
    picked: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    asked: Bags | None = None

    def to(self, device: torch.device) -> SequenceBatch:
        """The same batch on this device."""
        pauses = None if self.pauses is None else self.pauses.to(device)
        asked = None if self.asked is None else self.asked.to(device)
        return SequenceBatch(
            self.items.to(device),
            pauses,
            self.picked.to(device),
            self.targets.to(device),
            self.weights.to(device),
            asked,
        )


def pause_buckets(time_BM: NDArray[np.float64], buckets: int) -> Ints:
    """How long before each event the one before it came: 0 for the first, then 1 + log2(1 + minutes)."""
    pauses = np.zeros(time_BM.shape, dtype=np.int64)
    minutes = np.maximum(np.diff(time_BM, axis=1), 0.0) / MINUTE
    pauses[:, 1:] = 1 + np.minimum(np.log2(1.0 + minutes), buckets - 1).astype(np.int64)
    return pauses


@dataclass(frozen=True)
class SequenceBatches:
    """Histories cut into rows of at most max_length inputs, each position with the item that follows.

    padding / hidden: item rows that stand for nothing and for a masked item. batch_size: rows in a step of
    this process. A history longer than a row is cut at another place each epoch. words: float32 CSR
    [T, buckets], hashed words of what was asked before each event of the sequences.
    """

    sequences: Sequences
    config: SequenceConfig
    batch_size: int
    padding: int
    hidden: int
    device: torch.device
    words: Csr | None = None

    def __len__(self) -> int:
        inputs = np.maximum(self.sequences.lengths - 1, 0)
        return -(-int((-(-inputs // self.config.max_length)).sum()) // self.batch_size)

    def epoch(self, rng: np.random.Generator) -> Iterator[SequenceBatch]:
        source = self.sequences.shuffled_ties(rng) if self.config.shuffle_ties else self.sequences
        first, length, stop = self._rows(rng)
        order = rng.permutation(len(first))
        chunk = self.batch_size * BUCKET_BATCHES
        batches: list[Ints] = []
        for begin in range(0, len(order), chunk):
            part = order[begin : begin + chunk]
            part = part[np.argsort(length[part], kind="stable")]
            batches += [part[at : at + self.batch_size] for at in range(0, len(part), self.batch_size)]
        for place in rng.permutation(len(batches)):
            rows = batches[place]
            yield self._batch(source, first[rows], length[rows], stop[rows], rng).to(self.device)

    def _rows(self, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
        """First event, number of inputs and end of the history of each row; every input is in one row."""
        inputs = np.maximum(self.sequences.lengths - 1, 0)
        size = self.config.max_length
        counts = -(-inputs // size)
        # the first row of a long history is shorter by a random amount as long as that makes no further row
        slack = rng.integers(0, np.maximum(counts * size - inputs, 0) + 1)
        owner = np.repeat(np.arange(len(inputs)), counts)
        number = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        begin = np.maximum(number * size - slack[owner], 0)
        end = np.minimum((number + 1) * size - slack[owner], inputs[owner])
        first, length = self.sequences.start[owner] + begin, end - begin
        if self.config.crop:
            first, length = _cropped(first, length, self.config.crop, rng)
        kept = length > 0
        return first[kept], length[kept], self.sequences.start[owner + 1][kept]

    def _batch(
        self, source: Sequences, first: Ints, length: Ints, stop: Ints, rng: np.random.Generator
    ) -> SequenceBatch:
        config, longest = self.config, int(length.max())
        places = first[:, None] + np.arange(longest + 1)
        valid = np.arange(longest) < length[:, None]
        places = np.minimum(places, stop[:, None] - 1)
        if config.reorder:
            _reorder(places, length, config.reorder, rng)
        # known while the target is guessed is what was asked before the very next event, not a later one
        following = upcoming = places[:, 1:]
        if config.horizon > 1:
            ahead = rng.integers(0, config.horizon, following.shape)
            following = np.minimum(following + ahead, stop[:, None] - 1)
        items = np.where(valid, source.items[places[:, :-1]], self.padding)
        if config.mask:
            items[valid & (rng.random(items.shape) < config.mask)] = self.hidden
        pauses = (
            pause_buckets(source.time[places[:, :-1]], config.time_buckets) if config.time_buckets else None
        )
        picked = np.flatnonzero(valid)
        targets = following.reshape(-1)[picked]
        weights = source.strength[targets] if config.strength else np.ones(len(picked), dtype=np.float32)
        return SequenceBatch(
            torch.from_numpy(items),
            None if pauses is None else torch.from_numpy(pauses),
            torch.from_numpy(picked),
            torch.from_numpy(source.items[targets]),
            torch.from_numpy(weights),
            None if self.words is None else Bags.from_rows(self.words[upcoming.reshape(-1)[picked]]),
        )


def _cropped(first: Ints, length: Ints, share: float, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Some rows lose a random part at either end."""
    part = LEAST_CROP + (1.0 - LEAST_CROP) * rng.random(len(length))
    kept = np.maximum(np.ceil(part * length).astype(np.int64), np.minimum(length, 1))
    kept = np.where(rng.random(len(length)) < share, kept, length)
    return first + rng.integers(0, length - kept + 1), kept


def _reorder(places: Ints, length: Ints, share: float, rng: np.random.Generator) -> None:
    """Permutes a random stretch of some rows in place."""
    for row in np.flatnonzero(rng.random(len(places)) < share):
        span = max(2, int(SPAN * (length[row] + 1)))
        begin = int(rng.integers(0, max(int(length[row]) + 2 - span, 1)))
        end = min(begin + span, int(length[row]) + 1)
        places[row, begin:end] = rng.permutation(places[row, begin:end])
