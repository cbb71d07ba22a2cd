"""Buy again: how likely a shopper's own item is bought once more within the horizon, given the days since.

The rate of repeats (per day) is constant within spans of days since the last purchase and learned per item,
drawn to its category and that to the shop, the less is known of it:

    rate_i(s) = prior_i(s) * (repeats_i + a) / (expected_i + a)              how often
              * (repeats_i(s) + b) / (expected_i(s) + b)                     and when

with expected = sum over spans of days at risk * rate. A shopper u who repeats more than the rates say gets
(repeats_u + c) / (expected_u + c), and each of their items (repeats_ui + d) / (expected_ui + d) on top: the
mean of a gamma posterior (a piecewise-constant hazard with gamma frailty; Clayton 1978). The score is that
rate, summed over the horizon. Shape suffixes: P pairs of shopper and item, G gaps, S spans.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from apps.ml.base import History, Model, Progress, TrainOptions, csr_from_arrays, csr_to_arrays, positive_only
from apps.ml.configs import Config
from apps.ml.configs.repeat import BuyAgainConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.models.popular import branches
from apps.ml.signals import Csr, decay
from apps.ml.topn import Floats

Doubles = NDArray[np.float64]
EDGES = np.array([0, 4, 8, 15, 22, 31, 46, 61, 91, 121, 181, 271, np.inf])
"""Bounds of the spans of days since the last purchase."""
SPANS = len(EDGES) - 1


@dataclass(frozen=True)
class Gaps:
    """Days between purchases of a shopper's item, the last gap open to the end of the data.

    users, items: int64 [P], a pair each. pair: int64 [G], place in those. age: float64 [G], days from the
    purchase that starts the gap to the end. length: float64 [G]. repeat: bool [G], a purchase ends it.
    """

    users: Ints
    items: Ints
    pair: Ints
    age: Doubles
    length: Doubles
    repeat: NDArray[np.bool_]

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """Several purchases of one day count as one: lines of an order are no repeats."""
        bought = dataset.purchases()
        bought = bought.select(bought.user >= 0)
        day = np.floor(bought.ages_days())
        order = np.lexsort((-day, bought.item, bought.user))
        user, item, day = bought.user[order], bought.item[order], day[order]
        change = (user[1:] != user[:-1]) | (item[1:] != item[:-1])
        distinct = np.concatenate([[True], change | (day[1:] != day[:-1])])[: len(user)]
        user, item, day = user[distinct], item[distinct], day[distinct]
        first = np.concatenate([[True], (user[1:] != user[:-1]) | (item[1:] != item[:-1])])[: len(user)]
        last = np.concatenate([first[1:], [True]])[: len(user)]
        after = np.where(last, 0.0, np.concatenate([day[1:], [0.0]])[: len(day)])
        return cls(user[first], item[first], np.cumsum(first) - 1, day, day - after, ~last)

    @property
    def since(self) -> Doubles:
        """Days since each pair's last purchase: float64 [P]."""
        open_ = ~self.repeat
        days = np.zeros(len(self.users))
        days[self.pair[open_]] = self.length[open_]
        return days

    def repeats(self, half_life_days: float | None) -> Doubles:
        """What each gap counts as a repeat, decayed: float64 [G]."""
        return self.repeat * decay(self.age - self.length, half_life_days)

    def at_risk(self, span: int, half_life_days: float | None) -> Doubles:
        """Days of each gap inside a span, decayed by their age: float64 [G]."""
        low, high = EDGES[span], EDGES[span + 1]
        inside = np.clip(self.length - low, 0.0, high - low)
        return inside * decay(np.maximum(self.age - low - inside / 2, 0.0), half_life_days)

    @property
    def span(self) -> Ints:
        """The span in which each gap ends: int64 [G]."""
        return np.clip(np.searchsorted(EDGES, self.length, side="left") - 1, 0, SPANS - 1).astype(np.int64)


@dataclass
class BuyAgainModel(Model[BuyAgainConfig]):
    """rates: float32 [N, S], repeats per day at risk. repeat_days: float32 [N], typical days between two
    purchases of one shopper, drawn to the shop's. interest: float32 CSR [n_users, N], expected repeats within
    the horizon.
    """

    rates: Floats
    repeat_days: Floats
    interest: Csr

    family: ClassVar[str] = "buy_again"
    config_class: ClassVar[type[Config]] = BuyAgainConfig
    folds_in: ClassVar[bool] = True

    @classmethod
    def fit(cls, dataset: Dataset, config: BuyAgainConfig, options: TrainOptions) -> Self:
        gaps = Gaps.of(dataset)
        options.report(Progress("intervals", 0.2, message=f"{len(gaps.users)} pairs"))
        rates = _rates(gaps, branches(dataset), len(dataset.items), config)
        options.report(Progress("shoppers", 0.7))
        interest = _interest(gaps, rates, (len(dataset.users), len(dataset.items)), config)
        days, typical = _repeat_days(gaps, len(dataset.items), config)
        model = cls(config, History.from_dataset(dataset), rates, days, interest)
        repeated = len(np.unique(gaps.pair[gaps.repeat]))
        model.metrics.update(
            repeat_days=round(typical, 1), repeat_share=round(repeated / max(len(gaps.users), 1), 4)
        )
        return model

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
        if row is None:
            return np.zeros(len(items_L))
        return np.where(items_L == item, float(self.interest[row, item]), 0.0)

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        shape = (len(history.users), len(history.items))
        interest = _interest(Gaps.of(dataset), self.rates, shape, self.config)
        return replace(self, history=history, interest=interest, metrics=dict(self.metrics))

    def _nothing(self, n: int) -> Floats:
        return np.full((n, len(self.history.items)), -np.inf, dtype=np.float32)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "rates": self.rates,
            "repeat_days": self.repeat_days,
            **csr_to_arrays("interest", self.interest),
        }

    @classmethod
    def from_parts(
        cls, config: BuyAgainConfig, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        shape = (len(history.users), len(history.items))
        interest = csr_from_arrays("interest", arrays, shape)
        return cls(config, history, arrays["rates"], arrays["repeat_days"], interest)


def shrunk(repeats: Doubles, risk: Doubles, prior: Doubles, rate_prior: float, shape_prior: float) -> Doubles:
    """Rates [R, S] of rows with these repeats and days at risk [R, S], drawn to their prior rates [R, S]."""
    expected = (risk * prior).sum(axis=1, keepdims=True)
    level = prior * (repeats.sum(axis=1, keepdims=True) + rate_prior) / (expected + rate_prior)
    return level * (repeats + shape_prior) / (risk * level + shape_prior)


def _rates(gaps: Gaps, branch: Ints, n_items: int, config: BuyAgainConfig) -> Floats:
    """Repeats per day at risk of every item: shop, then category, then item: [N, S]."""
    place = gaps.items[gaps.pair]
    counted = gaps.repeats(config.half_life_days)
    size = n_items * SPANS
    repeats = np.bincount(place * SPANS + gaps.span, counted, minlength=size).astype(np.float64)
    repeats = repeats.reshape(n_items, SPANS)
    risk = np.empty((n_items, SPANS))
    for span in range(SPANS):
        risk[:, span] = np.bincount(place, gaps.at_risk(span, config.half_life_days), minlength=n_items)
    # half a repeat, so that a shop in which nothing was bought twice has a rate at all
    flat = np.full((1, SPANS), (repeats.sum() + 0.5) / max(float(risk.sum()), 1.0))
    priors = config.item_prior, config.shape_prior
    shop = shrunk(repeats.sum(axis=0)[None], risk.sum(axis=0)[None], flat, *priors)
    # items without a category share the last group, which is the shop itself
    group = np.where(branch >= 0, branch, branch.max(initial=-1) + 1)
    groups = shrunk(_summed(repeats, group), _summed(risk, group), shop, *priors)
    groups[group[branch < 0]] = shop[0]
    return shrunk(repeats, risk, groups[group], *priors).astype(np.float32)


def _summed(values: Doubles, group: Ints) -> Doubles:
    """Rows of [N, S] added up by group: float64 [groups, S]."""
    summed = np.zeros((int(group.max(initial=0)) + 1, values.shape[1]))
    np.add.at(summed, group, values)
    return summed


def _interest(gaps: Gaps, rates: Floats, shape: tuple[int, int], config: BuyAgainConfig) -> Csr:
    """Expected repeats within the horizon per pair: float32 CSR [n_users, N]."""
    n_pairs, since = len(gaps.users), gaps.since
    expected, ahead = np.zeros(n_pairs), np.zeros(n_pairs)
    for span in range(SPANS):
        rate = rates[gaps.items, span].astype(np.float64)
        risk = np.bincount(gaps.pair, gaps.at_risk(span, config.half_life_days), minlength=n_pairs)
        expected += risk * rate
        stop = np.minimum(since + config.horizon_days, EDGES[span + 1])
        ahead += np.clip(stop - np.maximum(since, EDGES[span]), 0.0, None) * rate
    repeats = np.bincount(gaps.pair, gaps.repeats(config.half_life_days), minlength=n_pairs)
    of_shopper = np.bincount(gaps.users, expected, minlength=shape[0])
    eager = np.bincount(gaps.users, repeats, minlength=shape[0]) + config.shopper_prior
    eager /= of_shopper + config.shopper_prior
    own = eager[gaps.users]
    rhythm = (repeats + config.pair_prior) / (own * expected + config.pair_prior)
    scores = (ahead * own * rhythm).astype(np.float32)
    return sparse.csr_matrix((scores, (gaps.users, gaps.items)), shape=shape)


def _repeat_days(gaps: Gaps, n_items: int, config: BuyAgainConfig) -> tuple[Floats, float]:
    """Usual days between two purchases of an item (geometric mean) and in the shop (median); 0 without
    any repeat.
    """
    days = gaps.length[gaps.repeat]
    if not len(days):
        return np.zeros(n_items, dtype=np.float32), 0.0
    place = gaps.items[gaps.pair[gaps.repeat]]
    shop = float(np.log(days).mean())
    total = np.bincount(place, np.log(days), minlength=n_items) + config.item_prior * shop
    count = np.bincount(place, minlength=n_items) + config.item_prior
    return np.exp(total / count).astype(np.float32), float(np.exp(np.median(np.log(days))))
