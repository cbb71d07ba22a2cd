"""Full-catalogue evaluation of ranked lists: splits by time, truth, metrics per user, bootstrap intervals.

With the top-k list of a user and the set T of what they really bought (T not empty), all means over users:
recall20 = |hits in top 20| / |T|; precision10 = |hits in top 10| / 10; hit10 = any hit in top 10;
mrr10 = 1 / rank of the first hit in top 10, else 0; ndcg10 = sum of 1/log2(rank + 1) over hits in top 10,
divided by the same sum for a perfect list of min(|T|, 10). coverage10 = distinct items in all top-10 lists /
catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from apps.ml.dataset import DAY, Dataset, Ints
from apps.ml.errors import InvalidValue
from apps.ml.topn import TopN

Variant = Literal["new", "all"]
VARIANTS: tuple[Variant, ...] = ("new", "all")
USER_METRICS = ("ndcg10", "recall20", "mrr10", "hit10", "precision10")
RESAMPLES = 1_000

PerUser = NDArray[np.float64]


@dataclass(frozen=True)
class Split:
    """train: events before `cut` (epoch seconds); test: events from `cut` on."""

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

    @classmethod
    def from_pairs(cls, users: Ints, items: Ints) -> Truth:
        """From parallel raw ids; repeats count once."""
        pairs = (
            np.unique(np.stack([users, items], axis=1), axis=0) if len(users) else np.zeros((0, 2), np.int64)
        )
        names, counts = np.unique(pairs[:, 0], return_counts=True)
        return cls(names, pairs[:, 1], np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap 95 % interval over users."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Evaluation:
    """per_user: metric name to float64 [n]; coverage10 belongs to the set of lists, not to a user."""

    per_user: Mapping[str, PerUser]
    coverage10: float
    seed: int = 0

    @property
    def n_users(self) -> int:
        return len(next(iter(self.per_user.values())))

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        names = list(self.per_user)
        values = np.stack([self.per_user[name] for name in names], axis=1)
        means, low, high = _bootstrap(values, self.seed)
        return {name: Interval(means[i], low[i], high[i]) for i, name in enumerate(names)}

    def mean(self, metric: str) -> float:
        if metric == "coverage10":
            return self.coverage10
        return float(self.per_user[metric].mean()) if self.n_users else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: means by metric, coverage10, users, and [low, high] under "intervals".

        Coverage has no interval: a resample holds fewer distinct users, so its coverage is always too low.
        """
        return {
            **{name: round(interval.mean, 6) for name, interval in self.intervals.items()},
            "coverage10": round(self.coverage10, 6),
            "users": self.n_users,
            "intervals": {
                name: [round(interval.low, 6), round(interval.high, 6)]
                for name, interval in self.intervals.items()
            },
        }


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


def hits_of(top: TopN, truth: Truth) -> NDArray[np.bool_]:
    """Which places of the lists are in the truth; rows as in truth.users: bool [n, k]."""
    if len(top) != len(truth):
        raise ValueError(f"{len(top)} lists for {len(truth)} users")
    items = np.unique(truth.items)
    span = len(items) + 1
    owner = np.repeat(np.arange(len(truth)), truth.sizes)
    wanted = np.sort(owner * span + np.searchsorted(items, truth.items))
    place = np.searchsorted(items, top.ids)
    exists = (
        (place < len(items)) & (items[np.minimum(place, len(items) - 1)] == top.ids)
        if len(items)
        else place < 0
    )
    keys = np.arange(len(top))[:, None] * span + place
    found: NDArray[np.bool_] = exists & np.isin(keys, wanted)
    return found


def per_user_metrics(top: TopN, truth: Truth) -> dict[str, PerUser]:
    """Every metric of USER_METRICS for every user: float64 [n] each."""
    hits = hits_of(top, truth)
    first = hits[:, :10]
    ranks = np.arange(1, first.shape[1] + 1)
    gains = (first / np.log2(ranks + 1)).sum(axis=1)
    perfect = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, 12)))])[np.minimum(truth.sizes, 10)]
    return {
        "ndcg10": gains / perfect,
        "recall20": hits[:, :20].sum(axis=1) / truth.sizes,
        "mrr10": (first / ranks).max(axis=1, initial=0.0),
        "hit10": first.any(axis=1).astype(np.float64),
        "precision10": first.sum(axis=1) / 10.0,
    }


def evaluate_lists(top: TopN, truth: Truth, catalogue_size: int, seed: int = 0) -> Evaluation:
    """Scores lists of at least 20 places whose rows are truth.users; catalogue_size: items that could be
    listed.
    """
    shown = np.unique(top.ids[:, :10])
    coverage = int((shown >= 0).sum()) / catalogue_size if catalogue_size else 0.0
    return Evaluation(per_user_metrics(top, truth), coverage, seed)


def paired_difference(a: PerUser, b: PerUser, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """Mean of a - b over the same users in the same order, with its bootstrap 95 % interval."""
    if a.shape != b.shape:
        raise ValueError(f"paired values must be of the same users, got {a.shape} and {b.shape}")
    means, low, high = _bootstrap((a - b)[:, None], seed, resamples)
    return Interval(means[0], low[0], high[0])


def _bootstrap(
    values: NDArray[np.float64], seed: int, resamples: int = RESAMPLES
) -> tuple[list[float], list[float], list[float]]:
    """Percentile bootstrap of column means over rows [n, m]."""
    n, m = values.shape
    if n == 0:
        return [0.0] * m, [0.0] * m, [0.0] * m
    rng = np.random.default_rng(seed)
    draws = np.empty((resamples, m))
    for row in range(resamples):
        counts = np.bincount(rng.integers(0, n, n), minlength=n)
        draws[row] = counts @ values / n
    low, high = np.percentile(draws, [2.5, 97.5], axis=0)
    return values.mean(axis=0).tolist(), low.tolist(), high.tolist()
