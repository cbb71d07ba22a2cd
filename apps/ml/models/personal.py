"""Personal frequency and recency: what the shopper already chose, the more and the later the better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from apps.ml.base import History, Model, TrainOptions, csr_from_arrays, csr_to_arrays, positive_only
from apps.ml.configs import Config
from apps.ml.configs.popularity import PersonalConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.signals import Csr, user_item
from apps.ml.topn import Floats


@dataclass
class PersonalModel(Model[PersonalConfig]):
    """interest: float32 CSR [n_users, N], decayed frequency. Says nothing about strangers, sessions or
    companions.
    """

    interest: Csr

    family: ClassVar[str] = "personal"
    config_class: ClassVar[type[Config]] = PersonalConfig
    folds_in: ClassVar[bool] = True

    @classmethod
    def fit(cls, dataset: Dataset, config: PersonalConfig, options: TrainOptions) -> Self:
        return cls(config, History.from_dataset(dataset), user_item(dataset, config.half_life_days))

    def score_users(self, rows_B: Ints) -> Floats:
        return positive_only(self.interest[rows_B].toarray())

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        return self._nothing(len(sessions))

    def score_similar(self, rows_B: Ints) -> Floats:
        return self._nothing(len(rows_B))

    def items_of(self, row: int) -> Ints:
        return self.interest[row].indices.astype(np.int64)

    def contributions(self, row: int | None, items_L: Ints, item: int) -> NDArray[np.float64]:
        """Each item speaks for itself only."""
        return (items_L == item).astype(np.float64) * (row is not None)

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        interest = user_item(dataset, self.config.half_life_days)
        return replace(self, history=history, interest=interest, metrics=dict(self.metrics))

    def _nothing(self, n: int) -> Floats:
        return np.full((n, len(self.history.items)), -np.inf, dtype=np.float32)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return csr_to_arrays("interest", self.interest)

    @classmethod
    def from_parts(
        cls, config: PersonalConfig, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        shape = (len(history.users), len(history.items))
        return cls(config, history, csr_from_arrays("interest", arrays, shape))
