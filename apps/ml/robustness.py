"""What bad data costs: NDCG against a share of noisy, missing or fake interactions, by family.

Training data are spoilt, the truth is not:

- noise: this share of the events is moved to another item, drawn as often as items occur (a wrong click, a
  gift, a shared account).
- missing: this share of the events is lost (a broken tracker, an ad blocker).
- fake: bot shoppers add this share of events on top: each bot buys the target items and popular fillers
  (a bandwagon attack, Mobasher et al. 2007; targets are items that nobody much cares for).

A curve falls slowly for a robust model. `kept` is NDCG over that of the clean data; `exposure` is how many of
the honest shoppers find a target item in their first ten, and is given for fake events.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from apps.ml.attacks import Attack, attack_plant
from apps.ml.base import Exclude, Progress, TrainOptions
from apps.ml.configs import Config
from apps.ml.dataset import Dataset, Ints
from apps.ml.errors import InvalidValue
from apps.ml.protocols import Split, Truth, Variant, truth_of
from apps.ml.ranking_metrics import per_user_metrics
from apps.ml.significance import bootstrap
from apps.ml.train import train

Damage = Literal["noise", "missing", "fake"]
DAMAGES: tuple[Damage, ...] = get_args(Damage)
SHARES = (0.0, 0.05, 0.1, 0.2, 0.4)
EXCLUDE: dict[Variant, Exclude] = {"new": "bought", "all": "none"}
BOT_EVENTS = 12
"""Events of one bot."""


@dataclass(frozen=True)
class Point:
    """One share of damage. kept: ndcg10 over that without damage, None where that is 0. exposure: share of
    honest shoppers with a target item in their first ten, None where nothing is faked.
    """

    share: float
    ndcg10: float
    low: float
    high: float
    kept: float | None
    exposure: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {
            "share": self.share,
            "ndcg10": round(self.ndcg10, 6),
            "low": round(self.low, 6),
            "high": round(self.high, 6),
            "kept": None if self.kept is None else round(self.kept, 4),
            "exposure": None if self.exposure is None else round(self.exposure, 4),
        }


@dataclass(frozen=True)
class RobustnessCurves:
    """curves: by family and damage, in order of share."""

    variant: Variant
    users: int
    curves: dict[str, dict[Damage, list[Point]]]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON for a chart: {"variant", "users", "families": {family: {damage: [point, …]}}}."""
        return {
            "variant": self.variant,
            "users": self.users,
            "families": {
                family: {damage: [point.to_dict() for point in points] for damage, points in by.items()}
                for family, by in self.curves.items()
            },
        }


def robustness_curves(
    split: Split,
    families: Sequence[str],
    *,
    shares: Sequence[float] = SHARES,
    damages: Sequence[Damage] = DAMAGES,
    configs: Mapping[str, Config | dict[str, Any]] | None = None,
    variant: Variant = "all",
    max_users: int = 2_000,
    options: TrainOptions | None = None,
    seed: int = 0,
) -> RobustnessCurves:
    """Fits every family on the split's training part under each damage and judges it on the untouched test.

    max_users: test shoppers judged, drawn at random. Fits 1 + damages x shares above 0 times per family.
    InvalidValue for a share outside [0, 1), an unknown damage, and a window with nobody to judge by.
    """
    options = options or TrainOptions()
    wanted = sorted({0.0, *shares})
    if wanted[0] < 0 or wanted[-1] >= 1:
        raise InvalidValue("shares", list(shares), "Give shares from 0 to below 1.")
    for damage in damages:
        if damage not in DAMAGES:
            raise InvalidValue("damages", damage, f"Use {', '.join(DAMAGES)}.")
    truth = truth_of(split, variant)
    if not len(truth):
        raise InvalidValue("split", split.cut, "No known shopper buys in the test window; use another.")
    rng = np.random.default_rng(seed)
    if len(truth) > max_users:
        truth = truth.take(np.sort(rng.choice(len(truth), max_users, replace=False)).astype(np.int64))
    curves: dict[str, dict[Damage, list[Point]]] = {}
    steps, done = len(families) * (1 + len(damages) * (len(wanted) - 1)), 0
    quiet = replace(options, on_progress=None)
    for family in families:
        settings = (configs or {}).get(family)
        values, _ = _judge(family, settings, split.train, truth, variant, quiet, None)
        clean = _point(0.0, values, None, None)
        curves[family] = {damage: [clean] for damage in damages}
        for damage in damages:
            for share in wanted[1:]:
                done += 1
                options.report(Progress(damage, done / steps, message=family))
                spoilt, targets = damaged(split.train, damage, share, seed)
                found, exposure = _judge(family, settings, spoilt, truth, variant, quiet, targets)
                curves[family][damage].append(_point(share, found, clean.ndcg10, exposure))
    options.report(Progress("done", 1.0))
    return RobustnessCurves(variant, len(truth), curves)


def damaged(dataset: Dataset, damage: Damage, share: float, seed: int = 0) -> tuple[Dataset, Ints | None]:
    """The data with this share of damage, and the raw ids of the items that bots push (fake only).

    A larger share spoils what a smaller one of the same seed spoils, and more.
    """
    rng = np.random.default_rng(seed)
    if damage == "missing":
        return dataset.select(rng.random(len(dataset)) >= share), None
    if damage == "noise":
        moved = rng.random(len(dataset)) < share
        other = dataset.item[rng.integers(0, max(len(dataset), 1), len(dataset))]
        return replace(dataset, item=np.where(moved, other, dataset.item)), None
    bots = max(1, round(share * len(dataset) / BOT_EVENTS))
    attack = Attack("bandwagon", bots, BOT_EVENTS - 1, days=30.0)
    planted = attack_plant(dataset, attack, seed=seed)
    return planted.dataset, planted.targets


def _judge(
    family: str,
    settings: Config | dict[str, Any] | None,
    spoilt: Dataset,
    truth: Truth,
    variant: Variant,
    options: TrainOptions,
    targets: Ints | None,
) -> tuple[np.ndarray, float | None]:
    model = train(family, settings, spoilt, options)
    top = model.recommend(truth.users, 20, EXCLUDE[variant])
    exposure = None if targets is None else float(np.isin(top.ids[:, :10], targets).any(axis=1).mean())
    return per_user_metrics(top, truth)["ndcg10"], exposure


def _point(share: float, values: np.ndarray, clean: float | None, exposure: float | None) -> Point:
    means, low, high = bootstrap(values[:, None], 0)
    base = means[0] if clean is None else clean
    return Point(share, means[0], low[0], high[0], means[0] / base if base > 0 else None, exposure)
