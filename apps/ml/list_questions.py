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
RISE = 1.001
"""A step of the weights must gain this much: less is chance."""
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


def masked_scores(scorer: Scorer, questions: Questions) -> Floats:
    """Scores of one block [B, N]; -inf for what cannot be an answer."""
    scores = scorer.score(questions.lists)
    np.nan_to_num(scores, copy=False, nan=-1e30, posinf=1e30, neginf=-1e30)
    if questions.exclude:
        scores[questions.lists.owners(), questions.lists.item] = -np.inf
    return scores


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
    for rows in blocks(questions.lists, BLOCK_CELLS):
        if check is not None:
            check()
        part = questions.take(rows)
        scores = {name: masked_scores(scorer, part) for name, scorer in scorers.items()}
        for name, weights in blends.items():
            scores[name] = blended({key: scores[key] for key in weights}, weights)
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


def blended(scores: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    """Weighted sum of z-scores [B, N]."""
    total: Floats | None = None
    for name, weight in weights.items():
        part = standard(scores[name]) * np.float32(weight) if weight else None
        if part is not None:
            total = part if total is None else total + part
    return total if total is not None else next(iter(scores.values()))


def top_ids(scores: Floats, k: int) -> Ints:
    """The k best columns of each row, best first: int64 [B, k]."""
    wide = min(k, scores.shape[1])
    return torch.topk(torch.from_numpy(scores), wide, dim=1).indices.numpy()


def per_question(scores: Floats, targets: EventLists) -> dict[str, NDArray[np.float64]]:
    """hit, ndcg, recall and mrr at each cut for each row: float64 [B]."""
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
        ideal = np.cumsum(1 / np.log2(np.arange(2, cut + 2)))[np.clip(sizes, 1, cut) - 1]
        found[f"hit{cut}"] = some.any(axis=1).astype(np.float64)
        found[f"ndcg{cut}"] = np.divide((some * steps).sum(axis=1), ideal)
        found[f"recall{cut}"] = some.sum(axis=1) / np.maximum(sizes, 1)
        found[f"mrr{cut}"] = (some / np.arange(1, some.shape[1] + 1)).max(axis=1, initial=0.0)
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
            scores = [standard(masked_scores(scorer, part)) for scorer in scorers.values()]
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

    def quality(self, weights: NDArray[np.float64], cut: int) -> float:
        """Mean NDCG at the cut."""
        used = weights > 0
        if not used.any() or not len(self.z):
            return 0.0
        total = self.z[:, :, used] @ weights[used].astype(np.float32)
        total[np.isnan(total)] = -np.inf
        rows, places = np.nonzero(self.right)
        value = total[rows, places]
        discounts = np.concatenate([1 / np.log2(np.arange(2, cut + 2)), [0.0]])
        above = np.empty(len(rows), dtype=np.int64)
        for start in range(0, len(rows), 4_096):
            part = slice(start, start + 4_096)
            above[part] = (total[rows[part]] > value[part, None]).sum(axis=1)
        above[~np.isfinite(value)] = cut
        gain = np.bincount(rows, weights=discounts[np.minimum(above, cut)], minlength=len(self.z))
        ideal = np.cumsum(discounts[:cut])[np.clip(self.sizes, 1, cut) - 1]
        return float((gain / ideal).mean())

    def weights(self, cut: int, check: Check | None = None) -> tuple[dict[str, float], float]:
        """Weights summing to 1 by coordinate ascent, from the best scorer alone and from all alike; and
        their quality.
        """
        count = len(self.names)
        alone = [self.quality(row, cut) for row in np.eye(count)]
        starts = [np.eye(count)[int(np.argmax(alone))], np.maximum(np.array(alone), 1e-9) ** 2]
        best, best_quality = starts[0], max(alone)
        for start in starts:
            found, quality = self._ascend(start / start.sum(), cut, check)
            if quality > best_quality * RISE:
                best, best_quality = found, quality
        return dict(zip(self.names, best.tolist(), strict=True)), best_quality

    def _ascend(
        self, weights: NDArray[np.float64], cut: int, check: Check | None
    ) -> tuple[NDArray[np.float64], float]:
        quality = self.quality(weights, cut)
        for _ in range(8):
            before = quality
            for place in range(len(weights)):
                if check is not None:
                    check()
                # a scorer that is off is tried at shares of the rest; one that is on is scaled
                rest = weights.sum() - weights[place]
                now = weights[place]
                tries = [now * step for step in STEPS] if now else [rest * share for share in NEW_SHARES]
                for value in tries:
                    moved = weights.copy()
                    moved[place] = value
                    found = self.quality(moved, cut)
                    if found > quality * RISE:
                        weights, quality = moved / moved.sum(), found
            if quality <= before * RISE:
                break
        return weights, quality


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
