"""Who is judged by what: splits into a part that teaches and a part that judges, and what was bought in the
latter.

- `split_at`, `split_last_days`, `rolling_windows`: all before a moment teaches, a window from it judges. The
  future never teaches.
- `leave_one_out`: what each shopper did before their last purchase teaches, that purchase judges. What others
  did later teaches too.
- `k_fold`: all pairs of shopper and item but one fold's teach, that fold's judge. Times are ignored.

Only the first tells what a shop will see; the other two are there to compare with published figures and for
data without usable times (Campos, Diez, Cantador 2014, "Time-aware recommender systems: a comprehensive
survey and analysis of existing evaluation protocols").
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from apps.ml.dataset import DAY, Dataset, Ints
from apps.ml.errors import DataMissing, InvalidValue

Variant = Literal["new", "all"]
VARIANTS: tuple[Variant, ...] = ("new", "all")


class NobodyToJudge(UserWarning):
    """A window was left out because no shopper known before it buys in it."""


@dataclass(frozen=True)
class Split:
    """train: what may teach; test: what judges. cut: the moment between them (epoch seconds); where shoppers
    have moments of their own (`leave_one_out`, `k_fold`) it is the end of the data.
    """

    train: Dataset
    test: Dataset
    cut: float

    @property
    def catalogue_size(self) -> int:
        """Items with at least one training event."""
        return len(self.train.known_items)


@dataclass(frozen=True)
class Truth:
    """What each test user bought: users int64 [n] raw ids, ascending; items int64 [nnz] raw ids, distinct
    per user; indptr int64 [n + 1]. Every user has at least one item.
    """

    users: Ints
    items: Ints
    indptr: Ints

    def __len__(self) -> int:
        return len(self.users)

    @property
    def sizes(self) -> Ints:
        return np.diff(self.indptr)

    def of(self, index: int) -> Ints:
        return self.items[self.indptr[index] : self.indptr[index + 1]]

    def take(self, rows: Ints) -> Truth:
        """The users at these rows, ascending."""
        sizes = self.sizes[rows]
        items = np.concatenate([self.of(int(row)) for row in rows]) if len(rows) else self.items[:0]
        return Truth(self.users[rows], items, np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64))

    def only(self, mask: NDArray[np.bool_]) -> tuple[Truth, Ints]:
        """The pairs under the mask (bool [nnz]), and the rows of the users that keep any."""
        owner = np.repeat(np.arange(len(self)), self.sizes)[mask]
        rows, counts = np.unique(owner, return_counts=True)
        kept = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Truth(self.users[rows], self.items[mask], kept), rows.astype(np.int64)

    @classmethod
    def from_pairs(cls, users: Ints, items: Ints) -> Truth:
        """From parallel raw ids; repeats count once."""
        pairs = (
            np.unique(np.stack([users, items], axis=1), axis=0) if len(users) else np.zeros((0, 2), np.int64)
        )
        names, counts = np.unique(pairs[:, 0], return_counts=True)
        return cls(names, pairs[:, 1], np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


def split_at(dataset: Dataset, cut: float, until: float | None = None) -> Split:
    """Train before `cut`, test from `cut` (to before `until`)."""
    return Split(dataset.before(cut), dataset.since(cut, until), cut)


def split_last_days(dataset: Dataset, days: float) -> Split:
    """Test on the last `days` days of the data, train on everything before. InvalidValue if nothing is left
    to train.
    """
    cut = dataset.end - days * DAY
    split = split_at(dataset, cut)
    if not len(split.train):
        raise InvalidValue("days", days, "The data is not longer than the test window; use fewer days.")
    return split


def rolling_windows(dataset: Dataset, days: float = 30.0, windows: int = 3) -> list[Split]:
    """The last `windows` windows of `days` days, oldest first; each trains on everything before it.

    A window in which no shopper known before it buys is left out with a NobodyToJudge warning. InvalidValue
    when the data does not reach back before the oldest window, or when no window can be judged.
    """
    if days <= 0:
        raise InvalidValue("days", days, "A window needs a length above 0 days.")
    if windows < 1:
        raise InvalidValue("windows", windows, "Use at least one window.")
    # the last window is closed at the end: the last event belongs to it
    ends = [None, *(dataset.end - step * days * DAY for step in range(1, windows))]
    cuts = [dataset.end - step * days * DAY for step in range(1, windows + 1)]
    splits = [split_at(dataset, cut, until) for cut, until in zip(cuts, ends, strict=True)][::-1]
    if not len(splits[0].train):
        raise InvalidValue(
            "windows", windows, f"The data does not reach back {windows * days:g} days; use fewer or shorter."
        )
    judged = []
    for split in splits:
        if len(truth_of(split, "all")):
            judged.append(split)
        else:
            warnings.warn(f"{_dates(split.cut, days)}: no known shopper buys", NobodyToJudge, stacklevel=2)
    if not judged:
        raise InvalidValue("days", days, "No known shopper buys in any of the windows; use longer ones.")
    return judged


def leave_one_out(dataset: Dataset, offset: int = 0) -> Split:
    """Test on each shopper's last purchase, train on what they did before it.

    offset: 0 holds out the last purchase (the test), 1 the one before it (the validation; the last one then
    belongs to neither part), and so on. A shopper with `offset + 1` purchases or fewer only teaches. Nothing
    a shopper did from their held-out purchase on teaches; what others did later does, as is usual in this
    protocol. Purchases of one moment count in the order of the data.
    """
    if offset < 0:
        raise InvalidValue("offset", offset, "0 is the last purchase, 1 the one before it.")
    purchases = dataset.purchases()
    places = np.flatnonzero(dataset.purchase_mask() & (dataset.user >= 0))
    users = dataset.user[places]
    order = np.argsort(users, kind="stable")
    counts = np.bincount(users, minlength=len(dataset.users))
    stops = np.cumsum(counts)
    long_enough = counts > offset + 1
    held = places[order][stops[long_enough] - 1 - offset]
    if not len(held):
        raise DataMissing(
            f"no shopper has more than {offset + 1} of {len(purchases)} purchases; nothing can be held out"
        )
    first_held = np.full(len(dataset.users) + 1, len(dataset), dtype=np.int64)
    first_held[dataset.user[held]] = held
    # the row of the anonymous (-1) is the last one, where nothing is held
    teaches = np.arange(len(dataset)) < first_held[dataset.user]
    return _by_mask(dataset, teaches, _mask(len(dataset), held))


def k_fold(dataset: Dataset, folds: int = 5, seed: int = 0) -> Iterator[Split]:
    """Each shopper's purchased items dealt at random to `folds` parts; each part judges once.

    All events of a held-out pair of shopper and item leave training, views and repeats too. Each shopper's
    items are spread evenly. Anonymous events always teach.
    """
    if folds < 2:
        raise InvalidValue("folds", folds, "Use at least two folds.")
    width = max(len(dataset.items), 1)
    mine = dataset.purchase_mask() & (dataset.user >= 0)
    pairs = np.unique(dataset.user[mine] * width + dataset.item[mine])
    if not len(pairs):
        raise DataMissing("no shopper bought anything; there is nothing to deal to folds")
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(pairs))
    order = shuffled[np.argsort(pairs[shuffled] // width, kind="stable")]
    owners = pairs[order] // width
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
    place_of_own = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    first = np.repeat(rng.integers(0, folds, len(starts)), np.diff(np.r_[starts, len(order)]))
    fold_of_pair = np.empty(len(pairs), dtype=np.int64)
    fold_of_pair[order] = (place_of_own + first) % folds
    keys = dataset.user * width + dataset.item
    place = np.minimum(np.searchsorted(pairs, keys), len(pairs) - 1)
    fold = np.where((dataset.user >= 0) & (pairs[place] == keys), fold_of_pair[place], -1)
    for number in range(folds):
        yield _by_mask(dataset, fold != number, (fold == number) & mine)


def truth_of(split: Split, variant: Variant) -> Truth:
    """What shoppers known in training bought in the test window. "new": only what they had not bought
    before.
    """
    test = split.test.purchases()
    known = np.isin(test.user_ids, split.train.known_users)
    users, items = test.user_ids[known], test.item_ids[known]
    if variant == "new":
        span = np.int64(max(int(split.train.items.ids.max(initial=0)), int(items.max(initial=0))) + 1)
        past = split.train.purchases()
        fresh = ~np.isin(users * span + items, past.user_ids * span + past.item_ids)
        users, items = users[fresh], items[fresh]
    return Truth.from_pairs(users, items)


def _mask(n: int, places: Ints) -> NDArray[np.bool_]:
    mask = np.zeros(n, dtype=np.bool_)
    mask[places] = True
    return mask


def _by_mask(dataset: Dataset, train: NDArray[np.bool_], test: NDArray[np.bool_]) -> Split:
    whole = replace(dataset, withdrawn=None)
    judged = np.full(len(dataset.users) + 1, np.inf)
    np.minimum.at(judged, dataset.user[test], dataset.timestamp[test])
    # what a shopper asked once a judged event had come may tell of it
    taught = replace(whole.select(train), searches=dataset.searches.until(judged[:-1]))
    return Split(taught, whole.select(test), dataset.end)


def _dates(cut: float, days: float) -> str:
    first, last = (datetime.fromtimestamp(moment, UTC).date() for moment in (cut, cut + days * DAY))
    return f"{first} to {last}"
