"""Segments read honestly: corrected for their number, tested for differences, used to steady the whole.

A segment is keyed "dimension:value". Pure: imports no Django.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy import special

from apps.experiments.comparing import Arm, compare, judged, result_of, view_p
from apps.experiments.results import (
    Comparison,
    Effect,
    Interaction,
    MetricResult,
    Note,
    Spec,
    Stratified,
    UnitMetricSpec,
)
from apps.experiments.stats import corrections, frequentist
from apps.experiments.stats.cuped import post_stratified
from apps.experiments.stats.moments import Moments

Table = Mapping[str, Mapping[str, Arm]]

UNITS_FOR_A_SEGMENT = 20


@dataclass(frozen=True, slots=True)
class _Part:
    """The effect within one segment, relative where control allows."""

    value: float
    se: float


def segment_results(
    spec: Spec, raw: Mapping[str, Table], adjusted: Mapping[str, Table]
) -> dict[str, tuple[MetricResult, ...]]:
    """Each segment's comparisons. The family of a correction is one metric's comparisons over all segments.

    Holm corrects them where the experiment's correction is none: looking at twenty segments for something
    good is the surest way to find it.
    """
    found: dict[str, dict[str, tuple[Comparison, ...]]] = {segment: {} for segment in raw}
    rule = "holm" if spec.correction == "none" else spec.correction
    for metric in spec.metrics:
        plain = [
            (
                segment,
                compare(
                    spec, metric, variant, adjusted[segment].get(metric.code, {}), table.get(metric.code, {})
                ),
            )
            for segment, table in raw.items()
            for variant in spec.treatments
        ]
        ps = corrections.adjusted([view_p(spec, one) for _segment, one in plain], rule)
        for (segment, one), p in zip(plain, ps, strict=True):
            there = found[segment].get(metric.code, ())
            found[segment][metric.code] = (*there, judged(spec, metric, one, p))
    return {
        segment: tuple(result_of(metric, by_metric[metric.code]) for metric in spec.metrics)
        for segment, by_metric in found.items()
    }


def interactions(spec: Spec, segments: Mapping[str, Table]) -> tuple[Interaction, ...]:
    """Whether the effect differs between the segments of each dimension: Cochran's Q, Holm over all of them.

    Q = sum of w_s (d_s - d)^2, w = 1/se^2, against chi-squared with one degree of freedom less than there are
    segments (Cochran 1954). On relative changes where control is nowhere 0, so that a constant lift over
    unlike segments is no interaction; segments with under UNITS_FOR_A_SEGMENT units in an arm are left out.
    """
    found: list[tuple[UnitMetricSpec, str, str, float, float]] = []
    for dimension, keys in _dimensions(segments).items():
        for metric in spec.metrics:
            for variant in spec.treatments:
                parts = [_part(spec, segments[key].get(metric.code, {}), variant) for key in keys]
                usable = [part for part in parts if part is not None]
                if len(usable) < 2:
                    continue
                least = min(part.se for part in usable)
                weights = [(least / part.se) * (least / part.se) for part in usable]
                centre = sum(w * part.value for w, part in zip(weights, usable, strict=True)) / sum(weights)
                scores = [(part.value - centre) / part.se for part in usable]
                q = sum(score * score for score in scores)
                if not math.isfinite(q):
                    continue
                found.append((metric, variant, dimension, q, float(special.chdtrc(len(usable) - 1, q))))
    ps = corrections.holm([one[4] for one in found])
    return tuple(
        Interaction(metric.code, variant, dimension, q, p, p if after is None else after)
        for (metric, variant, dimension, q, p), after in zip(found, ps, strict=True)
    )


def stratified(
    spec: Spec, metric: UnitMetricSpec, variant: str, segments: Mapping[str, Table], *, cuped: bool
) -> tuple[Stratified, ...]:
    """The effect within the strata of each dimension, averaged by the strata's shares of all units."""
    found = []
    for dimension, keys in _dimensions(segments).items():
        control = _moments(segments, keys, metric, spec.control)
        treatment = _moments(segments, keys, metric, variant)
        both = post_stratified(control, treatment, cuped) if control and treatment else None
        if both is None or both.strata < 2:
            continue
        effect = frequentist.difference(both.control, both.treatment, spec.alpha)
        if effect.difference is None or effect.low is None or effect.high is None or effect.p is None:
            continue
        share = frequentist.relative(both.control, both.treatment, spec.alpha)
        whole = Effect(effect.difference, effect.low, effect.high, effect.p)
        found.append(Stratified(dimension, whole, share.value))
    return tuple(found)


def simpson_notes(metric: UnitMetricSpec, comparisons: Sequence[Comparison], alpha: float) -> list[Note]:
    """A note where the whole and its segments contradict each other (Simpson's paradox).

    Both must be clear at alpha, with opposite signs: with a sound split that does not happen by chance alone.
    """
    notes = []
    for one in comparisons:
        plain = one.unadjusted.difference if one.unadjusted else one.difference
        for part in one.stratified:
            if plain is None or plain.p >= alpha or part.difference.p >= alpha:
                continue
            if (plain.difference > 0) == (part.difference.difference > 0):
                continue
            pooled, within = ("higher", "lower") if plain.difference > 0 else ("lower", "higher")
            told = {"metric": metric.code, "variant": one.variant, "dimension": part.dimension}
            notes.append(Note("simpson", {**told, "pooled": pooled, "within_segments": within}))
    return notes


def _dimensions(segments: Mapping[str, Table]) -> dict[str, list[str]]:
    """Segment keys by dimension."""
    found: dict[str, list[str]] = {}
    for key in segments:
        found.setdefault(key.partition(":")[0], []).append(key)
    return found


def _moments(
    segments: Mapping[str, Table], keys: Sequence[str], metric: UnitMetricSpec, variant: str
) -> dict[str, Moments]:
    arms = {key: segments[key].get(metric.code, {}).get(variant) for key in keys}
    return {key: arm for key, arm in arms.items() if isinstance(arm, Moments)}


def _part(spec: Spec, arms: Mapping[str, Arm], variant: str) -> _Part | None:
    control, treatment = arms.get(spec.control), arms.get(variant)
    if control is None or treatment is None or min(control.n, treatment.n) < UNITS_FOR_A_SEGMENT:
        return None
    share = frequentist.relative(control, treatment, spec.alpha)
    if share.value is None or not share.se:
        return None
    return _Part(share.value, share.se)
