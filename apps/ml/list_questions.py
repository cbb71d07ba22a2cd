"""Lists asked for a ranking of the whole catalogue, and how good the answer is; blends of several answers.

Shape suffixes: B questions in a block, N items, C candidates of a question, S scorers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from apps.ml.base import BLOCK_CELLS
from apps.ml.dataset import Ints
from apps.ml.list_scorers import Scorer, blocks
from apps.ml.ordered_items import profiles
from apps.ml.text_files import EventLists, offsets, ranges
from apps.ml.topn import Floats

CUTS = (10, 20)
DEPTH = 60
"""Candidates a scorer brings to a blend, per question."""
RISE = 1.0005
"""A step of the weights must gain this much: less is chance."""
BAGS, ROUNDS = 4, 4
LEAST_WEIGHT = 0.03
"""A smaller part of a blend is not worth a fit."""
CLEARLY_BETTER = 1.01
"""The mean of the bags is taken unless one answer beats it by this much on everyone."""
STEPS = (0.0, 0.6, 0.8, 1.25, 1.7)
NEW_SHARES = (0.1, 0.3, 0.6)
Check = Callable[[], None]


@dataclass(frozen=True)
class Questions:
    """lists: what is known; targets: what is right, at least one item per list, rows alike. exclude: a
    list's own items are no answers.
    """

    lists: EventLists
    targets: EventLists
    exclude: bool

    def __len__(self) -> int:
        return len(self.lists)

    def take(self, rows: Ints) -> Questions:
        return Questions(self.lists.take(rows), self.targets.take(rows), self.exclude)

    def sample(self, cells: float, seed: int = 0) -> Questions:
        """At most `cells` scores' worth of them (at least 200), drawn evenly, in their order."""
        most = max(200, int(cells / max(1, self.lists.n_items)))
        if len(self) <= most:
            return self
        rows = np.sort(np.random.default_rng(seed).choice(len(self), most, replace=False))
        return self.take(rows)


@dataclass(frozen=True)
class Figures:
    """Means over questions. hit, ndcg, recall and mrr by cut."""

    values: Mapping[str, float]
    questions: int

    def __getitem__(self, name: str) -> float:
        return self.values[name]


@dataclass(frozen=True)
class Answer:
    """scores: float32 [B, N], -inf for what cannot be an answer. spread: float32 [B], the standard deviation
    of the others, 0 where all are alike.
    """

    scores: Floats
    spread: Floats


def answered(scorer: Scorer, questions: Questions, mixed: bool = True) -> Answer:
    """One block of questions, never with a NaN. mixed: whether the spread is needed; without it, it is 1."""
    scores = scorer.score(questions.lists)
    total = scores.sum(axis=1, dtype=np.float64)
    strange = np.flatnonzero(~np.isfinite(total))
    if len(strange):
        scores[strange] = np.nan_to_num(scores[strange], nan=-1e30, posinf=1e30, neginf=-1e30)
        total[strange] = scores[strange].sum(axis=1, dtype=np.float64)
    n = scores.shape[1]
    if not mixed:
        if questions.exclude:
            scores[questions.lists.owners(), questions.lists.item] = -np.inf
        return Answer(scores, np.ones(len(scores), dtype=np.float32))
    if not questions.exclude:
        return Answer(scores, torch.from_numpy(scores).std(dim=1, correction=0).numpy())
    own = np.unique(questions.lists.owners() * n + questions.lists.item)
    rows, columns = own // n, own % n
    left = np.maximum(n - np.bincount(rows, minlength=len(scores)), 1)
    mean = (total - np.bincount(rows, weights=scores[rows, columns], minlength=len(scores))) / left
    # own items at the mean of the others add nothing to the squares
    scores[rows, columns] = mean[rows]
    spread = torch.from_numpy(scores).std(dim=1, correction=0).numpy() * np.sqrt(n / left)
    scores[rows, columns] = -np.inf
    return Answer(scores, spread.astype(np.float32))


def judge(scorer: Scorer, questions: Questions, check: Check | None = None) -> Figures:
    """Figures of one scorer."""
    return judge_all({"one": scorer}, {}, questions, check)["one"]


def judge_all(
    scorers: Mapping[str, Scorer],
    blends: Mapping[str, Mapping[str, float]],
    questions: Questions,
    check: Check | None = None,
) -> dict[str, Figures]:
    """Figures of scorers and of blends of them (weights by scorer), each scorer asked once per block.

    A name may be in both: the scorer's own figures are left out where `blends` has its name.
    """
    found: dict[str, list[dict[str, NDArray[np.float64]]]] = {}
    mixed = {name for weights in blends.values() for name in weights}
    for rows in blocks(questions.lists, BLOCK_CELLS):
        if check is not None:
            check()
        part = questions.take(rows)
        answers = {name: answered(scorer, part, name in mixed) for name, scorer in scorers.items()}
        scores = {name: answer.scores for name, answer in answers.items()}
        for name, weights in blends.items():
            scores[name] = blended({key: answers[key] for key in weights}, weights)
        for name, one in scores.items():
            found.setdefault(name, []).append(per_question(one, part.targets))
    return {
        name: Figures(
            {metric: float(np.concatenate([p[metric] for p in parts]).mean()) for metric in parts[0]},
            len(questions),
        )
        for name, parts in found.items()
    }


def standard(scores: Floats) -> Floats:
    """z-scores over what can be an answer; -inf stays; constant rows give 0."""
    able = np.isfinite(scores)
    count = np.maximum(able.sum(axis=1, keepdims=True), 1)
    filled = np.where(able, scores, 0.0).astype(np.float32)
    mean = filled.sum(axis=1, keepdims=True) / count
    filled -= mean
    filled[~able] = 0.0
    spread = np.sqrt((filled**2).sum(axis=1, keepdims=True) / count)
    filled /= np.where(spread > 1e-12, spread, np.inf)
    filled[~able] = -np.inf
    return filled.astype(np.float32, copy=False)


def blended(answers: Mapping[str, Answer], weights: Mapping[str, float]) -> Floats:
    """Weighted sum of z-scores [B, N], but for what is added to a whole row, which changes no ranking."""
    total: Floats | None = None
    for name, weight in weights.items():
        if not weight:
            continue
        scores, spread = answers[name].scores, answers[name].spread
        scale = np.divide(weight, spread, out=np.zeros_like(spread), where=spread > 1e-12)
        with np.errstate(invalid="ignore"):  # -inf times 0, where a row is all alike
            part = scores * scale[:, None].astype(np.float32)
        if total is None:
            total = part
        else:
            total += part
    if total is None:
        return next(iter(answers.values())).scores
    strange = np.isnan(total.sum(axis=1)) & (
        np.min([one.spread for one in answers.values()], axis=0) <= 1e-12
    )
    total[strange] = np.nan_to_num(total[strange], nan=-np.inf, neginf=-np.inf)
    return total


def top_ids(scores: Floats, k: int) -> Ints:
    """The k best columns of each row, best first: int64 [B, k]."""
    wide = min(k, scores.shape[1])
    return torch.topk(torch.from_numpy(scores), wide, dim=1).indices.numpy()


def per_question(scores: Floats, targets: EventLists) -> dict[str, NDArray[np.float64]]:
    """hit, ndcg, recall and mrr at each cut for each row: float64 [B]."""
    if (targets.lengths == 1).all():
        return _one_target(scores, targets.item)
    top = top_ids(scores, max(CUTS))
    worth = np.take_along_axis(scores, top, axis=1)
    span = targets.n_items
    wanted = np.unique(targets.owners() * span + targets.item)
    sizes = np.bincount(wanted // span, minlength=len(targets))
    hits = np.isin(np.arange(len(top))[:, None] * span + top, wanted) & np.isfinite(worth)
    discount = 1 / np.log2(np.arange(2, top.shape[1] + 2))
    found: dict[str, NDArray[np.float64]] = {}
    for cut in CUTS:
        some = hits[:, :cut]
        steps = discount[: some.shape[1]]
        perfect = np.cumsum(1 / np.log2(np.arange(2, cut + 2)))[np.clip(sizes, 1, cut) - 1]
        found[f"hit{cut}"] = np.asarray(some.any(axis=1), dtype=np.float64)
        found[f"ndcg{cut}"] = np.asarray(some @ steps / perfect)
        found[f"recall{cut}"] = np.asarray(some.sum(axis=1) / np.maximum(sizes, 1))
        found[f"mrr{cut}"] = np.asarray(np.max(some / np.arange(1, some.shape[1] + 1), axis=1, initial=0.0))
    return found


def _one_target(scores: Floats, target: Ints) -> dict[str, NDArray[np.float64]]:
    """The same where one item is right, by how many are above it; of those like it half are."""
    value = scores[np.arange(len(scores)), target][:, None]
    above = np.count_nonzero(scores > value, axis=1)
    above += (np.count_nonzero(scores == value, axis=1) - 1) // 2
    above[~np.isfinite(value[:, 0])] = scores.shape[1]
    found: dict[str, NDArray[np.float64]] = {}
    for cut in CUTS:
        hit = (above < cut).astype(np.float64)
        found[f"hit{cut}"] = found[f"recall{cut}"] = hit
        found[f"ndcg{cut}"] = hit / np.log2(above + 2.0)
        found[f"mrr{cut}"] = hit / (above + 1.0)
    return found


@dataclass(frozen=True)
class BlendTable:
    """What is needed to try weights. z: float32 [n, C, S], padded candidates -inf in all; right: bool
    [n, C]; sizes: int64 [n], targets of each question.
    """

    names: tuple[str, ...]
    z: Floats
    right: NDArray[np.bool_]
    sizes: Ints

    @classmethod
    def build(
        cls, scorers: Mapping[str, Scorer], questions: Questions, check: Check | None = None
    ) -> BlendTable:
        """Candidates are each scorer's first DEPTH items; every scorer scores all of them."""
        width = min(DEPTH * len(scorers), questions.lists.n_items)
        z = np.full((len(questions), width, len(scorers)), -np.inf, dtype=np.float32)
        right = np.zeros((len(questions), width), dtype=np.bool_)
        for rows in blocks(questions.lists, BLOCK_CELLS):
            if check is not None:
                check()
            part = questions.take(rows)
            scores = [standard(answered(scorer, part, False).scores) for scorer in scorers.values()]
            ids = np.sort(np.concatenate([top_ids(one, DEPTH) for one in scores], axis=1), axis=1)
            twice = np.zeros(ids.shape, dtype=np.bool_)
            twice[:, 1:] = ids[:, 1:] == ids[:, :-1]
            order = np.argsort(twice, axis=1, kind="stable")[:, :width]
            ids, twice = np.take_along_axis(ids, order, axis=1), np.take_along_axis(twice, order, axis=1)
            for place, one in enumerate(scores):
                values = np.take_along_axis(one, ids, axis=1)
                z[rows, : ids.shape[1], place] = np.where(twice, -np.inf, values)
            keys = np.arange(len(rows))[:, None] * part.targets.n_items + ids
            wanted = part.targets.owners() * part.targets.n_items + part.targets.item
            right[rows, : ids.shape[1]] = np.isin(keys, wanted) & ~twice
        return cls(tuple(scorers), z, right, _distinct(questions.targets))

    def quality(
        self, weights: NDArray[np.float64], cut: int, counts: NDArray[np.float64] | None = None
    ) -> float:
        """Mean of NDCG at the cut and at three times it, which is calmer; counts: how often each question
        counts.
        """
        used = weights > 0
        if not used.any() or not len(self.z):
            return 0.0
        total = self.z[:, :, used] @ weights[used].astype(np.float32)
        total[np.isnan(total)] = -np.inf
        rows, places = np.nonzero(self.right)
        value = total[rows, places]
        far = 3 * cut
        above = np.empty(len(rows), dtype=np.int64)
        for start in range(0, len(rows), 4_096):
            part = slice(start, start + 4_096)
            above[part] = (total[rows[part]] > value[part, None]).sum(axis=1)
        above[~np.isfinite(value)] = far
        steps = 1 / np.log2(np.arange(2, far + 2))
        total_gain = np.zeros(len(self.z))
        for end in (cut, far):
            discounts = np.where(np.arange(far + 1) < end, np.append(steps, 0.0), 0.0)
            gain = np.bincount(rows, weights=discounts[np.minimum(above, far)], minlength=len(self.z))
            total_gain += 0.5 * gain / np.cumsum(steps)[np.clip(self.sizes, 1, end) - 1]
        return float(total_gain.mean() if counts is None else counts @ total_gain / counts.sum())

    def weights(
        self,
        cut: int,
        seed: int = 0,
        check: Check | None = None,
        enough: Callable[[], bool] = lambda: False,
    ) -> tuple[dict[str, float], float]:
        """Weights summing to 1, and the gain of their quality over the best scorer alone (1 = none).

        enough: says that time is up; what was found by then is given.

        Coordinate ascent on resamples of the questions, averaged: one answer on few questions overfits.
        """
        count = len(self.names)
        alone = np.array([self.quality(row, cut) for row in np.eye(count)])
        rng = np.random.default_rng(seed)
        single = np.eye(count)[int(np.argmax(alone))]
        fair = np.maximum(alone / max(alone.max(initial=0.0), 1e-12), 1e-3) ** 3
        answers: list[NDArray[np.float64]] = []
        for bag in range(BAGS):
            if answers and enough():
                break
            drawn = rng.integers(0, len(self.z), len(self.z))
            counts = np.bincount(drawn, minlength=len(self.z)).astype(np.float64)
            start = fair / fair.sum() if bag % 2 else 0.7 * single + 0.3 * fair / fair.sum()
            answers.append(self._ascend(start, cut, counts, check, enough))
        mean = np.mean(answers, axis=0)
        mean = np.where(mean < LEAST_WEIGHT, 0.0, mean)
        candidates = [mean / mean.sum(), *answers]
        found = [self.quality(weights, cut) for weights in candidates]
        best = 0 if found[0] * CLEARLY_BETTER >= max(found) else int(np.argmax(found))
        gain = found[best] / max(float(alone.max()), 1e-12)
        return dict(zip(self.names, candidates[best].tolist(), strict=True)), gain

    def _ascend(
        self,
        weights: NDArray[np.float64],
        cut: int,
        counts: NDArray[np.float64],
        check: Check | None,
        enough: Callable[[], bool],
    ) -> NDArray[np.float64]:
        quality = self.quality(weights, cut, counts)
        for _ in range(ROUNDS):
            before = quality
            for place in range(len(weights)):
                if check is not None:
                    check()
                if enough():
                    return weights
                # a scorer that is off is tried at shares of the rest; one that is on is scaled
                rest, now = weights.sum() - weights[place], weights[place]
                tries = [now * step for step in STEPS] if now else [rest * share for share in NEW_SHARES]
                best = weights
                for value in tries:
                    moved = weights.copy()
                    moved[place] = value
                    found = self.quality(moved, cut, counts) if moved.any() else 0.0
                    if found > quality * RISE:
                        best, quality = moved, found
                weights = best / best.sum()
            if quality <= before * RISE:
                break
        return weights


def _distinct(targets: EventLists) -> Ints:
    keys = np.unique(targets.owners() * targets.n_items + targets.item)
    return np.bincount(keys // targets.n_items, minlength=len(targets)).astype(np.int64)


def distinct_items(lists: EventLists) -> EventLists:
    """Each item once per list, ascending: for lists without an order."""
    rows = profiles(lists, 1.0)
    return EventLists(
        lists.names, lists.items, rows.indptr.astype(np.int64), rows.indices.astype(np.int64), lists.warnings
    )


def single(lists: EventLists, item: Ints) -> EventLists:
    """One target per list."""
    return EventLists(lists.names, lists.items, np.arange(len(lists) + 1, dtype=np.int64), item)


def prefixes(sessions: EventLists, most: int = 50) -> tuple[EventLists, Ints]:
    """Every prefix of every session (its last `most` items) and the item after it, int64 [prefixes]."""
    place = ranges(np.zeros(len(sessions), np.int64), sessions.lengths)
    events = np.flatnonzero(place > 0)
    lengths = np.minimum(place[events], most)
    asked = EventLists(
        sessions.names[sessions.owners()[events]],
        sessions.items,
        offsets(lengths),
        sessions.item[ranges(events - lengths, lengths)],
    )
    return asked, sessions.item[events]


def joined(names: Sequence[str], weights: Mapping[str, float]) -> str:
    """The parts of a blend in words, heaviest first."""
    parts = sorted(((weights[name], name) for name in names if weights.get(name)), reverse=True)
    return ", ".join(f"{name} {weight:.0%}" for weight, name in parts)
