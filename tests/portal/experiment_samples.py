"""Analyses for tests of the pages: small, whole, and of a known shape."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from apps.experiments.results import (
    Action,
    Analysis,
    Bayes,
    BiasCheck,
    Comparison,
    DayEffect,
    Effect,
    Family,
    Guardrail,
    Interaction,
    Kind,
    MetricResult,
    Note,
    Relative,
    Role,
    SegmentSrm,
    Sequential,
    Srm,
    State,
    Unadjusted,
    Verdict,
)

STARTED = datetime(2026, 3, 2, 8, tzinfo=UTC)
THROUGH = STARTED + timedelta(days=9)
DAYS = 9


def comparison(value: float, half: float, *, base: float = 0.05, state: State = "better") -> Comparison:
    """A relative change of `value` with intervals of `half` (fixed) and twice that (always valid)."""
    wide = 2 * half
    return Comparison(
        variant="bold",
        n_control=5_012,
        n_treatment=4_988,
        control=base,
        treatment=base * (1 + value),
        difference=Effect(base * value, base * (value - half), base * (value + half), 0.0004),
        relative=Relative(value, value - half, value + half),
        sequential=Sequential(
            base * (value - wide), base * (value + wide), 0.012, value - wide, value + wide
        ),
        bayes=Bayes(0.9993, 0.00012, value - half, value + half),
        p_adjusted=0.012,
        cuped=True,
        variance_cut=0.31,
        state=state,
        unadjusted=Unadjusted(
            control=base,
            treatment=base * (1 + value),
            difference=Effect(base * value, base * (value - 2 * half), base * (value + 2 * half), 0.02),
            relative=Relative(value + 0.004, value - 2 * half, value + 2 * half),
            sequential=None,
        ),
    )


def metric(code: str, role: Role, found: Comparison, *, kind: Kind = "proportion") -> MetricResult:
    """One metric with one variant."""
    margin = 0.02 if role == "guardrail" else None
    return MetricResult(code, kind, role, True, margin, (found,))


def day_effects() -> tuple[DayEffect, ...]:
    """Nine days, narrowing."""
    found = []
    for day in range(1, DAYS + 1):
        half = 0.12 / day**0.5
        found.append(
            DayEffect(
                day=float(day),
                variant="bold",
                n_control=600 * day,
                n_treatment=590 * day,
                value=0.06,
                low=0.06 - half,
                high=0.06 + half,
                sequential_low=0.06 - 2 * half,
                sequential_high=0.06 + 2 * half,
                p=0.1,
                sequential_p=0.4,
                daily=0.05 + 0.01 * (day % 3),
                daily_low=-0.06,
                daily_high=0.18,
            )
        )
    return tuple(found)


def analysis_sample(action: Action = "ship") -> Analysis:
    """A whole analysis in which `bold` beats control."""
    good = comparison(0.06, 0.025)
    guard = replace(
        comparison(-0.004, 0.004, base=31.5, state="unclear"),
        guardrail=Guardrail(margin=0.02, low=-0.014, high=0.006, state="passed"),
        warnings=(Note("winsorised", {"metric": "revenue", "at": 412.5, "percentile": 0.99, "count": 42}),),
    )
    segments = {
        name: (metric("conversion", "primary", comparison(value, 0.05, state="unclear")),)
        for name, value in (("region:North", 0.08), ("region:South", 0.03))
    }
    return Analysis(
        control="control",
        alpha=0.05,
        view="sequential",
        correction="holm",
        started=STARTED,
        through=THROUGH,
        elapsed_days=float(DAYS),
        units={"control": 5_012, "bold": 4_988},
        metrics=(
            metric("conversion", "primary", good),
            metric("ctr", "secondary", comparison(0.02, 0.03, base=0.11, state="unclear"), kind="ratio"),
            metric("revenue_per_shopper", "guardrail", guard, kind="revenue"),
        ),
        srm=Srm(
            p=0.81,
            alarm="none",
            sequential_p=1.0,
            observed={"control": 5_012, "bold": 4_988},
            expected={"control": 0.5, "bold": 0.5},
            segments=(SegmentSrm("region:North", 0.4, 0.8, {"control": 2_500, "bold": 2_460}, "none"),),
        ),
        verdict=Verdict(
            action,
            "bold",
            (
                Note(
                    "reason_primary_better",
                    {"metric": "conversion", "variant": "bold", "value": 0.06, "low": 0.01, "high": 0.11},
                ),
                Note("reason_guardrails_hold", {"variant": "bold"}),
            ),
            (Note("change_interval_back", {"metric": "conversion", "variant": "bold"}),),
        ),
        warnings=(Note("bots_excluded", {"count": 12}),),
        segments=segments,
        interactions=(Interaction("conversion", "bold", "region", 1.2, 0.27, 0.27),),
        pre_exposure=(BiasCheck("conversion", "bold", 0.002, 0.6, False),),
        multiple_exposed=0.0021,
        excluded={"bots": 12, "outliers": 3},
        families=(Family("primary", 1, "holm"), Family("segments", 2, "holm")),
        days={"conversion": day_effects()},
    )
