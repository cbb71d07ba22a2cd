"""Slots, estimates and errors against statsmodels and SciPy, and edges."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from statsmodels.stats.power import TTestIndPower

from apps.experiments.stats import switchback

Floats = NDArray[np.float64]


def course(seed: int, slots: int = 96) -> tuple[Floats, NDArray[np.bool_], Floats, NDArray[np.int64]]:
    """Values that drift and follow the hour, with visitors, treatment and the hour."""
    rng = np.random.default_rng(seed)
    hour = np.arange(slots) % 12
    on = rng.random(slots) < 0.5
    d = rng.integers(50, 300, slots).astype(float)
    level = 3 + np.sin(hour) + 0.1 * np.cumsum(rng.normal(size=slots))
    return d * (level + 0.3 * on + rng.normal(0, 0.3, slots)), on, d, hour


def test_slots_hold_what_happened_after_the_burn_in() -> None:
    found = switchback.slots_of(
        [-1, 0, 9.9, 10, 59, 60, 69, 75, 119, 120],
        [100, 1, 2, 4, 8, 16, 32, 64, 128, 256],
        slots=2,
        slot_minutes=60,
        burn_in_minutes=10,
    )

    assert found.y.tolist() == [12, 192]
    assert found.d.tolist() == [2, 2]
    weighted = switchback.slots_of([5, 65], [1, 2], [10, 30], slots=2, slot_minutes=60)
    assert (weighted.y.tolist(), weighted.d.tolist()) == ([1, 2], [10, 30])


@pytest.mark.parametrize(("burn_in", "slots"), [(60, 2), (-1, 2), (0, 0)])
def test_impossible_slots_are_refused(burn_in: float, slots: int) -> None:
    with pytest.raises(ValueError, match=r"must be below|must lie between"):
        switchback.slots_of([1], [1], slots=slots, slot_minutes=60, burn_in_minutes=burn_in)


@pytest.mark.parametrize("lags", [0, 3, 6])
@pytest.mark.parametrize("stratified", [True, False])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_effect_and_error_are_those_of_statsmodels(seed: int, stratified: bool, lags: int) -> None:
    y, on, d, hour = course(seed)
    columns = [on.astype(float)]
    columns += [(hour == h).astype(float) for h in range(12)] if stratified else [np.ones_like(d)]
    model = sm.WLS(y / d, np.column_stack(columns), weights=d)
    white = model.fit(cov_type="HC1", use_t=True)
    lagged = model.fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True}, use_t=True)
    wide = max((white, lagged), key=lambda fit: float(fit.bse[0]))
    found = switchback.compare(y, on, d, hour if stratified else None, lags=lags, redraws=10)

    assert found.effect == pytest.approx(lagged.params[0], rel=1e-9)
    assert found.se == pytest.approx(wide.bse[0], rel=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(wide.conf_int()[0]), rel=1e-8)
    assert found.p == pytest.approx(wide.pvalues[0], rel=1e-7)


def test_without_strata_the_effect_is_the_difference_of_the_quotients() -> None:
    y, on, d, _ = course(4)
    found = switchback.compare(y, on, d, redraws=10)

    assert found.control == pytest.approx(y[~on].sum() / d[~on].sum())
    assert found.treatment == pytest.approx(y[on].sum() / d[on].sum())
    assert found.effect == pytest.approx(y[on].sum() / d[on].sum() - y[~on].sum() / d[~on].sum())


def test_strata_take_out_the_shops_own_course() -> None:
    y, on, d, hour = course(5)
    plain, within = (switchback.compare(y, on, d, s, redraws=10) for s in (None, hour))
    assert plain.se is not None
    assert within.se is not None
    assert within.se < 0.8 * plain.se


def test_slots_without_visitors_hold_their_place_and_weigh_nothing() -> None:
    y, on, d, hour = course(6)
    y[[3, 40]] = d[[3, 40]] = 0
    kept = d > 0
    found = switchback.compare(y, on, d, hour, lags=0, redraws=10)
    without = switchback.compare(y[kept], on[kept], d[kept], hour[kept], lags=0, redraws=10)

    assert found.slots == 94
    assert (found.effect, found.se, found.df) == pytest.approx((without.effect, without.se, without.df))


def test_randomisation_test_is_the_share_of_draws_as_extreme() -> None:
    rng = np.random.default_rng(7)
    y = rng.normal(size=12)
    on = np.arange(12) % 2 == 0
    y = y + 1.2 * on
    found = switchback.compare(y, on, redraws=40_000)

    def extreme(sides: NDArray[np.bool_]) -> float:
        a, b = y[sides], y[~sides]
        return abs(a.mean() - b.mean()) / float(np.sqrt(a.var() / a.size + b.var() / b.size))

    every = [np.array([bool(code >> i & 1) for i in range(12)]) for code in range(1, 2**12 - 1)]
    # Of a side of one slot nothing but the value is known: its residual is 0 in the sandwich as well.
    exact = np.mean([extreme(sides) >= extreme(on) - 1e-12 for sides in every])
    assert found.p_randomised == pytest.approx(exact, abs=0.01)
    assert (
        switchback.compare(y, on, redraws=500).p_randomised
        == switchback.compare(y, on, redraws=500).p_randomised
    )


def test_lingering_effects_show_as_carry_over() -> None:
    rng = np.random.default_rng(8)
    on = rng.random(400) < 0.5
    before = np.concatenate([[False], on[:-1]])
    clean = rng.normal(10, 1, 400) + 0.5 * on
    spoilt = clean + 0.6 * before
    quiet, loud = (switchback.compare(y, on, redraws=10) for y in (clean, spoilt))
    assert quiet.p_carry_over is not None
    assert loud.p_carry_over is not None
    assert quiet.p_carry_over > 0.01
    assert loud.p_carry_over < 1e-4
    assert loud.carry_over == pytest.approx(0.6, abs=0.25)


@pytest.mark.parametrize(
    ("y", "on"),
    [([], []), ([1.0], [True]), ([1.0, 2.0], [True, True]), ([1.0, 2.0], [True, False])],
)
def test_too_few_slots_give_none(y: list[float], on: list[bool]) -> None:
    found = switchback.compare(y, on)
    assert (found.effect, found.se, found.p, found.p_randomised) == (None, None, None, None)
    assert found.slots == len(y)


def test_slots_that_never_vary_have_an_effect_and_no_error() -> None:
    found = switchback.compare([2.0] * 5 + [3.0] * 5, [False] * 5 + [True] * 5, redraws=100)

    assert found.effect == pytest.approx(1)
    assert (found.se, found.low, found.p) == (None, None, None)


def test_a_stratum_for_every_slot_leaves_nothing_to_compare() -> None:
    assert switchback.compare([1.0, 2, 3, 4], [True, False] * 2, strata=range(4)).effect is None


@pytest.mark.parametrize(
    ("y", "on", "d"),
    [([1.0, 2], [True], None), ([1.0], [True], [-1.0]), ([np.nan], [True], None), ([1.0], [True], [1.0, 1])],
)
def test_entries_that_do_not_fit_are_refused(y: list[float], on: list[bool], d: list[float] | None) -> None:
    with pytest.raises(ValueError, match=r"one entry for each slot|finite values"):
        switchback.compare(y, on, d)


@pytest.mark.parametrize(("slots", "effect", "share"), [(40, 0.9, 0.5), (200, 0.4, 0.5), (300, 0.3, 0.3)])
def test_power_is_that_of_statsmodels(slots: int, effect: float, share: float) -> None:
    expected = TTestIndPower().power(
        effect_size=effect, nobs1=slots * share, ratio=(1 - share) / share, alpha=0.05
    )
    assert switchback.power(slots, effect * 2.5, 2.5, share=share) == pytest.approx(expected, rel=1e-4)


def test_slots_needed_is_the_least_number_with_the_power() -> None:
    needed = switchback.slots_needed(0.5, 1.0)
    assert needed is not None
    assert (switchback.power(needed, 0.5, 1.0) or 0) >= 0.8 > (switchback.power(needed - 1, 0.5, 1.0) or 0)
    assert switchback.slots_needed(0.0, 1.0) is None
    assert switchback.power(10, 1, 0.0) is None
    assert switchback.power(1, 1, 1) is None


def test_spread_is_that_within_strata() -> None:
    values = [1.0, 3.0, 11.0, 13.0, 12.0]
    assert switchback.spread_of(values) == pytest.approx(np.std(values, ddof=1))
    assert switchback.spread_of(values, [0, 0, 1, 1, 1]) == pytest.approx(np.sqrt((2 + 2) / 3))
    assert switchback.spread_of([1.0]) is None
