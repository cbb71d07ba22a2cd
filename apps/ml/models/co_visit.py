"""Sequential rules (Ludewig and Jannach 2018): what follows an item within a few places, near ones counting
more; a session's last items speak loudest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from apps.ml.base import History, Progress, TrainOptions, csr_from_arrays, csr_to_arrays
from apps.ml.configs import Config
from apps.ml.configs.sessions import CoVisitConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.models.item_knn import column_of
from apps.ml.models.list_model import (
    ListModel,
    listening,
    listening_from,
    lists_from,
    tails_from,
    tails_of,
    taught_lists,
)
from apps.ml.ordered_items import discounted, follows, profiles, spread
from apps.ml.signals import Csr
from apps.ml.text_files import EventLists
from apps.ml.topn import Floats


@dataclass
class CoVisitModel(ListModel[CoVisitConfig]):
    """weights: float32 CSR [N, N], how strongly the row's item is followed by the column's."""

    weights: Csr

    family: ClassVar[str] = "co_visit"
    config_class: ClassVar[type[Config]] = CoVisitConfig

    @classmethod
    def fit(cls, dataset: Dataset, config: CoVisitConfig, options: TrainOptions) -> Self:
        lists = taught_lists(dataset)
        options.report(Progress("pairs", 0.1, message=f"{len(lists)} histories and sessions"))
        counts = follows(
            lists,
            reach=config.reach,
            power=config.distance_power,
            backward=config.backward,
            length_exponent=0.0,
        )
        options.report(Progress("neighbours", 0.6, message=f"{counts.nnz} pairs"))
        weights = discounted(
            counts,
            own=config.own_discount,
            other=config.other_discount,
            shrink=0.0,
            neighbours=config.neighbours,
        )
        tails = tails_of(dataset, config.memory)
        return cls(config, History.from_dataset(dataset), tails, weights, **listening(dataset, config))

    def scores_of(self, lists: EventLists) -> Floats:
        return spread(profiles(lists, self.config.memory_decay), self.weights)

    def contributions(self, row: int | None, items_L: Ints, item: int) -> NDArray[np.float64]:
        """Exact: the weight of its place times that of the pair."""
        lists = self.tails.take(np.array([row])) if row is not None else None
        if lists is None:
            lists = lists_from([items_L], len(self.history.items), self.config.memory)
        profile = profiles(lists, self.config.memory_decay)
        place = np.asarray(profile[0, items_L].todense(), dtype=np.float64).ravel()
        return column_of(self.weights, items_L, item) * place

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {**self.tail_arrays(), **csr_to_arrays("weights", self.weights)}

    @classmethod
    def from_parts(
        cls, config: CoVisitConfig, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        n = len(history.items)
        asked = listening_from(arrays, texts, len(history.users), n)
        return cls(
            config, history, tails_from(arrays, n), csr_from_arrays("weights", arrays, (n, n)), **asked
        )
