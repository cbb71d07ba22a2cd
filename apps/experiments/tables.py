"""The tables of an analysis, and of an experiment's log, as CSV and Parquet files. Imports no Django.

Columns and values are for programs: codes, fractions, ISO times, empty where there is no number. Intervals
end in `_low` and `_high`; `sequential_…` holds however often somebody looks.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from apps.core.spreadsheets import cell_safe
from apps.experiments.results import Analysis, Comparison, MetricResult, note_text

TABLES = ("results", "daily", "segments", "exposures", "log")
FORMATS = ("csv", "parquet")
CONTENT_TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
ARROW = {"text": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
# A moment is UTC to the microsecond.
ARROW["moment"] = pa.timestamp("us", tz="UTC")

Columns = tuple[tuple[str, str], ...]
Values = tuple[Any, ...]

RESULT_COLUMNS: Columns = (
    ("metric", "text"), ("kind", "text"), ("role", "text"), ("higher_is_better", "bool"), ("variant", "text"),
    ("control", "text"), ("state", "text"), ("n_control", "int"), ("n_treatment", "int"),
    ("value_control", "float"), ("value_treatment", "float"),
    ("difference", "float"), ("difference_low", "float"), ("difference_high", "float"), ("p", "float"),
    ("relative", "float"), ("relative_low", "float"), ("relative_high", "float"),
    ("sequential_low", "float"), ("sequential_high", "float"), ("sequential_p", "float"),
    ("sequential_relative_low", "float"), ("sequential_relative_high", "float"),
    ("chance_to_win", "float"), ("expected_loss", "float"), ("bayes_low", "float"), ("bayes_high", "float"),
    ("p_adjusted", "float"), ("cuped", "bool"), ("variance_cut", "float"),
    ("margin", "float"), ("guardrail", "text"), ("guardrail_low", "float"), ("guardrail_high", "float"),
    ("unadjusted_control", "float"), ("unadjusted_treatment", "float"), ("unadjusted_difference", "float"),
    ("unadjusted_low", "float"), ("unadjusted_high", "float"), ("unadjusted_p", "float"),
    ("remarks", "text"),
)  # fmt: skip
DAILY_COLUMNS: Columns = (
    ("metric", "text"), ("variant", "text"), ("day", "float"), ("n_control", "int"), ("n_treatment", "int"),
    ("relative", "float"), ("relative_low", "float"), ("relative_high", "float"), ("p", "float"),
    ("sequential_relative_low", "float"), ("sequential_relative_high", "float"), ("sequential_p", "float"),
    ("on_day", "float"), ("on_day_low", "float"), ("on_day_high", "float"),
)  # fmt: skip
EXPOSURE_COLUMNS: Columns = (
    ("day", "float"), ("variant", "text"), ("units", "int"), ("new_units", "int"), ("share", "float"),
    ("expected_share", "float"),
)  # fmt: skip
LOG_COLUMNS: Columns = (("at", "moment"), ("kind", "text"), ("actor", "text"), ("details", "text"))


@dataclass(frozen=True, slots=True)
class Table:
    """A table. columns: name and kind (text, int, float, bool, moment); rows: values in their order."""

    name: str
    columns: Columns
    rows: Sequence[Values]

    def write(self, format: str) -> bytes:
        """The table as a file of one of FORMATS."""
        return self.parquet() if format == "parquet" else self.csv()

    def csv(self) -> bytes:
        """UTF-8 with a mark at its start, for spreadsheets."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([name for name, _kind in self.columns])
        writer.writerows([_cell(value) for value in row] for row in self.rows)
        return ("\ufeff" + out.getvalue()).encode()

    def parquet(self) -> bytes:
        """Parquet with the columns' types, also where no row has a value."""
        schema = pa.schema([(name, ARROW[kind]) for name, kind in self.columns])
        columns = list(zip(*self.rows, strict=True)) or [()] * len(self.columns)
        arrays = [pa.array(list(found), type=one.type) for found, one in zip(columns, schema, strict=True)]
        out = io.BytesIO()
        pq.write_table(pa.Table.from_arrays(arrays, schema=schema), out, compression="zstd")
        return out.getvalue()


def _cell(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.12g}"  # without the noise of binary fractions
    return value.isoformat() if isinstance(value, datetime) else cell_safe(value)


def results_table(analysis: Analysis) -> Table:
    """Every metric and variant with all intervals."""
    return Table("results", RESULT_COLUMNS, list(_results(analysis.metrics, analysis.control)))


def segments_table(analysis: Analysis) -> Table:
    """The same within each segment."""
    columns: Columns = (("segment", "text"), *RESULT_COLUMNS)
    rows = [
        (segment, *row)
        for segment, metrics in analysis.segments.items()
        for row in _results(metrics, analysis.control)
    ]
    return Table("segments", columns, rows)


def _results(metrics: Iterable[MetricResult], control: str) -> Iterable[Values]:
    for metric in metrics:
        for one in metric.comparisons:
            facts = (metric.code, metric.kind, metric.role, metric.higher_is_better, one.variant, control)
            yield (*facts, *_comparison(metric, one))


def _comparison(metric: MetricResult, one: Comparison) -> Values:
    plain, found, bayes, guard = one.unadjusted, one.sequential, one.bayes, one.guardrail
    return (
        one.state, one.n_control, one.n_treatment, one.control, one.treatment,
        *_of(one.difference, "difference", "low", "high", "p"),
        *_of(one.relative, "value", "low", "high"),
        *_of(found, "low", "high", "p", "relative_low", "relative_high"),
        *_of(bayes, "chance_to_win", "expected_loss", "low", "high"),
        one.p_adjusted, one.cuped, one.variance_cut,
        metric.margin, *_of(guard, "state", "low", "high"),
        *_of(plain, "control", "treatment"),
        *_of(plain.difference if plain else None, "difference", "low", "high", "p"),
        " ".join(note_text(note) for note in one.warnings),
    )  # fmt: skip


def _of(found: Any, *names: str) -> Values:
    return tuple(None if found is None else getattr(found, name) for name in names)


def daily_table(analysis: Analysis) -> Table:
    """The effect through each day, and of the day by itself."""
    rows = [
        (
            metric, one.variant, float(one.day), one.n_control, one.n_treatment, one.value, one.low, one.high,
            one.p, one.sequential_low, one.sequential_high, one.sequential_p, one.daily, one.daily_low,
            one.daily_high,
        )
        for metric, days in analysis.days.items()
        for one in days
    ]  # fmt: skip
    return Table("daily", DAILY_COLUMNS, rows)


def exposures_table(analysis: Analysis) -> Table:
    """Units by variant through each day, and their share beside the expected one."""
    rows: list[Values] = []
    before: dict[str, int] = {}
    whole = sum(analysis.srm.expected.values()) or 1.0
    for day, units in units_by_day(analysis):
        total = sum(units.values())
        for variant, count in units.items():
            expected = analysis.srm.expected.get(variant)
            rows.append(
                (
                    day, variant, count, count - before.get(variant, 0), count / total if total else None,
                    None if expected is None else expected / whole,
                )
            )  # fmt: skip
        before = units
    return Table("exposures", EXPOSURE_COLUMNS, rows)


def units_by_day(analysis: Analysis) -> list[tuple[float, dict[str, int]]]:
    """Units by variant through each day, control first; the last day's alone when no days are kept."""
    kept = max(analysis.days.values(), key=len, default=())
    by_day: dict[float, dict[str, int]] = {}
    for one in kept:
        units = by_day.setdefault(float(one.day), {analysis.control: one.n_control})
        units[one.variant] = one.n_treatment
    if by_day:
        return sorted(by_day.items())
    return [(analysis.elapsed_days or 0.0, dict(analysis.units))] if analysis.units else []


def log_table(entries: Iterable[tuple[datetime, str, str, Any]]) -> Table:
    """What happened to an experiment. entries: moment, kind, actor's name, details (JSON values)."""
    rows = [(at, kind, actor, orjson.dumps(details).decode()) for at, kind, actor, details in entries]
    return Table("log", LOG_COLUMNS, rows)


def analysis_table(name: str, analysis: Analysis) -> Table:
    """One of TABLES but the log; KeyError for another name."""
    make = {
        "results": results_table,
        "segments": segments_table,
        "daily": daily_table,
        "exposures": exposures_table,
    }
    return make[name](analysis)
