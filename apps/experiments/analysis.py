"""An experiment's moments, judged: every check, every interval, the verdict. Pure: imports no Django.

Families of the correction, said in `Analysis.families`: the primary metric over all treatments is one, and
only it decides; the secondary metrics over all treatments are another, so that adding a secondary metric
never makes the primary one harder to prove. Guardrails are not corrected: a correction would let harm pass.
Segments are a family of their own for each metric.

Intervals are shown uncorrected (each holds at its own 1 - alpha); states and verdict follow the corrected
p-values, and a remark says where the two part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from apps.experiments import segmentation, trends
from apps.experiments.comparing import Arm, compare, judged, result_of, view_p
from apps.experiments.decisions import strays, verdict
from apps.experiments.results import (
    Analysis,
    BiasCheck,
    Comparison,
    DayEffect,
    Family,
    Interaction,
    MetricResult,
    Note,
    SegmentSrm,
    Spec,
    Srm,
    UnitMetricSpec,
)
from apps.experiments.stats import corrections
from apps.experiments.stats.cuped import adjusted as cuped_adjusted
from apps.experiments.stats.moments import Moments
from apps.experiments.stats.srm import (
    alarm_of,
    multiple_exposure,
    pre_exposure_bias,
    sequential_srm_path,
    srm,
    srm_by_segment,
    worst,
)

__all__ = ["Analysis", "Spec", "UnitMetricSpec", "analyse", "table_counts"]

Table = Mapping[str, Mapping[str, Arm]]  # by metric, by variant
Counts = Mapping[str, int]  # units by variant

INTERACTION_P = 0.01


def analyse(
    spec: Spec,
    table: Table,
    exposure_counts: Counts,
    *,
    segments: Mapping[str, Table] | None = None,
    segment_counts: Mapping[str, Counts] | None = None,
    elapsed_days: float | None = None,
    started: datetime | None = None,
    through: datetime | None = None,
    days: Mapping[float, Table] | None = None,
    day_counts: Mapping[float, Counts] | None = None,
    excluded: Counts | None = None,
    multiple_exposed: int = 0,
    notes: tuple[Note, ...] = (),
) -> Analysis:
    """Analyse an experiment.

    table: moments of each metric's arms. exposure_counts: units by variant, those left out not among them.
    segments: the same tables by "dimension:value"; days: cumulative through each day. Counts of segments and
    days are the tables' own where they are not given. excluded: units left out by reason; multiple_exposed:
    units under several variants (left out too, whether or not they are in excluded). notes: remarks made
    before the analysis, such as on a file. Metrics without moments are reported as "no_data".
    """
    segments, days = segments or {}, days or {}
    units = {variant: int(exposure_counts.get(variant, 0)) for variant in spec.shares}
    stray = {name: int(count) for name, count in exposure_counts.items() if name not in units and count}
    adjusted = _cuped(spec, table)
    plain = [
        (metric, compare(spec, metric, variant, adjusted.get(metric.code, {}), table.get(metric.code, {})))
        for metric in spec.metrics
        for variant in spec.treatments
    ]
    plain = [(metric, _with_strata(spec, metric, one, segments)) for metric, one in plain]
    families, corrected = _corrected(spec, plain)
    metrics = tuple(
        result_of(
            metric,
            tuple(one for whose, one in corrected if whose.code == metric.code),
            adjusted.get(metric.code),
        )
        for metric in spec.metrics
    )
    ratio = _srm(
        spec,
        {**units, **stray},
        segment_counts
        if segment_counts is not None
        else {key: table_counts(one) for key, one in segments.items()},
        day_counts if day_counts is not None else {day: table_counts(one) for day, one in days.items()},
    )
    adjusted_days = {day: _cuped(spec, one) for day, one in days.items()}
    paths = {metric.code: trends.day_effects(spec, metric, days, adjusted_days) for metric in spec.metrics}
    bias = _bias(spec, table)
    adjusted_segments = {key: _cuped(spec, one) for key, one in segments.items()}
    effects = segmentation.interactions(spec, segments)
    everyone = sum(units.values()) + multiple_exposed
    multiple = multiple_exposure(multiple_exposed, everyone)
    found = Analysis(
        control=spec.control,
        alpha=spec.alpha,
        view=spec.view,
        correction=spec.correction,
        started=started,
        through=through,
        elapsed_days=elapsed_days,
        units=units,
        metrics=metrics,
        srm=ratio,
        verdict=verdict(spec, metrics, ratio, units, elapsed_days),
        segments=segmentation.segment_results(spec, segments, adjusted_segments),
        interactions=effects,
        pre_exposure=bias,
        multiple_exposed=multiple.share,
        excluded=dict(excluded or {}),
        families=families,
        days={code: path for code, path in paths.items() if path},
    )
    remarks = [
        *_srm_notes(ratio),
        *_exposure_notes(multiple_exposed, multiple.share, multiple.alarm),
        *_excluded_notes(found.excluded),
        *_bias_notes(bias),
        *(note for metric in spec.metrics for note in _trend_notes(spec, metric, paths)),
        *(
            note
            for result, metric in zip(metrics, spec.metrics, strict=True)
            for note in _simpson(spec, metric, result)
        ),
        *(_interaction_note(one) for one in effects if one.p_adjusted < INTERACTION_P),
        *notes,
    ]
    return replace(found, warnings=tuple(remarks))


def table_counts(table: Table) -> dict[str, int]:
    """Units by variant as a table of moments has them: the most that any of its metrics counts."""
    counts: dict[str, int] = {}
    for arms in table.values():
        for variant, arm in arms.items():
            counts[variant] = max(counts.get(variant, 0), arm.n)
    return counts


def _cuped(spec: Spec, table: Table) -> dict[str, Mapping[str, Arm]]:
    """The table with each metric adjusted for its covariate, where it has one and the experiment wants it.

    Control stays as measured, so that what is relative is relative to what control truly had.
    """
    found: dict[str, Mapping[str, Arm]] = {}
    for metric, arms in table.items():
        moments = {variant: arm for variant, arm in arms.items() if isinstance(arm, Moments)}
        wanted = spec.cuped and len(moments) == len(arms) and any(arm.var_x > 0 for arm in moments.values())
        found[metric] = cuped_adjusted(moments, spec.control) if wanted else arms
    return found


def _with_strata(
    spec: Spec, metric: UnitMetricSpec, found: Comparison, segments: Mapping[str, Table]
) -> Comparison:
    if not segments or found.difference is None:
        return found
    strata = segmentation.stratified(spec, metric, found.variant, segments, cuped=found.cuped)
    return replace(found, stratified=strata)


def _corrected(
    spec: Spec, plain: list[tuple[UnitMetricSpec, Comparison]]
) -> tuple[tuple[Family, ...], list[tuple[UnitMetricSpec, Comparison]]]:
    """All comparisons with their corrected p-values and states, and the families they were corrected in."""
    ps: dict[int, float | None] = {at: view_p(spec, one) for at, (_metric, one) in enumerate(plain)}
    families = []
    for role in ("primary", "secondary"):
        members = [at for at, (metric, _one) in enumerate(plain) if metric.role == role]
        if not members:
            continue
        families.append(
            Family("primary" if role == "primary" else "secondary", len(members), spec.correction)
        )
        after = corrections.adjusted([ps[at] for at in members], spec.correction)
        ps.update(zip(members, after, strict=True))
    return tuple(families), [
        (metric, judged(spec, metric, one, ps[at])) for at, (metric, one) in enumerate(plain)
    ]


def _srm(
    spec: Spec, units: Counts, segment_counts: Mapping[str, Counts], day_counts: Mapping[float, Counts]
) -> Srm:
    """The sample ratio: of all units, in each segment, and watched day by day (or at this one look)."""
    whole = srm(units, spec.shares)
    # a time at which an arm was not counted at all (not: counted 0) says nothing of the split
    wanted = {variant for variant, share in spec.shares.items() if share > 0}
    looks = [*(day_counts[day] for day in sorted(day_counts) if wanted <= set(day_counts[day])), units]
    through_time = sequential_srm_path(looks, spec.shares)[-1]
    parts = tuple(
        SegmentSrm(one.segment, one.srm.p, one.p_adjusted, dict(one.srm.observed), one.alarm)
        for one in srm_by_segment(segment_counts, spec.shares)
        if one.srm.p is not None and one.p_adjusted is not None
    )
    total = sum(share for share in spec.shares.values())
    return Srm(
        p=whole.p,
        alarm=worst((whole.alarm, alarm_of(through_time))),
        sequential_p=through_time,
        observed=dict(whole.observed),
        expected={variant: share / total for variant, share in spec.shares.items()},
        segments=parts,
    )


def _bias(spec: Spec, table: Table) -> tuple[BiasCheck, ...]:
    """Whether the arms' covariates differed before the experiment."""
    arms = {
        metric: {variant: arm for variant, arm in by_variant.items() if isinstance(arm, Moments)}
        for metric, by_variant in table.items()
    }
    found = []
    for one in pre_exposure_bias(arms, spec.control):
        if one.p is None:
            continue
        before = arms[one.metric][spec.control].mean_x
        share = one.difference / abs(before) if one.difference is not None and before else None
        found.append(BiasCheck(one.metric, one.variant, share, one.p, one.biased))
    return tuple(found)


def _srm_notes(found: Srm) -> list[Note]:
    notes = []
    if found.alarm != "none":
        total = sum(found.observed.values())
        expected = {variant: round(total * share) for variant, share in found.expected.items()}
        known = [p for p in (found.p, found.sequential_p) if p is not None]
        p = min(known, default=None)
        told = {"p": p, "observed": dict(found.observed), "expected": expected}
        if (alarm := alarm_of(p)) != "none":
            notes.append(Note("srm_blocked" if alarm == "blocked" else "srm_warning", told))
        notes += [Note("srm_stray", {"variant": name, "count": n}) for name, n in strays(found).items()]
        if alarm_of(found.p) == "none" and alarm_of(found.sequential_p) != "none":
            notes.append(Note("srm_sequential", {"p": found.sequential_p}))
    return notes + [
        Note("srm_segment", {"segment": part.segment, "p": part.p_adjusted})
        for part in found.segments
        if part.alarm != "none"
    ]


def _exposure_notes(count: int, share: float | None, alarm: bool) -> list[Note]:
    if not count:
        return []
    return [
        Note("multiple_exposure_high" if alarm else "multiple_exposure", {"count": count, "share": share})
    ]


def _excluded_notes(excluded: Counts) -> list[Note]:
    """What was left out; multiple exposures have a note of their own."""
    notes = []
    for reason, count in excluded.items():
        if not count or reason == "multiple_exposure":
            continue
        if reason in {"outliers", "bots"}:
            notes.append(
                Note("outliers_excluded" if reason == "outliers" else "bots_excluded", {"count": count})
            )
        else:
            notes.append(Note("units_excluded", {"count": count, "reason": reason}))
    return notes


def _bias_notes(found: tuple[BiasCheck, ...]) -> list[Note]:
    return [
        Note(
            "pre_exposure_bias",
            {"variant": one.variant, "metric": one.metric, "value": one.relative, "p": one.p},
        )
        for one in found
        if one.alarm
    ]


def _trend_notes(
    spec: Spec, metric: UnitMetricSpec, paths: Mapping[str, tuple[DayEffect, ...]]
) -> list[Note]:
    return trends.trend_notes(metric, paths.get(metric.code, ()), spec.alpha)


def _simpson(spec: Spec, metric: UnitMetricSpec, result: MetricResult) -> list[Note]:
    return segmentation.simpson_notes(metric, result.comparisons, spec.alpha)


def _interaction_note(one: Interaction) -> Note:
    told = {"metric": one.metric, "variant": one.variant, "dimension": one.dimension}
    return Note("interaction", {**told, "p": one.p_adjusted})
