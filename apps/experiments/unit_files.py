"""An experiment's units from any file, analysed: rows to units, units to moments, moments to a result.

One row for each unit, or several (an event each): rows of the same unit and variant are added up. A unit
under two variants is a multiple exposure: left out and counted. Pure: imports no Django; the command line and
the browser's upload share it.

    metrics = (metric_parse("bought:proportion"),)
    options = FileOptions(unit="user", variant="group", control="A", metrics=metrics)
    done = analyse_file(Path("units.csv"), options)
    done.analysis.verdict
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from apps.core.errors import InvalidInput
from apps.experiments.analysis import analyse
from apps.experiments.file_options import (
    FileMetric,
    FileOptions,
    listed,
    metric_parse,
    options_check,
    pairs_parse,
    shares_of,
    shares_parse,
    spec_of,
)
from apps.experiments.file_tables import (
    Source,
    bad_row,
    codes,
    column_check,
    columns_of,
    days,
    labels,
    numbers,
    table_read,
)
from apps.experiments.results import Analysis, Note
from apps.experiments.unit_totals import MetricColumns, Totals, cap_set

__all__ = [
    "FileAnalysis",
    "FileMetric",
    "FileOptions",
    "FileSummary",
    "analyse_file",
    "columns_of",
    "metric_parse",
    "options_check",
    "pairs_parse",
    "shares_parse",
]

VARIANTS_AT_MOST = 20
SEGMENTS_AT_MOST = 20

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FileSummary:
    """What was read: rows, units that count, and for winsorised metrics where and how many."""

    rows: int
    units: int
    winsorised: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileAnalysis:
    """The analysis of a file and what was read to get it; remarks on the file are in its warnings."""

    analysis: Analysis
    summary: FileSummary


@dataclass(slots=True)
class _Reading:
    """What is known of a file while it is read."""

    options: FileOptions
    table: pa.Table
    notes: list[Note] = field(default_factory=list)
    winsorised: dict[str, dict[str, float]] = field(default_factory=dict)


def analyse_file(source: Source, options: FileOptions) -> FileAnalysis:
    """Read and analyse a file or frame of units. Raises InvalidInput for what can't be read or analysed.

    Dates (`options.date`) give the run's length, the path through the days and the novelty check.
    """
    options_check(options)
    _columns_check(source, options)
    wanted = [options.unit, options.variant, *options.segments, *([options.date] if options.date else [])]
    for metric in options.metrics:
        wanted += [name for name in (metric.column, metric.denominator, metric.covariate) if name]
    reading = _Reading(options, table_read(source, wanted))
    totals, excluded, multiple = _units_read(reading)
    for columns in totals.columns:
        _values_check(reading, totals, columns)
    whole, by_segment, segment_counts = totals.table()
    shares = shares_of(options, totals.variants)
    if options.expected is None:
        reading.notes.append(Note("file_shares_equal"))
    elapsed = None
    if totals.row_day is not None and not np.isnan(totals.row_day).all():
        elapsed = float(np.nanmax(totals.row_day))
    else:
        reading.notes.append(Note("file_no_days"))
    spec = spec_of(options, shares, [_with_sign(columns) for columns in totals.columns])
    analysis = analyse(
        spec,
        whole,
        totals.counts(),
        segments=by_segment,
        segment_counts=segment_counts,
        elapsed_days=elapsed,
        days=totals.day_tables(),
        excluded=excluded,
        multiple_exposed=multiple,
        notes=tuple(reading.notes),
    )
    summary = FileSummary(reading.table.num_rows, totals.n, reading.winsorised)
    return FileAnalysis(analysis, summary)


def _columns_check(source: Source, options: FileOptions) -> None:
    there = columns_of(source)
    if not options.metrics:
        raise InvalidInput(field="metric", value="", remedy="Name at least one metric, as NAME:KIND.")
    column_check("unit", options.unit, there)
    column_check("variant", options.variant, there)
    for name in options.segments:
        column_check("segment", name, there)
    if options.date:
        column_check("date", options.date, there)
    for metric in options.metrics:
        column_check("metric", metric.column, there)
        if metric.denominator:
            column_check("metric", metric.denominator, there)
        if metric.covariate:
            column_check("covariate", metric.covariate, there)


def _units_read(reading: _Reading) -> tuple[Totals, dict[str, int], int]:
    """The units and their columns; units left out by reason; units under more than one variant."""
    options, table = reading.options, reading.table
    unit, unit_count = codes(table, options.unit)
    variant, variants = labels(table, options.variant)
    _variants_check(options, variants)
    blank_unit, blank_variant = unit < 0, (variant < 0) & (unit >= 0)
    excluded: dict[str, int] = {}
    for blank, code, column in (
        (blank_unit, "file_blank_units", options.unit),
        (blank_variant, "file_blank_variants", options.variant),
    ):
        if blank.any():
            reading.notes.append(Note(code, {"rows": int(blank.sum()), "column": column}))
    keep = ~(blank_unit | blank_variant)
    if not keep.any():
        raise InvalidInput(field="unit", value=options.unit, remedy="No row names both a unit and a variant.")
    seen = np.zeros((len(variants), unit_count), dtype=np.bool_)
    seen[variant[keep], unit[keep]] = True
    times = seen.sum(axis=0)
    multiple = int((times > 1).sum())
    if multiple:
        excluded["multiple_exposure"] = multiple
        keep &= times[unit] == 1
    kept = np.flatnonzero(keep)
    if not kept.size:
        raise InvalidInput(
            field="variant",
            value=options.variant,
            remedy="Every unit is under more than one variant: is the unit or the variant another column?",
        )
    new_code = np.full(unit_count, -1, dtype=np.int64)
    there = np.flatnonzero(times == 1)
    new_code[there] = np.arange(there.size)
    rows = new_code[unit[kept]]
    once = rows.size == there.size
    if once:  # units in the order of their rows: what is by row is then by unit
        rows = np.arange(rows.size)
        of_unit = variant[kept]
    else:
        of_unit = seen[:, there].argmax(axis=0)
        reading.notes.append(Note("file_rows_joined", {"rows": int(rows.size), "units": int(there.size)}))
    whole = kept.size == table.num_rows
    part = table if whole else table.take(pa.array(kept))
    reading.table = part
    first = np.zeros(there.size, dtype=np.int64)
    first[rows[::-1]] = np.arange(rows.size)[::-1]
    totals = Totals(variants, of_unit, rows, [], once=once)
    _variants_left(options, totals)
    totals.columns = [_metric_read(reading, totals, metric) for metric in options.metrics]
    totals.segments = {name: _segment_read(reading, name, first) for name in options.segments}
    if options.date:
        totals.row_day = _days_read(reading)
    return totals, excluded, multiple


def _variants_check(options: FileOptions, variants: list[str]) -> None:
    if options.control not in variants:
        remedy = f"The column {options.variant} holds no such value. It holds: {listed(sorted(variants))}."
        raise InvalidInput(field="control", value=options.control, remedy=remedy)
    if len(variants) < 2:
        remedy = f"The column {options.variant} holds this one value only: a comparison needs two."
        raise InvalidInput(field="variant", value=options.control, remedy=remedy)
    if len(variants) > VARIANTS_AT_MOST:
        remedy = f"The column holds {len(variants)} values; at most {VARIANTS_AT_MOST} variants are compared."
        raise InvalidInput(field="variant", value=options.variant, remedy=remedy)
    shares_of(options, variants)


def _variants_left(options: FileOptions, totals: Totals) -> None:
    """Refuse to go on with an arm that only had units under several variants."""
    for name, count in totals.counts().items():
        if not count:
            remedy = "All its units are under another variant too."
            raise InvalidInput(field="variant", value=name, remedy=remedy)


def _metric_read(reading: _Reading, totals: Totals, metric: FileMetric) -> MetricColumns:
    proportion = metric.kind == "proportion"
    y, blank = numbers(reading.table, metric.column, field="metric", yes_no=proportion)
    if proportion and (wrong := ~blank & (y != 0) & (y != 1)).any():
        remedy = f"a proportion takes 0 and 1. For counts or amounts write {metric.name}:mean."
        raise bad_row("metric", metric.column, wrong, y, remedy)
    columns = MetricColumns(metric, y)
    if blank.any() and metric.kind != "quantile":
        told = {"rows": int(blank.sum()), "metric": metric.name, "column": metric.column}
        reading.notes.append(Note("file_blank_values", told))
    if metric.kind == "revenue" and (negative := y < 0).any():
        reading.notes.append(Note("file_negative", {"rows": int(negative.sum()), "metric": metric.name}))
    if metric.denominator:
        columns.d, blank = numbers(reading.table, metric.denominator, field="metric")
        if (columns.d < 0).any():
            remedy = "a denominator counts something: it is 0 or more."
            raise bad_row("metric", metric.denominator, columns.d < 0, columns.d, remedy)
        if blank.any():
            told = {"rows": int(blank.sum()), "metric": metric.name, "column": metric.denominator}
            reading.notes.append(Note("file_blank_values", told))
    if metric.covariate:
        columns.x = _covariate_read(reading, totals, metric.covariate)
    return columns


def _covariate_read(reading: _Reading, totals: Totals, column: str) -> Floats:
    """The covariate of each unit, the mean of its rows; without any, the mean of all units."""
    values, blank = numbers(reading.table, column, field="covariate")
    there = totals.added((~blank).astype(np.float64))
    known = there > 0
    if not known.any():
        raise InvalidInput(field="covariate", value=column, remedy="The column is empty.")
    x = totals.added(values) / np.maximum(there, 1)
    if not known.all():
        x[~known] = x[known].mean()
        reading.notes.append(Note("file_blank_covariate", {"units": int((~known).sum()), "column": column}))
    return x


def _segment_read(reading: _Reading, column: str, first: Codes) -> tuple[Codes, list[str]]:
    """Each unit's segment (its first row's), the commonest SEGMENTS_AT_MOST by name, the rest as "other"."""
    found, names = labels(reading.table, column)
    found = found[first]
    if (blank := found < 0).any():
        reading.notes.append(Note("file_blank_segments", {"units": int(blank.sum()), "column": column}))
        found, names = np.where(blank, len(names), found), [*names, "unknown"]
    counts = np.bincount(found, minlength=len(names))
    order = np.argsort(-counts, kind="stable")[: int((counts > 0).sum())]
    kept = order[:SEGMENTS_AT_MOST]
    told = [names[code] for code in kept]
    place = np.full(len(names), len(kept), dtype=np.int64)
    place[kept] = np.arange(len(kept))
    if order.size > kept.size:
        note = {"column": column, "count": int(order.size), "kept": SEGMENTS_AT_MOST}
        reading.notes.append(Note("file_segments_folded", note))
        told.append("other")
    return place[found], told


def _days_read(reading: _Reading) -> Floats:
    """The day of each row, 1 for the first."""
    found = days(reading.table, reading.options.date)
    bad = np.isnan(found)
    if bad.all():
        remedy = "No row has a date we can read: write dates as 2026-03-01."
        raise InvalidInput(field="date", value=reading.options.date, remedy=remedy)
    if bad.any():
        note = {"rows": int(bad.sum()), "column": reading.options.date}
        reading.notes.append(Note("file_dates_bad", note))
    return np.asarray(np.floor(found - np.nanmin(found)) + 1, dtype=np.float64)


def _values_check(reading: _Reading, totals: Totals, columns: MetricColumns) -> None:
    """Winsorise revenue, and remark on what the units' totals show."""
    metric, percentile = columns.metric, reading.options.winsorise
    if metric.kind == "revenue" and percentile is not None:
        count = cap_set(totals, columns, percentile)
        if columns.cap is not None:
            told: dict[str, Any] = {"at": columns.cap, "percentile": percentile, "count": count}
            reading.winsorised[metric.name] = dict(told)
            reading.notes.append(Note("winsorised", {"metric": metric.name, **told}))
    if metric.kind == "ratio" and columns.d is not None:
        zero = int((totals.added(columns.d) == 0).sum())
        if zero:
            reading.notes.append(Note("file_zero_denominator", {"metric": metric.name, "units": zero}))
    if metric.kind == "quantile" and not (known := totals.known(columns)).all():
        note = {"units": int((~known).sum()), "metric": metric.name, "column": metric.column}
        reading.notes.append(Note("file_blank_quantile", note))


def _with_sign(columns: MetricColumns) -> FileMetric:
    """The metric, with whether its values are below 0 as a matter of course; revenue only has returns."""
    signed = columns.metric.kind in {"mean", "ratio"} and bool((columns.y < 0).any())
    return replace(columns.metric, signed=signed)
