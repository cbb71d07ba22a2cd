"""Choosing, tuning and blending rankers of plain lists by validation, within seconds; then judging once.

Every component starts from sound settings and moves along one setting at a time, keeping what is better on
the validation questions. The components found are blended with weights found on the same questions, fitted
again with the validation items included, and judged on the test questions, which nothing before has seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from apps.ml.base import Progress, TrainOptions
from apps.ml.errors import DataMissing
from apps.ml.list_questions import BlendTable, Figures, Questions, joined, judge, judge_all
from apps.ml.list_scorers import Scorer
from apps.ml.text_files import EventLists

BLEND = "blend"
SEARCH_CELLS = 6e7
"""Scores looked at per setting tried."""
BLEND_CELLS = 1.2e8
"""Scores looked at per component when weights are found."""
LEAST_SECONDS = 10.0
"""A component that trains for long is not begun with less than this."""
LEAST_GAIN = 1.002
"""What a blend must gain over its best part to be chosen."""
Settings = dict[str, Any]


@dataclass(frozen=True)
class Component:
    """One kind of ranker. start: its settings; moves: other values of a setting, in order of promise.

    fit: from lists and settings. read: settings that `replace` on the scorer changes without a new fit.
    cost: estimated seconds of one fit for these lists. share: of the seconds left, the most its search takes.
    always: never left out, whatever the budget. prepare: settings that make one fit take at most these
    seconds, None where there are none; measured on a part of the lists.
    """

    name: str
    start: Settings
    moves: Sequence[tuple[str, Sequence[Any]]]
    fit: Callable[[EventLists, Settings, TrainOptions], Scorer]
    read: tuple[str, ...] = ()
    cost: Callable[[EventLists, Settings], float] = lambda lists, settings: 0.0
    share: float = 0.2
    always: bool = False
    prepare: Callable[[EventLists, float, TrainOptions], Settings | None] | None = None


@dataclass(frozen=True)
class Protocol:
    """What is asked. fitting/validation to choose, refitting/test to judge. cut: of the NDCG that chooses.

    shown: name in the answer by metric of `Figures`. words: the protocol as a sentence.
    """

    fitting: EventLists
    validation: Questions
    refitting: EventLists
    test: Questions
    cut: int
    shown: Mapping[str, str]
    words: str


@dataclass(eq=False)
class Tuned:
    """The best settings of a component. seconds: of one fit; scorer: fitted for validation; answer: seconds
    per question.
    """

    component: Component
    settings: Settings
    quality: float
    seconds: float
    scorer: Scorer
    answer: float = 0.0
    tried: int = 1


@dataclass
class Clock:
    """Seconds left of a budget."""

    budget: float
    started: float = field(default_factory=time.monotonic)

    @property
    def used(self) -> float:
        return time.monotonic() - self.started

    @property
    def left(self) -> float:
        return self.budget - self.used


def choose_and_judge(
    protocol: Protocol, components: Sequence[Component], clock: Clock, options: TrainOptions
) -> dict[str, Any]:
    """The answer of the commands as plain JSON. Raises DataMissing where nothing can be asked."""
    if not len(protocol.validation) or not len(protocol.test):
        raise DataMissing("Nobody has enough events to be asked about; see the protocol of the command.")
    warnings: list[str] = []
    tuned = _tune_all(protocol, components, clock, options, warnings)
    by_quality = sorted(tuned, key=lambda one: -one.quality)
    weights, gain = _blend(protocol, by_quality, clock, options)
    best = by_quality[0]
    if gain < LEAST_GAIN:
        weights = {}
    used = [one for one in tuned if weights.get(one.component.name) or one is best or one.component.always]
    used += _also_shown([one for one in tuned if one not in used], used, protocol, clock)
    kept = _refitted(protocol, used, weights, clock, options, warnings)
    scorers = {one.component.name: one.scorer for one in kept}
    blends = {}
    live = {name: weight for name, weight in weights.items() if weight and name in scorers}
    if len(live) > 1:
        blends[BLEND] = live
    options.report(Progress("test", 0.85, message=f"{len(protocol.test)} questions"))
    figures = judge_all(scorers, blends, protocol.test, options.check)
    chosen = BLEND if blends else best.component.name
    by_model = {name: _shown(found, protocol.shown) for name, found in figures.items()}
    for one in tuned:
        row = by_model.setdefault(one.component.name, {})
        row["validation_ndcg"] = round(one.quality, 6)
        row["fit_seconds"] = round(one.seconds, 2)
        row["settings"] = one.settings
    options.report(Progress("done", 1.0))
    share = {name: round(weight / sum(live.values()), 4) for name, weight in live.items()}
    words = f"Blend of {joined(list(live), share)}." if blends else f"{chosen} alone was best on validation."
    return {
        "chosen": chosen,
        "weights": share if blends else {chosen: 1.0},
        "words": words,
        **_shown(figures[chosen], protocol.shown),
        "seconds": round(clock.used, 2),
        "budget_seconds": clock.budget,
        "protocol": protocol.words,
        "questions": len(protocol.test),
        "items": protocol.refitting.n_items,
        "by_model": by_model,
        "warnings": warnings,
    }


def _also_shown(
    others: Sequence[Tuned], used: Sequence[Tuned], protocol: Protocol, clock: Clock
) -> list[Tuned]:
    """Components that are not part of the answer but stand beside it, where seconds are left for them."""

    def needed(one: Tuned) -> float:
        return 1.3 * one.seconds + 2.0 * one.answer * len(protocol.test)

    left = clock.left - 0.1 * clock.budget - sum(needed(one) for one in used)
    found = []
    for one in sorted(others, key=needed):
        left -= needed(one)
        if left > 0:
            found.append(one)
    return found


def _shown(figures: Figures, names: Mapping[str, str]) -> dict[str, Any]:
    return {name: round(figures[metric], 6) for metric, name in names.items()}


def _tune_all(
    protocol: Protocol,
    components: Sequence[Component],
    clock: Clock,
    options: TrainOptions,
    warnings: list[str],
) -> list[Tuned]:
    """Each component's best settings; those that do not fit into the seconds are left out and named."""
    tuned: list[Tuned] = []
    questions = protocol.validation.sample(SEARCH_CELLS)
    tuning_until = 0.45
    for place, component in enumerate(components):
        cost = component.cost(protocol.fitting, component.start)
        # a fit now, another with the validation items, and time to rank everyone
        if not component.always and 2.2 * cost > clock.left - 0.25 * clock.budget:
            warnings.append(
                f"{component.name} was left out: it needs about {2.2 * cost:.0f} s of the budget."
            )
            continue
        if component.prepare is not None:
            seconds = (clock.left - 0.2 * clock.budget - sum(one.seconds for one in tuned)) / 2
            more = component.prepare(protocol.fitting, seconds, options) if seconds > LEAST_SECONDS else None
            if more is None:
                warnings.append(f"{component.name} was left out: too little of the budget was left.")
                continue
            component = replace(component, start={**component.start, **more})
        share = clock.used / clock.budget + component.share * max(tuning_until - clock.used / clock.budget, 0)
        found = _tune(component, protocol, questions, share * clock.budget, clock, options)
        tuned.append(found)
        options.report(
            Progress(
                "tune",
                0.05 + 0.6 * (place + 1) / len(components),
                metric=found.quality,
                message=f"{component.name}, {found.tried} settings: NDCG@{protocol.cut}",
            )
        )
    # all are compared on the same questions, more of them than the search looked at
    final = protocol.validation.sample(BLEND_CELLS)
    if len(final) > len(questions) and clock.left > 0.3 * clock.budget:
        scorers = {one.component.name: one.scorer for one in tuned}
        for name, figures in judge_all(scorers, {}, final, options.check).items():
            next(one for one in tuned if one.component.name == name).quality = figures[f"ndcg{protocol.cut}"]
    return tuned


def _tune(
    component: Component,
    protocol: Protocol,
    questions: Questions,
    until: float,
    clock: Clock,
    options: TrainOptions,
) -> Tuned:
    """Coordinate search: at most twice around, while seconds of this component are left."""
    metric = f"ndcg{protocol.cut}"
    quiet = replace(options, on_progress=None)

    def attempt(settings: Settings, known: Tuned | None) -> Tuned:
        begun = time.monotonic()
        changed = known and [name for name in settings if settings[name] != known.settings[name]]
        if known is not None and changed and set(changed) <= set(component.read):
            scorer: Any = known.scorer
            scorer = replace(scorer, **{name: settings[name] for name in changed})
            seconds = known.seconds
        else:
            scorer = component.fit(protocol.fitting, settings, quiet)
            seconds = time.monotonic() - begun
        begun = time.monotonic()
        quality = judge(scorer, questions, options.check)[metric]
        answer = (time.monotonic() - begun) / len(questions)
        return Tuned(component, settings, quality, seconds, scorer, answer)

    best = attempt(dict(component.start), None)
    longest = best.seconds
    tried = {_key(best.settings)}
    for _ in range(2):
        before = best.quality
        for name, values in component.moves:
            for value in values:
                settings = {**best.settings, name: value}
                if _key(settings) in tried:
                    continue
                expected = 0.0 if name in component.read else longest
                if clock.used + expected > until:
                    break
                tried.add(_key(settings))
                found = attempt(settings, best)
                longest = max(longest, found.seconds)
                if found.quality > best.quality:
                    best = found
        if best.quality <= before:
            break
    best.tried = len(tried)
    return best


def _key(settings: Settings) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(settings.items()))


def _blend(
    protocol: Protocol, tuned: Sequence[Tuned], clock: Clock, options: TrainOptions
) -> tuple[dict[str, float], float]:
    """Weights by component and what they gain on validation; none where there is no time for it."""
    if len(tuned) < 2 or clock.left < 0.15 * clock.budget:
        return {}, 0.0
    options.report(Progress("blend", 0.68))
    seconds = 0.1 * clock.budget
    per_question = 3.0 * sum(one.answer for one in tuned) + 1e-9
    affordable = seconds / per_question * protocol.fitting.n_items
    questions = protocol.validation.sample(min(BLEND_CELLS, affordable))
    scorers = {one.component.name: one.scorer for one in tuned}
    until = clock.used + 2.0 * seconds
    table = BlendTable.build(scorers, questions, options.check)
    return table.weights(protocol.cut, options.seed, options.check, lambda: clock.used > until)


def _refitted(
    protocol: Protocol,
    used: Sequence[Tuned],
    weights: Mapping[str, float],
    clock: Clock,
    options: TrainOptions,
    warnings: list[str],
) -> list[Tuned]:
    """The same settings with the validation items included, the weightiest first; where the seconds do not
    suffice a component keeps what it learned without them.
    """
    quiet = replace(options, on_progress=None)
    order = sorted(used, key=lambda one: (-weights.get(one.component.name, 0.0), -one.quality))
    refitted = []
    # z-scores and the blend cost about as much again as the answers
    judging = 2.0 * len(protocol.test) * sum(one.answer for one in used)
    for place, one in enumerate(order):
        options.report(Progress("refit", 0.7 + 0.15 * place / len(order), message=f"{one.component.name}"))
        if 1.3 * one.seconds > clock.left - judging and not one.component.always:
            warnings.append(f"{one.component.name} was not fitted again with the validation items: no time.")
            refitted.append(one)
            continue
        begun = time.monotonic()
        scorer = one.component.fit(protocol.refitting, one.settings, quiet)
        refitted.append(replace(one, scorer=scorer, seconds=time.monotonic() - begun))
    return refitted
