"""Settings chosen on the window before each test, lists judged by one scorer, ratios with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from apps.ml.evaluate import VARIANTS, Evaluation, Variant, evaluate_lists
from apps.ml.topn import TopN
from tests.benchmarks.models.entrants import Setting
from tests.benchmarks.models.running import Run
from tests.benchmarks.models.windows import Window

METRICS = ("ndcg10", "recall20", "mrr10", "hit10", "precision10")
RESAMPLES = 2_000
LEAST_COVERAGE = 0.20
"""Share of the catalogue that all top-10 lists of *new* together must hold."""


@dataclass
class Standing:
    """One entrant over all test windows, in their order.

    settings: those chosen. error: why there is nothing.
    """

    name: str
    ours: bool
    evaluations: dict[Variant, list[Evaluation]] = field(default_factory=dict)
    settings: dict[Variant, list[Setting]] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    list_seconds: float = 0.0
    peak_mb: float = 0.0
    error: str = ""

    def mean(self, variant: Variant, metric: str) -> float:
        """Mean over the windows of a metric of USER_METRICS, or of coverage10."""
        return float(np.mean([done.mean(metric) for done in self.evaluations[variant]]))

    def pooled(self, variant: Variant, metric: str) -> np.ndarray:
        """The metric of every user of every window: float64 [n]."""
        return np.concatenate([done.per_user[metric] for done in self.evaluations[variant]])


@dataclass(frozen=True)
class Ratio:
    """a / b. windows: by the means of the windows, each counting alike. pooled: over the users of all
    windows, with the paired bootstrap 95 % interval low..high.
    """

    windows: float
    pooled: float
    low: float
    high: float
    by_window: tuple[float, ...]


def judge(top: TopN, window: Window, variant: Variant) -> Evaluation:
    """top: rows as the users of "all", those of "new" are among them."""
    truth = window.truth[variant]
    rows = window.truth["all"].users.searchsorted(truth.users)
    return evaluate_lists(top.take(rows), truth, window.split.catalogue_size)


def choose(runs: Sequence[Run], window: Window, variant: Variant) -> int | None:
    """Place of the setting with the best NDCG@10 on this validation window, the first of equals; None if none
    has lists.
    """
    quality = [
        judge(run.lists[variant], window, variant).mean("ndcg10") if run.lists else -1.0 for run in runs
    ]
    return int(np.argmax(quality)) if quality and max(quality) >= 0 else None


def standing(
    name: str,
    ours: bool,
    lists: Sequence[Mapping[Variant, TopN]],
    windows: Sequence[Window],
    settings: Mapping[Variant, list[Setting]] | None = None,
) -> Standing:
    """Judges the lists of each test window."""
    done = Standing(name, ours, settings=dict(settings or {}))
    for variant in VARIANTS:
        done.evaluations[variant] = [
            judge(found[variant], window, variant) for found, window in zip(lists, windows, strict=True)
        ]
    return done


def ratio(a: Standing, b: Standing, variant: Variant, metric: str, seed: int = 0) -> Ratio:
    """a relative to b over the same users; the intervals resample users, never single purchases."""
    above, below = a.pooled(variant, metric), b.pooled(variant, metric)
    if above.shape != below.shape:
        raise ValueError(f"{a.name} and {b.name} were judged on different users")
    rng = np.random.default_rng(seed)
    n = len(above)
    drawn = np.empty(RESAMPLES)
    for place in range(RESAMPLES):
        counts = np.bincount(rng.integers(0, n, n), minlength=n)
        drawn[place] = (counts @ above) / max(float(counts @ below), 1e-12)
    low, high = np.percentile(drawn, [2.5, 97.5])
    by_window = tuple(
        one.mean(metric) / max(other.mean(metric), 1e-12)
        for one, other in zip(a.evaluations[variant], b.evaluations[variant], strict=True)
    )
    return Ratio(
        a.mean(variant, metric) / max(b.mean(variant, metric), 1e-12),
        float(above.mean() / max(float(below.mean()), 1e-12)),
        float(low),
        float(high),
        by_window,
    )
