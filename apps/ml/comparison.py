"""Every family on the same data: fitted, listed, judged, and blended with weights chosen before the test
window.

Two fits per family. The validation fit sees everything up to two windows before the end; the weights of the
hybrid are chosen on the window after it. The test fit sees everything up to one window before the end, and
the weights are judged on that last window, which nothing was chosen on. The lists judged are as long as the
lists served.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from apps.ml.base import Exclude, Model, Progress, TrainOptions
from apps.ml.blend import blend_many
from apps.ml.configs import Config
from apps.ml.dataset import DAY, Dataset, Ints
from apps.ml.errors import InvalidValue
from apps.ml.evaluate import (
    VARIANTS,
    Background,
    Evaluation,
    Interval,
    Split,
    Truth,
    Variant,
    evaluate_lists,
    paired_difference,
    split_at,
    split_last_days,
    truth_of,
)
from apps.ml.ranking_facts import Facts
from apps.ml.registry import FAMILIES, STANDARD
from apps.ml.stacking import Lesson, StackedRanker
from apps.ml.topn import SERVED_LIST_LENGTH, SHARED_LIST_LENGTH, TopN
from apps.ml.train import train
from apps.ml.tune import Window, weights_choose

EXCLUDE: dict[Variant, Exclude] = {"new": "bought", "all": "none"}
HYBRID, STACKED = "hybrid", "stacked"

VariantLists = dict[Variant, TopN]


@dataclass(frozen=True)
class SourceResult:
    """One family on the test window. seconds: fitting and listing of the test fit."""

    evaluations: dict[Variant, Evaluation]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {variant: done.to_dict() for variant, done in self.evaluations.items()}
        return {**found, "seconds": round(self.seconds, 2)}


@dataclass(frozen=True)
class HybridResult:
    """The blend. weights: by variant, since repeats want other sources than discoveries. differences:
    NDCG@10 of the hybrid minus that of each source over the same shoppers.
    """

    weights: dict[Variant, dict[str, float]]
    evaluations: dict[Variant, Evaluation]
    differences: dict[Variant, dict[str, Interval]]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {variant: done.to_dict() for variant, done in self.evaluations.items()}
        return {
            "weights": self.weights,
            **found,
            "paired_ndcg10": _paired(self.differences),
            "list_length": SERVED_LIST_LENGTH,
            "shared_list_length": SHARED_LIST_LENGTH,
            "normalisation": "z",
            "seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True)
class StackedResult:
    """The ranker over the sources' lists, one per variant. rankers: as fitted. differences: NDCG@10 of the
    ranker minus that of each source and of the hybrid over the same shoppers. windows: it learned from.
    """

    rankers: dict[Variant, StackedRanker]
    evaluations: dict[Variant, Evaluation]
    differences: dict[Variant, dict[str, Interval]]
    windows: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {variant: done.to_dict() for variant, done in self.evaluations.items()}
        return {
            **found,
            "paired_ndcg10": _paired(self.differences),
            "leading_features": {
                variant: list(ranker.importance())[:10] for variant, ranker in self.rankers.items()
            },
            "windows": self.windows,
            "seconds": round(self.seconds, 2),
        }


@dataclass(frozen=True)
class Comparison:
    """lists: by model name (and "hybrid", "stacked") and variant, rows as `users`. truth: rows are a subset
    of `users` for "new". stacked: None unless it was asked for.

    seconds: by step (validate, fit and list, tune, stack, evaluate).
    """

    users: Ints
    models: dict[str, SourceResult]
    hybrid: HybridResult
    lists: dict[str, VariantLists]
    truth: dict[Variant, Truth]
    catalogue_size: int
    seconds: dict[str, float]
    stacked: StackedResult | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: {"models": {name: {"new", "all", "seconds"}}, "hybrid": …, "seconds": by step}, and
        "stacked" where a ranker was asked for.
        """
        ranked = {} if self.stacked is None else {STACKED: self.stacked.to_dict()}
        return {
            **ranked,
            "models": {name: result.to_dict() for name, result in self.models.items()},
            "hybrid": self.hybrid.to_dict(),
            "test_users": len(self.users),
            "catalogue": self.catalogue_size,
            "seconds": {step: round(value, 2) for step, value in self.seconds.items()},
        }


def compare(
    dataset: Dataset,
    *,
    test_days: float = 30,
    validation_days: float = 30,
    validation_windows: int = 1,
    stacked_windows: int = 0,
    configs: Mapping[str, Config | dict[str, Any]] | None = None,
    families: Sequence[str] | None = None,
    options: TrainOptions | None = None,
) -> Comparison:
    """Fits, lists, tunes and judges every family (default: the standard ones, with their full presets).

    validation_windows: on how many windows before the test window weights are chosen, each with a fit of its
    own. One keeps to the protocol of the data; several cost a fit each and bring weights that last longer.
    stacked_windows: from how many windows before the test window a ranker learns, 0 for none; those beyond
    `validation_windows` cost a fit each as well, and windows the data does not reach back to are left out.
    configs: settings or {"preset": name} by family. Raises InvalidValue when a window has nothing to learn
    from or nobody to judge by, Cancelled when `options.should_stop` said so.
    """
    options = options or TrainOptions()
    chosen = dict(configs or {})
    names = list(families or STANDARD)
    test = split_last_days(dataset, test_days)
    wanted = max(validation_windows, stacked_windows)
    cuts = [test.cut - step * validation_days * DAY for step in range(wanted + 1)]
    splits = [split_at(dataset, cut, until) for until, cut in pairwise(cuts)]
    splits = [
        split
        for place, split in enumerate(splits)
        if place < validation_windows or (len(split.train) and len(truth_of(split, "new")))
    ]
    if validation_windows < 1 or not len(splits[validation_windows - 1].train):
        raise InvalidValue(
            "validation_days",
            validation_days,
            "Nothing is left to train on; use fewer days, at least one window.",
        )
    seconds: dict[str, float] = {}
    started = time.perf_counter()
    held = []
    for place, split in enumerate(splits):
        low, high = (0.4 * step / len(splits) for step in (place, place + 1))
        held.append(_lists(split, names, chosen, _part(options, "validation", low, high))[:2])
    seconds["validate"] = time.perf_counter() - started
    started = time.perf_counter()
    shown, truth, took = _lists(test, names, chosen, _part(options, "test", 0.4, 0.8))
    seconds["fit_and_list"] = time.perf_counter() - started
    started = time.perf_counter()
    tuning = _part(options, "weights", 0.8, 1.0)
    weights: dict[Variant, dict[str, float]] = {}
    for place, variant in enumerate(VARIANTS):
        tuning.report(Progress(variant, place / len(VARIANTS)))
        windows = [
            Window(
                {name: _rows(lists[name][variant], found["all"], found[variant]) for name in names},
                found[variant],
            )
            for lists, found in held[:validation_windows]
        ]
        weights[variant] = weights_choose(
            windows[0].lists,
            windows[0].truth,
            more=windows[1:],
            seed=options.seed,
            should_stop=options.should_stop,
        )
        options.check()
    seconds["tune"] = time.perf_counter() - started
    started = time.perf_counter()
    shown[HYBRID] = {
        variant: blend_many(
            [shown[name][variant] for name in names], list(weights[variant].values()), SERVED_LIST_LENGTH
        )
        for variant in VARIANTS
    }
    blend_seconds = time.perf_counter() - started
    rankers: dict[Variant, StackedRanker] = {}
    started = time.perf_counter()
    if stacked_windows:
        past = [Facts.from_dataset(split.train) for split in splits[:stacked_windows]]
        now = Facts.from_dataset(test.train)
        shown[STACKED] = {}
        for variant in VARIANTS:
            lessons = [
                Lesson(
                    {name: _rows(lists[name][variant], found["all"], found[variant]) for name in names},
                    facts,
                    found[variant],
                )
                for facts, (lists, found) in zip(past, held, strict=False)
            ]
            rankers[variant] = StackedRanker.fit(lessons, None, replace(options, on_progress=None))
            sources = {name: shown[name][variant] for name in names}
            shown[STACKED][variant] = rankers[variant].rank(sources, truth["all"].users, now)
        seconds["stack"] = time.perf_counter() - started
    combined = [HYBRID, STACKED] if rankers else [HYBRID]
    started = time.perf_counter()
    background = Background.from_dataset(test.train)
    judged = {
        name: {
            variant: evaluate_lists(
                _rows(shown[name][variant], truth["all"], truth[variant]),
                truth[variant],
                test.catalogue_size,
                background=background,
            )
            for variant in VARIANTS
        }
        for name in [*names, *combined]
    }
    differences = _differences(judged, HYBRID, names, options.seed)
    stacked = None
    if rankers:
        ahead = _differences(judged, STACKED, [*names, HYBRID], options.seed)
        stacked = StackedResult(
            rankers, judged[STACKED], ahead, min(stacked_windows, len(splits)), seconds["stack"]
        )
    seconds["evaluate"] = time.perf_counter() - started
    options.report(Progress("done", 1.0))
    return Comparison(
        users=truth["all"].users,
        models={name: SourceResult(judged[name], took[name]) for name in names},
        hybrid=HybridResult(weights, judged[HYBRID], differences, seconds["tune"] + blend_seconds),
        lists=shown,
        truth=truth,
        catalogue_size=test.catalogue_size,
        seconds=seconds,
        stacked=stacked,
    )


def served_length(family: str) -> int:
    """Items in a served list of this family."""
    return FAMILIES[family].list_length


def _lists(
    split: Split, names: Sequence[str], configs: Mapping[str, Config | dict[str, Any]], options: TrainOptions
) -> tuple[dict[str, VariantLists], dict[Variant, Truth], dict[str, float]]:
    """Served lists of every family for all test shoppers, what those bought, and the seconds each family
    took.
    """
    truth = {variant: truth_of(split, variant) for variant in VARIANTS}
    if not all(len(found) for found in truth.values()):
        raise InvalidValue("test_days", split.cut, "No known shopper buys in this window; use other days.")
    lists: dict[str, VariantLists] = {}
    took = {}
    for place, name in enumerate(names):
        started = time.perf_counter()
        options.report(Progress(name, place / len(names)))
        quiet = replace(options, on_progress=None)
        model: Model[Any] = train(name, configs.get(name), split.train, quiet)
        users = truth["all"].users
        lists[name] = {variant: model.served_lists(users, EXCLUDE[variant]) for variant in VARIANTS}
        took[name] = time.perf_counter() - started
    return lists, truth, took


def _differences(
    judged: Mapping[str, dict[Variant, Evaluation]], one: str, others: Sequence[str], seed: int
) -> dict[Variant, dict[str, Interval]]:
    """NDCG@10 of one less that of each of the others, over the same shoppers."""
    return {
        variant: {
            name: paired_difference(
                judged[one][variant].per_user["ndcg10"], judged[name][variant].per_user["ndcg10"], seed
            )
            for name in others
        }
        for variant in VARIANTS
    }


def _paired(differences: Mapping[Variant, Mapping[str, Interval]]) -> dict[str, dict[str, list[float]]]:
    return {
        variant: {name: [round(d.mean, 6), round(d.low, 6), round(d.high, 6)] for name, d in rows.items()}
        for variant, rows in differences.items()
    }


def _rows(top: TopN, everyone: Truth, some: Truth) -> TopN:
    """The lists of the users of `some` out of lists for the users of `everyone`."""
    return top.take(everyone.users.searchsorted(some.users))


def _part(options: TrainOptions, stage: str, low: float, high: float) -> TrainOptions:
    """The same options reporting one part of a longer run."""
    report = options.on_progress
    if report is None:
        return options

    def forward(progress: Progress) -> None:
        fraction = low + (high - low) * progress.fraction
        report(replace(progress, stage=stage, fraction=fraction, message=progress.stage))

    return replace(options, on_progress=forward)
