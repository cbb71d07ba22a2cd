"""Combinations of the lists of our families: the weighted hybrid, the stacked ranker with its coverage knob,
and the list of the ranker blended with a share of the list of the hybrid.

For each test window they learn from the two windows before it, never from the test window. How far the knob
is turned, and the hybrid's share, are chosen by a ranker and a hybrid taught by the older one and
judged on the nearer one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.ml.blend import blend_many
from apps.ml.dataset import Ints
from apps.ml.evaluate import VARIANTS, Evaluation, Variant
from apps.ml.ranking_facts import Facts
from apps.ml.stacking import Lesson, StackedRanker
from apps.ml.topn import PADDING_ID, SERVED_LIST_LENGTH, TopN
from apps.ml.tune import Window as Tuned
from apps.ml.tune import weights_choose
from tests.benchmarks.models.peers.exchange import peak_mb
from tests.benchmarks.models.running import WORKERS
from tests.benchmarks.models.standings import LEAST_COVERAGE, Standing, judge, standing
from tests.benchmarks.models.windows import Window

KNOB = (0.0, 0.1, 0.2, 0.3, 0.45, 0.6, 0.8)
SAFETY = 1.05
"""The knob is turned until validation has this much more coverage than asked: the next window differs."""
SHARES = (0.0, 0.13, 0.25)
"""Of the hybrid in the blend with the ranker. Trees learn from few purchases; a line errs elsewhere."""
HYBRID, STACKED, STACKED_WIDE = "hybrid", "stacked ranker", "stacked ranker, coverage kept"
BLENDED = "stacked ranker and hybrid"

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
    """material: by test window the window itself and those before it, nearest first, with the lists of the
    settings that were chosen for this test window.
    """
    tasks = [(place, variant) for place in range(len(material)) for variant in VARIANTS]
    with ThreadPoolExecutor(WORKERS) as pool:
        answers = list(pool.map(lambda task: _combined(material[task[0]], task[1]), tasks))
    found = dict(zip(tasks, answers, strict=True))
    windows = [material[place][0].window for place in range(len(material))]
    standings = []
    for name in (HYBRID, STACKED, STACKED_WIDE, BLENDED):
        lists: list[dict[Variant, TopN]] = [
            {variant: found[(place, variant)].lists[name] for variant in VARIANTS}
            for place in range(len(material))
        ]
        settings = {
            variant: [found[(place, variant)].settings[name] for place in range(len(material))]
            for variant in VARIANTS
        }
        done = standing(name, True, lists, windows, settings)
        done.seconds = float(np.mean([answer.seconds[name] for answer in answers]))
        done.peak_mb = peak_mb()
        standings.append(done)
    curves = [found[(place, "new")].curve for place in range(len(material))]
    curve = [
        {key: float(np.mean([one[step][key] for one in curves])) for key in curves[0][step]}
        for step in range(len(KNOB))
    ]
    return Combined(standings, curve)


@dataclass(frozen=True)
class _Answer:
    """Of one window and variant, by name of the combination; lists for the users of "all"."""

    lists: dict[str, TopN]
    settings: dict[str, Any]
    seconds: dict[str, float]
    curve: list[dict[str, float]]


@dataclass(frozen=True)
class _Ranked:
    """One ranker's candidates of one window, scored once. plain: float64 [n, c] with the knob at 0."""

    material: Material
    variant: Variant
    ids: Ints
    plain: NDArray[np.float64]
    crowding: NDArray[np.float64]

    @classmethod
    def of(cls, ranker: StackedRanker, material: Material, variant: Variant) -> _Ranked:
        users = material.window.truth[variant].users
        found = ranker.with_coverage(0.0).candidates(material.lists[variant], users, material.facts)
        place = np.minimum(np.searchsorted(ranker.crowded_ids, found.ids), len(ranker.crowded_ids) - 1)
        known = ranker.crowded_ids[place] == found.ids
        crowding = np.where(known, ranker.crowding[place], 0.0)
        return cls(material, variant, found.ids, ranker.with_coverage(0.0).scores(found), crowding)

    def turned(self, knob: float) -> TopN:
        """The ranker's lists with its knob at this place, for the users of "all"."""
        total = self.plain - knob * self.crowding
        order = np.argsort(-total, axis=1, kind="stable")[:, :SERVED_LIST_LENGTH]
        ids = np.take_along_axis(self.ids, order, axis=1)
        scores = np.take_along_axis(total, order, axis=1).astype(np.float32)
        gone = np.isneginf(scores)
        return self.material.spread(TopN(np.where(gone, PADDING_ID, ids), scores), self.variant)

    def judged(self, knob: float) -> Evaluation:
        return judge(self.turned(knob), self.material.window, self.variant)


def _combined(material: Sequence[Material], variant: Variant) -> _Answer:
    test, *past = material
    started = time.perf_counter()
    weights, top = _hybrid(test, past, variant)
    line = test.spread(top, variant)
    seconds = {HYBRID: time.perf_counter() - started}
    started = time.perf_counter()
    ranked = _ranked(test, past, variant)
    seconds[STACKED] = time.perf_counter() - started
    started = time.perf_counter()
    near, *older = past
    rehearsed = _ranked(near, older, variant)
    knob = _knob(rehearsed) if variant == "new" else 0.0
    share = _share(rehearsed, near.spread(_hybrid(near, older, variant)[1], variant))
    choosing = time.perf_counter() - started
    seconds[STACKED_WIDE] = seconds[STACKED] + choosing
    seconds[BLENDED] = seconds[STACKED] + seconds[HYBRID] + choosing
    lists = {
        HYBRID: line,
        STACKED: ranked.turned(0.0),
        STACKED_WIDE: ranked.turned(knob),
        BLENDED: _blended(ranked, line, share),
    }
    settings = {
        HYBRID: weights,
        STACKED: {"knob": 0.0},
        STACKED_WIDE: {"knob": knob},
        BLENDED: {"hybrid's share": share},
    }
    return _Answer(lists, settings, seconds, _curve(ranked) if variant == "new" else [])


def _ranked(test: Material, past: Sequence[Material], variant: Variant) -> _Ranked:
    return _Ranked.of(StackedRanker.fit([one.lesson(variant) for one in past]), test, variant)


def _hybrid(test: Material, past: Sequence[Material], variant: Variant) -> tuple[dict[str, float], TopN]:
    windows = [Tuned(one.lists[variant], one.window.truth[variant]) for one in past]
    weights = weights_choose(windows[0].lists, windows[0].truth, more=windows[1:])
    used = {name: weight for name, weight in weights.items() if weight > 0}
    tops = [test.lists[variant][name] for name in used]
    return used, blend_many(tops, list(used.values()), SERVED_LIST_LENGTH)


def _blended(ranked: _Ranked, line: TopN, share: float) -> TopN:
    """The ranker's list with this share of the hybrid's, for the users of "all"."""
    return blend_many([ranked.turned(0.0), line], [1 - share, share], SERVED_LIST_LENGTH)


def _share(rehearsed: _Ranked, line: TopN) -> float:
    """The hybrid's share with the best NDCG@10 on the nearest past window, the least of equals."""
    window, variant = rehearsed.material.window, rehearsed.variant
    quality = [judge(_blended(rehearsed, line, share), window, variant).mean("ndcg10") for share in SHARES]
    return SHARES[int(np.argmax(quality))]


def _knob(rehearsed: _Ranked) -> float:
    """The least turn that keeps the coverage on the nearest past window."""
    for knob in KNOB:
        if rehearsed.judged(knob).coverage10 >= SAFETY * LEAST_COVERAGE:
            return knob
    return KNOB[-1]


def _curve(ranked: _Ranked) -> list[dict[str, float]]:
    points = []
    for knob in KNOB:
        done = ranked.judged(knob)
        points.append(
            {"knob": knob, **{name: done.mean(name) for name in ("ndcg10", "recall20", "coverage10")}}
        )
    return points
