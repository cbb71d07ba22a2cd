"""Sessions alike (V-SKNN: Ludewig and Jannach 2018; STAN: Garg et al. 2019): those that share a session's
last and rarest items say what comes next, most for what they hold near the item in common.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from apps.ml.base import History, Progress, TrainOptions, csr_from_arrays, csr_to_arrays
from apps.ml.configs import Config
from apps.ml.configs.sessions import SessionKnnConfig
from apps.ml.dataset import Dataset
from apps.ml.list_scorers import NeighbourLists, NeighbourScorer
from apps.ml.models.list_model import (
    ListModel,
    listening,
    listening_from,
    tails_from,
    tails_of,
    taught_lists,
)
from apps.ml.text_files import EventLists
from apps.ml.topn import Floats


@dataclass
class SessionKnnModel(ListModel[SessionKnnConfig]):
    """neighbours: the histories and sessions that may speak, in order of time."""

    neighbours: NeighbourScorer

    family: ClassVar[str] = "session_knn"
    config_class: ClassVar[type[Config]] = SessionKnnConfig

    @classmethod
    def fit(cls, dataset: Dataset, config: SessionKnnConfig, options: TrainOptions) -> Self:
        lists = taught_lists(dataset)
        options.report(Progress("index", 0.1, message=f"{len(lists)} histories and sessions"))
        scorer = NeighbourScorer.fit(settings_of(config), lists)
        tails = tails_of(dataset, config.memory)
        return cls(config, History.from_dataset(dataset), tails, scorer, **listening(dataset, config))

    def scores_of(self, lists: EventLists) -> Floats:
        return self.neighbours.evidence(lists)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        known = self.neighbours
        return {
            **self.tail_arrays(),
            **csr_to_arrays("places", known.places),
            "idf": known.idf,
            "popular": known.popular,
        }

    @classmethod
    def from_parts(
        cls,
        config: SessionKnnConfig,
        history: History,
        arrays: dict[str, NDArray[Any]],
        texts: dict[str, Any],
    ) -> Self:
        n = len(history.items)
        places = csr_from_arrays("places", arrays, (len(arrays["places.indptr"]) - 1, n))
        rows = sparse.csr_matrix(
            (np.ones(places.nnz, np.float32), places.indices, places.indptr), shape=places.shape
        )
        turned = sparse.csr_matrix(rows.T)
        scorer = NeighbourScorer(settings_of(config), rows, turned, places, arrays["idf"], arrays["popular"])
        asked = listening_from(arrays, texts, len(history.users), n)
        return cls(config, history, tails_from(arrays, n), scorer, **asked)


def settings_of(config: SessionKnnConfig) -> NeighbourLists:
    """The settings as the scorer of lists names them."""
    return NeighbourLists(
        neighbours=config.neighbours,
        decay=config.memory_decay,
        near=config.nearness,
        idf=config.idf_power,
        length=config.length_power,
        recent=config.recency,
    )
