"""The analysis of moments: each part in its place, and equal to SciPy where SciPy has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from apps.experiments.analysis import analyse
from apps.experiments.comparing import Arm
from apps.experiments.results import Analysis, Comparison, Spec, UnitMetricSpec, analysis_read
from apps.experiments.stats.moments import Moments, QuantileMoments
from apps.experiments.stats.quantiles import quantile_of

Floats = NDArray[np.float64]
Table = Mapping[str, Mapping[str, Arm]]
CONVERSION = UnitMetricSpec("conversion", "proportion", "primary")
REVENUE = UnitMetricSpec("revenue", "revenue", "secondary")
SPEC = Spec("a", {"a": 0.5, "b": 0.5}, (CONVERSION,))


def arms(**counts: tuple[int, int]) -> dict[str, Arm]:
    """Arms of a proportion from (conversions, units)."""
    return {name: Moments.of_count(successes, n) for name, (successes, n) in counts.items()}


def analysed(spec: Spec, table: Table, segments: Mapping[str, Table] | None = None) -> Analysis:
    """The analysis of a table whose first metric's units are all units, after 14 days."""
    units = {variant: arm.n for variant, arm in next(iter(table.values())).items()}
    return analyse(spec, table, units, segments=segments, elapsed_days=14)


def first(analysis: Analysis, code: str = "conversion") -> Comparison:
    """The first comparison of a metric."""
    metric = analysis.metric(code)
    assert metric is not None
    return metric.comparisons[0]


def codes(analysis: Analysis) -> list[str]:
    """The codes of all warnings."""
    return [note.code for note in analysis.warnings]


def test_a_comparison_is_welchs_beside_the_sequential_and_the_bayesian() -> None:
    rng = np.random.default_rng(5)
    control, treatment = rng.lognormal(3, 0.5, 4000), rng.lognormal(3.1, 0.5, 4200)
    spec = replace(SPEC, metrics=(UnitMetricSpec("value", "mean", "primary"),))

    one = first(analysed(spec, {"value": {"a": Moments.of(control), "b": Moments.of(treatment)}}), "value")

    welch = stats.ttest_ind(treatment, control, equal_var=False)
    low, high = welch.confidence_interval()
    assert one.difference is not None
    assert one.difference.p == pytest.approx(welch.pvalue)
    assert (one.difference.low, one.difference.high) == pytest.approx((low, high))
    assert one.relative is not None
    assert one.relative.value == pytest.approx(treatment.mean() / control.mean() - 1)
    assert one.sequential is not None
    assert one.sequential.low < one.difference.low < one.difference.high < one.sequential.high
    assert one.sequential.p > one.difference.p
    assert one.bayes is not None
    assert one.bayes.chance_to_win > 0.999
    assert (one.state, one.cuped, one.unadjusted) == ("better", False, None)


def test_the_view_decides_the_state() -> None:
    table = {"conversion": arms(a=(1000, 10000), b=(1090, 10000))}

    states = {view: first(analysed(replace(SPEC, view=view), table)).state for view in ("fixed", "bayes")}

    assert states == {"fixed": "better", "bayes": "better"}
    assert first(analysed(SPEC, table)).state == "unclear"


def test_better_is_meant_in_the_sense_of_the_metric() -> None:
    returns = replace(CONVERSION, higher_is_better=False)
    table = {"conversion": arms(a=(1000, 10000), b=(800, 10000))}

    assert first(analysed(replace(SPEC, metrics=(returns,)), table)).state == "better"
    assert first(analysed(SPEC, table)).state == "worse"


def test_a_change_smaller_than_what_is_worth_having_is_flat() -> None:
    table = {"conversion": arms(a=(500_000, 1_000_000), b=(500_100, 1_000_000))}

    assert first(analysed(replace(SPEC, mde=0.02), table)).state == "flat"
    assert first(analysed(replace(SPEC, mde=0.002), table)).state == "unclear"
    assert first(analysed(SPEC, table)).state == "unclear"


def test_cuped_stands_beside_the_plain_comparison() -> None:
    rng = np.random.default_rng(6)
    before = rng.gamma(2, 5, (2, 5000))
    now = before + rng.normal(0, 3, before.shape) + [[0.0], [0.2]]
    spec = replace(SPEC, metrics=(UnitMetricSpec("value", "mean", "primary"),))
    table = {"value": {name: Moments.of(now[at], x=before[at]) for at, name in enumerate("ab")}}

    with_it, without = (
        first(analysed(spec, table), "value"),
        first(analysed(replace(spec, cuped=False), table), "value"),
    )

    assert with_it.cuped
    assert not without.cuped
    assert with_it.variance_cut == pytest.approx(
        np.corrcoef(before.ravel(), now.ravel())[0, 1] ** 2, abs=0.02
    )
    assert with_it.unadjusted is not None
    assert with_it.unadjusted.difference == without.difference
    assert with_it.difference is not None
    assert without.difference is not None
    assert with_it.difference.high - with_it.difference.low < 0.6 * (
        without.difference.high - without.difference.low
    )


def test_arms_are_shown_as_measured_and_changes_are_over_control_as_measured() -> None:
    rng = np.random.default_rng(6)
    before = np.array([[0.0], [2.0]]) + rng.gamma(2, 5, (2, 500))
    now = before + rng.normal(0, 3, before.shape)
    spec = replace(SPEC, metrics=(UnitMetricSpec("value", "mean", "primary"),))
    table = {"value": {name: Moments.of(now[at], x=before[at]) for at, name in enumerate("ab")}}

    one = first(analysed(spec, table), "value")

    assert one.cuped
    assert (one.control, one.treatment) == pytest.approx((now[0].mean(), now[1].mean()))
    assert one.difference is not None
    assert one.relative is not None
    assert abs(one.difference.difference) < 0.5 * (now[1].mean() - now[0].mean())
    assert one.relative.value == pytest.approx(one.difference.difference / now[0].mean())


def test_cuped_never_brings_an_arm_below_zero_where_nothing_can_be() -> None:
    """Two conversions of three hundred, by units that used to convert less than control's did."""
    before = np.zeros((2, 300))
    before[0, :90] = before[1, :10] = 1
    now = np.zeros((2, 300))
    now[0, :2], now[1, :40] = 1, 1
    table = {"conversion": {"a": Moments.of(now[1], x=before[0]), "b": Moments.of(now[0], x=before[1])}}
    turned = {"conversion": {"a": Moments.of(now[1], x=before[1]), "b": Moments.of(now[0], x=before[0])}}

    plain, cuped = first(analysed(SPEC, table)), first(analysed(SPEC, turned))
    signed = replace(SPEC, metrics=(replace(CONVERSION, signed=True),))

    assert cuped.relative is not None
    assert not cuped.cuped
    assert cuped.relative.value == pytest.approx(2 / 40 - 1)
    assert plain.cuped
    assert first(analysed(signed, turned)).cuped


def test_the_primary_metric_is_a_family_of_its_own() -> None:
    spec = Spec("a", {"a": 0.25, "b": 0.25, "c": 0.25, "d": 0.25}, (CONVERSION, REVENUE), view="fixed")
    primary = arms(a=(1000, 10000), b=(1090, 10000), c=(1085, 10000), d=(1150, 10000))
    table = {
        "conversion": primary,
        "revenue": arms(a=(500, 10000), b=(560, 10000), c=(500, 10000), d=(510, 10000)),
    }

    analysis = analysed(spec, table)

    assert [(one.name, one.size, one.correction) for one in analysis.families] == [
        ("primary", 3, "holm"),
        ("secondary", 3, "holm"),
    ]
    found = analysis.metric("conversion")
    assert found is not None
    plain = [one.difference.p for one in found.comparisons if one.difference]
    assert [one.p_adjusted for one in found.comparisons] == pytest.approx(
        [max(2 * plain[0], 3 * plain[2]), max(plain[1], 2 * plain[0]), 3 * plain[2]]
    )
    alone = analysed(replace(spec, metrics=(CONVERSION,)), {"conversion": primary}).metric("conversion")
    assert alone is not None
    assert [one.p_adjusted for one in alone.comparisons] == [one.p_adjusted for one in found.comparisons]


def test_what_does_not_survive_the_correction_says_so() -> None:
    shares = dict.fromkeys("abcdef", 1 / 6)
    table = {"conversion": arms(**dict.fromkeys("acdef", (1000, 10000)), b=(1090, 10000))}

    one = first(analysed(Spec("a", shares, (CONVERSION,), view="fixed"), table))

    assert one.difference is not None
    assert one.difference.p < 0.05
    assert one.state == "unclear"
    assert "not_after_correction" in [note.code for note in one.warnings]


def test_a_broken_split_warns_and_then_blocks() -> None:
    alarms = {}
    for units in (10_000, 10_400, 10_900):
        analysis = analysed(SPEC, {"conversion": arms(a=(1000, 10_000), b=(1000, units))})
        alarms[units] = (analysis.srm.alarm, analysis.verdict.action == "blocked")
        p = stats.chisquare([10_000, units]).pvalue
        assert analysis.srm.p == pytest.approx(p)

    assert alarms == {10_000: ("none", False), 10_400: ("warning", False), 10_900: ("blocked", True)}


def test_units_in_an_arm_that_should_have_none_block() -> None:
    spec = replace(SPEC, shares={"a": 0.5, "b": 0.5, "off": 0.0})

    analysis = analysed(spec, {"conversion": arms(a=(100, 1000), b=(100, 1000), off=(3, 30))})

    assert analysis.srm.alarm == "blocked"
    assert codes(analysis) == ["srm_stray"]
    assert [note.code for note in analysis.verdict.reasons] == ["reason_stray"]


def test_a_split_broken_in_one_segment_is_named() -> None:
    table = {"conversion": arms(a=(1000, 10_000), b=(1000, 10_000))}
    segments = {
        "device:phone": {"conversion": arms(a=(400, 4000), b=(480, 4800))},
        "device:desk": {"conversion": arms(a=(600, 6000), b=(520, 5200))},
    }

    analysis = analysed(SPEC, table, segments)

    assert analysis.srm.alarm == "none"
    assert {one.segment: one.alarm for one in analysis.srm.segments} == {
        "device:phone": "blocked",
        "device:desk": "blocked",
    }
    assert codes(analysis).count("srm_segment") == 2
    assert analysis.verdict.action == "blocked"
    assert [note.code for note in analysis.verdict.reasons] == ["reason_srm_segment"] * 2


def test_simpsons_paradox_is_seen_through_by_the_segments() -> None:
    segments = {
        "device:phone": {"conversion": arms(a=(800, 8000), b=(240, 2000))},
        "device:desk": {"conversion": arms(a=(600, 2000), b=(2600, 8000))},
    }
    table = {"conversion": arms(a=(1400, 10_000), b=(2840, 10_000))}
    turned = {"conversion": {"a": table["conversion"]["b"], "b": table["conversion"]["a"]}}
    turned_segments = {
        "device:phone": {"conversion": arms(a=(180, 2000), b=(800, 8000))},
        "device:desk": {"conversion": arms(a=(2640, 8000), b=(720, 2000))},
    }

    sound, paradox = analysed(SPEC, table, segments), analysed(SPEC, turned, turned_segments)

    one = first(paradox)
    assert one.difference is not None
    assert one.difference.difference < 0 < one.stratified[0].difference.low
    assert "simpson" in codes(paradox)
    assert "simpson" not in codes(sound)


def test_segments_are_corrected_for_their_number_and_interactions_found() -> None:
    lifted = {"conversion": arms(a=(500, 5000), b=(700, 5000))}
    same = {"conversion": arms(a=(500, 5000), b=(500, 5000))}
    segments = {f"region:{at}": lifted if at == 0 else same for at in range(10)}
    table = {"conversion": arms(a=(5000, 50_000), b=(5200, 50_000))}

    analysis = analysed(replace(SPEC, correction="none"), table, segments)

    one = analysis.segments["region:0"][0].comparisons[0]
    assert one.sequential is not None
    assert one.p_adjusted == pytest.approx(10 * one.sequential.p)
    assert [found.state for key in segments for found in analysis.segments[key][0].comparisons].count(
        "better"
    ) == 1
    assert analysis.interactions[0].dimension == "region"
    assert "interaction" in codes(analysis)
    even = analysed(SPEC, table, {f"region:{at}": same for at in range(10)})
    assert "interaction" not in codes(even)


def test_arms_that_differed_before_are_named() -> None:
    rng = np.random.default_rng(8)
    spec = replace(SPEC, metrics=(UnitMetricSpec("value", "mean", "primary"),))
    before = {"a": rng.gamma(2, 5, 3000), "b": rng.gamma(2, 6, 3000)}
    table = {"value": {name: Moments.of(x + 1, x=x) for name, x in before.items()}}

    analysis = analysed(spec, table)

    p = stats.ttest_ind(before["b"], before["a"], equal_var=False).pvalue
    assert analysis.pre_exposure[0].p == pytest.approx(p, rel=1e-6)
    assert analysis.pre_exposure[0].alarm
    assert "pre_exposure_bias" in codes(analysis)


@pytest.mark.parametrize(("count", "code"), [(5, "multiple_exposure"), (500, "multiple_exposure_high")])
def test_multiple_exposure_is_counted_and_alarms_above_one_per_cent(count: int, code: str) -> None:
    table = {"conversion": arms(a=(100, 1000), b=(100, 1000))}

    analysis = analyse(SPEC, table, {"a": 1000, "b": 1000}, multiple_exposed=count, excluded={"bots": 7})

    assert analysis.multiple_exposed == pytest.approx(count / (2000 + count))
    assert codes(analysis) == [code, "bots_excluded"]


def test_changes_too_good_or_too_small_are_doubted() -> None:
    large = first(analysed(SPEC, {"conversion": arms(a=(1000, 10_000), b=(1700, 10_000))}))
    small = first(analysed(SPEC, {"conversion": arms(a=(10**8, 2 * 10**8), b=(10**8 + 10**5, 2 * 10**8))}))

    assert [note.code for note in large.warnings] == ["suspicious_large"]
    assert [note.code for note in small.warnings] == ["suspicious_small"]


def days_of(lifts: list[float]) -> dict[float, Table]:
    """Cumulative conversions of 14 days, 1,000 new units an arm each day, 200 conversions in control."""
    tables: dict[float, Table] = {}
    done = 0
    for day, lift in enumerate(lifts, start=1):
        done += round(200 * (1 + lift))
        tables[float(day)] = {"conversion": arms(a=(200 * day, 1000 * day), b=(done, 1000 * day))}
    return tables


def test_an_effect_that_wears_off_is_seen() -> None:
    found = {}
    for name, lifts in {
        "fading": [0.6 - 0.045 * day for day in range(14)],
        "growing": [0.045 * day for day in range(14)],
        "steady": [0.3] * 14,
    }.items():
        days = days_of(lifts)
        table = days[14.0]
        units = {variant: arm.n for variant, arm in table["conversion"].items()}
        analysis = analyse(SPEC, table, units, days=days, elapsed_days=14)
        found[name] = [code for code in codes(analysis) if code.startswith("novelty")]
        path = analysis.days["conversion"]
        assert [one.day for one in path] == [float(day) for day in range(1, 15)]
        assert [one.daily for one in path] == pytest.approx(
            [round(200 * (1 + lift)) / 200 - 1 for lift in lifts]
        )
        one = first(analysis)
        assert one.relative is not None
        assert path[-1].value == pytest.approx(one.relative.value)

    assert found == {"fading": ["novelty_fading"], "growing": ["novelty_growing"], "steady": []}


def test_no_day_changes_by_less_than_all_of_it() -> None:
    """Next to nothing of b on the second day, more back than bought on the third, and none on the last."""
    spec = replace(SPEC, metrics=(UnitMetricSpec("revenue", "revenue", "primary", signed=True, sparse=True),))

    def through(a: float, b: float) -> Table:
        return {"revenue": {"a": Moments(500, a / 500, 30.0), "b": Moments(500, b / 500, 30.0 + b / 100)}}

    sums = [(900, 800), (1800, 801), (2700, 700), (3600, 900), (4500, 900)]
    days = {float(day): through(*both) for day, both in enumerate(sums, start=1)}
    found = analyse(spec, days[5.0], {"a": 500, "b": 500}, days=days, elapsed_days=5).days["revenue"]

    assert found[1].daily == pytest.approx(1 / 900 - 1)
    assert found[1].daily_low == -1
    assert (found[1].daily_high or -1) > 1 / 900 - 1
    assert found[2].daily is None
    assert all(one.daily is None or one.daily >= -1 for one in found)
    assert all(one.daily_low is None or one.daily_low >= -1 for one in found)


def test_nothing_at_all_is_no_data_and_never_nan() -> None:
    none = Moments(n=0, mean_y=0.0, var_y=0.0)
    one = Moments(n=1, mean_y=3.0, var_y=0.0)
    spec = Spec("a", {"a": 0.5, "b": 0.5}, (CONVERSION, REVENUE, UnitMetricSpec("gone", "mean", "guardrail")))
    table: Table = {"conversion": {"a": none, "b": none}, "revenue": {"a": one, "b": one}}

    analysis = analyse(spec, table, {}, elapsed_days=14)

    assert [metric.comparisons[0].state for metric in analysis.metrics] == ["no_data"] * 3
    assert analysis.srm.p is None
    assert analysis.verdict.action == "too_early"
    assert analysis_read(analysis.as_json()) == analysis


def test_a_metric_that_is_the_same_for_all_says_so() -> None:
    zeros = first(analysed(SPEC, {"conversion": arms(a=(0, 1000), b=(0, 1000))}))
    fives = {"conversion": {name: Moments(1000, 5.0, 0.0) for name in "ab"}}
    same = first(analysed(replace(SPEC, metrics=(UnitMetricSpec("conversion", "mean", "primary"),)), fives))

    assert [note.code for note in zeros.warnings] == ["all_zero"]
    assert [note.code for note in same.warnings] == ["no_variance"]
    assert zeros.state == same.state == "no_data"


def test_too_few_events_give_no_sequential_interval_yet() -> None:
    one = first(analysed(SPEC, {"conversion": arms(a=(4, 1000), b=(6, 1000))}))

    assert one.sequential is None
    assert one.state == "unclear"
    assert {"few_conversions", "sequential_waits"} <= {note.code for note in one.warnings}


def test_quantiles_are_compared_by_their_own_errors() -> None:
    rng = np.random.default_rng(9)
    values = {"a": rng.exponential(10, 20_000), "b": rng.exponential(11, 20_000)}
    table: Table = {"p90": {name: quantile_of(one, 0.9) for name, one in values.items()}}
    spec = replace(SPEC, metrics=(UnitMetricSpec("p90", "quantile", "primary"),))

    one = first(analysed(spec, table), "p90")

    assert one.difference is not None
    assert one.difference.difference == pytest.approx(
        np.quantile(values["b"], 0.9) - np.quantile(values["a"], 0.9)
    )
    assert one.state == "better"
    thin = {"p90": {name: QuantileMoments(3, 0.9, 1.0, None) for name in "ab"}}
    assert first(analysed(spec, thin), "p90").state == "no_data"


def test_the_chance_to_be_best_is_shared_by_all_variants() -> None:
    spec = Spec("a", {"a": 0.4, "b": 0.3, "c": 0.3}, (CONVERSION,))

    metric = analysed(
        spec, {"conversion": arms(a=(1000, 10_000), b=(1050, 10_000), c=(1100, 10_000))}
    ).primary

    assert metric is not None
    assert sum(metric.best.values()) == pytest.approx(1)
    assert metric.best["c"] > metric.best["b"] > metric.best["a"]
