"""Switchbacks of a shop with a day's course, a drift of its own and effects that linger into the next
slot."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from apps.experiments.stats import switchback

Floats = NDArray[np.float64]
EFFECT, BIN, SLOT_MINUTES, SLOTS = 0.5, 10, 120, 168  # bins of ten minutes, slots of two hours, two weeks
BINS = SLOT_MINUTES // BIN
HOUR = np.arange(SLOTS) % (24 * 60 // SLOT_MINUTES)


def shop(rng: np.random.Generator, effect: float, lingering: float) -> tuple[NDArray[np.bool_], Floats]:
    """Slots' variants and what each bin of ten minutes earned: the effect builds up and dies away over
    minutes."""
    on = rng.random(SLOTS) < 0.5
    live = np.repeat(on, BINS).astype(np.float64)
    keep = np.exp(-BIN / lingering) if lingering else 0.0
    felt = signal.lfilter([1 - keep], [1, -keep], live)
    drift = signal.lfilter([1], [1, -0.97], rng.normal(0, 0.15, live.size))
    day = 2 * np.sin(2 * np.pi * np.arange(live.size) * BIN / (24 * 60))
    return on, 10 + effect * felt + drift + day + rng.normal(0, 1, live.size)


def results(
    effect: float, lingering: float, burn_in: float, *, runs: int = 400, redraws: int = 100, seed: int = 1
) -> list[switchback.SwitchbackEffect]:
    """One analysis a run, within hours of the day."""
    rng = np.random.default_rng(seed)
    minutes = np.arange(SLOTS * BINS) * BIN
    found = []
    for _ in range(runs):
        on, earned = shop(rng, effect, lingering)
        kept = switchback.slots_of(
            minutes, earned, slots=SLOTS, slot_minutes=SLOT_MINUTES, burn_in_minutes=burn_in
        )
        found.append(switchback.compare(kept.y, on, kept.d, HOUR, redraws=redraws))
    return found


def coverage(found: list[switchback.SwitchbackEffect], truth: float) -> float:
    """The share of intervals that hold the truth."""
    return float(
        np.mean(
            [one.low is not None and one.high is not None and one.low <= truth <= one.high for one in found]
        )
    )


@pytest.mark.parametrize(("lingering", "burn_in"), [(0.0, 0.0), (10.0, 40.0)])
def test_intervals_cover_the_effect(lingering: float, burn_in: float) -> None:
    found = results(EFFECT, lingering, burn_in)
    effects = np.array([one.effect for one in found if one.effect is not None])

    assert abs(effects.mean() - EFFECT) < 4 * effects.std() / np.sqrt(len(effects))
    assert abs(coverage(found, EFFECT) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / len(found))


def test_without_a_burn_in_what_lingers_hides_part_of_the_effect() -> None:
    found = results(EFFECT, 30.0, 0.0)
    effects = np.array([one.effect for one in found if one.effect is not None])

    assert effects.mean() < 0.85 * EFFECT
    assert coverage(found, EFFECT) < 0.9
    carried = np.array([one.carry_over for one in found if one.carry_over is not None])
    assert carried.mean() > 0.05


def test_false_alarms_are_as_often_as_alpha_by_either_test() -> None:
    found = results(0.0, 0.0, 0.0, seed=3)
    by_t = np.mean([one.p is not None and one.p < 0.05 for one in found])
    by_draws = np.mean([one.p_randomised is not None and one.p_randomised <= 0.05 for one in found])
    error = np.sqrt(0.05 * 0.95 / len(found))

    assert abs(by_t - 0.05) < 4 * error
    assert abs(by_draws - 0.05) < 4 * error


def test_power_is_what_was_planned() -> None:
    """Planned from a quiet week's spread within hours; lived through in switchbacks."""
    rng = np.random.default_rng(5)
    _, quiet = shop(rng, 0.0, 0.0)
    sd = switchback.spread_of(quiet.reshape(SLOTS, BINS).mean(axis=1), HOUR)
    assert sd is not None
    effect = 5.6 * sd / np.sqrt(SLOTS)  # 2.8 standard errors
    planned = switchback.power(SLOTS, effect, sd)
    assert planned is not None
    found = results(effect, 0.0, 0.0, redraws=1, seed=6)
    power = np.mean([one.p is not None and one.p < 0.05 for one in found])

    assert abs(power - planned) < 0.12
