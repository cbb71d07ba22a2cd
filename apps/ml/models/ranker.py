"""A ranker over sources of its own: boosted trees order what the sources list (`ml.stacking`).

Fitting lives through past windows: in each, every source is fitted on what came before and lists, and the
ranker learns from what was bought in it; then the sources are fitted on everything. Both kinds of lists
teach, without what the shopper bought and with it. The model holds its sources, so that all its lists are of
one moment.

Where no shopper is known (a session, a product, a stranger) the facts of a shopper are missing; there the
sources' lists are blended by weights that the latest window chose.

Shape suffixes: B rows in a block, N items of the catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from apps.ml.base import Exclude, History, Model, Progress, TrainOptions
from apps.ml.blend import blend_many
from apps.ml.configs.ensembles import RankerConfig, StackedConfig
from apps.ml.dataset import ANONYMOUS, DAY, Dataset, Ints
from apps.ml.errors import DataMissing
from apps.ml.protocols import Split, Truth, Variant, split_at, truth_of
from apps.ml.ranking_facts import Facts
from apps.ml.registry import FAMILIES, STANDARD
from apps.ml.stacking import Lesson, StackedRanker
from apps.ml.topn import SERVED_LIST_LENGTH, Floats, TopN
from apps.ml.tune import weights_choose

WINDOW_DAYS = 30.0
LEARNED_SHARE = 1 / 6
"""A short history gives this share of itself to each window, so that most of it still teaches the sources."""
EXCLUDE: dict[Variant, Exclude] = {"new": "bought", "all": "none"}
TOLD = 12
"""Features whose importance is kept with the model, the strongest first."""
FITTING = 0.9
"""Share of the work that goes into fitting sources."""
Settings = Mapping[str, Mapping[str, Any]]


@dataclass
class RankerModel(Model[RankerConfig]):
    """parts: fitted sources by code. ranker: None where the past taught nothing; the weights then decide
    alone. weights: of the sources' lists, summing to 1.
    """

    parts: dict[str, Model[Any]]
    ranker: StackedRanker | None
    facts: Facts
    weights: dict[str, float]

    family: ClassVar[str] = "ranker"
    config_class: ClassVar[type[RankerConfig]] = RankerConfig

    @classmethod
    def fit(cls, dataset: Dataset, config: RankerConfig, options: TrainOptions) -> Self:
        wanted = sources_of(config)
        splits = past_splits(dataset, config.windows)
        steps = _Steps(options, len(wanted) * (len(splits) + 1))
        parts = {code: steps.fit(code, wanted[code], dataset) for code in wanted}
        known = {code: model for code, model in parts.items() if model is not None}
        if not known:
            raise DataMissing("none of the sources can learn from this data; choose others")
        lessons = []
        for split in splits:
            lessons += _lessons(split, {code: wanted[code] for code in known}, config, steps)
        ranker, weights = None, dict.fromkeys(known, 1 / len(known))
        if lessons:
            weights = weights_choose(
                lessons[0].lists, lessons[0].truth, seed=options.seed, should_stop=options.should_stop
            )
            ranker = _taught(lessons, config, options)
        model = cls(
            config, History.from_dataset(dataset), known, ranker, Facts.from_dataset(dataset), weights
        )
        if ranker is not None:
            model.metrics["importance"] = {
                name: round(share, 4) for name, share in list(ranker.importance().items())[:TOLD]
            }
        return model

    # -- lists

    def recommend(self, users: Sequence[int] | Ints, k: int = 100, exclude: Exclude = "bought") -> TopN:
        wanted = np.asarray(users, dtype=np.int64)
        lists = {code: model.served_lists(wanted, exclude) for code, model in self.parts.items()}
        if self.ranker is None:
            return self._blended(list(lists.values()), k)
        return self.ranker.rank(lists, wanted, self.facts, k)

    def score_users(self, rows_B: Ints) -> Floats:
        return self._scattered(self.recommend(self.history.users.ids[rows_B], SERVED_LIST_LENGTH, "none"))

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        raw = [self.history.items.ids[session].tolist() for session in sessions]
        return self._mixed(lambda model: model.recommend_sessions(raw, SERVED_LIST_LENGTH))

    def score_similar(self, rows_B: Ints) -> Floats:
        raw = self.history.items.ids[rows_B]
        return self._mixed(lambda model: model.similar(raw, SERVED_LIST_LENGTH))

    def score_anyone(self) -> Floats | None:
        found = self._mixed(lambda model: model.recommend([ANONYMOUS], SERVED_LIST_LENGTH, "none"))[0]
        return found if np.isfinite(found).any() else None

    def _mixed(self, ask: Callable[[Model[Any]], TopN]) -> Floats:
        return self._scattered(
            self._blended([ask(model) for model in self.parts.values()], SERVED_LIST_LENGTH)
        )

    def _blended(self, lists: list[TopN], k: int) -> TopN:
        return blend_many(lists, [self.weights[code] for code in self.parts], k)

    def _scattered(self, top: TopN) -> Floats:
        """Lists as scores [B, N], -inf for what is not listed."""
        scores = np.full((len(top), len(self.history.items)), -np.inf, dtype=np.float32)
        rows, places = np.nonzero(top.ids >= 0)
        scores[rows, self.history.items.rows(top.ids[rows, places])] = top.scores[rows, places]
        return scores

    # -- folder

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        found = {f"facts.{name}": array for name, array in self.facts.to_arrays().items()}
        for code, model in self.parts.items():
            found |= {f"part.{code}.{name}": array for name, array in model.to_arrays().items()}
        return found

    def to_texts(self) -> dict[str, Any]:
        return {
            "parts": {
                code: {"family": model.family, "config": model.config.to_dict(), "texts": model.to_texts()}
                for code, model in self.parts.items()
            },
            "ranker": None if self.ranker is None else self.ranker.to_dict(),
            "weights": self.weights,
        }

    @classmethod
    def from_parts(
        cls, config: RankerConfig, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        parts: dict[str, Model[Any]] = {}
        for code, told in texts["parts"].items():
            model_class = FAMILIES[told["family"]].load()
            settings: Any = model_class.config_class(**told["config"])
            own = _named(arrays, f"part.{code}.")
            parts[code] = model_class.from_parts(settings, history, own, told["texts"])
        ranker = None if texts["ranker"] is None else StackedRanker.from_dict(texts["ranker"])
        facts = Facts.from_arrays(_named(arrays, "facts."))
        return cls(config, history, parts, ranker, facts, texts["weights"])


class _Steps:
    """Fits sources one after another and says how far that is."""

    def __init__(self, options: TrainOptions, count: int) -> None:
        self.options, self.count, self.done = options, count, 0
        self.quiet = replace(options, on_progress=None, start=None)

    def fit(self, code: str, told: Mapping[str, Any], dataset: Dataset) -> Model[Any] | None:
        """One source; None where it finds nothing to learn from."""
        self.options.report(Progress("sources", FITTING * self.done / self.count, message=code))
        self.done += 1
        family = FAMILIES[told["family"]]
        try:
            return family.load().fit(dataset, family.config(dict(told["config"])), self.quiet)
        except DataMissing:
            return None


def sources_of(config: RankerConfig) -> dict[str, dict[str, Any]]:
    """What the ranker orders: {code: {"family", "config"}}; the standard families as they come unless the
    settings name others. A ranker is no source of a ranker.
    """
    given = config.sources or {name: {"family": name, "config": {"preset": "small"}} for name in STANDARD}
    return {code: told for code, told in given.items() if not FAMILIES[told["family"]].composite}


def past_splits(dataset: Dataset, windows: int) -> list[Split]:
    """The latest windows of up to WINDOW_DAYS, newest first; those with nothing before them are left out."""
    span = (dataset.end - float(dataset.timestamp[0])) / DAY
    days = min(WINDOW_DAYS, span * LEARNED_SHARE)
    if days <= 0:
        return []
    cuts = [dataset.end - (number + 1) * days * DAY for number in range(windows)]
    # the very last event belongs to the newest window
    splits = [
        split_at(dataset, cut, None if number == 0 else cut + days * DAY) for number, cut in enumerate(cuts)
    ]
    return [split for split in splits if len(split.train)]


def _lessons(split: Split, wanted: Settings, config: RankerConfig, steps: _Steps) -> list[Lesson]:
    """One past window as lessons, first and all purchases; none where a source cannot be fitted before it."""
    models = {code: steps.fit(code, told, split.train) for code, told in wanted.items()}
    fitted = {code: model for code, model in models.items() if model is not None}
    if len(fitted) < len(wanted):
        return []
    facts = Facts.from_dataset(split.train)
    rng = np.random.default_rng(steps.options.seed)
    lessons = []
    for variant, exclude in EXCLUDE.items():
        truth: Truth = truth_of(split, variant)
        if len(truth) > config.shoppers:
            kept = np.sort(rng.choice(len(truth), config.shoppers, replace=False))
            truth = truth.take(kept.astype(np.int64))
        if len(truth):
            lists = {code: model.served_lists(truth.users, exclude) for code, model in fitted.items()}
            lessons.append(Lesson(lists, facts, truth))
    return lessons


def _taught(lessons: Sequence[Lesson], config: RankerConfig, options: TrainOptions) -> StackedRanker | None:
    """The ranker; None where none of the lists holds anything that was bought."""
    options.report(Progress("ranker", FITTING))
    settings = StackedConfig(**{item.name: getattr(config, item.name) for item in fields(StackedConfig)})
    try:
        return StackedRanker.fit(lessons, settings, replace(options, on_progress=None, start=None))
    except DataMissing:
        return None


def _named(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
