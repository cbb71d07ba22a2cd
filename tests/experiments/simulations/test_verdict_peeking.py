"""The verdict itself, read every other day of A/A experiments with three metrics and their corrections."""

from __future__ import annotations

from functools import cache

import numpy as np

from apps.experiments.analysis import analyse
from apps.experiments.results import Spec, UnitMetricSpec, View
from apps.experiments.stats.moments import Moments

DAILY, DAYS, RUNS = 600, 28, 50
RATES = {"conversion": 0.04, "cart_rate": 0.12, "ctr_like": 0.3}
METRICS = (
    UnitMetricSpec("conversion", "proportion", "primary"),
    UnitMetricSpec("cart_rate", "proportion", "secondary"),
    UnitMetricSpec("ctr_like", "proportion", "guardrail", True, 0.05),
)


def counts(rng: np.random.Generator) -> list[dict[str, tuple[int, dict[str, int]]]]:
    """By day and arm: units so far, and what they did by metric."""
    units = {arm: np.cumsum(rng.binomial(DAILY // 2, 0.98, DAYS)) for arm in ("control", "b")}
    done = {
        (arm, metric): np.cumsum(rng.binomial(np.diff(units[arm], prepend=0), rate))
        for arm in units
        for metric, rate in RATES.items()
    }
    return [
        {
            arm: (int(n[day]), {metric: int(done[arm, metric][day]) for metric in RATES})
            for arm, n in units.items()
        }
        for day in range(DAYS)
    ]


@cache
def acted(view: View, planned_days: int | None = DAYS) -> float:
    """The share of A/A experiments in which any look's verdict says ship or roll back."""
    rng = np.random.default_rng(1)
    spec = Spec(
        control="control",
        shares={"control": 0.5, "b": 0.5},
        metrics=METRICS,
        view=view,
        mde=0.05,
        planned_days=planned_days,
        planned_units=DAILY * DAYS,
    )
    found = 0
    for _ in range(RUNS):
        for day, arms in list(enumerate(counts(rng), 1))[1::2]:
            table = {
                metric: {arm: Moments.of_count(done[metric], n) for arm, (n, done) in arms.items()}
                for metric in RATES
            }
            said = analyse(spec, table, {arm: n for arm, (n, _) in arms.items()}, elapsed_days=float(day))
            if said.verdict.action in {"ship", "roll_back"}:
                found += 1
                break
    return found / RUNS


def test_the_sequential_verdict_acts_on_nothing_at_most_as_often_as_alpha() -> None:
    assert acted("sequential") <= 0.05


def test_the_fixed_verdict_read_so_often_does_not_hold_that_without_a_planned_end() -> None:
    assert acted("fixed", None) > 0.05


def test_with_a_planned_end_it_acts_at_that_one_look() -> None:
    assert acted("fixed") <= 0.08 < acted("fixed", None)
