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
from apps.ml.dataset import DAY, Dataset, Ints
from apps.ml.signals import item_strength
from apps.ml.topn import Floats, TopN, top_k

YEAR_DAYS = 365.0


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
        model = cls(config, History.from_dataset(dataset), popularity(dataset, config), branches(dataset))
        model.metrics.update(season_known(dataset, config.season_weight))
        return model


@dataclass
class TrendModel(_SameForAll[TrendConfig]):
    family: ClassVar[str] = "trend"
    config_class: ClassVar[type[Config]] = TrendConfig

    @classmethod
    def fit(cls, dataset: Dataset, config: TrendConfig, options: TrainOptions) -> Self:
        recent = item_strength(dataset, config.recent_half_life_days, config.anonymous)
        long = item_strength(dataset, config.long_half_life_days, config.anonymous)
        scores = np.log((recent + config.prior) / (long + config.long_prior))
        coming = last_year(dataset, 0.0, config.season_days, config.anonymous)
        before = last_year(dataset, -config.season_days, 0.0, config.anonymous)
        if coming is not None and before is not None:
            rise = np.log((coming + config.long_prior) / (before + config.long_prior))
            scores = scores + config.season_weight * rise
        scores = np.where(long > 0, scores, -np.inf).astype(np.float32)
        model = cls(config, History.from_dataset(dataset), scores, branches(dataset))
        model.metrics.update(season_known(dataset, config.season_weight, config.season_days))
        return model


def popularity(dataset: Dataset, config: PopularConfig) -> Floats:
    """Decayed strength per item, -inf where nothing was sold: float32 [N].

    Last year's season is scaled to season_weight times the sum of the recent strength.
    """
    recent = item_strength(dataset, config.half_life_days, config.anonymous)
    season = last_year(dataset, 0.0, config.season_days, config.anonymous)
    if season is not None and season.sum() > 0:
        recent = recent + config.season_weight * season * (recent.sum() / season.sum())
    return positive_only(recent)


def last_year(
    dataset: Dataset, from_days: float, to_days: float, anonymous: bool = True
) -> NDArray[np.float64] | None:
    """Strength per item [N] in these days around the same date of the last year, None where the data does not
    reach back to their start.
    """
    start = dataset.end + (from_days - YEAR_DAYS) * DAY
    if not len(dataset) or float(dataset.timestamp[0]) > start + DAY:
        return None
    stop = min(dataset.end + (to_days - YEAR_DAYS) * DAY, dataset.end)
    inside = (dataset.timestamp >= start) & (dataset.timestamp < stop)
    return item_strength(dataset.select(inside), None, anonymous)


def season_known(dataset: Dataset, weight: float, before_days: float = 0.0) -> dict[str, Any]:
    """For the metrics: whether last year's season counts, or how many days of history it still lacks."""
    reach = float(dataset.ages_days().max(initial=0.0))
    lacking = YEAR_DAYS + before_days - 1.0 - reach
    used = weight > 0 and lacking <= 0
    return {"season_used": used, "season_days_lacking": round(max(lacking, 0.0), 1)}


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
