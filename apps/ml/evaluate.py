"""Full-catalogue evaluation of ranked lists: all metrics of one set of lists, with intervals and by segment.

Splits and truth come from `protocols`, what hits from `ranking_metrics`, what lists are like from
`list_metrics`, chance from `significance`; their names can all be had from here.

Segments. Shoppers: "new" bought on one day of training at most, "returning" on more. Items: "head" and
"tail" judge everyone's lists by the head items they bought (the fifth of the catalogue with most buyers), and
by the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from apps.ml.list_metrics import LIST_METRICS, Background, coverage_of, gini_of, per_user_lists
from apps.ml.protocols import (
    VARIANTS,
    NobodyToJudge,
    Split,
    Truth,
    Variant,
    k_fold,
    leave_one_out,
    rolling_windows,
    split_at,
    split_last_days,
    truth_of,
)
from apps.ml.ranking_metrics import MORE_USER_METRICS, USER_METRICS, auc_of, hits_of, per_user_metrics
from apps.ml.significance import (
    RESAMPLES,
    Interval,
    PairedTest,
    PerUser,
    bootstrap,
    paired_difference,
    paired_test,
)
from apps.ml.topn import TopN

__all__ = [
    "LIST_METRICS",
    "MORE_USER_METRICS",
    "RESAMPLES",
    "SEGMENTS",
    "SEGMENT_METRICS",
    "USER_METRICS",
    "VARIANTS",
    "Background",
    "Evaluation",
    "Interval",
    "NobodyToJudge",
    "PairedTest",
    "PerUser",
    "Split",
    "Truth",
    "Variant",
    "evaluate_lists",
    "hits_of",
    "k_fold",
    "leave_one_out",
    "paired_difference",
    "paired_test",
    "per_user_metrics",
    "rolling_windows",
    "split_at",
    "split_last_days",
    "truth_of",
]

SEGMENTS = ("new", "returning", "head", "tail")
SEGMENT_METRICS = ("ndcg10", "recall20", "hit10", "map10")
NOBODY = "No shopper known before the test window buys in it: the zeros say nothing. Use another window."


@dataclass(frozen=True)
class Evaluation:
    """per_user: metric name to float64 [n], NaN where it has no meaning for a user. coverage10 and `whole`
    (gini10) belong to the set of lists, not to a user. segments: means by segment and metric, with "users".
    """

    per_user: Mapping[str, PerUser]
    coverage10: float
    seed: int = 0
    whole: Mapping[str, float] = field(default_factory=dict)
    segments: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @property
    def n_users(self) -> int:
        return len(next(iter(self.per_user.values())))

    @cached_property
    def intervals(self) -> dict[str, Interval]:
        """Bootstrap intervals of the main metrics (USER_METRICS)."""
        names = [name for name in USER_METRICS if name in self.per_user]
        values = np.stack([self.per_user[name] for name in names], axis=1)
        means, low, high = bootstrap(values, self.seed)
        return {name: Interval(means[i], low[i], high[i]) for i, name in enumerate(names)}

    def mean(self, metric: str) -> float:
        """The mean of a metric; 0 without users, NaN when it has a meaning for none of them."""
        if metric == "coverage10":
            return self.coverage10
        if metric in self.whole:
            return self.whole[metric]
        values = self.per_user[metric]
        told = values[~np.isnan(values)]
        if not len(values):
            return 0.0
        return float(told.mean()) if len(told) else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON without NaN: means by metric, coverage10, users, "segments" (by segment), [low, high] of
        the main metrics under "intervals", and "warning" where there was nobody to judge by. A figure without
        a meaning for anybody is left out.

        Coverage and Gini have no interval: a resample holds fewer distinct users, so it always shows fewer
        items.
        """
        means = {name: self.mean(name) for name in self.per_user} | dict(self.whole)
        found: dict[str, Any] = {
            **{name: round(mean, 6) for name, mean in means.items() if not np.isnan(mean)},
            "coverage10": round(self.coverage10, 6),
            "users": self.n_users,
            "intervals": {
                name: [round(interval.low, 6), round(interval.high, 6)]
                for name, interval in self.intervals.items()
            },
        }
        if self.segments:
            found["segments"] = {
                segment: {name: round(value, 6) for name, value in figures.items()}
                for segment, figures in self.segments.items()
            }
        return found if self.n_users else {**found, "warning": NOBODY}


def evaluate_lists(
    top: TopN, truth: Truth, catalogue_size: int, seed: int = 0, background: Background | None = None
) -> Evaluation:
    """Scores lists of at least 20 places whose rows are truth.users; catalogue_size: items that could be
    listed.

    background: what training knew (`Background.from_dataset(split.train)`); with it come AUC, the metrics of
    `list_metrics` and the segments.
    """
    per_user = per_user_metrics(top, truth)
    coverage = coverage_of(top, catalogue_size)
    if background is None:
        return Evaluation(per_user, coverage, seed)
    per_user["auc"] = auc_of(top, truth, catalogue_size)
    segments = _segments(top, truth, per_user, background)
    per_user.update(per_user_lists(top, truth, background))
    gini = gini_of(top, catalogue_size)
    return Evaluation(per_user, coverage, seed, {} if gini is None else {"gini10": gini}, segments)


def _segments(
    top: TopN, truth: Truth, per_user: Mapping[str, PerUser], background: Background
) -> dict[str, dict[str, float]]:
    returning = background.returning(truth.users)
    found = {"new": _means(per_user, ~returning), "returning": _means(per_user, returning)}
    head = background.in_head(truth.items)
    for name, mask in (("head", head), ("tail", ~head)):
        part, rows = truth.only(mask)
        judged = per_user_metrics(top.head(20).take(rows), part)
        found[name] = _means(judged, np.ones(len(part), dtype=np.bool_))
    return found


def _means(per_user: Mapping[str, PerUser], mask: np.ndarray) -> dict[str, float]:
    users = int(mask.sum())
    if not users:
        return {"users": 0}
    return {"users": users, **{name: float(per_user[name][mask].mean()) for name in SEGMENT_METRICS}}
