"""Decayed popularity and recent trend: the same answer for everyone, and by category or segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from apps.ml.base import ConfigT, History, Model, TrainOptions, positive_only
from apps.ml.configs import Config
from apps.ml.configs.popularity import PopularConfig, TrendConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.signals import item_strength
from apps.ml.topn import Floats, TopN, top_k


@dataclass
class _SameForAll(Model[ConfigT]):
    """item_scores: float32 [N], -inf for items without sales. branch: int64 [N], code of the category, -1 =
    none.
    """

    item_scores: Floats
    branch: Ints

    folds_in: ClassVar[bool] = True

    def score_users(self, rows_B: Ints) -> Floats:
        return np.repeat(self.item_scores[None, :], len(rows_B), axis=0)

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        return np.repeat(self.item_scores[None, :], len(sessions), axis=0)

    def score_similar(self, rows_B: Ints) -> Floats:
        """The best of the item's own category; of everything where it has none."""
        mine = self.branch[rows_B][:, None]
        return np.where(
            (mine < 0) | (self.branch[None, :] == mine), self.item_scores[None, :], -np.inf
        ).astype(np.float32)

    def contributions(self, row: int | None, items_L: Ints, item: int) -> NDArray[np.float64]:
        """Nothing of a history speaks here."""
        return np.zeros(len(items_L))

    def score_anyone(self) -> Floats:
        return self.item_scores

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {"item_scores": self.item_scores, "branch": self.branch}

    @classmethod
    def from_parts(
        cls, config: ConfigT, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        return cls(config, history, arrays["item_scores"], arrays["branch"])


@dataclass
class PopularModel(_SameForAll[PopularConfig]):
    family: ClassVar[str] = "popular"
    config_class: ClassVar[type[Config]] = PopularConfig

    @classmethod
    def fit(cls, dataset: Dataset, config: PopularConfig, options: TrainOptions) -> Self:
        return cls(config, History.from_dataset(dataset), popularity(dataset, config), branches(dataset))


@dataclass
class TrendModel(_SameForAll[TrendConfig]):
    family: ClassVar[str] = "trend"
    config_class: ClassVar[type[Config]] = TrendConfig

    @classmethod
    def fit(cls, dataset: Dataset, config: TrendConfig, options: TrainOptions) -> Self:
        recent = item_strength(dataset, config.recent_half_life_days, config.anonymous)
        long = item_strength(dataset, config.long_half_life_days, config.anonymous)
        scores = np.log((recent + config.prior) / (long + config.long_prior))
        scores = np.where(long > 0, scores, -np.inf).astype(np.float32)
        return cls(config, History.from_dataset(dataset), scores, branches(dataset))


def popularity(dataset: Dataset, config: PopularConfig) -> Floats:
    """Decayed strength per item, -inf where nothing was sold: float32 [N]."""
    return positive_only(item_strength(dataset, config.half_life_days, config.anonymous))


def branches(dataset: Dataset) -> Ints:
    """Category code of each item row, -1 without one."""
    names = dataset.text("category")
    codes = {name: code for code, name in enumerate(sorted(set(names) - {""}))}
    return np.array([codes.get(name, -1) for name in names], dtype=np.int64)


def popular_by_category(dataset: Dataset, config: PopularConfig, k: int = 100) -> dict[str, TopN]:
    """One list per category path and per branch above it ("Home", "Home > Kitchen", …)."""
    scores = np.where(dataset.candidates, popularity(dataset, config), -np.inf).astype(np.float32)
    members: dict[str, list[int]] = {}
    for row, path in enumerate(dataset.text("category")):
        steps = [step.strip() for step in path.split(">") if step.strip()]
        for depth in range(1, len(steps) + 1):
            members.setdefault(" > ".join(steps[:depth]), []).append(row)
    return {
        name: top_k(scores[None, rows], dataset.items.ids[rows], k) for name, rows in sorted(members.items())
    }


def popular_by_segment(dataset: Dataset, config: PopularConfig, column: str, k: int = 100) -> dict[str, TopN]:
    """One list per value of a shopper attribute (age_band, region, …); shoppers without the value are left
    out.
    """
    if column not in dataset.shoppers:
        return {}
    values = dataset.shoppers[column].astype("object").to_numpy()
    known = dataset.user >= 0
    lists = {}
    for value in sorted({str(v) for v in values if isinstance(v, str) and v}):
        mask = known.copy()
        mask[known] = values[dataset.user[known]] == value
        own = dataset.select(mask)
        scores = np.where(dataset.candidates, popularity(own, config), -np.inf).astype(np.float32)
        lists[value] = top_k(scores[None, :], dataset.items.ids, k)
    return lists
