"""The policy: what is shipped, rolled back, kept or waited for, and what would change it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from apps.experiments.analysis import analyse
from apps.experiments.decisions import TOO_FAR, units_needed
from apps.experiments.results import Analysis, Spec, UnitMetricSpec, View, note_text
from apps.experiments.stats import sequential
from apps.experiments.stats.moments import Moments

PRIMARY = UnitMetricSpec("conversion", "proportion", "primary")
GUARD = UnitMetricSpec("margin", "proportion", "guardrail", margin=0.05)
RETURNS = UnitMetricSpec("returns", "proportion", "guardrail", higher_is_better=False, margin=0.05)
EXTRA = UnitMetricSpec("carts", "proportion", "secondary")
SPEC = Spec("a", {"a": 0.5, "b": 0.5}, (PRIMARY,))
THREE = Spec("a", {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, (PRIMARY,))
N = 20_000


def judged(
    spec: Spec, rates: Mapping[str, Mapping[str, float]], *, days: float | None = 14, n: int = N
) -> Analysis:
    """The analysis of proportions by metric and variant, n units an arm."""
    table = {
        metric: {variant: Moments.of_count(round(rate * n), n) for variant, rate in arms.items()}
        for metric, arms in rates.items()
    }
    analysis = analyse(spec, table, dict.fromkeys(spec.shares, n), elapsed_days=days)
    verdict = analysis.verdict
    assert all(note_text(note) for note in (*verdict.reasons, *verdict.would_change))
    return analysis


def said(analysis: Analysis) -> tuple[str, str]:
    """Action and variant."""
    return analysis.verdict.action, analysis.verdict.variant


def reasons(analysis: Analysis) -> list[str]:
    """The codes of the reasons."""
    return [note.code for note in analysis.verdict.reasons]


def changes(analysis: Analysis) -> list[str]:
    """The codes of what would change the verdict."""
    return [note.code for note in analysis.verdict.would_change]


def test_a_clear_winner_is_shipped_and_a_clear_loser_rolled_back() -> None:
    won = judged(SPEC, {"conversion": {"a": 0.10, "b": 0.12}})
    lost = judged(SPEC, {"conversion": {"a": 0.12, "b": 0.10}})

    assert said(won) == ("ship", "b")
    assert reasons(won) == ["reason_primary_better"]
    assert changes(won) == ["change_interval_back"]
    assert said(lost) == ("roll_back", "b")
    assert reasons(lost) == ["reason_primary_worse"]
    assert changes(lost) == ["change_redesign"]


def test_of_several_winners_the_best_is_shipped() -> None:
    won = judged(THREE, {"conversion": {"a": 0.10, "b": 0.12, "c": 0.125}})

    assert said(won) == ("ship", "c")
    assert "reason_best" in reasons(won)


def test_one_harmful_treatment_of_two_does_not_end_the_experiment() -> None:
    mixed = judged(THREE, {"conversion": {"a": 0.10, "b": 0.08, "c": 0.101}})

    assert said(mixed) == ("keep_running", "c")
    assert reasons(mixed) == ["reason_primary_worse", "reason_primary_unclear"]


@pytest.mark.parametrize(
    ("days", "n", "codes"),
    [
        (3, N, ["reason_days"]),
        (14, 100, ["reason_units", "reason_units"]),
        (3, 100, ["reason_days", "reason_units", "reason_units"]),
    ],
)
def test_no_verdict_before_the_minimum_run_and_sample(days: float, n: int, codes: list[str]) -> None:
    early = judged(SPEC, {"conversion": {"a": 0.10, "b": 0.30}}, days=days, n=n)

    assert early.verdict.action == "too_early"
    assert reasons(early) == codes
    assert len(changes(early)) == len(codes)


def test_an_unknown_run_is_not_checked() -> None:
    assert judged(SPEC, {"conversion": {"a": 0.10, "b": 0.12}}, days=None).verdict.action == "ship"


def test_a_broken_split_comes_before_everything() -> None:
    table = {"conversion": {"a": Moments.of_count(2000, 20_000), "b": Moments.of_count(3000, 22_000)}}

    blocked = analyse(SPEC, table, {"a": 20_000, "b": 22_000}, elapsed_days=2)

    assert blocked.verdict.action == "blocked"
    assert reasons(blocked) == ["reason_srm"]
    assert changes(blocked) == ["change_srm"]


def test_a_failed_guardrail_rolls_back_before_the_minimum_run_but_not_before_the_minimum_sample() -> None:
    spec = replace(SPEC, metrics=(PRIMARY, GUARD))
    rates = {"conversion": {"a": 0.10, "b": 0.13}, "margin": {"a": 0.5, "b": 0.4}}

    soon = judged(spec, rates, days=1)
    few = judged(replace(spec, min_units=N + 1), rates, days=1)

    assert said(soon) == ("roll_back", "b")
    assert reasons(soon) == ["reason_guardrail_failed"]
    assert changes(soon) == ["change_redesign"]
    assert few.verdict.action == "too_early"


def test_a_guardrail_fails_only_when_its_boundary_is_wholly_beyond_the_margin() -> None:
    spec = replace(SPEC, metrics=(PRIMARY, GUARD))
    states = {}
    for margin in (0.500, 0.488, 0.470, 0.440):
        metric = judged(spec, {"conversion": {"a": 0.1, "b": 0.1}, "margin": {"a": 0.5, "b": margin}}).metric(
            "margin"
        )
        assert metric is not None
        guard = metric.comparisons[0].guardrail
        assert guard is not None
        states[margin] = guard.state
        assert (guard.high < -0.05) == (guard.state == "failed")
        assert (guard.low > -0.05) == (guard.state == "passed")

    assert states == {0.500: "passed", 0.488: "open", 0.470: "open", 0.440: "failed"}


def test_a_guardrail_where_less_is_better_is_turned_round() -> None:
    spec = replace(SPEC, metrics=(PRIMARY, RETURNS))
    rates = {"conversion": {"a": 0.10, "b": 0.12}}

    assert said(judged(spec, {**rates, "returns": {"a": 0.40, "b": 0.50}})) == ("roll_back", "b")
    assert said(judged(spec, {**rates, "returns": {"a": 0.50, "b": 0.40}})) == ("ship", "b")


def test_an_open_guardrail_waits_until_the_planned_run_is_over() -> None:
    spec = replace(SPEC, metrics=(PRIMARY, GUARD))
    rates = {"conversion": {"a": 0.10, "b": 0.12}, "margin": {"a": 0.10, "b": 0.099}}

    waits = judged(spec, rates)
    over = judged(replace(spec, planned_days=14), rates)
    beyond = judged(replace(spec, planned_days=14), {**rates, "margin": {"a": 0.10, "b": 0.094}})
    unmargined = judged(replace(spec, metrics=(PRIMARY, replace(GUARD, margin=None))), rates)

    assert said(waits) == ("keep_running", "b")
    assert "reason_guardrail_open" in reasons(waits)
    assert changes(waits)[0] == "change_guardrail"
    assert said(over) == ("ship", "b")
    assert "reason_guardrail_open" in reasons(over)
    assert said(beyond) == ("keep_running", "b")
    assert said(unmargined) == ("ship", "b")


def test_a_treatment_that_fails_a_guardrail_leaves_the_field_to_the_others() -> None:
    spec = replace(THREE, metrics=(PRIMARY, GUARD))

    found = judged(
        spec,
        {"conversion": {"a": 0.10, "b": 0.14, "c": 0.12}, "margin": {"a": 0.5, "b": 0.4, "c": 0.5}},
    )

    assert said(found) == ("ship", "c")
    assert {"reason_guardrails_hold", "reason_guardrail_failed"} <= set(reasons(found))


def test_secondary_metrics_are_told_but_do_not_decide() -> None:
    spec = replace(SPEC, metrics=(PRIMARY, EXTRA))

    found = judged(spec, {"conversion": {"a": 0.10, "b": 0.12}, "carts": {"a": 0.3, "b": 0.25}})

    assert said(found) == ("ship", "b")
    assert "reason_secondary_worse" in reasons(found)


def test_an_effect_too_small_to_matter_keeps_control() -> None:
    flat = judged(replace(SPEC, mde=0.1), {"conversion": {"a": 0.50, "b": 0.501}})

    assert said(flat) == ("keep_control", "b")
    assert reasons(flat) == ["reason_primary_flat"]
    assert changes(flat) == ["change_effect_beyond"]


def test_a_planned_run_without_a_clear_effect_keeps_control() -> None:
    rates = {"conversion": {"a": 0.10, "b": 0.104}}

    running, over = judged(SPEC, rates), judged(replace(SPEC, planned_days=14), rates)

    assert said(running) == ("keep_running", "b")
    assert said(over) == ("keep_control", "b")
    assert reasons(over) == ["reason_planned_over", "reason_primary_unclear"]
    assert "change_larger" in changes(over)


def test_how_much_longer_it_takes_is_how_much_longer_it_takes() -> None:
    rates = {"conversion": {"a": 0.100, "b": 0.108}}
    now = judged(SPEC, rates)
    (note,) = now.verdict.would_change

    assert note.code == "change_more"
    more = note.params["units"]
    assert note.params["days"] == pytest.approx(14 * more / (2 * N), rel=0.02)
    assert judged(SPEC, rates, n=N + round(more / 2 * 1.02)).verdict.action == "ship"
    assert judged(SPEC, rates, n=N + round(more / 2 * 0.97)).verdict.action == "keep_running"
    (undated,) = judged(SPEC, rates, days=None).verdict.would_change
    assert (undated.code, undated.params["units"]) == ("change_more_units", more)


def test_an_effect_of_next_to_nothing_is_not_worth_the_wait() -> None:
    (note,) = judged(SPEC, {"conversion": {"a": 0.1, "b": 0.1001}}).verdict.would_change

    assert note.code == "change_too_far"
    assert units_needed(SPEC, "b", 0.0, -1.0, 1.0, 1000) is None


@pytest.mark.parametrize("view", ["sequential", "fixed"])
def test_the_units_needed_just_clear_zero(view: str) -> None:
    spec = replace(SPEC, view="fixed") if view == "fixed" else SPEC
    se = 0.01

    needed = units_needed(spec, "b", 0.015, 0.015 - 1.959964 * se, 0.015 + 1.959964 * se, 10_000)

    assert needed is not None
    assert 1 < needed / 10_000 < TOO_FAR
    later = se * (10_000 / needed) ** 0.5
    if view == "fixed":
        assert 0.015 / later == pytest.approx(1.959964, rel=1e-4)
    else:
        bounds = sequential.interval(0.015, later, needed, 0.05)
        assert bounds is not None
        assert bounds.low == pytest.approx(0, abs=1e-5)


def test_the_units_needed_are_those_of_the_interval_that_the_plan_tuned() -> None:
    """Of three planned arms a pair has two thirds of the units; a bandit's plan is that of its launch."""
    se, planned = 0.01, 90_000
    spec = replace(THREE, planned_units=planned)
    fixed = (0.015 - 1.959964 * se, 0.015 + 1.959964 * se)

    needed = units_needed(spec, "b", 0.015, *fixed, 10_000)

    assert needed is not None
    bounds = sequential.interval(0.015, se * (10_000 / needed) ** 0.5, needed, 0.05, planned * 2 / 3)
    assert bounds is not None
    assert bounds.low == pytest.approx(0, abs=1e-5)
    unplanned = units_needed(THREE, "b", 0.015, *fixed, 10_000)
    assert unplanned is not None
    assert needed < 0.95 * unplanned
    moved = replace(spec, shares={"a": 0.1, "b": 0.8, "c": 0.1}, planned_shares=THREE.shares)
    assert units_needed(moved, "b", 0.015, *fixed, 10_000) == needed


def test_each_pair_of_several_has_its_part_of_the_planned_units() -> None:
    rates = {"conversion": {"a": 0.10, "b": 0.11, "c": 0.11}}
    found = judged(replace(THREE, planned_units=300_000), rates).metrics[0].comparisons
    pair = judged(replace(SPEC, planned_units=200_000), {"conversion": {"a": 0.10, "b": 0.11}})

    assert found[0].sequential == found[1].sequential == pair.metrics[0].comparisons[0].sequential


@pytest.mark.parametrize("view", ["fixed", "bayes"])
@pytest.mark.parametrize(
    ("b", "mde", "action"),
    [(0.12, None, "ship"), (0.08, None, "roll_back"), (0.1001, 0.5, "keep_control")],
)
def test_a_view_for_one_look_decides_nothing_before_the_planned_end(
    view: View, b: float, mde: float | None, action: str
) -> None:
    spec = replace(SPEC, view=view, planned_days=14, mde=mde)
    rates = {"conversion": {"a": 0.10, "b": b}}

    before, at_the_end = judged(spec, rates, days=13.9), judged(spec, rates, days=14)
    unplanned = judged(replace(spec, planned_days=None), rates, days=13.9)
    watched = judged(replace(spec, view="sequential"), rates, days=13.9)

    assert said(before) == ("keep_running", "b")
    assert reasons(before)[0] == "reason_before_end"
    assert reasons(before)[1].startswith("reason_primary_")
    assert changes(before) == ["change_days"]
    assert [one.verdict.action for one in (at_the_end, unplanned, watched)] == [action] * 3


@pytest.mark.parametrize("view", ["fixed", "bayes"])
def test_a_failed_guardrail_does_not_wait_for_the_planned_end(view: View) -> None:
    spec = replace(SPEC, metrics=(PRIMARY, GUARD), view=view, planned_days=28)
    rates = {"conversion": {"a": 0.10, "b": 0.13}, "margin": {"a": 0.5, "b": 0.4}}

    assert said(judged(spec, rates, days=3)) == ("roll_back", "b")


def test_a_bayesian_view_acts_at_its_chance() -> None:
    rates = {"conversion": {"a": 0.100, "b": 0.106}}

    shipped = judged(replace(SPEC, view="bayes"), rates)

    assert said(shipped) == ("ship", "b")
    assert reasons(shipped) == ["reason_primary_better", "reason_chance"]
    assert said(judged(SPEC, rates)) == ("keep_running", "b")


def test_a_metric_without_data_is_no_verdict() -> None:
    assert judged(SPEC, {"other": {"a": 0.1, "b": 0.1}}).verdict.action == "too_early"
