"""Shilling shoppers: crowds of accounts that came to push an item.

One bot looks like any newcomer; a crowd of them does not. The detector looks for crowds, then at their shape
(the attributes of Burke, Mobasher, Williams, Bhaumik 2006, "Classification features for attack detection in
collaborative recommender systems", rephrased for data without ratings):

1. Burst. A purchase is fresh when its shopper came at most FRESH_DAYS before. In windows of WINDOWS days
   (halves overlapping), the fresh buyers of an item are compared with what newcomers' share of all other
   purchases of those days leads to expect, or with the item's own share of newcomers outside the window where
   that is higher: log10 of the binomial tail. Launches and seasons do not count: old shoppers buy those too.
   At least UNEXPECTED of the crowd must be more than expected, so that most of whom is flagged is to blame.
2. Agreement. Mean cosine between the items of a profile, the target left out: random and average fillers go
   together less than honest choices do (the place of "rating deviation from mean agreement").
3. Similarity. Mean cosine between profiles of the crowd, the target left out: segment and bandwagon fillers
   make bots alike ("degree of similarity with top neighbours").
4. Length. Profiles of nearly one length ("length variance").

2 to 4 are compared with a sample of other shoppers and count at most SHAPE_CAP each. A crowd is flagged when
its burst alone is at least BURST_FLOOR and the sum at least EVIDENCE_FLOOR (both in powers of ten against
chance; thousands of items times dozens of windows are tried). The strongest crowd is taken out and the search
repeated, so that the fillers of bots do not bring honest newcomers under suspicion.

What it cannot see: fewer than MIN_CROWD bots, accounts that lie asleep for longer than FRESH_DAYS before they
push, bots for an item that newcomers buy anyway, and attacks that together make up most of what newcomers do
in a week (each hides in the crowd of the others).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse, stats

from apps.ml.dataset import DAY, Dataset, Ints
from apps.ml.signals import Csr

FRESH_DAYS = 3.0
WINDOWS = (3.0, 14.0, 60.0)
RATE_DAYS = 7.0
"""Newcomers' share of purchases is taken by weeks: it falls as a shop grows old."""
PRIOR_BUYERS = 20.0
MIN_CROWD = 5
UNEXPECTED = 0.5
BURST_FLOOR = 4.0
EVIDENCE_FLOOR = 9.0
SHAPE_CAP = 3.0
REFERENCE = 400
"""Other shoppers whose profiles a crowd's shape is compared with."""
MAX_CROWDS = 25
TRIED = 12
"""Items of the strongest bursts whose crowds are looked at in each round."""

Floats64 = NDArray[np.float64]


@dataclass(frozen=True)
class Crowd:
    """One group that pushed one item. target: raw item id. members: raw shopper ids. first, last: epoch
    seconds of their purchases of it. evidence: powers of ten against chance, by signal (burst, agreement,
    similarity, length).
    """

    target: int
    members: Ints
    first: float
    last: float
    evidence: dict[str, float]

    @property
    def total(self) -> float:
        """All signals together."""
        return sum(self.evidence.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "target": self.target,
            "members": self.members.tolist(),
            "first": self.first,
            "last": self.last,
            "evidence": {name: round(value, 2) for name, value in self.evidence.items()},
        }


@dataclass(frozen=True)
class ShillingFlags:
    """users: raw ids of flagged shoppers, ascending. crowds: why, the strongest first. shoppers: how many
    were looked at.
    """

    users: Ints
    crowds: list[Crowd] = field(default_factory=list)
    shoppers: int = 0

    @property
    def share(self) -> float:
        """Flagged of all shoppers."""
        return len(self.users) / self.shoppers if self.shoppers else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "flagged": self.users.tolist(),
            "shoppers": self.shoppers,
            "share": round(self.share, 6),
            "crowds": [crowd.to_dict() for crowd in self.crowds],
        }


@dataclass(frozen=True)
class _Pairs:
    """First positive event of each shopper and item, by shopper. fresh: float64 0/1, the shopper had come at
    most FRESH_DAYS before.
    """

    user: Ints
    item: Ints
    moment: Floats64
    fresh: Floats64

    def without(self, users: Ints) -> _Pairs:
        kept = ~np.isin(self.user, users)
        return _Pairs(self.user[kept], self.item[kept], self.moment[kept], self.fresh[kept])


@dataclass(frozen=True)
class _Burst:
    """One item in one window: rows of its fresh pairs, and log10 of the tail, negated."""

    item: int
    places: Ints
    evidence: float


def shilling_flags(dataset: Dataset, seed: int = 0) -> ShillingFlags:
    """Shoppers who came in a crowd to push an item; nobody where there are fewer than MIN_CROWD shoppers."""
    pairs = _first_pairs(dataset)
    shoppers = len(np.unique(pairs.user))
    shape = (len(dataset.users), len(dataset.items))
    crowds: list[Crowd] = []
    rng = np.random.default_rng(seed)
    while len(crowds) < MAX_CROWDS and len(pairs.user):
        crowd = _strongest(pairs, shape, rng, dataset)
        if crowd is None:
            break
        crowds.append(crowd)
        pairs = pairs.without(dataset.users.rows(crowd.members))
    flagged = np.unique(np.concatenate([np.zeros(0, np.int64), *(crowd.members for crowd in crowds)]))
    return ShillingFlags(flagged, sorted(crowds, key=lambda crowd: -crowd.total), shoppers)


def without_flagged(dataset: Dataset, flags: ShillingFlags) -> Dataset:
    """The data without what flagged shoppers did."""
    return dataset.select((dataset.user < 0) | ~np.isin(dataset.user_ids, flags.users))


def _first_pairs(dataset: Dataset) -> _Pairs:
    known = (dataset.user >= 0) & (dataset.weight > 0)
    user, item, moment = dataset.user[known], dataset.item[known], dataset.timestamp[known]
    # events ascend in time: the first of each pair is its earliest
    _, first = np.unique(user * max(len(dataset.items), 1) + item, return_index=True)
    joined = np.full(len(dataset.users), np.inf)
    np.minimum.at(joined, user, moment)
    user, item, moment = user[first], item[first], moment[first]
    fresh = (moment - joined[user] <= FRESH_DAYS * DAY).astype(np.float64)
    return _Pairs(user, item, moment, fresh)


def _strongest(
    pairs: _Pairs, shape: tuple[int, int], rng: np.random.Generator, dataset: Dataset
) -> Crowd | None:
    bursts = _bursts(pairs, shape[1])
    if not bursts:
        return None
    profiles = sparse.csr_matrix((np.ones(len(pairs.user)), (pairs.user, pairs.item)), shape=shape)
    found = []
    for burst in bursts:
        members = pairs.user[burst.places]
        evidence = {"burst": burst.evidence, **_shape(profiles, members, burst.item, rng)}
        moments = pairs.moment[burst.places]
        found.append(
            Crowd(
                int(dataset.items.ids[burst.item]),
                np.sort(dataset.users.ids[members]),
                float(moments.min()),
                float(moments.max()),
                evidence,
            )
        )
    best = max(found, key=lambda crowd: crowd.total)
    return best if best.total >= EVIDENCE_FLOOR else None


def _bursts(pairs: _Pairs, n_items: int) -> list[_Burst]:
    """The bursts of the TRIED items with the likeliest ones, each item's strongest only."""
    start = float(pairs.moment.min())
    week = ((pairs.moment - start) / (RATE_DAYS * DAY)).astype(np.int64)
    rate = (np.bincount(week, pairs.fresh) / np.maximum(np.bincount(week), 1))[week]
    best: dict[int, tuple[float, Ints]] = {}
    for days in WINDOWS:
        for offset in (0.0, 0.5):
            window = ((pairs.moment - start) / (days * DAY) + offset).astype(np.int64)
            keys, place = np.unique(window * n_items + pairs.item, return_inverse=True)
            buyers, fresh = np.bincount(place), np.bincount(place, pairs.fresh)
            expected = np.bincount(place, rate) / buyers
            tail = _tail_of(fresh, buyers, expected)
            enough = np.flatnonzero(fresh >= MIN_CROWD)
            for row in enough[np.argsort(-tail[enough], kind="stable")][:TRIED]:
                burst = _measured(pairs, week, np.flatnonzero(place == row))
                item = int(keys[row] % n_items)
                if burst is not None and burst[0] > best.get(item, (0.0, None))[0]:
                    best[item] = burst
    ranked = sorted(best.items(), key=lambda one: -one[1][0])[:TRIED]
    return [_Burst(item, places, evidence) for item, (evidence, places) in ranked]


def _measured(pairs: _Pairs, week: Ints, places: Ints) -> tuple[float, Ints] | None:
    """The evidence of one item's purchases in one window and its fresh ones, None where there is too little.

    The crowd itself is left out of what is expected: in a small shop it would hide behind its own fillers.
    """
    crowd = places[pairs.fresh[places] > 0]
    member = np.zeros(int(pairs.user.max()) + 1, dtype=np.bool_)
    member[pairs.user[crowd]] = True
    others = ~member[pairs.user]
    fresh, everyone = (
        np.bincount(week[others], values[others], minlength=int(week.max()) + 1)
        for values in (pairs.fresh, np.ones(len(week)))
    )
    overall = fresh.sum() / max(everyone.sum(), 1.0)
    # a week in which hardly anybody else came says little: it is drawn to the share of all weeks
    rate = (fresh + PRIOR_BUYERS * overall) / (everyone + PRIOR_BUYERS)
    expected = float(rate[week[places]].mean())
    same = others & (pairs.item == pairs.item[places[0]])
    same[places] = False
    elsewhere = (pairs.fresh[same].sum() + PRIOR_BUYERS * expected) / (same.sum() + PRIOR_BUYERS)
    chance = max(expected, float(elsewhere))
    unexpected = 1.0 - len(places) * chance / len(crowd)
    if unexpected < UNEXPECTED:
        return None
    evidence = float(_tail_of(np.array([len(crowd)]), np.array([len(places)]), np.array([chance]))[0])
    return (evidence, crowd) if evidence >= BURST_FLOOR else None


def _tail_of(fresh: NDArray[Any], buyers: NDArray[Any], chance: NDArray[Any]) -> Floats64:
    """-log10 of the chance that as many of the buyers or more are newcomers."""
    tail: Floats64 = -stats.binom.logsf(fresh - 1, buyers, np.clip(chance, 1e-6, 1.0)) / np.log(10)
    return tail


def _shape(profiles: Csr, members: Ints, target: int, rng: np.random.Generator) -> dict[str, float]:
    """How far the crowd's profiles are from others': evidence by signal, each 0..SHAPE_CAP."""
    lengths = np.diff(profiles.indptr)
    others = np.setdiff1d(np.flatnonzero(lengths > 2), members)
    if len(others) < MIN_CROWD:
        return {}
    if len(others) > REFERENCE:
        others = rng.choice(others, REFERENCE, replace=False)
    mine, theirs = _without_column(profiles[members], target), _without_column(profiles[others], target)
    buyers = np.maximum(np.asarray(profiles.sum(axis=0)).ravel(), 1.0)
    agreement = [_agreement(part, profiles, buyers, own) for part, own in ((mine, members), (theirs, others))]
    similarity = [_similarity(part) for part in (mine, theirs)]
    sizes = [np.log1p(np.diff(part.indptr)) for part in (mine, theirs)]
    spread = float(sizes[1].var(ddof=1))
    uniform = (
        -stats.chi2.logcdf((len(members) - 1) * sizes[0].var(ddof=1) / spread, len(members) - 1) / np.log(10)
        if spread > 0
        else 0.0
    )
    found = {
        "agreement": _tail(*agreement),
        "similarity": _tail(*similarity),
        "length": float(uniform),
    }
    return {name: float(np.clip(value, 0.0, SHAPE_CAP)) for name, value in found.items()}


def _tail(mine: Floats64, theirs: Floats64) -> float:
    """-log10 of the two-sided tail of the crowd's mean under the others' mean and spread."""
    mine, theirs = mine[np.isfinite(mine)], theirs[np.isfinite(theirs)]
    if len(mine) < 2 or len(theirs) < 2 or theirs.std() == 0:
        return 0.0
    z = (mine.mean() - theirs.mean()) / (theirs.std(ddof=1) / np.sqrt(len(mine)))
    return float(-(np.log(2) + stats.norm.logsf(abs(z))) / np.log(10))


def _without_column(matrix: Csr, column: int) -> Csr:
    kept = sparse.csr_matrix(matrix, copy=True)
    kept.data[kept.indices == column] = 0.0
    kept.eliminate_zeros()
    return kept


def _agreement(part: Csr, profiles: Csr, buyers: Floats64, own: Ints) -> Floats64:
    """Mean cosine over pairs of a profile's items, the shopper's own choices not counted: float64 [n], NaN
    for fewer than two items.
    """
    n = np.diff(part.indptr).astype(np.float64)
    scaled = part @ sparse.diags(1 / np.sqrt(buyers))
    met = sparse.csr_matrix(scaled @ profiles.T)
    both = sparse.csr_matrix(part @ sparse.diags(1 / buyers)) @ profiles.T
    rows = np.arange(part.shape[0])
    squares = np.asarray(met.multiply(met).sum(axis=1)).ravel() - np.asarray(met[rows, own]).ravel() ** 2
    singles = np.asarray(both.sum(axis=1)).ravel() - np.asarray(both[rows, own]).ravel()
    return np.divide(squares - singles, n * (n - 1), out=np.full(len(n), np.nan), where=n > 1)


def _similarity(part: Csr) -> Floats64:
    """Mean cosine of each profile with the others of its group: float64 [n], NaN for an empty one."""
    n = np.diff(part.indptr).astype(np.float64)
    unit = sparse.csr_matrix(sparse.diags(1 / np.sqrt(np.maximum(n, 1.0))) @ part)
    total = np.asarray(unit.sum(axis=0)).ravel()
    sums = np.asarray(unit @ total).ravel() - (n > 0)
    return np.where(n > 0, sums / max(len(n) - 1, 1), np.nan)
