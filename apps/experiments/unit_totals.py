"""Rows of a file added up by unit, and units to moments: overall, by segment, through each day.

Pure: imports no Django. All arrays hold one value for each unit (or row, where said).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from apps.experiments.file_options import FileMetric
from apps.experiments.stats.moments import Moments, QuantileMoments
from apps.experiments.stats.quantiles import quantile_of, winsorise_cap, winsorised

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Mask = NDArray[np.bool_]
Table = dict[str, dict[str, Moments | QuantileMoments]]

DAYS_AT_MOST = 60


@dataclass(slots=True)
class MetricColumns:
    """One metric's values by row: y (NaN: the cell is empty), a ratio's d; and x by unit."""

    metric: FileMetric
    y: Floats
    d: Floats | None = None
    x: Floats | None = None
    cap: float | None = None  # winsorised above this


@dataclass(slots=True)
class Totals:
    """The units of a file. rows: unit code of each row; variant: code of each unit in `variants`."""

    variants: list[str]
    variant: Codes
    rows: Codes
    columns: list[MetricColumns]
    row_day: Floats | None = None  # by row: 1, 2, ... ; NaN: unknown
    segments: dict[str, tuple[Codes, list[str]]] = field(default_factory=dict)
    once: bool = False  # every unit has one row, in the order of the units

    @property
    def n(self) -> int:
        """Number of units."""
        return int(self.variant.size)

    def added(self, values: Floats) -> Floats:
        """Sums by unit of values by row; an empty cell adds nothing."""
        filled = np.nan_to_num(values, nan=0.0)
        if self.once:
            return filled
        return np.bincount(self.rows, weights=filled, minlength=self.n).astype(np.float64, copy=False)

    def of(self, columns: MetricColumns) -> tuple[Floats, Floats | None]:
        """A metric's numerator and denominator by unit, as analysed."""
        total = self.added(columns.y)
        y = _as_analysed(columns, total)
        return y, None if columns.d is None else self.added(columns.d)

    def known(self, columns: MetricColumns) -> Mask:
        """Units with a value in at least one row."""
        there = (~np.isnan(columns.y)).astype(np.float64)
        return self.added(there) > 0

    def counts(self, mask: Mask | None = None) -> dict[str, int]:
        """Units of each variant."""
        variant = self.variant if mask is None else self.variant[mask]
        found = np.bincount(variant, minlength=len(self.variants))
        return {name: int(count) for name, count in zip(self.variants, found, strict=True)}

    def table(self) -> tuple[Table, dict[str, Table], dict[str, dict[str, int]]]:
        """Moments of each metric and variant; the same by segment; and the segments' units."""
        whole: Table = {}
        by_segment: dict[str, Table] = {key: {} for key, _mask in self.segment_masks()}
        arms = [self.variant == code for code in range(len(self.variants))]
        for columns in self.columns:
            y, d = self.of(columns)
            known = self.known(columns) if columns.metric.kind == "quantile" else None
            whole[columns.metric.name] = self._arms(columns, y, d, arms, known)
            for key, mask in self.segment_masks():
                inside = mask if known is None else mask & known
                by_segment[key][columns.metric.name] = self._arms(columns, y, d, arms, inside)
        return whole, by_segment, {key: self.counts(mask) for key, mask in self.segment_masks()}

    def segment_masks(self) -> Iterator[tuple[str, Mask]]:
        """Each segment as "column:value", and its units."""
        for dimension, (codes, names) in self.segments.items():
            for code, name in enumerate(names):
                yield f"{dimension}:{name}", codes == code

    def _arms(
        self, columns: MetricColumns, y: Floats, d: Floats | None, arms: list[Mask], inside: Mask | None
    ) -> dict[str, Moments | QuantileMoments]:
        found: dict[str, Moments | QuantileMoments] = {}
        for name, arm in zip(self.variants, arms, strict=True):
            at = arm if inside is None else arm & inside
            if columns.metric.kind == "quantile":
                found[name] = quantile_of(y[at], columns.metric.quantile or 0.5)
            else:
                x = None if columns.x is None else columns.x[at]
                found[name] = Moments.of(y[at], None if d is None else d[at], x)
        return found

    def day_tables(self) -> dict[float, Table]:
        """Moments through each day (at most DAYS_AT_MOST days, evenly spread) of all metrics but quantiles.

        A unit counts from the day of its first row. Each day touches only its own rows.
        """
        if self.row_day is None:
            return {}
        dated = np.flatnonzero(~np.isnan(self.row_day))
        order = dated[np.argsort(self.row_day[dated], kind="stable")]
        sorted_days = self.row_day[order]
        last = np.unique(sorted_days)
        if last.size < 2:
            return {}
        kept = last[
            np.unique(np.linspace(0, last.size - 1, min(last.size, DAYS_AT_MOST)).round().astype(int))
        ]
        ends = np.searchsorted(sorted_days, kept, side="right")
        tables: dict[float, Table] = {float(day): {} for day in kept}
        for columns in self.columns:
            if columns.metric.kind == "quantile":
                continue
            starts = np.concatenate([[0], ends[:-1]])
            path = _Path(self, columns)
            for day, start, end in zip(kept, starts, ends, strict=True):
                path.rows_add(order[start:end])
                tables[float(day)][columns.metric.name] = path.moments()
        return tables


class _Path:
    """Sums of one metric by arm that follow the rows as they come.

    They are sums of z and of z z', z = (y, d, x) shifted. The shift (the overall means) keeps sums of squares
    from drowning a small spread.
    """

    def __init__(self, totals: Totals, columns: MetricColumns) -> None:
        self.totals, self.columns = totals, columns
        self.y = np.zeros(totals.n)
        self.d = np.zeros(totals.n) if columns.d is not None else np.ones(totals.n)
        self.x = columns.x if columns.x is not None else np.zeros(totals.n)
        self.there = np.zeros(totals.n, dtype=np.bool_)
        y, d = totals.of(columns)
        ends = (y, self.d if d is None else d, self.x)
        self.shift = np.array([part.mean() if part.size else 0.0 for part in ends])
        arms = len(totals.variants)
        self.n = np.zeros(arms, dtype=np.int64)
        self.sums = np.zeros((arms, 3))
        self.squares = np.zeros((arms, 3, 3))

    def rows_add(self, rows: NDArray[np.intp]) -> None:
        """Take in the rows of one more day."""
        units, place = rows, np.arange(rows.size)
        if not self.totals.once:
            units, place = np.unique(self.totals.rows[rows], return_inverse=True)
        old = self._values(units)
        fresh = ~self.there[units]
        self.y[units] += np.bincount(place, weights=np.nan_to_num(self.columns.y[rows]), minlength=units.size)
        if self.columns.d is not None:
            self.d[units] += np.bincount(
                place, weights=np.nan_to_num(self.columns.d[rows]), minlength=units.size
            )
        self.there[units] = True
        new = self._values(units)
        old[fresh] = 0.0
        arms = self.totals.variant[units]
        for arm in range(self.n.size):
            at = arms == arm
            self.n[arm] += int((fresh & at).sum())
            self.sums[arm] += new[at].sum(axis=0) - old[at].sum(axis=0)
            self.squares[arm] += new[at].T @ new[at] - old[at].T @ old[at]

    def _values(self, units: Codes) -> Floats:
        y = _as_analysed(self.columns, self.y[units])
        return np.column_stack([y, self.d[units], self.x[units]]) - self.shift

    def moments(self) -> dict[str, Moments | QuantileMoments]:
        """The moments so far, by variant."""
        found: dict[str, Moments | QuantileMoments] = {}
        for arm, name in enumerate(self.totals.variants):
            n = int(self.n[arm])
            if not n:
                found[name] = Moments(n=0, mean_y=0.0, var_y=0.0)
                continue
            mean = self.sums[arm] / n
            second = (self.squares[arm] - n * np.outer(mean, mean)) / max(n - 1, 1)
            mean = mean + self.shift
            ratio, covariate = self.columns.d is not None, self.columns.x is not None
            found[name] = Moments(
                n=n,
                mean_y=float(mean[0]),
                var_y=max(float(second[0, 0]), 0.0),
                mean_d=float(mean[1]) if ratio else 1.0,
                var_d=max(float(second[1, 1]), 0.0) if ratio else 0.0,
                cov_yd=float(second[0, 1]) if ratio else 0.0,
                mean_x=float(mean[2]) if covariate else 0.0,
                var_x=max(float(second[2, 2]), 0.0) if covariate else 0.0,
                cov_xy=float(second[0, 2]) if covariate else 0.0,
                cov_xd=float(second[1, 2]) if covariate and ratio else 0.0,
            )
        return found


def _as_analysed(columns: MetricColumns, total: Floats) -> Floats:
    """A unit's total as it enters the analysis: any success is one; revenue is capped."""
    if columns.metric.kind == "proportion":
        return (total > 0).astype(np.float64)
    return winsorised(total, columns.cap)


def cap_set(totals: Totals, columns: MetricColumns, percentile: float) -> int:
    """Winsorise at that percentile of the pooled positive totals; return how many units lie above it."""
    total = totals.added(columns.y)
    columns.cap = winsorise_cap(total, percentile)
    return 0 if columns.cap is None else int((total > columns.cap).sum())
