"""Sources on trial: what each costs, its lists on held-out splits, and settings near those it has.

Nothing here knows a family by name: candidates come from the registry, their cost from a first small fit.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from apps.ml.base import Exclude, Model, TrainOptions
from apps.ml.configs import Config
from apps.ml.dataset import Dataset
from apps.ml.errors import Cancelled, MLError
from apps.ml.evaluate import Evaluation, evaluate_lists
from apps.ml.protocols import Split, Truth, Variant, truth_of
from apps.ml.registry import FAMILIES, family_get
from apps.ml.topn import TopN
from apps.ml.train import train

EXCLUDE: dict[Variant, Exclude] = {"new": "bought", "all": "none"}
PROBE_EVENTS = 2_000
PROBE_GROWTH = 1.15
"""Seconds of a fit grow with this power of the events: a little above linear, as most families do."""
LEARNING = 0.7
"""Share of a fit's time after which a network stops learning: what it knows by then can still be judged."""
MAX_JUDGES = 4_000
STEPS = (1 / 3, 3.0)
"""Factors a number is tried at."""
SEARCHED_FIELDS = 8
"""Settings tried per family: the first ones of its Config, which are the ones that matter most."""

Clock = Callable[[], float]


@dataclass(frozen=True)
class Held:
    """A split with the shoppers who judge it (at most MAX_JUDGES) and what they chose."""

    split: Split
    truth: Truth
    variant: Variant

    @classmethod
    def from_split(cls, split: Split, variant: Variant, seed: int) -> Held:
        """Draws the judges; a truth without shoppers stays empty."""
        truth = truth_of(split, variant)
        if len(truth) > MAX_JUDGES:
            rows = np.random.default_rng(seed).choice(len(truth), MAX_JUDGES, replace=False)
            truth = truth.take(np.sort(rows))
        return cls(split, truth, variant)

    def evaluate(self, top: TopN) -> Evaluation:
        return evaluate_lists(top, self.truth, self.split.catalogue_size)


@dataclass(frozen=True)
class Tried:
    """One family with settings, listed on a held-out split. seconds: fit and lists."""

    family: str
    config: Config
    top: TopN
    evaluation: Evaluation
    seconds: float

    @property
    def quality(self) -> float:
        """What choices are made by: NDCG@10."""
        return self.evaluation.mean("ndcg10")


@dataclass
class Trials:
    """Fits within a deadline, and remembers what went wrong.

    deadline: by `clock`, after which every fit is cancelled. warnings: (msgid, params).
    """

    options: TrainOptions
    deadline: float
    clock: Clock = time.monotonic
    warnings: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - self.clock()

    def until_deadline(self) -> TrainOptions:
        """The caller's options, stopping at the deadline too."""
        return self._options(self.deadline)

    def stopping(self) -> Callable[[], bool]:
        """Whether the deadline has come or the caller wants to stop."""
        return self._options(self.deadline).should_stop or (lambda: False)

    def stop_check(self) -> None:
        """Raises Cancelled if it was the caller who stopped, not the deadline."""
        self.options.check()

    def lists(self, family: str, config: Config, held: Held) -> TopN:
        """The family's served lists for the judges of a split."""
        model = train(family, config, held.split.train, self.until_deadline())
        return model.served_lists(held.truth.users, EXCLUDE[held.variant])

    def attempt(self, family: str, config: Config, held: Held, until: float | None = None) -> Tried | None:
        """Fitted, listed and judged; None with a warning when it fails or would pass the deadline."""
        started, title = self.clock(), FAMILIES[family].title
        try:
            options = self._options(self.deadline if until is None else min(until, self.deadline))
            model: Model[Any] = train(family, config, held.split.train, options)
            top = model.served_lists(held.truth.users, EXCLUDE[held.variant])
        except Cancelled:
            self.stop_check()
            self.warnings.append(("%(family)s did not finish in time and was left out.", {"family": title}))
            return None
        except (MLError, ValueError, FloatingPointError, MemoryError, np.linalg.LinAlgError) as error:
            self.warnings.append(
                (
                    "%(family)s failed and was left out: %(error)s",
                    {"family": title, "error": str(error)},
                )
            )
            return None
        return Tried(family, config, top, held.evaluate(top), self.clock() - started)

    def seconds_estimate(self, family: str, sample: Dataset, full: Dataset) -> float | None:
        """Rough seconds to fit and list on `full`, from a fit on `sample`; None when even that fails."""
        started = self.clock()
        try:
            users = sample.known_users
            model: Model[Any] = train(family, None, sample, self._options(self.deadline))
            model.served_lists(users[:200])
        except (MLError, ValueError, FloatingPointError, np.linalg.LinAlgError):
            self.stop_check()
            return None
        return float((self.clock() - started) * max(1.0, len(full) / max(len(sample), 1)) ** PROBE_GROWTH)

    def _options(self, until: float) -> TrainOptions:
        stop = self.options.should_stop

        def over() -> bool:
            return self.clock() >= until or (stop is not None and stop())

        left = until - self.clock()
        seconds = max(LEARNING * left, 0.1) if left < float("inf") else None
        return replace(self.options, should_stop=over, on_progress=None, seconds=seconds)


def sample_of(dataset: Dataset, events: int = PROBE_EVENTS, seed: int = 0) -> Dataset:
    """All events of as many random shoppers as hold about that many events (never fewer than two)."""
    if len(dataset) <= events:
        return dataset
    users = np.unique(dataset.user[dataset.user >= 0])
    if len(users) < 3:
        return dataset.select(np.arange(len(dataset)) >= len(dataset) - events)
    share = events / len(dataset)
    size = max(2, round(share * len(users)))
    chosen = np.random.default_rng(seed).choice(users, min(size, len(users)), replace=False)
    return dataset.select(np.isin(dataset.user, chosen))


def settings_near(config: Config) -> Iterator[tuple[str, Config]]:
    """Settings that differ from these in one field: numbers a step down and up, switches turned, half-lives
    also without end. (name of the field, config); what the class refuses is skipped.
    """
    searched = 0
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        tries = list(_values_near(value, item))
        if not tries or searched >= SEARCHED_FIELDS:
            continue
        searched += 1
        for found in tries:
            try:
                yield item.name, dataclasses.replace(config, **{item.name: found})
            except MLError:
                continue


def _values_near(value: object, item: dataclasses.Field[Any]) -> Sequence[object]:
    if item.metadata.get("tune") is False:
        return ()
    choices = item.metadata.get("choices") or ()
    if choices:
        return [choice for choice in choices if choice != value]
    if isinstance(value, bool):
        return (not value,)
    low, high = item.metadata.get("at_least"), item.metadata.get("high")
    if value is None and "half_life" in item.name:
        return (30.0, 180.0)
    if not isinstance(value, int | float) or not value:
        return ()
    kind = type(value)
    tries: list[object] = []
    for step in STEPS:
        moved = kind(value * step)
        moved = max(moved, kind(low)) if low is not None else moved
        moved = min(moved, kind(high)) if high is not None else moved
        if moved != value:
            tries.append(moved)
    if "half_life" in item.name and "None" in str(item.type):
        tries.append(None)
    return tries


def families_known(names: Sequence[str] | None) -> list[str]:
    """These families, or all of the registry that are not made of others; InvalidValue for an unknown one."""
    every = [name for name, family in FAMILIES.items() if not family.composite]
    return [family_get(name).name for name in (names or every)]
