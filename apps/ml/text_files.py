"""Plain text files of events: a user and their items a line, a session a line, a basket a line.

Ids are any text without blanks; they need not be numbers. What a file has that cannot be used (lines without
items, a line that occurs twice) is left out and said in `warnings`; a file with nothing usable is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from csv import reader
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.ml.association_rules import basket_matrix
from apps.ml.dataset import Ints
from apps.ml.errors import DataMissing, InvalidValue
from apps.ml.signals import Csr

SHOWN = 3
"""Examples named in a warning."""


@dataclass(frozen=True)
class EventLists:
    """Items chosen by each user (or in each session), in order: list r is item[indptr[r] : indptr[r + 1]].

    names: one per list. items: the catalogue; `item` holds rows of it. int64 [n + 1] and [events].
    """

    names: NDArray[np.object_]
    items: NDArray[np.object_]
    indptr: Ints
    item: Ints
    warnings: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def n_items(self) -> int:
        return len(self.items)

    @property
    def lengths(self) -> Ints:
        return np.diff(self.indptr)

    def row(self, index: int) -> Ints:
        return self.item[self.indptr[index] : self.indptr[index + 1]]

    def take(self, rows: Ints) -> EventLists:
        """These lists in this order, with the same catalogue."""
        lengths = self.lengths[rows]
        return replace(
            self,
            names=self.names[rows],
            indptr=offsets(lengths),
            item=self.item[ranges(self.indptr[:-1][rows], lengths)],
        )

    def without_last(self, n: int) -> EventLists:
        """Every list without its last n items; shorter ones become empty."""
        lengths = np.maximum(self.lengths - n, 0)
        return replace(self, indptr=offsets(lengths), item=self.item[ranges(self.indptr[:-1], lengths)])

    def last(self, n: int) -> EventLists:
        """At most the last n items of every list."""
        lengths = np.minimum(self.lengths, n)
        return replace(
            self, indptr=offsets(lengths), item=self.item[ranges(self.indptr[1:] - lengths, lengths)]
        )

    def owners(self) -> Ints:
        """The list of each event: int64 [events]."""
        return np.repeat(np.arange(len(self)), self.lengths)

    def from_end(self) -> Ints:
        """How many items follow each event in its list: int64 [events], 0 = the last."""
        return np.repeat(self.indptr[1:], self.lengths) - np.arange(len(self.item)) - 1


def offsets(lengths: Ints) -> Ints:
    """Row pointers of lists of these lengths: int64 [n + 1]."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def ranges(starts: Ints, lengths: Ints) -> Ints:
    """starts[0], starts[0] + 1, …, lengths[0] of them; then of starts[1], and so on: int64 [sum]."""
    total = int(lengths.sum())
    before = np.repeat(np.cumsum(lengths) - lengths, lengths)
    return np.repeat(starts, lengths) + np.arange(total) - before


def event_lists_read(path: str | Path, what: str = "FILE") -> EventLists:
    """Reads `user item item …` lines; lines of the same user are joined in the order of the file.

    what: how messages call the file. Raises DataMissing when it does not exist or holds no event,
    InvalidValue when it is no text.
    """
    users: list[str] = []
    counts: list[int] = []
    tokens: list[str] = []
    bare: list[str] = []
    for line in _lines(path, what):
        user, *items = line.split()
        if items:
            users.append(user)
            counts.append(len(items))
            tokens.extend(items)
        else:
            bare.append(user)
    if not tokens:
        raise DataMissing(f"{what}: {path} holds no line `user item item …`; nothing can be learned from it.")
    codes, names = pd.factorize(np.asarray(users, dtype=object))
    item, items_named = pd.factorize(np.asarray(tokens, dtype=object))
    lists = EventLists(
        names, items_named, offsets(np.asarray(counts)), item.astype(np.int64), _bare_said(bare)
    )
    return _joined(lists, codes.astype(np.int64))


def sessions_read(path: str | Path, what: str = "FILE") -> EventLists:
    """Reads one session a line, its items in order; named by their line, counted from 1.

    Raises DataMissing when the file does not exist or holds no item, InvalidValue when it is no text.
    """
    counts: list[int] = []
    tokens: list[str] = []
    for line in _lines(path, what):
        items = line.split()
        counts.append(len(items))
        tokens.extend(items)
    if not tokens:
        raise DataMissing(f"{what}: {path} holds no line `item item …`; nothing can be learned from it.")
    item, named = pd.factorize(np.asarray(tokens, dtype=object))
    names = np.arange(1, len(counts) + 1).astype(object)
    return EventLists(names, named, offsets(np.asarray(counts)), item.astype(np.int64))


def baskets_read(path: str | Path, what: str = "FILE") -> tuple[Csr, list[str], tuple[str, ...]]:
    """Reads one basket a line, items separated by commas: the matrix [n_baskets, n_items], the items' names
    (sorted), and warnings.

    Names hold blanks; a name in double quotes may hold commas. An item twice in a basket counts once.
    """
    baskets: list[list[str]] = []
    repeats = 0
    for line in _lines(path, what):
        cells = next(reader([line], skipinitialspace=True)) if '"' in line else line.split(",")
        names = [name for name in (cell.strip() for cell in cells) if name]
        distinct = list(dict.fromkeys(names))
        repeats += len(names) - len(distinct)
        if distinct:
            baskets.append(distinct)
    if not baskets:
        raise DataMissing(f"{what}: {path} holds no basket; put one a line, items separated by commas.")
    catalogue = sorted({name for basket in baskets for name in basket})
    place = {name: column for column, name in enumerate(catalogue)}
    matrix = basket_matrix([[place[name] for name in basket] for basket in baskets], len(catalogue))
    warnings = (f"{repeats} items stood twice in their basket; each counts once.",) if repeats else ()
    return matrix, catalogue, warnings


def same_catalogue(lists: Sequence[EventLists]) -> list[EventLists]:
    """The same lists over one catalogue: all items of the first, then those new in the next, and so on."""
    catalogue = np.asarray(list(dict.fromkeys(name for one in lists for name in one.items)), dtype=object)
    index = pd.Index(catalogue)
    return [
        replace(one, items=catalogue, item=index.get_indexer(pd.Index(one.items)).astype(np.int64)[one.item])
        for one in lists
    ]


def repeats_of_neighbours(sessions: EventLists) -> NDArray[np.bool_]:
    """Lists that are a list beside them without its last item: bool [n]. Files of prefixes, as networks were
    once trained on, consist of them; a list of one item is never one.
    """
    found = np.zeros(len(sessions), dtype=np.bool_)
    lengths, starts = sessions.lengths, sessions.indptr[:-1]
    first = np.flatnonzero(np.abs(np.diff(lengths)) == 1)
    shared = np.minimum(lengths[first], lengths[first + 1])
    pair = np.repeat(np.arange(len(first)), shared)
    other = sessions.item[ranges(starts[first], shared)] != sessions.item[ranges(starts[first + 1], shared)]
    same = (np.bincount(pair, weights=other, minlength=len(first)) == 0) & (shared > 1)
    shorter = first + (lengths[first + 1] < lengths[first])
    found[shorter[same]] = True
    return found


def _lines(path: str | Path, what: str) -> Iterator[str]:
    """Lines that hold something, without their ends."""
    file = Path(path)
    if not file.is_file():
        raise DataMissing(f"{what}: {path} is no file; give the path of a text file.")
    try:
        with file.open(encoding="utf-8-sig") as opened:
            for line in opened:
                if line.strip():
                    yield line.strip()
    except UnicodeDecodeError as error:
        raise InvalidValue(
            what, str(path), f"It is no UTF-8 text ({error.reason}); save it as UTF-8."
        ) from None


def _joined(lists: EventLists, codes: Ints) -> EventLists:
    """One list per user. A line of two items or more that a user has twice is a copy and counts once."""
    n_users = len(lists.names)
    if len(codes) == n_users:
        return lists
    seen: set[tuple[int, bytes]] = set()
    keep = np.ones(len(codes), dtype=np.bool_)
    for line in np.flatnonzero(np.bincount(codes)[codes] > 1):
        key = (int(codes[line]), lists.row(int(line)).tobytes())
        keep[line] = key not in seen or lists.lengths[line] < 2
        seen.add(key)
    rows = np.flatnonzero(keep)
    rows = rows[np.argsort(codes[rows], kind="stable")]
    placed = EventLists(codes[rows].astype(object), lists.items, *_taken(lists, rows))
    copies = int((~keep).sum())
    warnings = [*lists.warnings]
    if copies:
        warnings.append(f"{copies} lines were copies of another line of the same user and count once.")
    per_user = np.bincount(codes[rows], weights=placed.lengths, minlength=n_users).astype(np.int64)
    return EventLists(lists.names, lists.items, offsets(per_user), placed.item, tuple(warnings))


def _taken(lists: EventLists, rows: Ints) -> tuple[Ints, Ints]:
    lengths = lists.lengths[rows]
    return offsets(lengths), lists.item[ranges(lists.indptr[:-1][rows], lengths)]


def _bare_said(users: Sequence[str]) -> tuple[str, ...]:
    if not users:
        return ()
    shown = ", ".join(users[:SHOWN]) + (", …" if len(users) > SHOWN else "")
    return (f"Lines with a user and no item were left out: {len(users)} ({shown}).",)
