"""Our combinations of the families' lists: the weighted hybrid and the stacked ranker with its coverage knob.

For each test window they learn from the two windows before it, never from the test window. How far the knob
is turned is chosen by a ranker taught by the older of the two and judged on the nearer one.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.ml.blend import blend_many
from apps.ml.evaluate import VARIANTS, Variant
from apps.ml.ranking_facts import Facts
from apps.ml.stacking import Lesson, StackedRanker
from apps.ml.topn import SERVED_LIST_LENGTH, TopN
from apps.ml.tune import Window as Tuned
from apps.ml.tune import weights_choose
from tests.benchmarks.models.standings import LEAST_COVERAGE, Standing, judge, standing
from tests.benchmarks.models.windows import TEST_WINDOWS, Window

KNOB = (0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8)
SAFETY = 1.05
"""The knob is turned until validation has this much more coverage than asked: the next window differs."""
HYBRID, STACKED, STACKED_WIDE = "hybrid", "stacked ranker", "stacked ranker, coverage kept"

Sources = dict[str, TopN]


@dataclass(frozen=True)
class Material:
    """One window with the lists of the chosen settings. lists: by variant and family, rows as truth.users."""

    window: Window
    lists: dict[Variant, Sources]
    facts: Facts

    @classmethod
    def of(cls, window: Window, lists: Mapping[Variant, Mapping[str, TopN]]) -> Material:
        """From lists for the users of "all"."""
        everyone = window.truth["all"].users
        cut: dict[Variant, Sources] = {}
        for variant in VARIANTS:
            rows = everyone.searchsorted(window.truth[variant].users)
            cut[variant] = {name: top.take(rows) for name, top in lists[variant].items()}
        return cls(window, cut, Facts.from_dataset(window.split.train))

    def lesson(self, variant: Variant) -> Lesson:
        return Lesson(self.lists[variant], self.facts, self.window.truth[variant])

    def spread(self, top: TopN, variant: Variant) -> TopN:
        """Lists for the users of `variant` as rows for those of "all", the others empty."""
        everyone = self.window.truth["all"].users
        wide = TopN.empty(len(everyone), top.k)
        rows = everyone.searchsorted(self.window.truth[variant].users)
        wide.ids[rows], wide.scores[rows] = top.ids, top.scores
        return wide


@dataclass
class Combined:
    """standings: of the hybrid and the rankers. curve: what the knob trades, mean over the test windows."""

    standings: list[Standing]
    curve: list[dict[str, float]]


def combine(material: Mapping[int, Sequence[Material]]) -> Combined:
    """material: by test window the window itself and the two before it, nearest first, with the lists of the
    settings that were chosen for this test window.
    """
    lists: dict[str, list[dict[Variant, TopN]]] = {name: [] for name in (HYBRID, STACKED, STACKED_WIDE)}
    settings: dict[str, dict[Variant, list[Any]]] = {name: {v: [] for v in VARIANTS} for name in lists}
    seconds = dict.fromkeys(lists, 0.0)
    curves: list[list[dict[str, float]]] = []
    for place in range(TEST_WINDOWS):
        test, *past = material[place]
        found: dict[str, dict[Variant, TopN]] = {name: {} for name in lists}
        for variant in VARIANTS:
            started = time.perf_counter()
            weights, top = _hybrid(test, past, variant)
            found[HYBRID][variant] = test.spread(top, variant)
            settings[HYBRID][variant].append(weights)
            seconds[HYBRID] += time.perf_counter() - started
            started = time.perf_counter()
            knob = _knob(past, variant)
            ranker = StackedRanker.fit([one.lesson(variant) for one in past])
            users = test.window.truth[variant].users
            for name, turned in ((STACKED, 0.0), (STACKED_WIDE, knob)):
                top = ranker.with_coverage(turned).rank(test.lists[variant], users, test.facts)
                found[name][variant] = test.spread(top, variant)
                settings[name][variant].append({"coverage": turned})
                seconds[name] += (time.perf_counter() - started) / 2
            if variant == "new":
                curves.append(_curve(ranker, test))
        for name in lists:
            lists[name].append(found[name])
    windows = [material[place][0].window for place in range(TEST_WINDOWS)]
    standings = []
    for name in lists:
        done = standing(name, True, lists[name], windows, settings[name])
        done.seconds = seconds[name] / TEST_WINDOWS
        done.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        standings.append(done)
    curve = [
        {key: float(np.mean([one[step][key] for one in curves])) for key in curves[0][step]}
        for step in range(len(KNOB))
    ]
    return Combined(standings, curve)


def _hybrid(test: Material, past: Sequence[Material], variant: Variant) -> tuple[dict[str, float], TopN]:
    windows = [Tuned(one.lists[variant], one.window.truth[variant]) for one in past]
    weights = weights_choose(windows[0].lists, windows[0].truth, more=windows[1:])
    used = {name: weight for name, weight in weights.items() if weight > 0}
    tops = [test.lists[variant][name] for name in used]
    return used, blend_many(tops, list(used.values()), SERVED_LIST_LENGTH)


def _knob(past: Sequence[Material], variant: Variant) -> float:
    """The least turn that keeps the coverage on the nearest past window."""
    if variant == "all":
        return 0.0
    near, *older = past
    ranker = StackedRanker.fit([one.lesson(variant) for one in older])
    users = near.window.truth[variant].users
    for turned in KNOB:
        top = ranker.with_coverage(turned).rank(near.lists[variant], users, near.facts)
        if judge(near.spread(top, variant), near.window, variant).coverage10 >= SAFETY * LEAST_COVERAGE:
            return turned
    return KNOB[-1]


def _curve(ranker: StackedRanker, test: Material) -> list[dict[str, float]]:
    users = test.window.truth["new"].users
    points = []
    for turned in KNOB:
        top = ranker.with_coverage(turned).rank(test.lists["new"], users, test.facts)
        done = judge(test.spread(top, "new"), test.window, "new")
        figures = {name: done.mean(name) for name in ("ndcg10", "recall20", "coverage10")}
        points.append({"knob": turned, **figures})
    return points
