"""Weights of the hybrid, chosen on validation windows: random starts on the simplex, coordinate ascent,
bagging.

A set of weights is evaluated once for all bags: what it gives each shopper does not depend on how often a bag
counts the shopper.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.ml.blend import Doubles
from apps.ml.blend_scoring import Scorer, Window, Worth
from apps.ml.objectives import NDCG, PARTS, Objective, pareto_front
from apps.ml.protocols import Truth
from apps.ml.topn import TopN

__all__ = ["Window", "weights_choose", "weights_front"]

RANDOM_STARTS = 24
BAGS = 8
CLEARLY_BETTER = 1.02
"""The mean of the bags is given unless one answer beats it by this much on everyone: averages overfit
least."""
STEPS = (0.0, 0.5, 0.75, 1.33, 2.0)
"""Factors a coordinate is tried at; a weight of 0 is tried at 5 % and 15 % of the sum instead."""
MAX_ROUNDS = 12
BAG_ROUNDS = 4
"""Bags profit from each other's trials, so few rounds bring them up."""
KEPT_DEPTH = 40
"""After the starts, candidates that none of them brings this far up are left out of the ascent."""
FRONT_POINTS = 80


def weights_choose(
    lists: Mapping[str, TopN],
    truth: Truth,
    *,
    more: Sequence[Window] = (),
    normalisation: str = "z",
    seed: int = 0,
    should_stop: Callable[[], bool] | None = None,
    objective: Objective = NDCG,
    worth: Worth | None = None,
) -> dict[str, float]:
    """The weight of each source, summing to 1, that blends these lists to the highest objective: by default
    NDCG averaged over CUTS.

    more: further windows or variants, counted alike: each window's figures are taken relative to its best
    single source. worth: needed by the objective's money and novelty, which count 0 without. To be robust
    against the chance of one sample of shoppers, the search is repeated on resamples of them and the mean of
    the answers is given; on the data given it falls at most slightly below the best single source.
    """
    names = list(lists)
    rng = np.random.default_rng(seed)
    pool = _Pool.build([Window(lists, truth), *more], names, normalisation, rng, objective, worth)
    n = len(names)
    starts = [*np.eye(n), np.full(n, 1 / n), *rng.dirichlet(np.full(n, 0.7), RANDOM_STARTS)]
    pool.narrow(starts)
    for weights in starts:
        pool.quality(weights)
    singles = [pool.quality(weights)[-1] for weights in np.eye(n)]
    best_single: Doubles = np.eye(n)[int(np.argmax(singles))]
    stop = should_stop or (lambda: False)
    # everyone last: bags that began at everyone's best would agree with it, and averaging would calm nothing
    pool.ascend(list(range(BAGS)), BAG_ROUNDS, rng, stop)
    answers = [pool.best(bag) for bag in range(BAGS)]
    pool.ascend([BAGS], MAX_ROUNDS, rng, stop)
    candidates = [*answers, pool.best(BAGS), np.mean(answers, axis=0), best_single]
    quality = [pool.exact(weights) for weights in candidates]
    mean_place = len(candidates) - 2
    best_place = int(np.argmax(quality))
    chosen = (
        candidates[mean_place]
        if quality[mean_place] * CLEARLY_BETTER >= quality[best_place]
        else candidates[best_place]
    )
    return {name: round(float(weight), 4) for name, weight in zip(names, chosen / chosen.sum(), strict=True)}


def weights_front(
    lists: Mapping[str, TopN],
    truth: Truth,
    worth: Worth,
    *,
    parts: Sequence[str] = ("ndcg", "coverage"),
    known: Sequence[Mapping[str, float]] = (),
    normalisation: str = "z",
    seed: int = 0,
    points: int = FRONT_POINTS,
) -> list[dict[str, Any]]:
    """Sets of weights of which none is better in all parts: [{"weights": …, part: value, …}], by the first
    part descending.

    known: weights to put among the random ones, such as the chosen. A part without data (a shop without costs
    has no margin) is 0 everywhere. ValueError for an unknown part.
    """
    if not parts or any(name not in PARTS for name in parts):
        raise ValueError(f"parts must be among {PARTS}, got {list(parts)}")
    names = list(lists)
    rng = np.random.default_rng(seed)
    scorer = Scorer.build(Window(lists, truth), normalisation, rng, worth)
    asked = Objective(**{name: float(name in parts) for name in PARTS})
    tried: list[Doubles] = [np.array([given.get(name, 0.0) for name in names]) for given in known]
    centre = np.mean(tried, axis=0) if tried else np.full(len(names), 1 / len(names))
    tried += list(np.eye(len(names)))
    for concentration in (0.5, 8.0):
        tried += list(rng.dirichlet(concentration * (centre + 0.05) * len(names), max(1, points // 2)))
    values = [scorer.parts(weights, asked) for weights in tried]
    table = np.array([[_mean(found[name]) for name in parts] for found in values])
    return [
        {
            "weights": {name: round(float(w), 4) for name, w in zip(names, tried[row], strict=True)},
            **{name: round(float(table[row, place]), 6) for place, name in enumerate(parts)},
        }
        for row in pareto_front(table)
    ]


@dataclass
class _Pool:
    """Every set of weights tried so far with its quality under each bag; the last column is everyone.

    counts: per scorer float64 [BAGS + 1, n_users]. references: per scorer, each part's best single value.
    """

    scorers: list[Scorer]
    full: list[Scorer]
    counts: list[NDArray[np.float64]]
    references: list[dict[str, float]]
    objective: Objective
    known: dict[bytes, int] = field(default_factory=dict)
    weights: list[Doubles] = field(default_factory=list)
    qualities: list[Doubles] = field(default_factory=list)

    @classmethod
    def build(
        cls,
        windows: Sequence[Window],
        names: Sequence[str],
        normalisation: str,
        rng: np.random.Generator,
        objective: Objective,
        worth: Worth | None,
    ) -> _Pool:
        if any(list(window.lists) != list(names) for window in windows):
            raise ValueError("every window needs the same sources in the same order")
        scorers = [Scorer.build(window, normalisation, rng, worth) for window in windows]
        counts, references = [], []
        for scorer in scorers:
            n = scorer.n_users
            drawn = [np.bincount(rng.integers(0, max(n, 1), n), minlength=n)[:n] for _ in range(BAGS)]
            counts.append(np.array([*drawn, np.ones(n)], dtype=np.float64))
            singles = [scorer.parts(weights, objective) for weights in np.eye(len(names))]
            references.append(
                {part: max(max(_mean(one[part]) for one in singles), 1e-9) for part in singles[0]}
                if singles
                else {}
            )
        return cls(scorers, scorers, counts, references, objective)

    def narrow(self, starts: Sequence[Doubles]) -> None:
        """Leaves out candidates that none of the starts brings up."""
        self.scorers = [
            scorer.near([scorer.order(weights, KEPT_DEPTH) for weights in starts])
            if scorer.bought.size
            else scorer
            for scorer in self.full
        ]

    def quality(self, weights: Doubles) -> Doubles:
        """float64 [BAGS + 1]; remembered."""
        key = np.round(weights, 6).tobytes()
        if key not in self.known:
            self.known[key] = len(self.weights)
            self.weights.append(weights)
            self.qualities.append(self._evaluate(self.scorers, weights))
        return self.qualities[self.known[key]]

    def exact(self, weights: Doubles) -> float:
        """The quality for everyone over all candidates."""
        return float(self._evaluate(self.full, weights)[-1])

    def best(self, bag: int) -> Doubles:
        return self.weights[int(np.argmax([quality[bag] for quality in self.qualities]))]

    def ascend(
        self, bags: Sequence[int], rounds: int, rng: np.random.Generator, stop: Callable[[], bool]
    ) -> None:
        """Coordinate ascent of these bags side by side, each from its best so far; every bag profits from
        what another tries.
        """
        n = len(self.weights[0])
        for _ in range(rounds):
            before = self._values(bags)
            for source in rng.permutation(n):
                if stop():
                    return
                centres = {self.best(bag).tobytes(): self.best(bag) for bag in bags}
                for centre in centres.values():
                    for trial in _neighbours(centre, int(source)):
                        self.quality(trial)
            if not (self._values(bags) > before * (1 + 1e-4)).any():
                return

    def _values(self, bags: Sequence[int]) -> Doubles:
        return np.array([max(quality[bag] for quality in self.qualities) for bag in bags])

    def _evaluate(self, scorers: Sequence[Scorer], weights: Doubles) -> Doubles:
        total = np.zeros(BAGS + 1)
        for scorer, counts, reference in zip(scorers, self.counts, self.references, strict=True):
            for part, per_user in scorer.parts(weights, self.objective).items():
                share = getattr(self.objective, part) / len(scorers)
                total += share * (counts @ per_user) / np.maximum(counts.sum(axis=1), 1.0) / reference[part]
        return total


def _mean(values: Doubles) -> float:
    return float(values.mean()) if len(values) else 0.0


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
