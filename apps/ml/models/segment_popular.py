"""What sells among shoppers like this one: popularity or trend, moved by segments and own categories.

    score(u, i) = base(i) + sum over columns of weight * lift(i, value of u) + weight * lift(category of i, u)

lift(i, v) = log of the share of item i among what the segment buys, drawn to the shop's share by `prior`
sales, over the shop's share: naive Bayes with a Dirichlet prior. A shopper without a value is not moved.
Shape suffixes: V values of a column, C categories.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from apps.ml.base import History, Model, Progress, TrainOptions, csr_from_arrays, csr_to_arrays
from apps.ml.configs import Config
from apps.ml.configs.popularity import SegmentPopularConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.models.item_knn import indicator
from apps.ml.models.popular import branches
from apps.ml.signals import Csr, decay, item_strength, relative_weights, user_item
from apps.ml.topn import Floats

COLUMNS = ("region", "age_band", "gender", "income_band", "language")
MAX_VALUES = 200
"""Values of a column that are told apart, those with most shoppers; free text has no end of them."""
TREND_PRIORS = 0.5, 5.0


@dataclass
class SegmentPopularModel(Model[SegmentPopularConfig]):
    """base: float32 [N], -inf for items without sales. branch: int64 [N], code of the category, -1 for none.
    lifts: float32 [all V, N] of the values in `values` (column, value). segments: int64 [n_users, columns],
    rows of `lifts`, -1 for none. interest: float32 CSR [n_users, N]. share: float64 [C], of the shop's sales.
    """

    base: Floats
    branch: Ints
    lifts: Floats
    values: list[list[str]]
    segments: Ints
    interest: Csr
    share: NDArray[np.float64]

    family: ClassVar[str] = "segment_popular"
    config_class: ClassVar[type[Config]] = SegmentPopularConfig
    folds_in: ClassVar[bool] = True

    @classmethod
    def fit(cls, dataset: Dataset, config: SegmentPopularConfig, options: TrainOptions) -> Self:
        recent = item_strength(dataset, config.half_life_days)
        long = item_strength(dataset, config.long_half_life_days)
        if config.base == "trend":
            level = np.log((recent + TREND_PRIORS[0]) / (long + TREND_PRIORS[1]))
            base = np.where(long > 0, level, -np.inf)
        else:
            base = np.log(recent, out=np.full(len(recent), -np.inf), where=recent > 0)
        values = _values(dataset, config)
        options.report(Progress("segments", 0.2, message=f"{len(values)} segments"))
        segments = _segments(dataset, values)
        lifts = _lifts(dataset, segments, values, config)
        branch = branches(dataset)
        n_groups = int(branch.max(initial=-1)) + 1
        known = branch >= 0
        sales = np.bincount(branch[known], long[known], minlength=n_groups)
        model = cls(
            config,
            History.from_dataset(dataset),
            base.astype(np.float32),
            branch,
            lifts,
            values,
            segments,
            user_item(dataset, config.profile_half_life_days),
            np.maximum(sales, 1e-9) / max(float(sales.sum()), 1e-9),
        )
        model.metrics.update(segments=len(values), categories=n_groups)
        return model

    def score_users(self, rows_B: Ints) -> Floats:
        scores = self._near(self.interest[rows_B])
        for column in range(self.segments.shape[1]):
            segment = self.segments[rows_B, column]
            known = np.flatnonzero(segment >= 0)
            scores[known] += self.lifts[segment[known]]
        return scores

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        return self._near(indicator(sessions, len(self.branch)))

    def score_similar(self, rows_B: Ints) -> Floats:
        """The best of the item's own category; of everything where it has none."""
        mine = self.branch[rows_B][:, None]
        return np.where((mine < 0) | (self.branch[None, :] == mine), self.base[None, :], -np.inf).astype(
            np.float32
        )

    def score_anyone(self) -> Floats:
        return self.base

    def _near(self, interest: Csr) -> Floats:
        """The base moved by the categories of these histories [B, N]: float32 [B, N]."""
        scores = np.repeat(self.base[None, :], interest.shape[0], axis=0)
        known = np.flatnonzero(self.branch >= 0)
        weight, n_groups = self.config.category_weight, len(self.share)
        if not len(known) or weight == 0:
            return scores
        member = sparse.csr_matrix(
            (np.ones(len(known), np.float32), (known, self.branch[known])), shape=(len(self.branch), n_groups)
        )
        chosen_BC = (interest @ member).toarray().astype(np.float64)
        prior = self.config.category_prior
        mixed = (chosen_BC + prior * self.share) / (chosen_BC.sum(axis=1, keepdims=True) + prior)
        lift_BC = (weight * np.log(mixed / self.share)).astype(np.float32)
        scores[:, known] += lift_BC[:, self.branch[known]]
        return scores

    def items_of(self, row: int) -> Ints:
        return self.interest[row].indices.astype(np.int64)

    def contributions(self, row: int | None, items_L: Ints, item: int) -> NDArray[np.float64]:
        """The shopper's items of the same category speak for an item, each by their interest in it."""
        if not np.isfinite(self.base[item]) or self.branch[item] < 0 or self.config.category_weight == 0:
            return np.zeros(len(items_L))
        amounts = np.ones(len(items_L))
        if row is not None:
            amounts = np.asarray(self.interest[row, items_L].todense(), dtype=np.float64).ravel()
        return np.where(self.branch[items_L] == self.branch[item], amounts, 0.0)

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        interest = user_item(dataset, self.config.profile_half_life_days)
        segments = _segments(dataset, self.values)
        return replace(
            self, history=history, segments=segments, interest=interest, metrics=dict(self.metrics)
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "base": self.base,
            "branch": self.branch,
            "lifts": self.lifts,
            "segments": self.segments,
            "share": self.share,
            **csr_to_arrays("interest", self.interest),
        }

    def to_texts(self) -> dict[str, Any]:
        return {"values": self.values}

    @classmethod
    def from_parts(
        cls,
        config: SegmentPopularConfig,
        history: History,
        arrays: dict[str, NDArray[Any]],
        texts: dict[str, Any],
    ) -> Self:
        shape = (len(history.users), len(history.items))
        return cls(
            config,
            history,
            arrays["base"],
            arrays["branch"],
            arrays["lifts"],
            texts["values"],
            arrays["segments"],
            csr_from_arrays("interest", arrays, shape),
            arrays["share"],
        )


def _column(dataset: Dataset, column: str) -> list[str]:
    """The attribute of every shopper row, empty text where it is missing."""
    if column not in dataset.shoppers:
        return [""] * len(dataset.users)
    return [value if isinstance(value, str) else "" for value in dataset.shoppers[column].tolist()]


def _values(dataset: Dataset, config: SegmentPopularConfig) -> list[list[str]]:
    """[column, value] of every segment that is told apart."""
    found = []
    for column in COLUMNS:
        if getattr(config, f"{column}_weight") > 0:
            names, counts = np.unique(np.array(_column(dataset, column), dtype=object), return_counts=True)
            order = [place for place in np.argsort(-counts, kind="stable") if names[place]]
            found += [[column, str(names[place])] for place in order[:MAX_VALUES]]
    return found


def _segments(dataset: Dataset, values: list[list[str]]) -> Ints:
    """Place in `values` of each shopper's attribute, -1 for none: int64 [n_users, columns]."""
    places = {(column, value): place for place, (column, value) in enumerate(values)}
    columns = [[places.get((name, value), -1) for value in _column(dataset, name)] for name in COLUMNS]
    return np.array(columns, dtype=np.int64).reshape(len(COLUMNS), len(dataset.users)).T.copy()


def _lifts(dataset: Dataset, segments: Ints, values: list[list[str]], config: SegmentPopularConfig) -> Floats:
    """Weighted log lift of each item in each segment: float32 [V, N]."""
    n_items = len(dataset.items)
    lifts = np.zeros((len(values), n_items), dtype=np.float32)
    known = dataset.select((dataset.user >= 0) & (dataset.weight > 0))
    strength = relative_weights(known) * decay(known.ages_days(), config.segment_half_life_days)
    # one more sale spread over the catalogue, so that no share is 0
    whole = np.bincount(known.item, strength, minlength=n_items) + 1.0 / max(n_items, 1)
    share = whole / whole.sum()
    for place, (column, _) in enumerate(values):
        mine = segments[known.user, COLUMNS.index(column)] == place
        own = np.bincount(known.item[mine], strength[mine], minlength=n_items)
        mixed = (own + config.prior * share) / (own.sum() + config.prior)
        lifts[place] = getattr(config, f"{column}_weight") * np.log(mixed / share)
    return lifts
