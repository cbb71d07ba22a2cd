"""A month of days, lived through by several ways of keeping a model up to date: what each costs, gains and
forgets.

Ways, all from one base model fitted before the first day and judged each day on what known shoppers buy that
day, before that day teaches anything:

- full: fitted anew every day on everything so far. The measure of the others.
- warm: fitted every day from yesterday's model (`TrainOptions.start`), usually for fewer epochs.
- fold_in: the base's items for the shoppers and histories of the day (`Model.fold_in`); nothing is trained.
- frozen: the base as it was.

Forgetting, after Chaudhry et al. 2018 ("Riemannian walk for incremental learning"): quality on old knowledge
before the updates less that after them. Old knowledge is one purchase of each old shopper that is hidden from
all training from the start; above 0 is lost, below 0 is gained. "quiet" counts only shoppers who did nothing
in the month: theirs moves by what others did alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from apps.ml.base import Exclude, Model, Progress, TrainOptions
from apps.ml.dataset import DAY, Dataset, Ints
from apps.ml.errors import InvalidValue
from apps.ml.protocols import Truth, Variant, split_at, truth_of
from apps.ml.ranking_metrics import per_user_metrics
from apps.ml.registry import family_get
from apps.ml.significance import Interval, PairedTest, PerUser, bootstrap, paired_test
from apps.ml.train import train

Way = Literal["full", "warm", "fold_in", "frozen"]
WAYS: tuple[Way, ...] = get_args(Way)
EXCLUDE: dict[Variant, Exclude] = {"new": "bought", "all": "none"}
METRICS = ("ndcg10", "recall20")
MIN_ITEMS = 3
"""Old shoppers with fewer items keep all of them: hiding one would take away most of what is known."""


@dataclass(frozen=True)
class Forgetting:
    """NDCG@10 on the hidden purchases, before and after the month; the difference is before - after."""

    before: float
    after: float
    lost: Interval
    quiet_lost: Interval | None
    shoppers: int

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        quiet = self.quiet_lost
        return {
            "before": round(self.before, 6),
            "after": round(self.after, 6),
            "lost": _triple(self.lost),
            "quiet_lost": None if quiet is None else _triple(quiet),
            "shoppers": self.shoppers,
        }


@dataclass
class Course:
    """One way through the month. per_day: mean NDCG@10 by day, None where nobody bought. ndcg10, recall20:
    float64, one value per shopper and day. seconds, cpu_seconds: of all updates together, the base not
    counted.
    """

    per_day: list[float | None] = field(default_factory=list)
    ndcg10: list[PerUser] = field(default_factory=list)
    recall20: list[PerUser] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    updates: int = 0
    forgetting: Forgetting | None = None

    def values(self, metric: str) -> PerUser:
        """All shoppers of all days: float64 [n]."""
        return np.concatenate([np.zeros(0), *getattr(self, metric)])


@dataclass(frozen=True)
class Month:
    """What came of it. dates: the days. base_seconds: fitting the base. judged: shoppers and days judged."""

    family: str
    variant: Variant
    dates: list[str]
    courses: dict[Way, Course]
    base_seconds: float
    judged: int

    def against_full(self, way: Way) -> PairedTest | None:
        """NDCG@10 of this way less that of a full retrain, over the same shoppers and days."""
        if way == "full" or "full" not in self.courses or not self.judged:
            return None
        return paired_test(self.courses[way].values("ndcg10"), self.courses["full"].values("ndcg10"))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: by way the means, [low, high], seconds, share of the full retrain's quality and of its
        seconds, days, and forgetting.
        """
        return {
            "family": self.family,
            "variant": self.variant,
            "days": self.dates,
            "judged": self.judged,
            "base_seconds": round(self.base_seconds, 3),
            "ways": {way: self._told(way) for way in self.courses},
        }

    def _told(self, way: Way) -> dict[str, Any]:
        course, full = self.courses[way], self.courses.get("full")
        values = np.stack([course.values(metric) for metric in METRICS], axis=1)
        means, low, high = bootstrap(values, 0)
        test = self.against_full(way)
        return {
            **{metric: round(mean, 6) for metric, mean in zip(METRICS, means, strict=True)},
            "intervals": {
                metric: [round(low[place], 6), round(high[place], 6)] for place, metric in enumerate(METRICS)
            },
            "seconds": round(course.seconds, 3),
            "cpu_seconds": round(course.cpu_seconds, 3),
            "updates": course.updates,
            "speedup": round(full.cpu_seconds / course.cpu_seconds, 2)
            if full is not None and course.cpu_seconds > 0
            else None,
            "against_full": None if test is None else test.to_dict(),
            "ndcg10_by_day": [None if value is None else round(value, 6) for value in course.per_day],
            "forgetting": None if course.forgetting is None else course.forgetting.to_dict(),
        }


def ways_of(family: str) -> tuple[Way, ...]:
    """The ways this family can go."""
    model = family_get(family).load()
    able = {"full": True, "warm": model.warm_starts, "fold_in": model.folds_in, "frozen": True}
    return tuple(way for way in WAYS if able[way])


def month_simulate(
    dataset: Dataset,
    family: str,
    config: dict[str, Any] | None = None,
    *,
    days: int = 30,
    ways: Sequence[Way] | None = None,
    variant: Variant = "all",
    warm_settings: dict[str, Any] | None = None,
    options: TrainOptions | None = None,
    seed: int = 0,
) -> Month:
    """Lives through the last `days` days of the data.

    ways: default all the family can go (`ways_of`). warm_settings: settings that differ in warm updates, e.g.
    {"epochs": 2}. InvalidValue for a way the family cannot go, and when nothing is left before the first day.
    """
    options = options or TrainOptions()
    chosen = tuple(ways or ways_of(family))
    for way in chosen:
        if way not in ways_of(family):
            raise InvalidValue("ways", way, f"{family} can go {', '.join(ways_of(family))}.")
    start = dataset.end - days * DAY
    if days < 1 or not len(dataset.before(start)):
        raise InvalidValue("days", days, "Nothing is left to train on before the first day; use fewer.")
    taught, hidden = _hidden(dataset, start, seed)
    settings = dict(config or {})
    quiet = replace(options, on_progress=None)
    base, base_seconds, _ = _timed(lambda: train(family, settings, taught.before(start), quiet))
    models: dict[Way, Model[Any]] = dict.fromkeys(chosen, base)
    courses = {way: Course() for way in chosen}
    dates, judged = [], 0
    for day in range(days):
        cut = start + day * DAY
        options.report(Progress("days", day / days, day, days, message=family))
        split = split_at(taught, cut, cut + DAY if day < days - 1 else None)
        if day:
            for way in chosen:
                models[way] = _updated(way, models[way], split.train, settings, warm_settings, quiet, courses)
        truth = truth_of(split, variant)
        dates.append(str(datetime.fromtimestamp(cut, UTC).date()))
        judged += len(truth)
        for way in chosen:
            _judge(models[way], truth, variant, courses[way])
    done = taught.before(np.nextafter(dataset.end, np.inf))
    before = _on_hidden(base, hidden)
    still = _still(done, hidden, start)
    for way in chosen:
        # the last day teaches too, so that all of the month stands between before and after
        last = _updated(way, models[way], done, settings, warm_settings, quiet, courses)
        courses[way].forgetting = _forgotten(before, _on_hidden(last, hidden), still)
    options.report(Progress("done", 1.0))
    return Month(family, variant, dates, courses, base_seconds, judged)


def _updated(
    way: Way,
    model: Model[Any],
    known: Dataset,
    settings: dict[str, Any],
    warm_settings: dict[str, Any] | None,
    options: TrainOptions,
    courses: dict[Way, Course],
) -> Model[Any]:
    if way == "frozen":
        return model
    steps: dict[Way, Callable[[], Model[Any]]] = {
        "full": lambda: train(model.family, settings, known, options),
        "warm": lambda: train(
            model.family, settings | (warm_settings or {}), known, replace(options, start=model)
        ),
        "fold_in": lambda: model.fold_in(known),
    }
    updated, seconds, cpu_seconds = _timed(steps[way])
    courses[way].seconds += seconds
    courses[way].cpu_seconds += cpu_seconds
    courses[way].updates += 1
    return updated


def _timed(step: Callable[[], Model[Any]]) -> tuple[Model[Any], float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    made = step()
    return made, time.perf_counter() - wall, time.process_time() - cpu


def _judge(model: Model[Any], truth: Truth, variant: Variant, course: Course) -> None:
    if not len(truth):
        course.per_day.append(None)
        return
    found = per_user_metrics(model.recommend(truth.users, 20, EXCLUDE[variant]), truth)
    course.per_day.append(float(found["ndcg10"].mean()))
    course.ndcg10.append(found["ndcg10"])
    course.recall20.append(found["recall20"])


def _hidden(dataset: Dataset, start: float, seed: int) -> tuple[Dataset, Truth]:
    """The data without one purchased item of each old shopper, and those items."""
    old = dataset.before(start).purchases().identified()
    width = max(len(dataset.items), 1)
    pairs = np.unique(old.user * width + old.item)
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(pairs)
    users, first, counts = np.unique(shuffled // width, return_index=True, return_counts=True)
    chosen = shuffled[first[counts >= MIN_ITEMS]]
    truth = Truth.from_pairs(dataset.users.ids[chosen // width], dataset.items.ids[chosen % width])

    def kept(part: Dataset) -> NDArray[np.bool_]:
        return (part.user < 0) | ~np.isin(part.user * width + part.item, chosen)

    gone = dataset.withdrawn
    return (
        replace(
            dataset.select(kept(dataset)), withdrawn=None if gone is None else gone.select(kept(gone.events))
        ),
        truth,
    )


def _on_hidden(model: Model[Any], hidden: Truth) -> PerUser:
    """NDCG@10 of the hidden item among what the shopper has not bought: float64 [n]."""
    return per_user_metrics(model.recommend(hidden.users, 20, "bought"), hidden)["ndcg10"]


def _still(done: Dataset, hidden: Truth, start: float) -> NDArray[np.bool_]:
    """Which of the old shoppers did nothing since: bool [n]."""
    later: Ints = done.select(done.timestamp >= start).known_users
    return ~np.isin(hidden.users, later)


def _forgotten(before: PerUser, after: PerUser, still: NDArray[np.bool_]) -> Forgetting | None:
    if not len(before):
        return None
    lost = before - after
    return Forgetting(
        float(before.mean()),
        float(after.mean()),
        _interval(lost),
        _interval(lost[still]) if still.any() else None,
        len(before),
    )


def _interval(values: PerUser) -> Interval:
    means, low, high = bootstrap(values[:, None], 0)
    return Interval(means[0], low[0], high[0])


def _triple(found: Interval) -> list[float]:
    return [round(found.mean, 6), round(found.low, 6), round(found.high, 6)]
