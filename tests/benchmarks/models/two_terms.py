"""The honest bar: EASE without any notion of time, and the recent trend, two terms over the whole catalogue.

Both are z-normalised over each user's candidates and added, the trend with a weight. On *all* a third of the
candidates' order is decided by repeats, which neither term knows; the bar is meant for *new*.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from apps.ml.base import Model, TrainOptions
from apps.ml.dataset import Ints
from apps.ml.evaluate import VARIANTS, Variant
from apps.ml.topn import TopN, top_k
from apps.ml.train import train
from tests.benchmarks.models.entrants import BAR, BAR_WIDE
from tests.benchmarks.models.standings import LEAST_COVERAGE, Standing, judge, standing
from tests.benchmarks.models.windows import Window

LAMBDAS = (200.0, 500.0, 1_000.0)
HALF_LIVES = (4.0, 7.0, 14.0)
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.4, 2.0, 3.0, 4.0)
LENGTH = 20
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class Terms:
    """regularisation of EASE, half-life in days of the recent popularity, weight of the trend."""

    regularisation: float
    half_life_days: float
    weight: float


@dataclass(frozen=True)
class Fitted:
    """Scores of one window: ease [users, items] by lambda, trend [items] by half-life; -inf = none."""

    window: Window
    items: Ints
    ease: dict[float, Scores]
    trend: dict[float, Scores]
    bought: NDArray[np.bool_]
    seconds: float

    @classmethod
    def fit(cls, window: Window) -> Fitted:
        """Fits every lambda and half-life on the training part of this window."""
        started = time.perf_counter()
        data, options = window.split.train, TrainOptions()
        rows = data.users.rows(window.truth["all"].users)
        ease, trend = {}, {}
        for lam in LAMBDAS:
            plain = {"regularisation": lam, "row_half_life_days": None, "profile_half_life_days": None}
            model = train("ease", plain, data, options)
            ease[lam] = model.score_users(rows).astype(np.float64)
        for half_life in HALF_LIVES:
            rising: Model = train("trend", {"recent_half_life_days": half_life}, data, options)
            trend[half_life] = rising.score_users(rows[:1])[0].astype(np.float64)
        bought = model.history.bought[rows].toarray()
        return cls(window, data.items.ids, ease, trend, bought, time.perf_counter() - started)

    def lists(self, terms: Terms, variant: Variant) -> TopN:
        """Top lists for the users of "all"."""
        ease, trend = self.ease[terms.regularisation], self.trend[terms.half_life_days]
        candidates = np.isfinite(ease) & np.isfinite(trend)[None, :]
        if variant == "new":
            candidates &= ~self.bought
        total = _normalised(ease, candidates)
        if terms.weight:
            total = total + terms.weight * _normalised(np.broadcast_to(trend, ease.shape), candidates)
        return top_k(np.where(candidates, total, -np.inf).astype(np.float32), self.items, LENGTH)


def choose_terms(fitted: Fitted, variant: Variant) -> tuple[Terms, Terms]:
    """The best NDCG@10 on this validation window, of all and of those with at least LEAST_COVERAGE."""
    trials = [Terms(*trial) for trial in product(LAMBDAS, HALF_LIVES, WEIGHTS)]
    judged = [judge(fitted.lists(terms, variant), fitted.window, variant) for terms in trials]
    quality = np.array([done.mean("ndcg10") for done in judged])
    wide = np.array([done.coverage10 >= LEAST_COVERAGE for done in judged])
    return trials[int(np.argmax(quality))], trials[int(np.argmax(np.where(wide, quality, quality - 1)))]


def bars(windows: Sequence[Window]) -> list[Standing]:
    """The bar tuned for NDCG@10 alone, and tuned for it at the coverage asked of everyone.

    windows: latest first, each followed by the window its terms are chosen on; the last is no test.
    """
    fitted = [Fitted.fit(window) for window in windows]
    chosen = {variant: [choose_terms(before, variant) for before in fitted[1:]] for variant in VARIANTS}
    seconds = float(np.mean([one.seconds for one in fitted])) / len(LAMBDAS)
    found = []
    for place, name in enumerate((BAR, BAR_WIDE)):
        lists: list[dict[Variant, TopN]] = [
            {variant: now.lists(chosen[variant][number][place], variant) for variant in VARIANTS}
            for number, now in enumerate(fitted[:-1])
        ]
        settings = {variant: [asdict(terms[place]) for terms in chosen[variant]] for variant in VARIANTS}
        done = standing(name, True, lists, windows[:-1], settings)
        done.seconds = seconds
        found.append(done)
    return found


def _normalised(scores: Scores, candidates: NDArray[np.bool_]) -> Scores:
    """z over each row's candidates; 0 elsewhere."""
    known = np.where(candidates, scores, 0.0)
    count = np.maximum(candidates.sum(axis=1, keepdims=True), 1)
    mean = known.sum(axis=1, keepdims=True) / count
    spread = np.sqrt((np.where(candidates, scores - mean, 0.0) ** 2).sum(axis=1, keepdims=True) / count)
    return np.where(candidates, (known - mean) / np.where(spread > 0, spread, 1.0), 0.0)
