"""Experiments from cumulative summaries: counts, means and variances instead of units. Pure: no Django.

Two shapes of file, told by their columns:

- *long*: one row for each variant and metric (and time): the variant column (`options.variant`), `metric`,
  `count`, `mean` (or `sum`), `variance` (or `sd`, `sum_squares`; a proportion needs none), for a ratio also
  `mean_denominator`, `variance_denominator`, `covariance`; optionally a time and `experiment`. Without a
  column `metric` the file holds one metric.
- *side by side*, as in the ASOS Digital Experiments Dataset: `count_c, count_t, mean_c, mean_t, variance_c,
  variance_t`, each row one treatment against control; with `variant_id`, `metric_id`, `experiment_id` and
  `time_since_start` (days) where there are several.

Of several times the last is the result, and all of them are the path that the sequential view and the novelty
check look at. Summaries are cumulative: each time holds all units so far.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from apps.core.errors import InvalidInput
from apps.experiments.analysis import analyse
from apps.experiments.comparing import Arm
from apps.experiments.file_options import FileMetric, FileOptions, listed, options_check, shares_of, spec_of
from apps.experiments.file_tables import (
    Floats,
    Source,
    column_check,
    columns_of,
    days,
    labels,
    numbers,
    table_read,
)
from apps.experiments.results import Kind, Note
from apps.experiments.stats.moments import Moments
from apps.experiments.unit_files import FileAnalysis, FileSummary

NAMES = {
    "experiment": ("experiment", "experiment_id"),
    "metric": ("metric", "metric_id", "metric_name"),
    "time": ("time_since_start", "day", "date", "time"),
    "count": ("count", "n", "units", "users"),
    "mean": ("mean",),
    "sum": ("sum", "total"),
    "variance": ("variance", "var"),
    "squares": ("sum_squares", "sum_of_squares"),
    "sd": ("sd", "std", "stddev"),
    "mean_d": ("mean_denominator", "mean_d"),
    "variance_d": ("variance_denominator", "variance_d"),
    "covariance": ("covariance", "cov"),
}
SIDE_BY_SIDE = ("count_c", "count_t", "mean_c", "mean_t", "variance_c", "variance_t")
CONTROL = "control"
TREATMENT = "treatment"
# A variance this near to p (1 - p) is that of zeros and ones.
PROPORTION_MAY_MISS = 0.02


@dataclass(slots=True)
class _Summaries:
    """One experiment's moments by metric, time and variant."""

    by_metric: dict[str, dict[float, dict[str, Moments]]] = field(default_factory=dict)
    rows: int = 0
    blank: int = 0

    def add(self, metric: str, time: float, variant: str, moments: Moments, *, again: bool) -> None:
        """Put one summary in its place; again: the same may come twice (control beside each treatment)."""
        arms = self.by_metric.setdefault(metric, {}).setdefault(time, {})
        if variant in arms and not again:
            raise InvalidInput(
                field="csv",
                value=f"{metric}, {variant}",
                remedy="Two rows say this metric of this variant: name the column of their times.",
            )
        arms.setdefault(variant, moments)


def analyse_summary(source: Source, options: FileOptions) -> dict[str, FileAnalysis]:
    """Analyse the experiments of a file of summaries, by their ids ("" where the file has one without an id).

    options.metrics may be empty: all metrics then, those whose variance is p (1 - p) as proportions. Raises
    InvalidInput for what can't be read or analysed.
    """
    options_check(options)
    there = columns_of(source)
    side_by_side = set(SIDE_BY_SIDE) <= set(there)
    if options.segments or any(metric.covariate for metric in options.metrics):
        raise InvalidInput(field="summary", value="", remedy="Segments and covariates need a file of units.")
    for metric in options.metrics:
        if metric.kind == "quantile":
            remedy = "A quantile can't be had from counts, means and variances: give a file of units."
            raise InvalidInput(field="metric", value=metric.name, remedy=remedy)
    if not side_by_side and options.variant not in there and "count_c" not in there:
        column_check("variant", options.variant, there)
    reader = _Reader(source, options, there)
    experiments = reader.side_by_side() if side_by_side else reader.long()
    if options.experiment:
        if options.experiment not in experiments:
            raise InvalidInput(
                field="experiment",
                value=options.experiment,
                remedy=f"The file has no such experiment. It has: {listed(experiments)}.",
            )
        experiments = {options.experiment: experiments[options.experiment]}
    if side_by_side:
        options = replace(options, control=options.control or CONTROL)
    return {name: _analysed(found, options, dated=reader.dated) for name, found in experiments.items()}


class _Reader:
    """The columns of a file of summaries, and its rows as moments."""

    def __init__(self, source: Source, options: FileOptions, there: list[str]) -> None:
        self.options = options
        self.columns = {
            what: next((name for name in names if name in there), "") for what, names in NAMES.items()
        }
        if options.date:
            column_check("date", options.date, there)
            self.columns["time"] = options.date
        self.variant = (
            options.variant if options.variant in there else "variant_id" if "variant_id" in there else ""
        )
        wanted = [name for name in (*self.columns.values(), self.variant, *SIDE_BY_SIDE) if name in there]
        self.table: pa.Table = table_read(source, wanted)
        self.dated = bool(self.columns["time"])

    def side_by_side(self) -> dict[str, _Summaries]:
        """Rows of one treatment beside control each."""
        values = {name: numbers(self.table, name, field="csv")[0] for name in SIDE_BY_SIDE}
        blank = [any(math.isnan(one) for one in row) for row in zip(*values.values(), strict=True)]
        experiment, metric = self._labels("experiment", ""), self._labels("metric", "metric")
        time = self._times()
        treatment = self._column(self.variant) if self.variant else [TREATMENT] * self.table.num_rows
        control = self.options.control or CONTROL
        found: dict[str, _Summaries] = {}
        for row in range(self.table.num_rows):
            summaries = found.setdefault(experiment[row], _Summaries())
            summaries.rows += 1
            if blank[row]:
                summaries.blank += 1
                continue
            for variant, suffix in ((control, "c"), (treatment[row], "t")):
                three = [float(values[f"{what}_{suffix}"][row]) for what in ("count", "mean", "variance")]
                kind = _kind_of(self.options, metric[row])
                moments = _moments(row, kind, three[0], three[1], three[2])
                summaries.add(metric[row], float(time[row]), variant, moments, again=suffix == "c")
        return found

    def long(self) -> dict[str, _Summaries]:
        """Rows of one variant and metric each."""
        columns = self.columns
        for what, also in (("count", ""), ("mean", "sum")):
            if not columns[what] and not columns.get(also):
                remedy = f"A summary needs a column {what!r}. Columns: {listed(self.table.column_names)}."
                raise InvalidInput(field="csv", value=what, remedy=remedy)
        names = [metric.name for metric in self.options.metrics]
        alone = names[0] if len(names) == 1 else "metric"
        variant = self._column(self.variant)
        experiment, metric, time = (
            self._labels("experiment", ""),
            self._labels("metric", alone),
            self._times(),
        )
        count = self._numbers(columns["count"])
        mean = self._numbers(columns["mean"]) if columns["mean"] else self._numbers(columns["sum"]) / count
        variance = self._optional("variance")
        if variance is None and (sd := self._optional("sd")) is not None:
            variance = sd**2
        if variance is None and (squares := self._optional("squares")) is not None:
            variance = np.maximum(squares - count * mean**2, 0.0) / np.maximum(count - 1, 1)
        extra = [self._optional(what) for what in ("mean_d", "variance_d", "covariance")]
        found: dict[str, _Summaries] = {}
        for row in range(self.table.num_rows):
            if names and metric[row] not in names:
                continue
            summaries = found.setdefault(experiment[row], _Summaries())
            summaries.rows += 1
            kind = _kind_of(self.options, metric[row])
            spread = None if variance is None or math.isnan(variance[row]) else float(variance[row])
            moments = _moments(row, kind, float(count[row]), float(mean[row]), spread)
            if kind == "ratio":
                moments = _ratio(row, moments, [None if one is None else float(one[row]) for one in extra])
            summaries.add(metric[row], float(time[row]), variant[row], moments, again=False)
        if not found:
            raise InvalidInput(
                field="metric",
                value=listed(names),
                remedy=f"The file has no such metric. It has: {listed(sorted(set(metric)))}.",
            )
        return found

    def _numbers(self, column: str) -> Floats:
        values, blank = numbers(self.table, column, field="csv")
        if blank.any():
            row = int(np.argmax(blank)) + 1
            raise InvalidInput(field="csv", value=column, remedy=f"Row {row}: the cell is empty.")
        return values

    def _optional(self, what: str) -> Floats | None:
        return numbers(self.table, self.columns[what], field="csv")[0] if self.columns[what] else None

    def _column(self, column: str) -> list[str]:
        codes, names = labels(self.table, column)
        if (codes < 0).any():
            row = int(np.argmax(codes < 0)) + 1
            raise InvalidInput(field="csv", value=column, remedy=f"Row {row}: the cell is empty.")
        return [names[code] for code in codes]

    def _labels(self, what: str, otherwise: str) -> list[str]:
        column = self.columns[what]
        return self._column(column) if column else [otherwise] * self.table.num_rows

    def _times(self) -> Floats:
        """The time of each row in days: numbers as they are, 1 for the first of dates; 0 without a column."""
        column = self.columns["time"]
        if not column:
            return np.zeros(self.table.num_rows)
        found = days(self.table, column)
        if np.isnan(found).any():
            row = int(np.argmax(np.isnan(found))) + 1
            raise InvalidInput(
                field="date", value=column, remedy=f"Row {row}: write days as 1.5 or 2026-03-01."
            )
        return found if found.max() < 10_000 else found - found.min() + 1


def _kind_of(options: FileOptions, metric: str) -> str:
    return next((one.kind for one in options.metrics if one.name == metric), "")


def _moments(row: int, kind: str, count: float, mean: float, variance: float | None) -> Moments:
    """One summary as moments. Proportions are made exact where count x mean is a whole number."""
    if count < 0 or count != round(count):
        raise InvalidInput(
            field="csv", value=f"count = {count:g}", remedy=f"Row {row + 1}: a count is 0 or more."
        )
    n = int(count)
    if kind == "proportion" and not 0 <= mean <= 1:
        remedy = f"Row {row + 1}: a proportion lies between 0 and 1. For other values take the kind mean."
        raise InvalidInput(field="csv", value=f"mean = {mean:g}", remedy=remedy)
    if variance is None:
        if kind != "proportion":
            raise InvalidInput(
                field="csv",
                value="variance",
                remedy=f"Row {row + 1}: only a proportion goes without a variance.",
            )
        variance = mean * (1 - mean)
    if variance < 0:
        raise InvalidInput(
            field="csv", value=f"variance = {variance:g}", remedy=f"Row {row + 1}: a variance is 0 or more."
        )
    plain = mean * (1 - mean)
    binary = 0 <= mean <= 1 and abs(variance - plain) <= PROPORTION_MAY_MISS * max(plain, 1e-12)
    successes = round(mean * n)
    if kind in {"", "proportion"} and binary and abs(mean * n - successes) < 1e-3:
        return Moments.of_count(successes, n)
    return Moments(n=n, mean_y=mean, var_y=variance)


def _ratio(row: int, numerator: Moments, extra: list[float | None]) -> Moments:
    """A ratio's moments: those of its denominator and the covariance must be there."""
    mean, variance, covariance = extra
    if mean is None or variance is None or covariance is None or any(math.isnan(one or 0.0) for one in extra):
        raise InvalidInput(
            field="csv",
            value=f"row {row + 1}",
            remedy="A ratio needs mean_denominator, variance_denominator and covariance (per unit).",
        )
    return replace(numerator, mean_d=mean, var_d=variance, cov_yd=covariance)


def _analysed(found: _Summaries, options: FileOptions, *, dated: bool) -> FileAnalysis:
    metrics = _metrics(found, options)
    last = {one.name: max(found.by_metric[one.name]) for one in metrics}
    table: dict[str, dict[str, Arm]] = {
        one.name: dict(found.by_metric[one.name][last[one.name]]) for one in metrics
    }
    counts = {one.name: {variant: arm.n for variant, arm in table[one.name].items()} for one in metrics}
    primary = next((one.name for one in metrics if one.margin is None), metrics[0].name)
    units = counts[primary]
    if options.control not in units:
        remedy = f"The file has no such variant. It has: {listed(sorted(units))}."
        raise InvalidInput(field="control", value=options.control, remedy=remedy)
    if len(units) < 2:
        remedy = "The file holds this one variant only: a comparison needs two."
        raise InvalidInput(field="variant", value=options.control, remedy=remedy)
    notes = []
    if options.expected is None:
        notes.append(Note("file_shares_equal"))
    if found.blank:
        notes.append(Note("file_blank_summaries", {"rows": found.blank}))
    if any(one != units for one in counts.values()):
        notes.append(Note("file_srm_counts", {"metric": primary}))
    notes += [Note("file_not_winsorised", {"metric": one.name}) for one in metrics if one.kind == "revenue"]
    times = sorted({time for one in metrics for time in found.by_metric[one.name]})
    if not dated:
        notes.append(Note("file_no_days"))
    elif len(times) > 1:
        notes.append(Note("file_earlier_times", {"count": len(times) - 1}))
    path = {time: _at(found.by_metric, metrics, time) for time in times} if len(times) > 1 else {}
    shares = shares_of(options, units)
    analysis = analyse(
        spec_of(options, shares, metrics),
        table,
        units,
        elapsed_days=times[-1] if dated else None,
        days=path,
        notes=tuple(notes),
    )
    return FileAnalysis(analysis, FileSummary(found.rows, sum(units.values())))


def _at(
    by_metric: Mapping[str, Mapping[float, Mapping[str, Moments]]], metrics: list[FileMetric], time: float
) -> dict[str, dict[str, Arm]]:
    """The table of one time; a metric that was not written then is not in it."""
    return {one.name: dict(by_metric[one.name][time]) for one in metrics if time in by_metric[one.name]}


def _metrics(found: _Summaries, options: FileOptions) -> list[FileMetric]:
    """The metrics asked for, or all of the file with the kinds that their variances show."""
    if options.metrics:
        for metric in options.metrics:
            if metric.name not in found.by_metric:
                remedy = f"The file has no such metric. It has: {listed(found.by_metric)}."
                raise InvalidInput(field="metric", value=metric.name, remedy=remedy)
        chosen = list(options.metrics)
    elif not found.by_metric:
        raise InvalidInput(field="csv", value="", remedy="No row has a count, a mean and a variance.")
    else:
        chosen = [
            FileMetric(name=name, kind=_kind_shown(arms), column=name)
            for name, arms in found.by_metric.items()
        ]
    return [replace(metric, signed=_signed(found.by_metric[metric.name])) for metric in chosen]


def _kind_shown(times: Mapping[float, Mapping[str, Moments]]) -> Kind:
    arms = [arm for one in times.values() for arm in one.values()]
    exact = all(
        arm == Moments.of_count(round(arm.mean_y * arm.n), arm.n) for arm in arms if 0 <= arm.mean_y <= 1
    )
    return "proportion" if exact and all(0 <= arm.mean_y <= 1 for arm in arms) else "mean"


def _signed(times: Mapping[float, Mapping[str, Moments]]) -> bool:
    return any(arm.mean_y < 0 for one in times.values() for arm in one.values())
