"""Moments through each day are those of the units' totals on that day."""

from __future__ import annotations

import numpy as np
import pytest

from apps.experiments.cumulative import Arm, Frame, MetricPath, Paths, Rows
from apps.experiments.stats.cuped import linearised
from apps.experiments.stats.moments import Moments, QuantileMoments
from apps.experiments.stats.quantiles import quantile_of, winsorise_cap, winsorised

UNITS, DAYS = 400, 6
REGIONS = ("North", "South", "unknown")


@pytest.fixture
def frame() -> Frame:
    """Three arms and some left out, entering on five of six days; six cells of two dimensions."""
    draw = np.random.default_rng(1)
    cell = draw.integers(0, 6, UNITS)
    return Frame(
        variants=("control", "b", "c"),
        days=DAYS,
        variant=draw.integers(-1, 3, UNITS),
        entry=draw.integers(0, 5, UNITS),
        cell=cell,
        cells=6,
        strata={
            "region": (REGIONS, np.array([0, 1, 2, 0, 1, 2])),
            "history": (("new", "returning"), np.array([0, 0, 0, 1, 1, 1])),
            "device": (("phone",), np.zeros(6, dtype=int)),
        },
    )


def rows(frame: Frame, seed: int, negative: bool = False) -> Rows:
    """Amounts on and after the entry, some days twice, many units never."""
    draw = np.random.default_rng(seed)
    unit = draw.integers(0, UNITS // 2, 900)
    day = np.minimum(frame.entry[unit] + draw.integers(0, DAYS, 900), DAYS - 1)
    value = np.round(draw.exponential(200, 900))
    if negative:
        value[::7] *= -1
    return Rows(unit, day, value)


def totals(found: Rows, day: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    at = found.day <= day
    return np.bincount(found.unit[at], weights=found.value[at], minlength=UNITS).astype(np.float64)


def same(found: Arm, expected: Arm) -> None:
    for name, value in expected.as_json().items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-9, abs=1e-9), name
    assert set(found.as_json()) <= set(expected.as_json()) | {
        name for name in found.as_json() if abs(getattr(found, name)) < 1e-9
    }


def check(frame: Frame, path: MetricPath, arm_of: object) -> None:
    """Every day and variant, and the last day's segments, against `arm_of(day, mask)`."""
    assert callable(arm_of)
    for day in range(DAYS):
        for place, name in enumerate(frame.variants):
            mask = (frame.variant == place) & (frame.entry <= day)
            same(path.days[day][name], arm_of(day, mask))
    region = np.array(REGIONS)[np.array([0, 1, 2, 0, 1, 2])[frame.cell]]
    assert set(path.segments) == {
        "region:North", "region:South", "region:unknown", "history:new", "history:returning",
    }  # fmt: skip
    for label in REGIONS:
        mask = (frame.variant == 1) & (region == label)
        same(path.segments[f"region:{label}"]["b"], arm_of(DAYS - 1, mask))


def covariate() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.random.default_rng(9).exponential(5, UNITS) * (np.arange(UNITS) % 3 > 0)


def test_means(frame: Frame) -> None:
    found, x = rows(frame, 2, negative=True), covariate()
    check(frame, Paths(frame).mean(found, x), lambda day, at: Moments.of(totals(found, day)[at], x=x[at]))
    check(frame, Paths(frame).mean(found, None), lambda day, at: Moments.of(totals(found, day)[at]))


def test_proportions(frame: Frame) -> None:
    found, x = rows(frame, 3), covariate()
    check(
        frame,
        Paths(frame).proportion(found, x),
        lambda day, at: Moments.of((totals(found, day)[at] > 0) * 1.0, x=(x[at] > 0) * 1.0),
    )


def test_ratios(frame: Frame) -> None:
    top, bottom, x, z = rows(frame, 4), rows(frame, 5), covariate(), covariate()[::-1]
    inside = frame.variant >= 0
    line = np.zeros(UNITS)
    line[inside] = linearised(x[inside], z[inside])
    check(
        frame,
        Paths(frame).ratio(top, bottom, x, z),
        lambda day, at: Moments.of(totals(top, day)[at], totals(bottom, day)[at], line[at]),
    )


@pytest.mark.parametrize("percentile", [0.5, 0.9, 1.0])
def test_winsorised_values_are_cut_at_one_cap_for_all_arms(frame: Frame, percentile: float) -> None:
    found, x, inside = rows(frame, 6, negative=True), covariate(), frame.variant >= 0
    cut = winsorised(x, winsorise_cap(x[inside], percentile))

    total = totals(found, DAYS - 1)[inside]

    def arm(day: int, at: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Moments:
        return Moments.of(winsorised(totals(found, day), winsorise_cap(total, percentile))[at], x=cut[at])

    path = Paths(frame).winsorised(found, x, percentile)
    check(frame, path, arm)
    assert path.cap == winsorise_cap(total, percentile)
    assert path.cap is not None
    assert path.capped == (total > path.cap).sum()


def test_a_day_takes_nothing_from_the_days_before(frame: Frame) -> None:
    """One huge order, then small ones: a cut of each day's own would fall, and the sums with it."""
    unit = np.flatnonzero(frame.variant == 1)[:40]
    unit = unit[np.argsort(frame.entry[unit], kind="stable")]
    found = Rows(
        unit, np.maximum(frame.entry[unit], np.arange(40) // 8), np.where(unit == unit[0], 5000.0, 9.0)
    )
    sums = [arm.n * arm.mean_y for arm in arms_of(Paths(frame).winsorised(found, None, 0.9), "b")]
    assert (np.diff(sums) >= 0).all()
    assert sums[-1] > 0


def arms_of(path: MetricPath, variant: str) -> list[Moments]:
    """A variant's moments through each day."""
    arms = [day[variant] for day in path.days]
    return [arm for arm in arms if isinstance(arm, Moments)]


def test_quantiles_are_of_units_that_have_something(frame: Frame) -> None:
    found = rows(frame, 7)

    def arm(day: int, at: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> QuantileMoments:
        total = totals(found, day)[at]
        return quantile_of(total[total > 0], 0.5)

    path = Paths(frame).quantile(found, 0.5)
    for day in range(DAYS):
        for place, name in enumerate(frame.variants):
            assert path.days[day][name] == arm(day, frame.variant == place)
    assert isinstance(path.segments["history:new"]["c"], QuantileMoments)


def test_nobody_did_anything(frame: Frame) -> None:
    none = Rows(np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros(0))
    paths = Paths(frame)
    for path in (
        paths.mean(none, None),
        paths.winsorised(none, None, 0.99),
        paths.ratio(none, none, None, None),
    ):
        arm = path.days[-1]["b"]
        assert isinstance(arm, Moments)
        assert (arm.n, arm.mean_y, arm.var_y) == ((frame.variant == 1).sum(), 0.0, 0.0)
    assert paths.quantile(none, 0.5).days[-1]["b"] == QuantileMoments(0, 0.5, None, None)
    assert paths.counts().days[0]["b"].n == ((frame.variant == 1) & (frame.entry == 0)).sum()


def test_large_amounts_with_a_small_spread_keep_their_digits(frame: Frame) -> None:
    draw = np.random.default_rng(8)
    value = 1e6 + draw.normal(0, 1, UNITS)
    found = Rows(np.arange(UNITS), frame.entry, value)
    arm = Paths(frame).mean(found, None).days[-1]["b"]
    assert isinstance(arm, Moments)
    assert arm.var_y == pytest.approx(Moments.of(value[frame.variant == 1]).var_y, rel=1e-3)
