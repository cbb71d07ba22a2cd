"""What rises, in the order of a shopper's taste: EASE and the recent trend, added over the whole catalogue.

score = z(EASE) + trend_weight * z(trend), both z-normalised over the items EASE scores for the shopper. A
blend of two cut lists can't say this: what rises fast and suits a shopper well enough is at the top of
neither. Mean NDCG@10 on Online Retail, *new*, test windows of August to October 2011: .130 against .117 for
EASE alone, with settings near the best of June and July; the best of those, 14 days and 3, gives .129.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from apps.ml.base import History, TrainOptions
from apps.ml.blend import z_normalise
from apps.ml.configs import Config
from apps.ml.configs.factors import EaseConfig, RisingConfig
from apps.ml.configs.popularity import TrendConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.models.ease import EaseModel
from apps.ml.models.popular import TrendModel
from apps.ml.topn import Floats


@dataclass
class RisingModel(EaseModel):
    """trend: float32 [N], -inf where nothing was ever sold. Companions of a product are EASE's."""

    trend: Floats

    family: ClassVar[str] = "rising"
    config_class: ClassVar[type[Config]] = RisingConfig

    @classmethod
    def fit(cls, dataset: Dataset, config: EaseConfig, options: TrainOptions) -> Self:
        ease = EaseModel.fit(dataset, config, options)
        trend = TrendModel.fit(dataset, _trend_settings(config), TrainOptions()).item_scores
        return cls(config, ease.history, ease.weights, ease.columns, ease.profile, trend)

    def score_users(self, rows_B: Ints) -> Floats:
        return self._lifted(super().score_users(rows_B))

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        return self._lifted(super().score_sessions(sessions))

    def _lifted(self, scores_BN: Floats) -> Floats:
        assert isinstance(self.config, RisingConfig)
        present = np.isfinite(scores_BN) & np.isfinite(self.trend)
        taste = z_normalise(np.where(present, scores_BN, 0.0).astype(np.float64), present)
        rise = np.broadcast_to(np.where(np.isfinite(self.trend), self.trend, 0.0), present.shape)
        total = taste + self.config.trend_weight * z_normalise(rise.astype(np.float64), present)
        return np.where(present, total, -np.inf).astype(np.float32)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {**super().to_arrays(), "trend": self.trend}

    @classmethod
    def from_parts(
        cls, config: EaseConfig, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        ease = EaseModel.from_parts(config, history, arrays, texts)
        return cls(config, history, ease.weights, ease.columns, ease.profile, arrays["trend"])


def _trend_settings(config: EaseConfig) -> TrendConfig:
    assert isinstance(config, RisingConfig)
    return TrendConfig(recent_half_life_days=config.trend_half_life_days)
