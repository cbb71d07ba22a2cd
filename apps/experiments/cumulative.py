"""From what units did and when to moments through each day, overall and by segment. Pure: imports no Django.

A day changes the sums only by what happened on it: with P a unit's total before the day and v what the day
adds, the sum of squares grows by v (2 P + v) and that of products with the covariate x by v x. So all days
together cost as much as one. Values cut at a percentile and quantiles look at all positive values each day,
which are few.

Every sum is kept by cell (a combination of strata); segments are margins of the cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from apps.experiments.stats.cuped import linearised
from apps.experiments.stats.moments import Moments, QuantileMoments
from apps.experiments.stats.quantiles import quantile_of, winsorise_cap

Floats = NDArray[np.float64]
Codes = NDArray[Any]  # whole numbers
Arm = Moments | QuantileMoments


@dataclass(frozen=True, slots=True)
class Rows:
    """What was added to units on days (from 0): arrays of one length, several rows a unit and day or none."""

    unit: Codes
    day: Codes
    value: Floats


@dataclass(frozen=True, slots=True)
class Frame:
    """Who was in what, since when. All arrays hold one value for each unit.

    variant: place in `variants`, below 0: left out. entry: the day of the first exposure, from 0. cell: place
    of its combination of strata; strata: by dimension the labels, and the label's place for each cell.
    """

    variants: Sequence[str]
    days: int
    variant: Codes
    entry: Codes
    cell: Codes
    cells: int = 1
    strata: Mapping[str, tuple[Sequence[str], Codes]] = field(default_factory=dict)

    @property
    def bins(self) -> int:
        """Bins of (variant, day, cell)."""
        return len(self.variants) * self.days * self.cells

    def bin_of(self, unit: Codes, day: Codes) -> Codes:
        """The bin of each."""
        return (self.variant[unit].astype(np.int64) * self.days + day) * self.cells + self.cell[unit]

    def through_days(self, where: Codes, weights: Floats | None = None) -> Floats:
        """Sums through each day, [variants, days, cells]."""
        found = np.bincount(where, weights=weights, minlength=self.bins)
        return np.cumsum(found.reshape(len(self.variants), self.days, self.cells), axis=1, dtype=np.float64)

    def segments(self) -> list[tuple[str, Codes]]:
        """Each segment as "dimension:label", and its cells; a dimension of one label says nothing."""
        return [
            (f"{dimension}:{label}", np.flatnonzero(of_cell == place))
            for dimension, (labels, of_cell) in self.strata.items()
            if len(labels) > 1
            for place, label in enumerate(labels)
        ]


@dataclass(frozen=True, slots=True)
class MetricPath:
    """One metric: by day and variant, and of the last day by segment and variant. cap: where it was cut."""

    days: list[dict[str, Arm]]
    segments: dict[str, dict[str, Arm]]
    cap: float | None = None
    capped: int = 0


@dataclass(frozen=True, slots=True)
class Entered:
    """Units that have entered: their number, and sums of their covariates."""

    n: Floats
    x: Floats
    xx: Floats


class Paths:
    """Makes the paths of metrics over one frame."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self._in = np.flatnonzero(frame.variant >= 0)
        self._entry = frame.bin_of(self._in, frame.entry[self._in])
        self._n = frame.through_days(self._entry)

    def counts(self) -> MetricPath:
        """Units: moments of a value that is always 0."""
        zero = np.zeros_like(self._n)
        return self._path({"n": self._n, "y": zero, "yy": zero, "x": zero, "xx": zero, "xy": zero})

    def proportion(self, rows: Rows, before: Floats | None) -> MetricPath:
        """Units with at least one row of a value above 0."""
        rows = self._added(_taken(rows, rows.value > 0))
        first = _firsts(rows.unit)
        once = Rows(rows.unit[first], rows.day[first], np.ones(int(first.sum())))
        return self._sums(once, None, None if before is None else (before > 0).astype(np.float64))

    def mean(self, rows: Rows, before: Floats | None) -> MetricPath:
        """The mean over all units."""
        return self._sums(self._added(rows), None, before)

    def ratio(
        self, top: Rows, bottom: Rows, before: Floats | None, before_bottom: Floats | None
    ) -> MetricPath:
        """The sum of the one over the sum of the other."""
        x = None
        if before is not None and before_bottom is not None:
            x = np.zeros(len(before))
            x[self._in] = linearised(before[self._in], before_bottom[self._in])
        whole = Rows(
            np.concatenate([top.unit, bottom.unit]),
            np.concatenate([top.day, bottom.day]),
            np.concatenate([top.value, np.zeros(len(bottom.value))]),
        )
        second = np.concatenate([np.zeros(len(top.value)), bottom.value])
        rows, added = self._added_two(whole, second)
        return self._sums(rows, added, x)

    def winsorised(self, rows: Rows, before: Floats | None, percentile: float) -> MetricPath:
        """The mean over all units, totals cut at that percentile of the last day's pooled positive ones.

        One cut for all days: with one of each day's own, a day would also add or take what the cut's own move
        makes of all that was before.
        """
        frame, rows = self.frame, self._added(rows)
        entered = self._entered(None if before is None else self._cut(before, percentile))
        x = None if before is None else self._cut(before, percentile)
        units, of_row = np.unique(rows.unit, return_inverse=True)
        cap = winsorise_cap(np.bincount(of_row, weights=rows.value, minlength=len(units)), percentile)
        total = np.zeros(len(units))
        where = frame.variant[units].astype(np.int64) * frame.cells + frame.cell[units]
        shape = (len(frame.variants), frame.days, frame.cells)
        sums = {name: np.zeros(shape) for name in ("y", "yy", "xy")}
        for day, at in enumerate(_by_day(rows.day, frame.days)):
            total[of_row[at]] += rows.value[at]
            value = total if cap is None else np.minimum(total, cap)
            parts = {"y": value, "yy": value * value}
            if x is not None:
                parts["xy"] = value * x[units]
            for name, part in parts.items():
                found = np.bincount(where, weights=part, minlength=shape[0] * shape[2])
                sums[name][:, day] = found.reshape(shape[0], shape[2])
        capped = 0 if cap is None else int((total > cap).sum())
        return self._path({"n": entered.n, "x": entered.x, "xx": entered.xx, **sums}, cap=cap, capped=capped)

    def quantile(self, rows: Rows, q: float) -> MetricPath:
        """The quantile of the units whose total is above 0."""
        frame, rows = self.frame, self._added(rows)
        units, of_row = np.unique(rows.unit, return_inverse=True)
        total, variant = np.zeros(len(units)), frame.variant[units]
        days: list[dict[str, Arm]] = []
        for at in _by_day(rows.day, frame.days):
            total[of_row[at]] += rows.value[at]
            days.append(self._quantiles(total, variant, q))
        cell = frame.cell[units]
        segments = {}
        for name, cells in frame.segments():
            inside = np.isin(cell, cells)
            segments[name] = self._quantiles(total[inside], variant[inside], q)
        return MetricPath(days, segments)

    # --- parts ---

    def _quantiles(self, total: Floats, variant: Codes, q: float) -> dict[str, Arm]:
        return {
            name: quantile_of(total[(total > 0) & (variant == place)], q)
            for place, name in enumerate(self.frame.variants)
        }

    def _cut(self, values: Floats, percentile: float) -> Floats:
        cap = winsorise_cap(values[self._in], percentile)
        return values if cap is None else np.minimum(values, cap)

    def _added(self, rows: Rows) -> Rows:
        """One row for each unit and day, in that order, of units that are not left out."""
        return self._added_two(rows, None)[0]

    def _added_two(self, rows: Rows, second: Floats | None) -> tuple[Rows, Floats | None]:
        inside = self.frame.variant[rows.unit] >= 0
        key = rows.unit[inside].astype(np.int64) * self.frame.days + rows.day[inside]
        value = rows.value[inside]
        other = None if second is None else second[inside]
        if (key[1:] < key[:-1]).any():
            order = np.argsort(key)
            key, value = key[order], value[order]
            other = None if other is None else other[order]
        starts = np.flatnonzero(_firsts(key))
        if len(starts) < len(key):
            value = np.add.reduceat(value, starts)
            other = None if other is None else np.add.reduceat(other, starts)
            key = key[starts]
        unit, day = np.divmod(key, self.frame.days)
        return Rows(unit, day, value), other

    def _entered(self, x: Floats | None) -> Entered:
        if x is None:
            return Entered(self._n, np.zeros_like(self._n), np.zeros_like(self._n))
        inside = x[self._in]
        return Entered(
            self._n,
            self.frame.through_days(self._entry, inside),
            self.frame.through_days(self._entry, inside * inside),
        )

    def _sums(self, rows: Rows, second: Floats | None, x: Floats | None) -> MetricPath:
        """Sums of rows as `_added` has them; second: the denominator's values of the same rows."""
        frame, entered = self.frame, self._entered(x)
        where = frame.bin_of(rows.unit, rows.day)
        before = _before(rows.unit, rows.value)
        sums = {
            "n": entered.n,
            "x": entered.x,
            "xx": entered.xx,
            "y": frame.through_days(where, rows.value),
            "yy": frame.through_days(where, rows.value * (2 * before + rows.value)),
            "xy": np.zeros_like(entered.n),
        }
        if x is not None:
            sums["xy"] = frame.through_days(where, rows.value * x[rows.unit])
        if second is not None:
            earlier = _before(rows.unit, second)
            sums["d"] = frame.through_days(where, second)
            sums["dd"] = frame.through_days(where, second * (2 * earlier + second))
            together = (before + rows.value) * (earlier + second) - before * earlier
            sums["yd"] = frame.through_days(where, together)
            if x is not None:
                sums["xd"] = frame.through_days(where, second * x[rows.unit])
        return self._path(sums)

    def _path(self, sums: Mapping[str, Floats], cap: float | None = None, capped: int = 0) -> MetricPath:
        frame = self.frame
        whole = {name: found.sum(axis=2) for name, found in sums.items()}
        days: list[dict[str, Arm]] = [
            {
                name: moments_of({part: float(found[place, day]) for part, found in whole.items()})
                for place, name in enumerate(frame.variants)
            }
            for day in range(frame.days)
        ]
        segments: dict[str, dict[str, Arm]] = {}
        for segment, cells in frame.segments():
            part = {name: found[:, -1, cells].sum(axis=1) for name, found in sums.items()}
            segments[segment] = {
                name: moments_of({one: float(found[place]) for one, found in part.items()})
                for place, name in enumerate(frame.variants)
            }
        return MetricPath(days, segments, cap, capped)


def moments_of(sums: Mapping[str, float]) -> Moments:
    """Moments from sums: n, y, yy, x, xx, xy and for a ratio d, dd, yd, xd too."""
    n = int(sums["n"])
    if not n:
        return Moments(n=0, mean_y=0.0, var_y=0.0)

    def second(product: str, first: str, other: str) -> float:
        if product not in sums or n < 2:
            return 0.0
        value = (sums[product] - sums[first] * sums[other] / n) / (n - 1)
        # what rounding leaves of a spread that is none
        noise = 1e-12 * abs(sums[product]) / (n - 1)
        return 0.0 if abs(value) <= noise else max(value, 0.0) if first == other else value

    ratio = "d" in sums
    return Moments(
        n=n,
        mean_y=sums["y"] / n,
        var_y=second("yy", "y", "y"),
        mean_d=sums["d"] / n if ratio else 1.0,
        var_d=second("dd", "d", "d") if ratio else 0.0,
        cov_yd=second("yd", "y", "d") if ratio else 0.0,
        mean_x=sums["x"] / n,
        var_x=second("xx", "x", "x"),
        cov_xy=second("xy", "x", "y"),
        cov_xd=second("xd", "x", "d") if ratio else 0.0,
    )


def _taken(rows: Rows, mask: NDArray[np.bool_]) -> Rows:
    return Rows(rows.unit[mask], rows.day[mask], rows.value[mask])


def _firsts(ordered: Codes) -> NDArray[np.bool_]:
    """Where a new value begins."""
    found = np.ones(len(ordered), dtype=np.bool_)
    found[1:] = ordered[1:] != ordered[:-1]
    return found


def _before(unit: Codes, value: Floats) -> Floats:
    """What each unit had before the row, of rows ordered by unit."""
    if not len(unit):
        return np.zeros(0)
    before = np.cumsum(value) - value
    starts = np.flatnonzero(_firsts(unit))
    return before - np.repeat(before[starts], np.diff(np.append(starts, len(unit))))


def _by_day(day: Codes, days: int) -> list[Codes]:
    """The places of each day's rows."""
    order = np.argsort(day, kind="stable")
    return np.split(order, np.searchsorted(day[order], np.arange(1, days)))
