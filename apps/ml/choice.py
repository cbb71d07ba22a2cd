"""Automatic choice: families, settings and how to combine them, found by validation within a time budget.

Nothing is ever chosen on data the caller will judge by: give `choose` only what may be learned from. It holds
back a part of that itself, by one of three protocols:

- "window": the last `days` days judge, everything before teaches; older windows teach the ranker. For shops.
- "leave_one_out": each shopper's last choice judges; only the order of events counts.
- "given": a fifth of each shopper's items, drawn at random, judges; for train and test files whose split is
  random.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

import numpy as np

from apps.ml.base import Model, Progress, TrainOptions
from apps.ml.blend import blend_many
from apps.ml.blend_scoring import Worth
from apps.ml.candidates import (
    EXCLUDE,
    PROBE_EVENTS,
    Clock,
    Held,
    Trials,
    Tried,
    families_known,
    sample_of,
    settings_near,
)
from apps.ml.choice_words import Words, words_of
from apps.ml.configs import Config
from apps.ml.configs.ensembles import StackedConfig
from apps.ml.dataset import DAY, Dataset, Ints
from apps.ml.errors import Cancelled, DataMissing, InvalidValue, MLError
from apps.ml.objectives import NDCG, PARTS, Objective
from apps.ml.protocols import Split, Variant, k_fold, leave_one_out, split_at
from apps.ml.ranking_facts import Facts
from apps.ml.registry import FAMILIES
from apps.ml.stacking import Lesson, StackedRanker
from apps.ml.topn import SERVED_LIST_LENGTH, TopN
from apps.ml.train import train
from apps.ml.tune import weights_choose, weights_front

Protocol = Literal["window", "leave_one_out", "given"]
Kind = Literal["single", "hybrid", "stacked"]
HYBRID, STACKED = "hybrid", "stacked"
LESSONS = 4
"""Past windows the ranker learns from, where the data reaches back that far."""
FIRST_ROUND, SEARCH = 0.45, 0.3
"""Shares of the budget for one fit of each family and for settings near the best; the rest combines."""
HOPEFUL = 2.0
"""A family is tried although it seems to need this many times the seconds left: estimates are rough, and the
deadline stops it."""
PATIENCE = 0.6
"""Share of what is left of the first round that one family may take."""
PROBING = 0.25
"""Share of what is left of the first round that may go into learning what each of the families to come
costs.
"""
HOPELESS = 0.25
"""Sources below this share of the best one's quality are not searched and not combined unless few remain."""
BETTER = 1.005
"""What is more complex must be this much better on validation to be chosen."""
FOLDS = 5


@dataclass(frozen=True)
class Choice:
    """What was chosen. kind: "single", "hybrid" or "stacked".

    configs: settings by family, only of the sources in use. weights: their share in the hybrid, summing to 1,
    also kept beside a ranker as what serves without one. words, warnings: (msgid, params) for translation;
    `text()` gives English. by_model: validation metrics by family, "hybrid" and "stacked". pareto: the front
    of the objective's parts over weights. seconds: of the whole choice.
    """

    protocol: Protocol
    variant: Variant
    kind: Kind
    configs: dict[str, Config]
    weights: dict[str, float]
    ranker: StackedRanker | None
    words: Words
    warnings: Words
    by_model: dict[str, dict[str, float]]
    pareto: list[dict[str, Any]]
    seconds: float
    objective: Objective = NDCG

    def text(self) -> list[str]:
        """The explanation in English, warnings last."""
        return [message % params for message, params in [*self.words, *self.warnings]]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: what a recipe needs to be read and changed."""
        return {
            "protocol": self.protocol,
            "variant": self.variant,
            "chosen": self.kind,
            "configs": {name: config.to_dict() for name, config in self.configs.items()},
            "weights": self.weights,
            "ranker": None if self.ranker is None else self.ranker.config.to_dict(),
            "objective": self.objective.to_dict(),
            "words": self.text(),
            "by_model": self.by_model,
            "pareto": self.pareto,
            "seconds": round(self.seconds, 2),
        }

    def fit(self, dataset: Dataset, options: TrainOptions | None = None) -> Chosen:
        """The chosen sources fitted on this data, ready to answer."""
        options = options or TrainOptions()
        models: dict[str, Model[Any]] = {}
        for place, (name, config) in enumerate(self.configs.items()):
            options.report(Progress("fit", place / len(self.configs), message=name))
            models[name] = train(name, config, dataset, replace(options, on_progress=None))
        facts = Facts.from_dataset(dataset) if self.ranker is not None else None
        return Chosen(self, models, facts)


@dataclass(frozen=True)
class Chosen:
    """A choice with fitted models."""

    choice: Choice
    models: Mapping[str, Model[Any]]
    facts: Facts | None

    def lists(self, users: Sequence[int] | Ints, variant: Variant | None = None) -> dict[str, TopN]:
        """Served lists by source, and of what was chosen under its kind ("hybrid", "stacked" or "single")."""
        variant = variant or self.choice.variant
        found = {name: model.served_lists(users, EXCLUDE[variant]) for name, model in self.models.items()}
        return {**found, self.choice.kind: self._combined(found, np.asarray(users, dtype=np.int64))}

    def recommend(
        self, users: Sequence[int] | Ints, k: int = SERVED_LIST_LENGTH, variant: Variant | None = None
    ) -> TopN:
        """The chosen combination's k best for each raw user id."""
        return self.lists(users, variant)[self.choice.kind].head(k)

    def _combined(self, lists: Mapping[str, TopN], users: Ints) -> TopN:
        if self.choice.ranker is not None and self.facts is not None:
            return self.choice.ranker.rank(lists, users, self.facts)
        names = list(self.choice.weights)
        if len(names) == 1:
            return lists[names[0]].head(SERVED_LIST_LENGTH)
        weights = list(self.choice.weights.values())
        return blend_many([lists[name] for name in names], weights, SERVED_LIST_LENGTH)


def choose(
    dataset: Dataset,
    *,
    protocol: Protocol = "window",
    objective: Objective = NDCG,
    budget_seconds: float = 600.0,
    families: Sequence[str] | None = None,
    options: TrainOptions | None = None,
    variant: Variant = "new",
    days: float = 30.0,
    clock: Clock = time.monotonic,
) -> Choice:
    """Families, settings, and weights or ranker for this data, chosen by validation within the budget.

    dataset: only what may be learned from; a test part must not be in it. families: candidates (default: the
    whole registry). variant: "new" leaves out what a shopper has, "all" lets it come again. days: length of a
    window. A short budget gives a plainer answer and a warning, never none: the cheapest family is always
    tried. Raises DataMissing when nobody can judge, InvalidValue for a wrong argument.
    """
    if budget_seconds <= 0:
        raise InvalidValue("budget_seconds", budget_seconds, "Give a number above 0.")
    options = options or TrainOptions()
    names = families_known(families)
    for name in names:
        FAMILIES[name].load()  # importing torch for the first time is no cost of a family, nor of the choice
    started = clock()
    trials = Trials(options, started + budget_seconds, clock)
    splits = _splits(dataset, protocol, days)
    held = [Held.from_split(split, variant, options.seed) for split in splits]
    held = held[:1] + [other for other in held[1:] if len(other.truth)]
    if not held or not len(held[0].truth):
        raise DataMissing("no shopper is left to judge by; give more history, or another protocol")
    tried = _first_round(trials, held[0], names, started + FIRST_ROUND * budget_seconds)
    tried = _search(trials, held[0], tried, started + (FIRST_ROUND + SEARCH) * budget_seconds)
    return _combine(trials, held, tried, protocol, objective, started)


def _splits(dataset: Dataset, protocol: Protocol, days: float) -> list[Split]:
    """The validation split first, then older ones (or other folds) that may teach a ranker."""
    if protocol == "window":
        span = (dataset.end - float(dataset.timestamp.min())) / DAY if len(dataset) else 0.0
        days = min(days, span / 3)  # a short history still needs more to learn from than to judge by
        cuts = [dataset.end - step * days * DAY for step in range(LESSONS + 2)]
        splits = [split_at(dataset, cuts[1])]
        splits += [split_at(dataset, cuts[step + 1], cuts[step]) for step in range(1, LESSONS + 1)]
        return [split for split in splits if len(split.train)]
    if protocol == "leave_one_out":
        splits = [leave_one_out(dataset)]
        with suppress(DataMissing):
            splits.append(leave_one_out(dataset, 1))
        return splits
    if protocol == "given":
        return list(islice(k_fold(dataset, FOLDS), 2))
    raise InvalidValue("protocol", protocol, "Use window, leave_one_out or given.")


def _first_round(trials: Trials, held: Held, names: Sequence[str], until: float) -> list[Tried]:
    """Each family once with its defaults, as far as the time goes: those a new shop starts with before the
    others, the cheapest of each first.
    """
    tried: list[Tried] = []
    skipped: list[str] = []
    groups = [[name for name in names if FAMILIES[name].standard is standard] for standard in (True, False)]
    for group in groups:
        for name, seconds in _costs(trials, held.split.train, group, until).items():
            done = (len(tried) + len(skipped)) / len(names)
            trials.options.report(Progress("families", 0.45 * done, message=FAMILIES[name].title))
            left = until - trials.clock()
            if tried and (left <= 0 or seconds > HOPEFUL * left):
                skipped.append(FAMILIES[name].title)
                continue
            # one that takes far longer than thought must not cost the others their turn
            limit = until - (1.0 - PATIENCE) * left
            found = trials.attempt(name, FAMILIES[name].config(None), held, limit if tried else None)
            if found is not None:
                tried.append(found)
    if skipped:
        trials.warnings.append(
            ("Too little time to try %(families)s; give a longer budget.", {"families": ", ".join(skipped)})
        )
    if not tried:
        tried.append(_fallback(trials, held, names))
    return sorted(tried, key=lambda one: -one.quality)


def _costs(trials: Trials, data: Dataset, names: Sequence[str], until: float) -> dict[str, float]:
    """Rough seconds by family, cheapest first; families there was no time to probe come last, with 0.

    Small data is not probed: a fit costs no more than the probe would. A family that fails on the sample may
    still do with everything, so it is put last as well.
    """
    if len(data) <= 2 * PROBE_EVENTS:
        return dict.fromkeys(sorted(names, key=lambda name: not FAMILIES[name].shared), 0.0)
    sample = sample_of(data, seed=trials.options.seed)
    known: dict[str, float] = {}
    now = trials.clock()
    for name in names:
        if trials.clock() - now <= PROBING * (until - now):
            seconds = trials.seconds_estimate(name, sample, data)
            if seconds is not None:
                known[name] = seconds
    rest = [name for name in names if name not in known]
    return dict(sorted(known.items(), key=lambda pair: pair[1])) | dict.fromkeys(rest, 0.0)


def _fallback(trials: Trials, held: Held, names: Sequence[str]) -> Tried:
    """The first family that works, whatever the clock says: an answer is better than none."""
    patient = Trials(trials.options, float("inf"), trials.clock)
    for name in sorted(names, key=lambda name: not FAMILIES[name].shared):
        found = patient.attempt(name, FAMILIES[name].config({"preset": "tiny"}), held)
        if found is not None:
            return found
    reasons = "; ".join(message % params for message, params in patient.warnings)
    raise DataMissing(f"no family could be fitted: {reasons}")


def _search(trials: Trials, held: Held, tried: list[Tried], until: float) -> list[Tried]:
    """Settings near each family's own, those families first that gain most per second."""
    best = max(one.quality for one in tried)
    current = {one.family: one for one in tried}
    worth = [one for one in tried if one.quality >= HOPELESS * best and best > 0]
    ideas = {one.family: settings_near(one.config) for one in worth}
    while ideas:
        for family in sorted(ideas, key=lambda name: current[name].seconds):
            field_config = next(ideas[family], None)
            if field_config is None or current[family].seconds * 1.5 > until - trials.clock():
                ideas.pop(family)
                continue
            trials.options.report(Progress("settings", 0.5, message=family))
            found = trials.attempt(family, _moved(current[family].config, field_config), held, until)
            if found is not None and found.quality > current[family].quality * BETTER:
                current[family] = found
    return sorted(current.values(), key=lambda one: -one.quality)


def _moved(config: Config, idea: tuple[str, Config]) -> Config:
    """The best settings so far with the idea's one field."""
    name, other = idea
    return replace(config, **{name: getattr(other, name)})


def _combine(
    trials: Trials,
    held: list[Held],
    tried: list[Tried],
    protocol: Protocol,
    objective: Objective,
    started: float,
) -> Choice:
    first, best = held[0], tried[0]
    useful = [one for one in tried if one.quality >= HOPELESS * best.quality or FAMILIES[one.family].shared]
    by_model = {one.family: _figures(one.evaluation.mean) for one in tried}
    lists = {one.family: one.top for one in useful}
    worth = Worth.from_dataset(first.split.train)
    weights: dict[str, float] = {best.family: 1.0}
    kind: Kind = "single"
    quality = best.quality
    pareto: list[dict[str, Any]] = []
    ranker = None
    if len(useful) > 1 and trials.left > 0:
        trials.options.report(Progress("weights", 0.8))
        stop = trials.stopping()
        mixed = weights_choose(
            lists, first.truth, seed=trials.options.seed, should_stop=stop, objective=objective, worth=worth
        )
        judged = first.evaluate(_cross_fitted(trials, first, lists, objective, worth))
        by_model[HYBRID] = _figures(judged.mean)
        if judged.mean("ndcg10") > quality * BETTER or not objective.only_ndcg:
            weights = {name: weight for name, weight in mixed.items() if weight > 0}
            kind, quality = ("hybrid" if len(weights) > 1 else "single"), judged.mean("ndcg10")
        parts = [name for name in PARTS if getattr(objective, name) > 0]
        shown = parts if len(parts) > 1 else [*parts, "coverage" if parts != ["coverage"] else "ndcg"]
        pareto = weights_front(
            lists, first.truth, worth, parts=shown, known=[mixed], seed=trials.options.seed
        )
        ranker = _ranker(trials, held, useful, quality, by_model) if objective.only_ndcg else None
        if ranker is not None:
            kind, weights = "stacked", mixed
    trials.options.report(Progress("done", 1.0))
    return Choice(
        protocol=protocol,
        variant=first.variant,
        kind=kind,
        configs={one.family: one.config for one in useful if one.family in weights},
        weights=weights,
        ranker=ranker,
        words=words_of(
            kind,
            weights,
            ranker,
            Facts.from_dataset(first.split.train),
            by_model,
            first.variant,
            timed=protocol == "window",
        ),
        warnings=trials.warnings,
        by_model=by_model,
        pareto=pareto,
        seconds=trials.clock() - started,
        objective=objective,
    )


def _cross_fitted(
    trials: Trials, held: Held, lists: Mapping[str, TopN], objective: Objective, worth: Worth
) -> TopN:
    """The blend as shoppers would see it whom the weights were not chosen by: each half judges the other's
    weights. What is judged by its own choice would always look too good beside a ranker taught by the past.
    """
    n = len(held.truth)
    halves = np.random.default_rng(trials.options.seed).permutation(n)
    parts = [np.sort(halves[: n // 2]), np.sort(halves[n // 2 :])]
    blended = TopN.empty(n, SERVED_LIST_LENGTH)
    for mine, other in (parts, parts[::-1]):
        if not len(mine):
            continue
        teachers = other if len(other) else mine
        found = weights_choose(
            {name: top.take(teachers) for name, top in lists.items()},
            held.truth.take(teachers),
            seed=trials.options.seed,
            should_stop=trials.stopping(),
            objective=objective,
            worth=worth,
        )
        top = blend_many([top.take(mine) for top in lists.values()], list(found.values()), SERVED_LIST_LENGTH)
        blended.ids[mine], blended.scores[mine] = top.ids, top.scores
    return blended


def _ranker(
    trials: Trials,
    held: list[Held],
    useful: list[Tried],
    quality: float,
    by_model: dict[str, dict[str, float]],
) -> StackedRanker | None:
    """A ranker taught by older splits, kept if it is better on the first one, then taught by that as well."""
    needed = 1.3 * sum(one.seconds for one in useful) + 2.0
    older = held[1:][: max(0, int(0.7 * trials.left / needed))]
    if not older:
        if held[1:]:
            trials.warnings.append(("Too little time to teach a ranker; the weights decide alone.", {}))
        return None
    started = trials.clock()
    ranker = None
    try:
        lessons = []
        for place, other in enumerate(older):
            trials.options.report(Progress("ranker", 0.85 + 0.1 * place / len(older)))
            lists = {one.family: trials.lists(one.family, one.config, other) for one in useful}
            lessons.append(Lesson(lists, Facts.from_dataset(other.split.train), other.truth))
        first = Lesson(
            {one.family: one.top for one in useful}, Facts.from_dataset(held[0].split.train), held[0].truth
        )
        config = StackedConfig() if trials.left > 30 else StackedConfig.preset("small")
        listed = trials.clock()
        taught = StackedRanker.fit(lessons, config, trials.until_deadline())
        judged = held[0].evaluate(taught.rank(first.lists, first.truth.users, first.facts))
        by_model[STACKED] = _figures(judged.mean)
        if judged.mean("ndcg10") <= quality * BETTER:
            return None
        ranker = taught
        if trials.left > 1.5 * (trials.clock() - listed):
            ranker = StackedRanker.fit([first, *lessons], config, trials.until_deadline())
    except Cancelled:
        trials.stop_check()
        if ranker is None:
            trials.warnings.append(("Too little time to teach a ranker; the weights decide alone.", {}))
    except MLError as error:
        trials.warnings.append(("No ranker was made: %(error)s", {"error": str(error)}))
    trials.options.report(Progress("ranker", 0.97, message=f"{trials.clock() - started:.0f} s"))
    return ranker


def _figures(mean: Any) -> dict[str, float]:
    return {
        name: round(float(mean(name)), 6) for name in ("ndcg10", "recall20", "hit10", "mrr10", "coverage10")
    }
