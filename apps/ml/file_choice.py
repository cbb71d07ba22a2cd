"""Choosing, tuning and blending rankers of plain lists by validation, within seconds; then judging once.

Every quick component is fitted with sound settings first, so that any budget gives an answer. The better ones
then move along one setting at a time, keeping what is better on the validation questions; networks learn for
what is left, by the clock. What was found is blended with weights found on the same questions, fitted again
with the validation items included, and judged on the test questions, which nothing before has seen.
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
TUNED_UNTIL = 0.4
"""Share of the budget by which the quick components have their settings; without networks, TUNED_ALONE."""
TUNED_ALONE = 0.6
BLEND_SHARE = 0.12
"""Share of the budget that finding weights may take."""
LEAST_SECONDS = 8.0
"""A network is not begun with less than this."""
LEAST_GAIN = 1.002
"""What a blend must gain over its best part to be chosen."""
HOPELESS = 0.3
"""Components below this share of the best one's quality are not tuned."""
JUDGING = 1.5
"""Seconds of the test per second of asking: the blend is made beside."""
Settings = dict[str, Any]


@dataclass(frozen=True)
class Component:
    """One kind of ranker. title: in words. start: its settings; moves: other values of a setting, in order of
    promise.

    fit: from lists and settings; a network stops by `options.seconds`. read: settings that `replace` on the
    scorer changes without a new fit. cost: estimated seconds of one fit for these lists. always: never left
    out, whatever the budget. prepare: for networks, the settings that use about this many seconds, None where
    they are too few; measured on a part of the lists.
    """

    name: str
    title: str
    start: Settings
    moves: Sequence[tuple[str, Sequence[Any]]]
    fit: Callable[[EventLists, Settings, TrainOptions], Scorer]
    read: tuple[str, ...] = ()
    cost: Callable[[EventLists, Settings], float] = lambda lists, settings: 0.0
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
    networks = [one for one in components if one.prepare is not None]
    search = _Search(protocol, clock, options, warnings, bool(networks))
    tuned = search.quick([one for one in components if one.prepare is None])
    tuned += search.networks(networks, tuned)
    search.compare(tuned)
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
    titles = {one.name: one.title for one in components}
    named = {titles[name]: weight for name, weight in share.items()}
    words = (
        f"Blend of {joined(list(named), named)}."
        if blends
        else f"Nothing tried was better on validation than {best.component.title} alone."
    )
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
        return 1.3 * one.seconds + JUDGING * one.answer * len(protocol.test)

    left = clock.left - 0.1 * clock.budget - sum(needed(one) for one in used)
    found = []
    for one in sorted(others, key=needed):
        left -= needed(one)
        if left > 0:
            found.append(one)
    return found


def _shown(figures: Figures, names: Mapping[str, str]) -> dict[str, Any]:
    return {name: round(figures[metric], 6) for metric, name in names.items()}


@dataclass
class _Search:
    """What the components are worth and with which settings, within the clock. patient: whether networks
    follow, for which time is kept.
    """

    protocol: Protocol
    clock: Clock
    options: TrainOptions
    warnings: list[str]
    patient: bool

    def __post_init__(self) -> None:
        self.questions = self.protocol.validation.sample(SEARCH_CELLS)
        self.metric = f"ndcg{self.protocol.cut}"
        self.quiet = replace(self.options, on_progress=None)

    def quick(self, components: Sequence[Component]) -> list[Tuned]:
        """Each with its first settings, then the best ones tuned, best first."""
        clock, tuned = self.clock, list[Tuned]()
        for place, component in enumerate(components):
            cost = component.cost(self.protocol.fitting, component.start)
            # a fit now, another with the validation items, and time to rank everyone; with too little for all
            # of them the best go on
            best = [one for one in tuned if one.component.always or one.quality >= _best(tuned)]
            spent = 1.2 * sum(one.seconds for one in best) + 2.0 * self.judging(best)
            if not component.always and 2.4 * cost > 0.85 * clock.left - spent:
                needed = f"it needs about {2.4 * cost:.0f} s" if cost > 1 else "too little was left"
                self.warnings.append(f"{component.name} was left out: {needed} of the budget.")
                continue
            tuned.append(self.attempt(component, dict(component.start), None))
            self.report("first", 0.3 * (place + 1) / len(components), tuned[-1])
        tuned.sort(key=lambda one: -one.quality)
        hopeful = [one for one in tuned if one.component.moves and one.quality >= HOPELESS * tuned[0].quality]
        share = TUNED_UNTIL if self.patient else TUNED_ALONE
        for place, one in enumerate(hopeful):
            end = min(share * clock.budget, clock.used + clock.left - self.reserve(tuned))
            until = clock.used + max(end - clock.used, 0.0) * min(1.0, 1.6 / (len(hopeful) - place))
            found = self.climb(one, until)
            tuned[tuned.index(one)] = found
            self.report("tune", 0.3 + 0.25 * (place + 1) / len(hopeful), found)
        return tuned

    def networks(self, components: Sequence[Component], tuned: Sequence[Tuned]) -> list[Tuned]:
        """Those for whose learning, now and once more with the validation items, enough seconds are left."""
        found: list[Tuned] = []
        for place, component in enumerate(components):
            prepare, left = component.prepare, len(components) - place
            # asking a network costs about what the dearest of the others does
            dearest = max((one.answer for one in tuned), default=0.0) * len(self.protocol.test) * left
            seconds = (self.clock.left - self.reserve([*tuned, *found]) - 2.0 * dearest) / (2.1 * left)
            settings = None
            if prepare is not None and seconds > LEAST_SECONDS:
                settings = prepare(self.protocol.fitting, seconds, self.options)
            if settings is None:
                self.warnings.append(f"{component.name} was left out: too little of the budget was left.")
                continue
            options = replace(self.quiet, seconds=seconds)
            found.append(self.attempt(component, {**component.start, **settings}, None, options))
            self.report("network", 0.55 + 0.1 * (place + 1) / len(components), found[-1])
        return found

    def compare(self, tuned: Sequence[Tuned]) -> None:
        """All on the same questions, more of them than the search looked at, where there is time."""
        final = self.protocol.validation.sample(BLEND_CELLS)
        seconds = 1.5 * len(final) * sum(one.answer for one in tuned)
        if len(final) <= len(self.questions) or seconds > 0.5 * (self.clock.left - self.reserve(tuned)):
            return
        scorers = {one.component.name: one.scorer for one in tuned}
        figures = judge_all(scorers, {}, final, self.options.check)
        for one in tuned:
            one.quality = figures[one.component.name][self.metric]

    def judging(self, tuned: Sequence[Tuned]) -> float:
        """Seconds of the test."""
        return JUDGING * len(self.protocol.test) * sum(one.answer for one in tuned)

    def reserve(self, tuned: Sequence[Tuned]) -> float:
        """Seconds of all that follows the search."""
        refits = 1.2 * sum(one.seconds for one in tuned)
        return refits + self.judging(tuned) + BLEND_SHARE * self.clock.budget

    def report(self, stage: str, fraction: float, found: Tuned) -> None:
        said = f"{found.component.name}, {found.tried} settings: NDCG@{self.protocol.cut}"
        self.options.report(Progress(stage, fraction, metric=found.quality, message=said))

    def attempt(
        self,
        component: Component,
        settings: Settings,
        known: Tuned | None,
        options: TrainOptions | None = None,
    ) -> Tuned:
        """Fitted and judged on the search's questions; not fitted anew where only reading changes."""
        begun = time.monotonic()
        changed = known and [name for name in settings if settings[name] != known.settings[name]]
        if known is not None and changed and set(changed) <= set(component.read):
            scorer: Any = known.scorer
            scorer = replace(scorer, **{name: settings[name] for name in changed})
            seconds = known.seconds
        else:
            scorer = component.fit(self.protocol.fitting, settings, options or self.quiet)
            seconds = time.monotonic() - begun
        begun = time.monotonic()
        quality = judge(scorer, self.questions, self.options.check)[self.metric]
        answer = (time.monotonic() - begun) / len(self.questions)
        return Tuned(component, settings, quality, seconds, scorer, answer)

    def climb(self, best: Tuned, until: float) -> Tuned:
        """Coordinate search: at most twice around, while seconds of this component are left."""
        component, clock = best.component, self.clock
        longest = best.seconds
        asking = best.answer * len(self.questions)
        tried = {_key(best.settings)}
        for _ in range(2):
            before = best.quality
            for name, values in component.moves:
                for value in values:
                    settings = {**best.settings, name: value}
                    if _key(settings) in tried:
                        continue
                    expected = asking + (0.0 if name in component.read else longest)
                    if clock.used + expected > until:
                        break
                    tried.add(_key(settings))
                    found = self.attempt(component, settings, best)
                    longest = max(longest, found.seconds)
                    if found.quality > best.quality:
                        best = found
            if best.quality <= before:
                break
        best.tried = len(tried)
        return best


def _best(tuned: Sequence[Tuned]) -> float:
    """The best quality so far."""
    return max((one.quality for one in tuned), default=0.0)


def _key(settings: Settings) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(settings.items()))


def _blend(
    protocol: Protocol, tuned: Sequence[Tuned], clock: Clock, options: TrainOptions
) -> tuple[dict[str, float], float]:
    """Weights by component and what they gain on validation; none where there is no time for it."""
    # the best first; what could not be asked by everyone any more is no part
    fits: list[Tuned] = []
    for one in tuned:
        judging = JUDGING * len(protocol.test) * sum(other.answer for other in [*fits, one])
        if judging < 0.7 * clock.left:
            fits.append(one)
    judging = JUDGING * len(protocol.test) * sum(one.answer for one in fits)
    if len(fits) < 2 or clock.left < 0.05 * clock.budget + judging:
        return {}, 0.0
    tuned = fits
    options.report(Progress("blend", 0.68))
    seconds = min(BLEND_SHARE * clock.budget, 0.5 * (clock.left - judging))
    per_question = 3.0 * sum(one.answer for one in tuned) + 1e-9
    affordable = 0.5 * seconds / per_question * protocol.fitting.n_items
    questions = protocol.validation.sample(min(BLEND_CELLS, affordable))
    scorers = {one.component.name: one.scorer for one in tuned}
    until = clock.used + seconds
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
    """The same settings with the validation items included, networks last and by the clock; where the seconds
    do not suffice a component keeps what it learned without them.
    """
    quiet = replace(options, on_progress=None)

    def place_of(one: Tuned) -> tuple[bool, float, float]:
        return one.component.prepare is not None, -weights.get(one.component.name, 0.0), -one.quality

    order = sorted(used, key=place_of)
    refitted = []
    judging = JUDGING * len(protocol.test) * sum(one.answer for one in used)
    for place, one in enumerate(order):
        options.report(Progress("refit", 0.7 + 0.15 * place / len(order), message=f"{one.component.name}"))
        left = clock.left - judging
        network = one.component.prepare is not None
        if (0.6 if network else 1.2) * one.seconds > left and not one.component.always:
            warnings.append(f"{one.component.name} was not fitted again with the validation items: no time.")
            refitted.append(one)
            continue
        begun = time.monotonic()
        how = replace(quiet, seconds=min(1.05 * one.seconds, left)) if network else quiet
        scorer = one.component.fit(protocol.refitting, one.settings, how)
        refitted.append(replace(one, scorer=scorer, seconds=time.monotonic() - begun))
    return refitted
