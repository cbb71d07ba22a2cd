"""What models of explicit ratings share: the ratings of a dataset, predictions in stars, lists by prediction.

Shape suffixes: R ratings.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from apps.ml.base import ConfigT, Model, Progress, TrainOptions
from apps.ml.dataset import Dataset, Ints
from apps.ml.errors import DataMissing
from apps.ml.prediction_metrics import rating_metrics
from apps.ml.signals import Csr
from apps.ml.topn import Floats

Doubles = NDArray[np.float64]
RATING = "rating"


@dataclass(frozen=True)
class Ratings:
    """user, item: int64 [R] rows, each pair once, its latest rating. value: float64 [R], stars. shape: users
    and items of the dataset. scale: the lowest and the highest value seen.
    """

    user: Ints
    item: Ints
    value: Doubles
    shape: tuple[int, int]
    scale: tuple[float, float]

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """Events of kind "rating" with an id and a value above 0; may be empty."""
        rated = np.zeros(len(dataset), dtype=np.bool_)
        if RATING in dataset.kinds:
            is_rating = dataset.kind == dataset.kinds.index(RATING)
            rated = is_rating & (dataset.user >= 0) & (dataset.value > 0) & np.isfinite(dataset.value)
        found = dataset.select(rated)
        shape = (len(dataset.users), len(dataset.items))
        pair = found.user * shape[1] + found.item
        # events ascend in time: the first of a pair in the reversed array is its latest
        _, place = np.unique(pair[::-1], return_index=True)
        latest = len(pair) - 1 - place
        value = found.value[latest].astype(np.float64)
        scale = (float(value.min()), float(value.max())) if len(value) else (0.0, 0.0)
        return cls(found.user[latest], found.item[latest], value, shape, scale)

    @classmethod
    def needed(cls, dataset: Dataset, family: str) -> Self:
        """The same; DataMissing where there are none."""
        found = cls.of(dataset)
        if not len(found):
            raise DataMissing(
                f"{family}: the dataset has no ratings (events of kind {RATING!r} with a value, of shoppers "
                "with an id); import ratings or choose another family"
            )
        return found

    def __len__(self) -> int:
        return len(self.value)

    def take(self, rows: NDArray[Any]) -> Ratings:
        """Those at these places or under this mask."""
        return replace(self, user=self.user[rows], item=self.item[rows], value=self.value[rows])

    def matrix(self, values: Doubles) -> Csr:
        """These values [R] by user and item: float64 CSR [n_users, N], zeros kept."""
        return sparse.csr_matrix((values, (self.user, self.item)), shape=self.shape)

    def parted(self, share: float, seed: int) -> tuple[Ratings, Ratings | None]:
        """Learned from and held out, at random; None where a part would be empty."""
        chosen = np.random.default_rng(seed).random(len(self)) < share
        if not chosen.any() or chosen.all():
            return self, None
        return self.take(~chosen), self.take(chosen)


@dataclass
class RatingModel(Model[ConfigT]):
    """rated: float64 CSR [n_users, N], stars given. known: bool [N], items with a rating; others are in no
    list. mean: of all ratings. scale: lowest and highest star.
    """

    rated: Csr
    known: NDArray[np.bool_]
    mean: float
    scale: tuple[float, float]

    def predict(self, users: Sequence[int] | Ints, items: Sequence[int] | Ints) -> Doubles:
        """Stars each of these shoppers (raw ids) would give the item beside: float64 [n], within the scale.

        Of an unknown shopper or item what is known of the other is told; of both, the mean.
        """
        rows = self.history.users.rows(np.asarray(users, dtype=np.int64))
        columns = self.history.items.rows(np.asarray(items, dtype=np.int64))
        return np.clip(self.predict_rows(rows, columns), *self.scale)

    @abstractmethod
    def predict_rows(self, rows: Ints, columns: Ints) -> Doubles:
        """Predictions for these rows of shoppers and items, -1 for unknown ones: float64 [n]."""

    def error(self, ratings: Ratings) -> dict[str, float]:
        """rmse, mae and the like on these ratings, by rows of this model's history."""
        found = np.clip(self.predict_rows(ratings.user, ratings.item), *self.scale)
        return rating_metrics(found, ratings.value, self.scale)

    def items_of(self, row: int) -> Ints:
        return self.rated[row].indices.astype(np.int64)

    def known_only(self, scores: NDArray[Any]) -> Floats:
        """Float32 scores with -inf for items nobody rated."""
        found = scores.astype(np.float32)
        found[..., ~self.known] = -np.inf
        return found


def held_out_metrics(found: dict[str, float] | None, ratings: Ratings) -> dict[str, Any]:
    """For a version's metrics: how many ratings, and the error on those held out, where there were any."""
    metrics: dict[str, Any] = {"ratings": len(ratings)}
    if found is not None:
        metrics.update({name: round(value, 4) for name, value in found.items()})
    return metrics


def stage(options: TrainOptions, low: float, high: float) -> TrainOptions:
    """The same options, reporting one part of a longer run."""
    report = options.on_progress
    if report is None:
        return options

    def forward(progress: Progress) -> None:
        report(replace(progress, fraction=low + (high - low) * progress.fraction))

    return replace(options, on_progress=forward)
