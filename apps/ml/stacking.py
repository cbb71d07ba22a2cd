"""Stacking: boosted trees (LightGBM) re-rank the union of the sources' stored lists.

A candidate's features are what each source says (its z-score within the list, its place) and the facts of
`ranking_facts`: recency, popularity, trend, price, repeat interval, the shopper's activity. LambdaMART:
Burges 2010, "From RankNet to LambdaRank to LambdaMART: an overview".

Final score = mean of the members' z-scores over the shopper's candidates - coverage * crowding of the item.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from apps.ml.base import Progress, TrainOptions
from apps.ml.blend import BlendTable, Doubles, z_normalise
from apps.ml.configs.ensembles import StackedConfig
from apps.ml.dataset import Ints
from apps.ml.errors import ArtifactInvalid, DataMissing
from apps.ml.protocols import Truth
from apps.ml.ranking_facts import FACT_FEATURES, Facts
from apps.ml.ranking_metrics import hits_of
from apps.ml.topn import PADDING_ID, SERVED_LIST_LENGTH, Floats, Ids, TopN

FORMAT = 1
RANKER, MANIFEST = "ranker.json", "manifest.json"
PLACE_CONSTANT = 20.0
"""A place counts 1 / (constant + place): the tenth half as far from the first as the hundredth."""
CROWDED_TOP = 10
BLOCK_SHOPPERS = 256
LOSSES = {"lambdarank": "lambdarank", "logistic": "binary"}


@dataclass(frozen=True)
class Lesson:
    """One past window to learn from: the sources' lists for truth.users, the facts before it, and what they
    bought in it.
    """

    lists: Mapping[str, TopN]
    facts: Facts
    truth: Truth


@dataclass(frozen=True)
class Candidates:
    """ids: int64 [n, c], padded with -1. values: float32 [n, c, features]."""

    ids: Ids
    values: Floats


@dataclass(frozen=True)
class StackedRanker:
    """A fitted ranker. sources: whose lists it reads, in order. members: LightGBM models as text.

    crowding: for raw item ids (ascending) how often each is shown, 0..1, what `coverage` pushes against.
    """

    config: StackedConfig
    sources: tuple[str, ...]
    members: tuple[str, ...]
    crowded_ids: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    crowding: Floats = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        boosters = tuple(lgb.Booster(model_str=text) for text in self.members)
        object.__setattr__(self, "_boosters", boosters)

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in order."""
        return feature_names(self.sources)

    @classmethod
    def fit(
        cls,
        lessons: Sequence[Lesson],
        config: StackedConfig | None = None,
        options: TrainOptions | None = None,
    ) -> StackedRanker:
        """Learns from one or several past windows.

        Raises DataMissing when no shopper of any lesson has a bought item among the candidates. The same seed
        and lessons give the same ranker.
        """
        config, options = config or StackedConfig(), options or TrainOptions()
        if not lessons:
            raise DataMissing("a ranker needs at least one past window to learn from")
        sources = tuple(lessons[0].lists)
        values, bought, groups = _training_rows(lessons, config, options.seed)
        if not len(groups):
            raise DataMissing("none of the sources lists anything that was bought; nothing can be learned")
        losses = tuple(LOSSES) if config.loss == "both" else (config.loss,)
        texts: list[str] = []
        for number in range(config.members):
            for loss in losses:
                options.report(Progress("ranker", len(texts) / (len(losses) * config.members), message=loss))
                data = lgb.Dataset(values, bought, group=groups, feature_name=list(feature_names(sources)))
                settings = _settings(config, LOSSES[loss], options.seed + number, options.threads)
                stop = _stop(options)
                booster = lgb.train(settings, data, config.rounds, callbacks=[stop])
                texts.append(booster.model_to_string())
        ranker = cls(config, sources, tuple(texts))
        last = lessons[0]
        plain = replace(ranker, config=replace(config, coverage=0.0))
        return replace(ranker, **_crowding(plain.rank(last.lists, last.truth.users, last.facts)))

    def with_coverage(self, coverage: float) -> StackedRanker:
        """The same ranker with another setting of the knob."""
        return replace(self, config=replace(self.config, coverage=coverage))

    def rank(
        self,
        lists: Mapping[str, TopN],
        users: Sequence[int] | Ints,
        facts: Facts,
        k: int = SERVED_LIST_LENGTH,
    ) -> TopN:
        """The k best of the union of the lists for each raw user id; rows of the lists are as `users`.

        A shopper without any candidate gets an empty list. KeyError when a source's lists are absent.
        """
        wanted = np.asarray(users, dtype=np.int64)
        parts = [TopN.empty(0, k)]
        for start in range(0, len(wanted), BLOCK_SHOPPERS):
            rows = np.arange(start, min(len(wanted), start + BLOCK_SHOPPERS))
            found = self.candidates(
                {name: lists[name].take(rows) for name in self.sources}, wanted[rows], facts
            )
            parts.append(_top(found.ids, self.scores(found), k))
        return TopN.stack(parts, k)

    def candidates(self, lists: Mapping[str, TopN], users: Ints, facts: Facts) -> Candidates:
        """The union of the lists' heads with all features."""
        return candidates_of([lists[name] for name in self.sources], users, facts, self.config.depth)

    def scores(self, found: Candidates) -> Doubles:
        """Final scores float64 [n, c]; padding has -inf."""
        present = found.ids >= 0
        total = np.zeros(found.ids.shape)
        if present.any():
            raw = np.zeros(found.ids.shape)
            for booster in self._members():
                raw[present] = _predicted(booster, found.values[present])
                total += z_normalise(raw, present) / len(self.members)
        total -= self.config.coverage * self._crowding_of(found.ids)
        return np.where(present, total, -np.inf)

    def contributions(
        self, lists: Mapping[str, TopN], user: int, item: int, facts: Facts
    ) -> list[tuple[str, float]]:
        """How much each feature adds to the item's final score for one shopper (one row of lists), strongest
        first.

        With what is the same for all of the shopper's candidates left out ("base") they sum to the final
        score. Empty when the item is no candidate.
        """
        found = self.candidates(lists, np.array([user]), facts)
        place = np.flatnonzero(found.ids[0] == item)
        if not len(place):
            return []
        present = found.ids >= 0
        shares = np.zeros(len(self.features) + 1)
        for booster in self._members():
            parts = np.asarray(booster.predict(found.values[present], pred_contrib=True, num_threads=1))
            raw = parts.sum(axis=1)
            deviation = float(raw.std())
            if deviation > 1e-12:
                own = parts[int(np.count_nonzero(present[0, : place[0]]))].copy()
                own[-1] -= raw.mean()
                shares += own / deviation / len(self.members)
        crowd = float(self._crowding_of(found.ids)[0, place[0]])
        named = [*zip(self.features, shares[:-1].tolist(), strict=True), ("base", float(shares[-1]))]
        if self.config.coverage:
            named.append(("coverage", -self.config.coverage * crowd))
        return sorted(named, key=lambda pair: -abs(pair[1]))

    def importance(self) -> dict[str, float]:
        """Share of each feature in the gain of all members, descending, summing to 1."""
        gains = [booster.feature_importance("gain") for booster in self._members()]
        shares = np.mean([gain / max(float(gain.sum()), 1e-12) for gain in gains], axis=0)
        order = np.argsort(-shares, kind="stable")
        return {self.features[place]: float(shares[place]) for place in order}

    # -- folder

    def save(self, directory: str | Path) -> None:
        """Writes ranker.json (models as text) and a manifest with its sha256; never pickle."""
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self.to_dict(), sort_keys=True)
        (folder / RANKER).write_text(text, "utf-8")
        digest = hashlib.sha256(text.encode()).hexdigest()
        (folder / MANIFEST).write_text(json.dumps({"format": FORMAT, "sha256": {RANKER: digest}}), "utf-8")

    @classmethod
    def load(cls, directory: str | Path) -> StackedRanker:
        """Reads a folder written by `save`; ArtifactInvalid when it is incomplete, altered or of features
        this code does not compute.
        """
        folder = Path(directory)
        try:
            text = (folder / RANKER).read_text("utf-8")
            manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ArtifactInvalid(f"{folder}: no readable ranker ({error}); train again") from error
        if manifest.get("sha256", {}).get(RANKER) != hashlib.sha256(text.encode()).hexdigest():
            raise ArtifactInvalid(f"{folder}: sha256 differs from the manifest; train again")
        return cls.from_dict(json.loads(text))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON, the members as text."""
        return {
            "format": FORMAT,
            "config": self.config.to_dict(),
            "sources": list(self.sources),
            "features": list(self.features),
            "members": list(self.members),
            "crowded_ids": self.crowded_ids.tolist(),
            "crowding": self.crowding.tolist(),
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> StackedRanker:
        """The inverse of `to_dict`; ArtifactInvalid when it is of features this code does not compute."""
        sources = tuple(content["sources"])
        if content["format"] != FORMAT or tuple(content["features"]) != feature_names(sources):
            raise ArtifactInvalid("a ranker made for other features than this code computes; train again")
        return cls(
            StackedConfig(**content["config"]),
            sources,
            tuple(content["members"]),
            np.array(content["crowded_ids"], dtype=np.int64),
            np.array(content["crowding"], dtype=np.float32),
        )

    def _members(self) -> tuple[lgb.Booster, ...]:
        boosters: tuple[lgb.Booster, ...] = vars(self)["_boosters"]
        return boosters

    def _crowding_of(self, ids: Ids) -> Doubles:
        if not len(self.crowded_ids):
            return np.zeros(ids.shape)
        places = np.minimum(np.searchsorted(self.crowded_ids, ids), len(self.crowded_ids) - 1)
        return np.where(self.crowded_ids[places] == ids, self.crowding[places], 0.0)


def feature_names(sources: Sequence[str]) -> tuple[str, ...]:
    """Names of a candidate's features, in order."""
    return (
        *(f"score_{name}" for name in sources),
        *(f"place_{name}" for name in sources),
        "listed_by",
        *FACT_FEATURES,
    )


def candidates_of(tops: Sequence[TopN], users: Ints, facts: Facts, depth: int) -> Candidates:
    """The union of the first `depth` of each list, and the features of each candidate; a source that does
    not list it gives its list's least score and place 0.
    """
    table = BlendTable.from_lists(tops).near([top.head(depth) for top in tops])
    own = np.moveaxis(table.norms, 0, 2).astype(np.float32)
    placed = np.stack([_places_of(top, table.ids) for top in tops], axis=2)
    listed = table.listed.sum(axis=0).astype(np.float32)[:, :, None]
    values = np.concatenate([own, placed, listed, facts.features(users, table.ids)], axis=2)
    return Candidates(table.ids, values)


def _places_of(top: TopN, ids: Ids) -> Floats:
    """1 / (PLACE_CONSTANT + place from 1) of each candidate in the list, 0 where it is not in: float32."""
    n, c = ids.shape
    if not c or not top.k:
        return np.zeros((n, c), dtype=np.float32)
    values, codes = np.unique(np.concatenate([top.ids.ravel(), ids.ravel()]), return_inverse=True)
    listed = codes[: top.ids.size].reshape(top.ids.shape)
    wanted = codes[top.ids.size :].reshape(ids.shape)
    base = (np.arange(n) * len(values))[:, None]
    keys = (base + listed).ravel()
    order = np.argsort(keys, kind="stable")
    place = np.minimum(np.searchsorted(keys[order], base + wanted), len(keys) - 1)
    hit = (keys[order][place] == base + wanted) & (ids >= 0)
    return np.where(hit, 1 / (PLACE_CONSTANT + 1 + order[place] % top.k), 0.0).astype(np.float32)


def _training_rows(
    lessons: Sequence[Lesson], config: StackedConfig, seed: int
) -> tuple[Floats, NDArray[np.int8], Ints]:
    """Features [rows, F], bought [rows], rows per shopper; all that was bought and a sample of the rest."""
    sources = tuple(lessons[0].lists)
    if any(tuple(lesson.lists) != sources for lesson in lessons):
        raise ValueError("every lesson needs the same sources in the same order")
    rng = np.random.default_rng(seed)
    values: list[Floats] = []
    bought: list[NDArray[np.bool_]] = []
    groups: list[Ints] = []
    for lesson in lessons:
        people = np.arange(len(lesson.truth))
        if len(people) > config.shoppers:
            people = np.sort(rng.choice(people, config.shoppers, replace=False))
        for start in range(0, len(people), BLOCK_SHOPPERS):
            rows = people[start : start + BLOCK_SHOPPERS]
            truth = lesson.truth.take(rows)
            tops = [top.take(rows) for top in lesson.lists.values()]
            found = candidates_of(tops, truth.users, lesson.facts, config.depth)
            hits = hits_of(TopN(found.ids, np.zeros(found.ids.shape, np.float32)), truth)
            if not found.ids.size:
                continue
            key = np.where(hits, -1.0, rng.random(found.ids.shape))
            cut = np.sort(key, axis=1)[:, min(config.negatives, key.shape[1]) - 1]
            learnable = np.logical_and(found.ids >= 0, np.sum(hits, axis=1, keepdims=True) > 0)
            kept = np.logical_and(learnable, hits | (key <= cut[:, None]))
            values.append(found.values[kept])
            bought.append(hits[kept])
            groups.append(kept.sum(axis=1)[kept.any(axis=1)])
    width = len(feature_names(sources))
    return (
        np.concatenate([part.reshape(-1, width) for part in values] or [np.zeros((0, width), np.float32)]),
        np.concatenate(bought or [np.zeros(0, np.bool_)]).astype(np.int8),
        np.concatenate(groups or [np.zeros(0, np.int64)]).astype(np.int64),
    )


def _settings(config: StackedConfig, objective: str, seed: int, threads: int) -> dict[str, Any]:
    return {
        "objective": objective,
        "learning_rate": config.learning_rate,
        "num_leaves": config.leaves,
        "min_data_in_leaf": config.least_in_leaf,
        "feature_fraction": config.feature_share,
        "bagging_fraction": 0.7,
        "bagging_freq": 1,
        "lambdarank_truncation_level": config.truncation,
        "max_bin": 63,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": threads,
        "seed": seed,
        "verbose": -1,
    }


def _predicted(booster: lgb.Booster, values: Floats) -> Doubles:
    return np.asarray(booster.predict(values, raw_score=True, num_threads=1), dtype=np.float64)


def _stop(options: TrainOptions) -> Any:
    def check(environment: object) -> None:
        options.check()

    return check


def _crowding(top: TopN) -> dict[str, Any]:
    """How often each item is in the first places, as log1p of the count relative to the commonest."""
    shown, counts = np.unique(top.ids[:, :CROWDED_TOP], return_counts=True)
    counts = counts[shown >= 0]
    weight = np.log1p(counts) / np.log1p(counts.max(initial=1))
    return {"crowded_ids": shown[shown >= 0], "crowding": weight.astype(np.float32)}


def _top(ids: Ids, scores: Doubles, k: int) -> TopN:
    """The k best of each row, equal ones by ascending id (as `ids` are)."""
    order = np.argsort(-np.round(scores, 9), axis=1, kind="stable")[:, :k]
    top = TopN.empty(len(ids), k)
    size = order.shape[1]
    best = np.take_along_axis(scores, order, axis=1)
    top.ids[:, :size] = np.where(np.isfinite(best), np.take_along_axis(ids, order, axis=1), PADDING_ID)
    top.scores[:, :size] = best
    return top
