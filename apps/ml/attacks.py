"""Planted attacks: bot shoppers who push items, to test how much they move lists and whether they are seen.

The profile models of Mobasher, Burke, Bhaumik, Williams 2007 ("Toward trustworthy recommender systems"),
without ratings: a bot buys the target items and fillers.

- random: fillers drawn from the catalogue, all alike.
- average: fillers drawn as often as honest shoppers choose them.
- bandwagon: half the fillers are best sellers (the POPULAR most bought), half are random.
- segment: fillers from what goes with one item: the audience of a taste is to be reached.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from apps.ml.dataset import DAY, EVENT_ARRAYS, PURCHASE, Dataset, IdMap, Ints
from apps.ml.errors import DataMissing, InvalidValue

AttackKind = Literal["random", "average", "bandwagon", "segment"]
ATTACK_KINDS: tuple[AttackKind, ...] = get_args(AttackKind)
POPULAR = 20
SEGMENT = 25
VISIT_HOURS = 6.0
"""A bot does all it does within this time."""


@dataclass(frozen=True)
class Attack:
    """bots: profiles. fillers: mean number of filler items of a bot (Poisson, at least 1). days: the bots
    appear within this many days, the last of the data. targets: items pushed, by every bot. asleep_days: each
    bot buys one filler this long before the rest, so that it is no newcomer when it pushes.
    """

    kind: AttackKind
    bots: int
    fillers: int = 12
    days: float = 7.0
    targets: int = 1
    asleep_days: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in ATTACK_KINDS:
            raise InvalidValue("kind", self.kind, f"Use {', '.join(ATTACK_KINDS)}.")
        for name in ("bots", "fillers", "targets", "days"):
            if getattr(self, name) <= 0:
                raise InvalidValue(name, getattr(self, name), "Give a number above 0.")


@dataclass(frozen=True)
class Planted:
    """dataset: the data with the bots in it. bots, targets: raw ids."""

    dataset: Dataset
    bots: Ints
    targets: Ints


def attack_plant(dataset: Dataset, attack: Attack, seed: int = 0) -> Planted:
    """Adds the bots' purchases. Targets are items that few bought, drawn from the lower half by buyers.

    DataMissing for data without shoppers.
    """
    honest = dataset.purchases().identified()
    if not len(honest):
        raise DataMissing("no shopper bought anything; there is nobody to hide among")
    rng = np.random.default_rng(seed)
    n_items = len(dataset.items)
    pairs = np.unique(honest.user * n_items + honest.item)
    buyers = np.bincount(pairs % n_items, minlength=n_items)
    sold = np.flatnonzero(buyers)
    unloved = sold[np.argsort(buyers[sold], kind="stable")][: max(attack.targets, len(sold) // 2)]
    targets = rng.choice(unloved, min(attack.targets, len(unloved)), replace=False)
    chances = _chances(attack.kind, honest, buyers, pairs, rng)
    chances[:, targets] = 0.0
    users, items, stamps = [], [], []
    first = float(dataset.end) - attack.days * DAY
    for bot in range(attack.bots):
        size = max(1, int(rng.poisson(attack.fillers)))
        chance = chances[bot % len(chances)]
        size = min(size, int((chance > 0).sum()))
        chosen = np.r_[targets, rng.choice(n_items, size, replace=False, p=chance / chance.sum())]
        arrived = first + rng.random() * max(attack.days * DAY - VISIT_HOURS * 3_600, 0.0)
        users.append(np.full(len(chosen), bot))
        items.append(rng.permutation(chosen))
        moments = np.sort(arrived + rng.random(len(chosen)) * VISIT_HOURS * 3_600)
        if attack.asleep_days > 0:
            moments[np.flatnonzero(~np.isin(items[-1], targets))[0]] -= attack.asleep_days * DAY
        stamps.append(moments)
    names = int(dataset.users.ids.max()) + 1 + np.arange(attack.bots, dtype=np.int64)
    planted = _added(
        dataset, names, np.concatenate(users), np.concatenate(items), np.concatenate(stamps), honest
    )
    return Planted(planted, names, dataset.items.ids[np.sort(targets)])


def _chances(
    kind: AttackKind, honest: Dataset, buyers: Ints, pairs: Ints, rng: np.random.Generator
) -> NDArray[np.float64]:
    """How likely each item is as a filler: float64 [n_profiles, N], a row for every other bot."""
    everything = (buyers > 0).astype(np.float64)
    if kind == "random":
        return everything[None, :]
    if kind == "average":
        return buyers.astype(np.float64)[None, :]
    if kind == "bandwagon":
        best = np.argsort(-buyers, kind="stable")[:POPULAR]
        mixed = everything / everything.sum()
        mixed[best] += 1.0 / len(best)
        return mixed[None, :]
    n_items = len(buyers)
    anchor = int(rng.choice(n_items, p=buyers / buyers.sum()))
    fans = pairs[pairs % n_items == anchor] // n_items
    theirs = np.bincount(pairs[np.isin(pairs // n_items, fans)] % n_items, minlength=n_items)
    # what the fans buy more often than others do
    lift = theirs / np.maximum(buyers, 1) * (theirs >= min(3, theirs.max()))
    chance = np.zeros(n_items)
    chance[np.argsort(-lift, kind="stable")[:SEGMENT]] = 1.0
    return chance[None, :]


def _added(
    dataset: Dataset,
    names: Ints,
    bot: Ints,
    item: Ints,
    timestamp: NDArray[np.float64],
    honest: Dataset,
) -> Dataset:
    """The events of the bots among the others, in order of time; every bot's visit is a basket of its own."""
    users = IdMap(np.concatenate([dataset.users.ids, names]))
    n = len(bot)
    kind = dataset.kinds.index(PURCHASE) if PURCHASE in dataset.kinds else int(np.median(honest.kind))
    new: dict[str, NDArray[Any]] = {
        "user": len(dataset.users) + bot,
        "item": item,
        "kind": np.full(n, kind, dtype=np.int16),
        "weight": np.full(n, honest.weight.max(), dtype=np.float32),
        "timestamp": timestamp,
        "quantity": np.ones(n, dtype=np.float32),
        "price": np.full(n, np.median(honest.price), dtype=np.float32),
        "basket": int(dataset.basket.max(initial=-1)) + 1 + bot,
        "value": np.zeros(n, dtype=np.float32),
    }
    order = np.argsort(np.concatenate([dataset.timestamp, timestamp]), kind="stable")
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(dataset, name), new[name]])[order] for name in EVENT_ARRAYS
    }
    gone = dataset.withdrawn
    if gone is not None:
        gone = replace(gone, events=replace(gone.events, users=users))
    return replace(
        dataset,
        users=users,
        shoppers=dataset.shoppers.reindex([*dataset.users.ids, *names]),
        withdrawn=gone,
        **joined,
    )
