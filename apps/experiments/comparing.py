"""One treatment against control for one metric: every interval beside the other. Pure: imports no Django."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from apps.experiments.results import (
    Bayes,
    Comparison,
    Effect,
    Guardrail,
    MetricResult,
    Note,
    Relative,
    Sequential,
    Spec,
    State,
    Unadjusted,
    UnitMetricSpec,
)
from apps.experiments.stats import bayes, frequentist, sequential
from apps.experiments.stats.moments import Moments, QuantileMoments

Arm = Moments | QuantileMoments

# Thresholds of the field's platforms (GrowthBook, PostHog): see each note's text.
SUSPICIOUS_ABOVE = 0.5
SUSPICIOUS_BELOW = 0.005
CONVERSIONS_AT_LEAST = 5
CHANCE_TO_ACT = 0.95


def compare(
    spec: Spec,
    metric: UnitMetricSpec,
    variant: str,
    arms: Mapping[str, Arm],
    raw: Mapping[str, Arm],
    *,
    whole: bool = True,
) -> Comparison:
    """Compare `variant` with control. arms: moments to judge by; raw: as measured (the same without CUPED).

    Not whole: the intervals alone, which a path through the days needs many of.
    State, correction and guardrails come later (`judged`): they need the other comparisons.
    """
    control, treatment = arms.get(spec.control), arms.get(variant)
    plain = raw.get(spec.control), raw.get(variant)
    if _impossible(metric, treatment, plain[1]):
        control, treatment = plain
    bare = Comparison(
        variant=variant,
        n_control=control.n if control else 0,
        n_treatment=treatment.n if treatment else 0,
        control=plain[0].value if plain[0] else None,
        treatment=plain[1].value if plain[1] else None,
        difference=None,
        relative=None,
        sequential=None,
        bayes=None,
    )
    if control is None or treatment is None or plain[0] is None or plain[1] is None:
        return bare
    skew = _skew(metric, plain[0], plain[1])
    found = replace(
        bare,
        difference=_difference(spec, control, treatment),
        relative=_relative(spec, control, treatment),
        sequential=_sequential(spec, variant, control, treatment, skew),
    )
    if not whole:
        return found
    found = replace(
        found,
        bayes=_bayes(spec, metric, control, treatment),
        guardrail=_guardrail(spec, metric, variant, control, treatment, skew),
    )
    if control is plain[0] and treatment is plain[1]:
        return found
    return _beside(replace(found, cuped=True), spec, metric, (control, treatment), (plain[0], plain[1]))


def _impossible(metric: UnitMetricSpec, adjusted: Arm | None, raw: Arm | None) -> bool:
    """Whether CUPED brought an arm below 0 where nothing can be: with a handful of events, of which it knows
    nothing. A change of less than -100 % would follow.
    """
    if adjusted is None or raw is None or adjusted.value is None or raw.value is None:
        return False
    dense = metric.signed and not metric.sparse
    return not dense and adjusted.value < 0 <= raw.value


def _beside(
    found: Comparison, spec: Spec, metric: UnitMetricSpec, after: tuple[Arm, Arm], raw: tuple[Arm, Arm]
) -> Comparison:
    """The comparison with the one without CUPED beside it, and the share of the variance that CUPED took."""
    before = _difference(spec, *raw)
    if before is None or raw[0].value is None or raw[1].value is None:
        return found
    old = frequentist.difference(*raw, spec.alpha).se
    new = frequentist.difference(*after, spec.alpha).se
    unadjusted = Unadjusted(
        control=raw[0].value,
        treatment=raw[1].value,
        difference=before,
        relative=_relative(spec, *raw),
        sequential=_sequential(spec, found.variant, *raw, _skew(metric, *raw)),
    )
    left = new / old if old and new is not None else None
    cut = None if left is None else 1 - left * left
    return replace(found, unadjusted=unadjusted, variance_cut=cut)


def _difference(spec: Spec, control: Arm, treatment: Arm) -> Effect | None:
    found = frequentist.difference(control, treatment, spec.alpha)
    if found.difference is None or found.low is None or found.high is None or found.p is None:
        return None
    return Effect(found.difference, found.low, found.high, found.p)


def _relative(spec: Spec, control: Arm, treatment: Arm) -> Relative | None:
    """By the delta method; with a control near 0 by Fieller's, where that has bounds."""
    found = frequentist.relative(control, treatment, spec.alpha)
    if found.near_zero:
        exact = frequentist.relative(control, treatment, spec.alpha, method="fieller")
        found = exact if exact.low is not None else found
    if found.value is None or found.low is None or found.high is None:
        return None
    return Relative(found.value, found.low, found.high)


def _skew(metric: UnitMetricSpec, control: Arm, treatment: Arm) -> float | None:
    """What the sequential interval needs for skewed arms; None: too few events for one."""
    if not isinstance(control, Moments) or not isinstance(treatment, Moments):
        return 0.0
    found = sequential.small_sample(control, treatment, signed=metric.signed, sparse=metric.sparse)
    return found.skew if found.settled else None


def tuning_of(spec: Spec, variant: str) -> float:
    """The units at which this pair's always-valid intervals are tightest: control's and the variant's part of
    the planned ones.
    """
    shares = spec.planned_shares or spec.shares
    total, pair = sum(shares.values()), shares.get(spec.control, 0.0) + shares.get(variant, 0.0)
    return sequential.tuned(spec.planned_units * pair / total if spec.planned_units and total else None)


def _sequential(
    spec: Spec, variant: str, control: Arm, treatment: Arm, skew: float | None
) -> Sequential | None:
    found = frequentist.difference(control, treatment, spec.alpha)
    if skew is None or found.difference is None or found.se is None:
        return None
    n, tuning = control.n + treatment.n, tuning_of(spec, variant)
    whole = sequential.interval(found.difference, found.se, n, spec.alpha, tuning, skew=skew)
    if whole is None:
        return None
    share = None
    se_control, se_treatment = frequentist.standard_error(control), frequentist.standard_error(treatment)
    if control.value and treatment.value is not None and se_control is not None and se_treatment is not None:
        share = sequential.relative_interval(
            control.value, se_control, treatment.value, se_treatment, n, spec.alpha, tuning,
            covariance=frequentist.covariance(control, treatment), skew=skew,
        )  # fmt: skip
    return Sequential(
        whole.low, whole.high, whole.p, share.low if share else None, share.high if share else None
    )


def _guardrail(
    spec: Spec, metric: UnitMetricSpec, variant: str, control: Arm, treatment: Arm, skew: float | None
) -> Guardrail | None:
    """Non-inferiority by one-sided always-valid bounds; None before there are any."""
    se_control, se_treatment = frequentist.standard_error(control), frequentist.standard_error(treatment)
    if metric.role != "guardrail" or skew is None or not control.value or treatment.value is None:
        return None
    if se_control is None or se_treatment is None:
        return None
    arms = (control.value, se_control, treatment.value, se_treatment, control.n + treatment.n, spec.alpha)
    covariance, tuning = frequentist.covariance(control, treatment), tuning_of(spec, variant)
    lower = sequential.relative_bound(*arms, tuning, side="lower", covariance=covariance, skew=skew)
    upper = sequential.relative_bound(*arms, tuning, side="upper", covariance=covariance, skew=skew)
    if lower is None or upper is None:
        return None
    margin = metric.margin or 0.0
    # in the sense of the metric: what is lost at least, and at most
    worst, best = (lower.bound, upper.bound) if metric.higher_is_better else (-upper.bound, -lower.bound)
    if best < -margin:
        return Guardrail(margin, lower.bound, upper.bound, "failed")
    if worst > -margin:
        return Guardrail(margin, lower.bound, upper.bound, "passed")
    return Guardrail(margin, lower.bound, upper.bound, "open")


def _bayes(spec: Spec, metric: UnitMetricSpec, control: Arm, treatment: Arm) -> Bayes | None:
    """The posterior of the relative change; flat prior, or the experiment's."""
    effect = frequentist.relative(control, treatment, spec.alpha)
    if effect.value is None or effect.se is None:
        return None
    prior = bayes.Normal(spec.prior_mean, spec.prior_sd) if spec.prior_sd else None
    found = bayes.posterior(
        effect.value, effect.se, prior=prior, alpha=spec.alpha, higher_is_better=metric.higher_is_better
    )
    return Bayes(found.chance_to_win, found.expected_loss, found.low, found.high) if found else None


def view_p(spec: Spec, found: Comparison) -> float | None:
    """The p-value of the experiment's view; Bayes has none and takes the fixed one for the correction."""
    if spec.view == "sequential":
        return found.sequential.p if found.sequential else None
    return found.difference.p if found.difference else None


def judged(spec: Spec, metric: UnitMetricSpec, found: Comparison, p_adjusted: float | None) -> Comparison:
    """The comparison with its corrected p-value, its state and its remarks."""
    state = _state(spec, metric, found, p_adjusted)
    one = replace(found, p_adjusted=p_adjusted, state=state)
    return replace(one, warnings=tuple(_warnings(spec, metric, one)))


def _state(spec: Spec, metric: UnitMetricSpec, found: Comparison, p_adjusted: float | None) -> State:
    if found.difference is None:
        return "no_data"
    if spec.view == "bayes":
        chance = found.bayes.chance_to_win if found.bayes else 0.5
        clear = chance >= CHANCE_TO_ACT or chance <= 1 - CHANCE_TO_ACT
        up = chance >= CHANCE_TO_ACT
    else:
        clear = p_adjusted is not None and p_adjusted < spec.alpha
        up = (found.difference.difference > 0) == metric.higher_is_better
    if clear:
        return "better" if up else "worse"
    low, high = view_bounds(spec, found)
    if spec.mde and low is not None and high is not None and -spec.mde < low and high < spec.mde:
        return "flat"
    return "unclear"


def view_bounds(spec: Spec, found: Comparison) -> tuple[float | None, float | None]:
    """The bounds of the relative change in the experiment's view."""
    if spec.view == "sequential":
        return (
            (found.sequential.relative_low, found.sequential.relative_high)
            if found.sequential
            else (None, None)
        )
    if spec.view == "bayes" and found.bayes:
        return found.bayes.low, found.bayes.high
    return (found.relative.low, found.relative.high) if found.relative else (None, None)


def _warnings(spec: Spec, metric: UnitMetricSpec, found: Comparison) -> list[Note]:
    told = {"metric": metric.code, "variant": found.variant}
    if found.control is None or found.treatment is None:
        empty = spec.control if found.control is None else found.variant
        return [Note("no_data", {"metric": metric.code, "variant": empty})]
    notes: list[Note] = []
    if found.difference is None and min(found.n_control, found.n_treatment) > 1:
        code = "all_zero" if found.control == found.treatment == 0 else "no_variance"
        return [Note(code, {"metric": metric.code})]
    if found.control == 0:
        notes.append(Note("control_zero", {"metric": metric.code}))
    arms = (
        (spec.control, found.n_control, found.control),
        (found.variant, found.n_treatment, found.treatment),
    )
    for variant, n, value in arms:
        if n < spec.min_units:
            notes.append(
                Note(
                    "small_sample",
                    {"metric": metric.code, "variant": variant, "units": n, "needed": spec.min_units},
                )
            )
        elif metric.kind == "proportion":
            fewer = round(min(value, 1 - value) * n)
            if fewer < CONVERSIONS_AT_LEAST:
                few = {
                    "metric": metric.code,
                    "variant": variant,
                    "count": fewer,
                    "needed": CONVERSIONS_AT_LEAST,
                }
                notes.append(Note("few_conversions", few))
    if found.difference and not found.sequential:
        notes.append(Note("sequential_waits", told))
    p = found.difference.p if found.difference else None
    if found.relative and p is not None and p < spec.alpha:
        change = found.relative.value
        if abs(change) > SUSPICIOUS_ABOVE:
            notes.append(Note("suspicious_large", {**told, "value": change, "level": SUSPICIOUS_ABOVE}))
        if abs(change) < SUSPICIOUS_BELOW:
            notes.append(Note("suspicious_small", {**told, "value": change, "level": SUSPICIOUS_BELOW}))
    plain = None if spec.view == "bayes" else view_p(spec, found)
    if plain is not None and found.p_adjusted is not None and plain < spec.alpha <= found.p_adjusted:
        notes.append(Note("not_after_correction", {**told, "p": found.p_adjusted}))
    return notes


def result_of(
    metric: UnitMetricSpec, comparisons: tuple[Comparison, ...], arms: Mapping[str, Arm] | None = None
) -> MetricResult:
    """The comparisons of one metric; with `arms`, the chance of each variant to be the best of all."""
    chances: dict[str, float] = {}
    known = {variant: (arm.value, frequentist.standard_error(arm)) for variant, arm in (arms or {}).items()}
    names = [variant for variant, (value, se) in known.items() if value is not None and se is not None]
    if len(names) > 1 and len(names) == len(known):
        means, sds = [known[name][0] or 0.0 for name in names], [known[name][1] or 0.0 for name in names]
        # chances depend on neither place nor scale; figures near 1 keep their digits
        gaps = [mean - means[0] for mean in means]
        scale = max(map(abs, (*gaps, *sds)))
        if not any(sds) or not math.isfinite(scale):
            return MetricResult(
                metric.code, metric.kind, metric.role, metric.higher_is_better, metric.margin, comparisons
            )
        best = bayes.best_of_normals(
            [gap / scale for gap in gaps],
            [sd / scale for sd in sds],
            higher_is_better=metric.higher_is_better,
        )
        chances = dict(zip(names, best.chances, strict=True))
    return MetricResult(
        metric.code, metric.kind, metric.role, metric.higher_is_better, metric.margin, comparisons, chances
    )
