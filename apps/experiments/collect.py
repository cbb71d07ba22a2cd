"""Who takes part in an experiment, and what they did: from raw rows to arrays of units.

A unit is a shopper after identity merges, or else a session. It takes part from its first exposure under the
experiment on; which exposures are logged (all, or only those whose slate the variants make different) was
decided when they were served. Left out, and counted:

  multiple_exposure   units that saw more than one variant
  bot                 units with an event marked as a bot's
  outlier             units with more events than the mean plus 7 standard deviations
  unknown_variant     units of a variant the experiment does not have
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from apps.experiments.cumulative import Codes, Frame, MetricPath, Paths, Rows
from apps.experiments.strata import Strata, cells_of, strata_read
from apps.metrics.rollups import shop_clock
from apps.metrics.unit_rows import NOBODY, Exposures, Ints, Progress, Raw, micros, readers
from apps.metrics.unit_steps import Added, Reach, Units, UnitTables
from apps.metrics.unit_tables import day_bounds, hashes, slates_read, tables_read
from apps.metrics.units import UnitMetric

COVARIATE_DAYS = 14
OUTLIER_SDS = 7.0


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be collected. variants: control first. placements: None for all. covariates: whether the
    time before is read too. end: of the events; exposures after it are none.
    """

    experiment: int
    variants: tuple[str, ...]
    start: datetime
    end: datetime
    metrics: tuple[UnitMetric, ...]
    placements: tuple[str, ...] | None = None
    covariates: bool = True
    segments: bool = True
    holdout: bool = False
    periods: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True)
class Entries:
    """Units and the variant, device (a hash) of their first exposure; excluded by reason."""

    units: Units
    variant: Codes
    device: Codes
    excluded: dict[str, int]


@dataclass(frozen=True, slots=True)
class Collected:
    """The paths of all metrics by code, those of the units' number, and who was left out."""

    metrics: dict[str, MetricPath]
    counts: MetricPath
    excluded: dict[str, int]
    units: int


def collect(question: Question, progress: Progress | None = None) -> Collected:
    """Read and add up; `progress` is told the share done, from 0 to 1."""

    def tell(start: float, share: float) -> Progress | None:
        return None if progress is None else lambda done: progress(start + done * share)

    shop = shop_clock()
    reach = Reach(
        start=question.start,
        end=question.end,
        zone=shop.zone,
        window=shop.window,
        placements=question.placements,
        pre=timedelta(days=COVARIATE_DAYS if question.covariates else 0),
    )
    with readers() as connections:
        exposures = slates_read(
            connections,
            reach,
            question.metrics,
            experiment=question.experiment,
            holdout=question.holdout,
            progress=tell(0.0, 0.2),
        )
        entries = entries_of(
            exposures, hashes(connections[0], question.variants), keep_first=bool(question.periods)
        )
        tables = tables_read(
            connections, reach, entries.units, question.metrics, exposures, progress=tell(0.2, 0.5)
        )
        del exposures
        frame, excluded = frame_of(connections, question, entries, tables)
    return Collected(
        metrics=paths_of(question, frame, tables, tell(0.7, 0.3)),
        counts=Paths(frame).counts(),
        excluded=excluded,
        units=int((frame.variant >= 0).sum()),
    )


def entries_of(exposures: Exposures, variants: Ints, *, keep_first: bool = False) -> Entries:
    """Units in the order of `who`, at their first exposure. exposures: by time; variants: hashes of their
    codes, in order.
    """
    ours = exposures
    mine = (exposures.variant != 0) & (exposures.who > NOBODY)
    if not mine.all():
        ours = exposures.taken(np.flatnonzero(mine))
    order = np.argsort(ours.who, kind="stable")  # by time for each
    who = ours.who[order]
    starts = np.flatnonzero(np.append(True, who[1:] != who[:-1])[: len(who)])
    who, first = who[starts], order[starts]
    variant = ours.variant[first]
    counts = np.diff(np.append(starts, len(order)))
    several = np.zeros(len(who), dtype=np.bool_)
    differs = ours.variant[order] != np.repeat(variant, counts)
    several[np.repeat(np.arange(len(who)), counts)[differs]] = True
    several &= not keep_first
    code = np.full(len(who), -1, dtype=np.int64)
    for number, value in enumerate(variants):
        code[variant == value] = number
    strange = (code < 0) & ~several
    kept = ~several & ~strange
    excluded = {"multiple_exposure": int(several.sum()), "unknown_variant": int(strange.sum())}
    at = first[kept]
    return Entries(Units(who[kept], ours.at[at]), code[kept], ours.device[at], excluded)


def frame_of(
    connections: Sequence[Raw], question: Question, entries: Entries, tables: UnitTables
) -> tuple[Frame, dict[str, int]]:
    """Days, strata and variants of the units, bots and outliers left out."""
    cell, cells, strata = _cells(connections, question, entries)
    variant, excluded = _left_out(entries, tables)
    bounds = day_bounds(tables.reach.zone, question.start, question.end)
    frame = Frame(
        variants=question.variants,
        days=len(bounds) - 1,
        variant=variant,
        entry=_day_of(bounds, entries.units.first),
        cell=cell,
        cells=cells,
        strata=strata,
    )
    return frame, {reason: count for reason, count in excluded.items() if count}


def _left_out(entries: Entries, tables: UnitTables) -> tuple[Codes, dict[str, int]]:
    """The units' variants, below 0 for bots and outliers, and how many of them there are."""
    bots, events = tables.bots, tables.events
    wild = np.zeros(len(bots), dtype=np.bool_)
    if len(bots):
        wild = (events > events.mean() + OUTLIER_SDS * events.std()) & ~bots
    counts = {"bot": int(bots.sum()), "outlier": int(wild.sum())}
    return np.where(bots | wild, -1, entries.variant), entries.excluded | counts


def _cells(connections: Sequence[Raw], question: Question, entries: Entries) -> tuple[Codes, int, Strata]:
    """Each unit's cell, how many there are, and what they stand for."""
    units = entries.units
    if question.periods and len(units):
        starts = np.array([micros(one) for one in question.periods])
        labels = [str(number) for number in range(len(starts))]
        came = np.searchsorted(starts, units.first, side="right").clip(1) - 1
        return cells_of({"period": (labels, came)})
    if question.segments and len(units):
        return cells_of(strata_read(connections, units, entries.device, started=question.start))
    return np.zeros(len(units), dtype=np.int64), 1, {}


def paths_of(
    question: Question, frame: Frame, tables: UnitTables, progress: Progress | None = None
) -> dict[str, MetricPath]:
    """Each metric's path by code."""
    paths, bounds = Paths(frame), day_bounds(tables.reach.zone, question.start, question.end)
    found = {}
    for metric in question.metrics:  # one by one: side by side they would need a quarter more memory
        found[metric.code] = path_of(paths, tables, metric, bounds)
        if progress is not None:
            progress(len(found) / len(question.metrics))
    return found


def path_of(paths: Paths, tables: UnitTables, metric: UnitMetric, bounds: Ints) -> MetricPath:
    """One metric's path."""
    values = tables.values(metric)
    rows = _rows(values.numerator, bounds)
    match metric.kind:
        case "proportion":
            return paths.proportion(rows, values.before)
        case "revenue" if metric.winsorise is not None and metric.winsorise < 1:
            return paths.winsorised(rows, values.before, metric.winsorise)
        case "quantile":
            return paths.quantile(rows, metric.quantile or 0.5)
        case "ratio":
            assert values.denominator is not None
            bottom = _rows(values.denominator, bounds)
            return paths.ratio(rows, bottom, values.before, values.before_denominator)
        case _:
            return paths.mean(rows, values.before)


def _rows(added: Added, bounds: Ints) -> Rows:
    return Rows(added.unit, _day_of(bounds, added.at), added.value)


def _day_of(bounds: Ints, at: Ints) -> Codes:
    """The day of each moment, from 0."""
    return np.searchsorted(bounds, at, side="right").clip(1, len(bounds) - 1) - 1
