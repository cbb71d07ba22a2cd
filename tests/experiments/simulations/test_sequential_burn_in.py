"""Why there is a burn-in and a widening: skewed metrics in unequal arms alarm too often without them."""

from __future__ import annotations

import numpy as np
import pytest

from apps.experiments.stats import sequential
from tests.experiments.simulations.streams import (
    ALPHA,
    Floats,
    Stream,
    conversions,
    ever_away,
    plain,
    revenue,
    watched,
)

RUNS, LOOKS = 2_000, 35


def _arms(seed: int, kind: str, daily: int, share: float) -> tuple[Stream, Stream, float]:
    rng = np.random.default_rng(seed)
    treated = max(1, round(daily * share))
    if kind == "conversions":
        control, treatment = (
            conversions(rng, RUNS, LOOKS, size, rate=0.01) for size in (daily - treated, treated)
        )
        return control, treatment, 1.0
    # the wild orders of lognormal(1.6) as the metric has them: cut at the 99th percentile of buyers
    spread, cap = (1.3, np.inf) if kind == "revenue" else (1.6, float(np.exp(1.6 * 2.326)))
    control, treatment = (
        revenue(rng, RUNS, LOOKS, size, rate=0.05, spread=spread, cap=cap)
        for size in (daily - treated, treated)
    )
    return control, treatment, 3.0


def _delta(control: Stream, treatment: Stream) -> sequential.Looks:
    """The published sequence on the relative change by the delta method."""
    base = np.where(control.value > 0, control.value, np.nan)
    ratio = treatment.value / base
    error = treatment.error / base**2 + control.error * ratio**2 / base**2
    return sequential.sequence(ratio - 1, np.sqrt(error), control.n + treatment.n)


@pytest.mark.parametrize("share", [0.5, 0.2, 0.1, 0.05, 0.01, 0.9])
@pytest.mark.parametrize(
    ("kind", "daily"), [("conversions", 200), ("conversions", 2_000), ("revenue", 500), ("winsorised", 2_000)]
)
def test_every_split_holds_from_the_first_look_on(kind: str, daily: int, share: float) -> None:
    control, treatment, of_an_event = _arms(3, kind, daily, share)

    assert ever_away(watched(control, treatment, of_an_event=of_an_event)) <= ALPHA


@pytest.mark.parametrize(("kind", "daily", "share"), [("conversions", 1_000, 0.05), ("revenue", 1_000, 0.1)])
def test_the_published_sequence_does_not_hold_there(kind: str, daily: int, share: float) -> None:
    control, treatment, _ = _arms(3, kind, daily, share)

    assert ever_away(plain(control, treatment)) > 2 * ALPHA


def test_the_delta_method_fails_where_fiellers_interval_holds() -> None:
    """Equal arms: the absolute sequence is fine, the relative one by the delta method is not."""
    control, treatment, of_an_event = _arms(5, "conversions", 200, 0.5)

    assert ever_away(plain(control, treatment)) <= ALPHA
    assert ever_away(_delta(control, treatment)) > 2 * ALPHA
    assert _relative_away(control, treatment, of_an_event) <= ALPHA


def _relative_away(control: Stream, treatment: Stream, of_an_event: float) -> float:
    """How many of 300 runs have a relative interval without 0, called look by look as an analysis does."""
    skews: Floats = sequential.assumed_skewness(
        control.events, treatment.events, control.error, treatment.error, of_an_event
    )
    away = 0
    for run in range(300):
        for look in range(LOOKS):
            if min(control.events[run, look], treatment.events[run, look]) < sequential.EVENTS_AT_LEAST:
                continue
            found = sequential.relative_interval(
                control.value[run, look],
                float(np.sqrt(control.error[run, look])),
                treatment.value[run, look],
                float(np.sqrt(treatment.error[run, look])),
                control.n[run, look] + treatment.n[run, look],
                skew=float(skews[run, look]),
            )
            if found is not None and (found.low > 0 or found.high < 0):
                away += 1
                break
    return away / 300
