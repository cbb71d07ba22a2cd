"""Weights of the hybrid, chosen on validation windows: random starts on the simplex, coordinate ascent,
bagging.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from apps.ml.blend import BlendTable, Doubles
from apps.ml.evaluate import Truth, hits_of
from apps.ml.topn import TopN

RANDOM_STARTS = 24
BAGS = 8
CUTS = (10, 20)
"""NDCG is averaged over lists of these lengths: longer ones see more of what was bought, so chance moves the
mean less, and 10 is what is judged."""
CLEARLY_BETTER = 1.02
"""The mean of the bags is given unless one answer beats it by this much on everyone: averages overfit
least."""
STEPS = (0.0, 0.5, 0.75, 1.33, 2.0)
"""Factors a coordinate is tried at; a weight of 0 is tried at 5 % and 15 % of the sum instead."""
MAX_USERS = 2_000
DEPTH = 100
"""Candidates are each list's first 100 items: nothing below them all reaches a top 10 worth tuning for."""
MAX_ROUNDS = 12


@dataclass(frozen=True)
class Window:
    """One validation window (or variant of it): the sources' lists and what was bought, rows as
    truth.users.
    """

    lists: Mapping[str, TopN]
    truth: Truth


def weights_choose(
    lists: Mapping[str, TopN],
    truth: Truth,
    *,
    more: Sequence[Window] = (),
    normalisation: str = "z",
    seed: int = 0,
    should_stop: Callable[[], bool] | None = None,
) -> dict[str, float]:
    """The weight of each source, summing to 1, that blends these lists to the highest NDCG, averaged over
    CUTS.

    more: further windows or variants, counted alike: each window's NDCG is taken relative to its best single
    source. To be robust against the chance of one sample of shoppers, the search is repeated on resamples of
    them and the mean of the answers is given; on the data given it falls at most slightly below the best
    single source.
    """
    windows = [Window(lists, truth), *more]
    names = list(lists)
    if any(list(window.lists) != names for window in windows):
        raise ValueError("every window needs the same sources in the same order")
    rng = np.random.default_rng(seed)
    scorers = [_Scorer.build(window, normalisation, rng) for window in windows]
    everyone: list[NDArray[np.float64]] = [np.ones(scorer.n_users) for scorer in scorers]
    best_single = _best_single(scorers, everyone, len(names))
    answers = []
    for bag in range(BAGS):
        if should_stop is not None and should_stop():
            break
        counts = [np.bincount(rng.integers(0, s.n_users, s.n_users), minlength=s.n_users) for s in scorers]
        answers.append(
            _ascend(scorers, [c.astype(np.float64) for c in counts], len(names), rng, thorough=bag == 0)
        )
    candidates = [*answers, np.mean(answers, axis=0), best_single] if answers else [best_single]
    quality = [_objective(scorers, everyone, weights) for weights in candidates]
    mean_place = len(candidates) - 2 if answers else 0
    best_place = int(np.argmax(quality))
    chosen = (
        candidates[mean_place]
        if quality[mean_place] * CLEARLY_BETTER >= quality[best_place]
        else candidates[best_place]
    )
    return {name: round(float(weight), 4) for name, weight in zip(names, chosen / chosen.sum(), strict=True)}


@dataclass(frozen=True)
class _Scorer:
    """Everything about a window that does not depend on the weights.

    norms: float32 [n, c, n_sources]; listed: bool of the same shape, where the source lists the candidate.
    bought: bool [n, c]. discounts: float32 [n, max(CUTS)], what a hit at each place is worth to the user.
    """

    norms: NDArray[np.float32]
    listed: NDArray[np.bool_]
    bought: NDArray[np.bool_]
    discounts: NDArray[np.float32]
    reference: float = 1.0

    @property
    def n_users(self) -> int:
        return len(self.bought)

    @classmethod
    def build(cls, window: Window, normalisation: str, rng: np.random.Generator) -> _Scorer:
        tops, truth = list(window.lists.values()), window.truth
        if len(truth) > MAX_USERS:
            rows = np.sort(rng.choice(len(truth), MAX_USERS, replace=False))
            tops = [top.take(rows) for top in tops]
            truth = truth.take(rows)
        table = BlendTable.from_lists(tops, normalisation).near([top.head(DEPTH) for top in tops])
        bought = hits_of(TopN(table.ids, np.zeros(table.ids.shape, np.float32)), truth)
        scorer = cls(
            np.ascontiguousarray(np.moveaxis(table.norms, 0, 2), dtype=np.float32),
            np.ascontiguousarray(np.moveaxis(table.listed, 0, 2)),
            bought,
            _discounts(truth),
        )
        everyone = np.ones(len(truth))
        best = max((scorer.ndcg(weights, everyone) for weights in np.eye(len(tops))), default=0.0)
        return replace(scorer, reference=max(best, 1e-9))

    def ndcg(self, weights: Doubles, counts: NDArray[np.float64]) -> float:
        """Mean NDCG with each user counted `counts` times."""
        active = weights > 0
        if not self.bought.size or not active.any():
            return 0.0
        total = self.norms @ weights.astype(np.float32)
        # a source of weight 0 brings no candidates: what only it lists is out, as is padding
        total[~self.listed[:, :, active].any(axis=2)] = -np.inf
        width = min(max(CUTS), total.shape[1])
        places = np.argpartition(-total, width - 1, axis=1)[:, :width]
        order = np.argsort(-np.take_along_axis(total, places, axis=1), axis=1)
        hits = np.take_along_axis(self.bought, np.take_along_axis(places, order, axis=1), axis=1)
        per_user = (hits * self.discounts[:, :width]).sum(axis=1)
        return float(counts @ per_user / counts.sum())


def _discounts(truth: Truth) -> NDArray[np.float32]:
    """Mean over CUTS of 1 / log2(rank + 1) / ideal DCG, 0 below the cut: float32 [n_users, max(CUTS)]."""
    longest = max(CUTS)
    steps = 1 / np.log2(np.arange(2, longest + 2))
    ideal = np.cumsum(steps)
    shares = [
        np.where(np.arange(longest) < cut, steps, 0.0) / ideal[np.minimum(truth.sizes, cut) - 1][:, None]
        for cut in CUTS
    ]
    return np.mean(shares, axis=0).astype(np.float32)


def _objective(scorers: Sequence[_Scorer], counts: Sequence[NDArray[np.float64]], weights: Doubles) -> float:
    return float(np.mean([s.ndcg(weights, c) / s.reference for s, c in zip(scorers, counts, strict=True)]))


def _best_single(
    scorers: Sequence[_Scorer], counts: Sequence[NDArray[np.float64]], n_sources: int
) -> Doubles:
    singles = np.eye(n_sources)
    best: Doubles = singles[int(np.argmax([_objective(scorers, counts, weights) for weights in singles]))]
    return best


def _ascend(
    scorers: Sequence[_Scorer],
    counts: Sequence[NDArray[np.float64]],
    n_sources: int,
    rng: np.random.Generator,
    thorough: bool,
) -> Doubles:
    starts = [np.full(n_sources, 1 / n_sources), _best_single(scorers, counts, n_sources)]
    starts.extend(rng.dirichlet(np.full(n_sources, 0.7), RANDOM_STARTS if thorough else RANDOM_STARTS // 3))
    quality = [_objective(scorers, counts, weights) for weights in starts]
    place = int(np.argmax(quality))
    best, value = starts[place], quality[place]
    for _ in range(MAX_ROUNDS):
        before = value
        for source in rng.permutation(n_sources):
            for trial in _neighbours(best, int(source)):
                found = _objective(scorers, counts, trial)
                if found > value * (1 + 1e-5):
                    best, value = trial, found
        if value <= before * (1 + 1e-4):
            break
    return best


def _neighbours(weights: Doubles, source: int) -> list[Doubles]:
    targets = (
        [weights[source] * step for step in STEPS]
        if weights[source] > 0
        else [share * weights.sum() for share in (0.05, 0.15)]
    )
    trials = []
    for target in targets:
        trial = weights.copy()
        trial[source] = target
        if trial.sum() > 0:
            trials.append(trial / trial.sum())
    return trials
