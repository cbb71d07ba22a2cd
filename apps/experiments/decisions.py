"""From results to a verdict: what to do, why, and what would change it. Pure: imports no Django.

The order of the questions is the policy:

1. The split is broken (SRM p < .001: of all units, watched day by day, or within a segment after Holm's
   correction; or units in a variant that should have none): blocked, whatever the effects look like.
2. Every treatment fails a guardrail: roll back, before the minimum run too, because a guardrail's bound is
   always valid. It needs the minimum sample: below it the bound's normal approximation is not to be trusted.
3. Minimum run or minimum sample not reached: too early.
4. A treatment that fails no guardrail is better in the primary metric: ship the best of them. While one of
   its guardrails with a margin is open (the loss that margin allows is not ruled out), keep running until it
   clears, at most through the planned run; after that the estimate decides, and the reason says so.
5. Every treatment is worse, or fails a guardrail: roll back.
6. Every treatment's effect is smaller than what is worth having: keep control.
7. The planned run is over: keep control. Else keep running.

The fixed-horizon and the Bayesian view hold for one look at the planned end: what 4 to 6 conclude before it
is told as "keep running", with the figures and why nothing is decided by them. Without a planned run (a file)
the one look is this one.

"Better", "worse" and "flat" are `Comparison.state`: by the experiment's view and after its correction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from scipy import special

from apps.experiments.comparing import tuning_of, view_bounds
from apps.experiments.results import Comparison, MetricResult, Note, Spec, Srm, Verdict
from apps.experiments.stats import sequential
from apps.experiments.stats.srm import BLOCKED

# From how many times the present units on waiting is no longer a plan.
TOO_FAR = 20.0


def verdict(
    spec: Spec,
    metrics: Sequence[MetricResult],
    srm: Srm,
    units: Mapping[str, int],
    elapsed_days: float | None,
) -> Verdict:
    """Judge an experiment by the policy above. `elapsed_days` None: unknown; the run is not checked then."""
    broken = _broken(srm)
    if broken:
        return Verdict("blocked", "", tuple(broken), (Note("change_srm"),))
    treatments = spec.treatments
    failed = {variant: found for variant in treatments if (found := _guardrails(metrics, variant, "failed"))}
    short = [
        variant
        for variant in spec.shares
        if _wanted(spec, variant) and _units(units, variant) < spec.min_units
    ]
    if treatments and len(failed) == len(treatments) and not short:
        reasons = tuple(note for found in failed.values() for note in found)
        return Verdict("roll_back", treatments[0], reasons, _redesign(metrics, failed))
    early = _too_early(spec, units, short, elapsed_days)
    if early is not None:
        return early
    primary = next((metric for metric in metrics if metric.role == "primary"), None)
    usable = [] if primary is None else [found for found in primary.comparisons if found.state != "no_data"]
    if primary is None or not usable:
        return Verdict("too_early", "", (Note("reason_no_primary"),), ())
    alive = [found for found in usable if found.variant not in failed]
    lost = tuple(note for found in failed.values() for note in found)
    better = sorted((one for one in alive if one.state == "better"), key=lambda one: -_gain(primary, one))
    if better:
        return _held(spec, _won(spec, metrics, primary, better, lost, elapsed_days), elapsed_days)
    if all(found.state == "worse" for found in alive):
        worst = max(usable, key=lambda one: abs(_gain(primary, one)))
        reasons = tuple(_primary_note(spec, primary, one) for one in alive) + lost
        said = Verdict("roll_back", worst.variant, reasons, _redesign([primary], {worst.variant: ()}))
        return _held(spec, said, elapsed_days) if alive else said  # guardrails alone are always valid
    return _held(spec, _undecided(spec, metrics, primary, alive, lost, units, elapsed_days), elapsed_days)


def _held(spec: Spec, said: Verdict, elapsed_days: float | None) -> Verdict:
    """The verdict; before the planned end "keep running" instead, in a view that is for one look."""
    if spec.view == "sequential" or said.action == "keep_running":
        return said
    if spec.planned_days is None or elapsed_days is None or elapsed_days >= spec.planned_days:
        return said
    waits = Note("reason_before_end", {"days": round(elapsed_days, 2), "needed": spec.planned_days})
    more = Note("change_days", {"days": round(spec.planned_days - elapsed_days, 2)})
    return Verdict("keep_running", said.variant, (waits, *said.reasons), (more,))


def strays(srm: Srm) -> dict[str, int]:
    """Units by variant in variants that should have none."""
    return {name: count for name, count in srm.observed.items() if count and not srm.expected.get(name)}


def _broken(srm: Srm) -> list[Note]:
    """What blocks the verdict: the whole split, strays, or the split within segments."""
    notes: list[Note] = []
    if srm.alarm == "blocked":
        p = min((p for p in (srm.p, srm.sequential_p) if p is not None), default=None)
        if p is not None and p < BLOCKED:
            notes.append(Note("reason_srm", {"p": p}))
        notes += [Note("reason_stray", {"variant": name, "count": n}) for name, n in strays(srm).items()]
    return notes or [
        Note("reason_srm_segment", {"segment": one.segment, "p": one.p_adjusted})
        for one in srm.segments
        if one.alarm == "blocked"
    ]


def _won(
    spec: Spec,
    metrics: Sequence[MetricResult],
    primary: MetricResult,
    better: Sequence[Comparison],
    lost: tuple[Note, ...],
    elapsed_days: float | None,
) -> Verdict:
    """Some treatment beats control: ship the best, or wait for its guardrails."""
    over = spec.planned_days is not None and elapsed_days is not None and elapsed_days >= spec.planned_days
    clear = [one for one in better if over or not _guardrails(metrics, one.variant, "open")]
    best = (clear or list(better))[0]
    reasons = [_primary_note(spec, primary, best), *_chance_notes(spec, primary, best)]
    if len(better) > 1:
        reasons.append(Note("reason_best", {"variant": best.variant, "count": len(better)}))
    still_open = _guardrails(metrics, best.variant, "open")
    reasons += still_open
    if not still_open and any(metric.role == "guardrail" for metric in metrics):
        reasons.append(Note("reason_guardrails_hold", {"variant": best.variant}))
    reasons += [*_secondary_notes(spec, metrics, best.variant), *lost]
    back = Note("change_interval_back", {"metric": primary.code, "variant": best.variant})
    if still_open and not (over and _within_margins(metrics, best.variant)):
        waits = tuple(_clears(metric, best.variant) for metric in _open(metrics, best.variant))
        return Verdict("keep_running", best.variant, tuple(reasons), (*waits, back))
    changes = [back]
    if any(metric.role == "guardrail" for metric in metrics):
        changes.append(Note("change_guardrail_fails", {"variant": best.variant}))
    return Verdict("ship", best.variant, tuple(reasons), tuple(changes))


def _undecided(
    spec: Spec,
    metrics: Sequence[MetricResult],
    primary: MetricResult,
    alive: Sequence[Comparison],
    lost: tuple[Note, ...],
    units: Mapping[str, int],
    elapsed_days: float | None,
) -> Verdict:
    """No treatment is better, not all are worse: flat, out of time, or not yet clear."""
    leader = max(alive, key=lambda one: _gain(primary, one))
    reasons = tuple(_primary_note(spec, primary, one) for one in alive) + lost
    if all(found.state in {"flat", "worse"} for found in alive):
        rules_out = Note("change_effect_beyond", {"metric": primary.code, "mde": spec.mde})
        return Verdict("keep_control", leader.variant, reasons, (rules_out,))
    if spec.planned_days is not None and elapsed_days is not None and elapsed_days >= spec.planned_days:
        over = Note("reason_planned_over", {"days": spec.planned_days})
        changes = (*_more(spec, primary, leader, units, elapsed_days), Note("change_larger"))
        return Verdict("keep_control", leader.variant, (over, *reasons), changes)
    changes = _more(spec, primary, leader, units, elapsed_days)
    waits = tuple(_clears(metric, leader.variant) for metric in _open(metrics, leader.variant))
    secondary = tuple(_secondary_notes(spec, metrics, leader.variant))
    return Verdict("keep_running", leader.variant, reasons + secondary, (*changes, *waits))


def _too_early(
    spec: Spec, units: Mapping[str, int], short: Sequence[str], elapsed_days: float | None
) -> Verdict | None:
    """The verdict while the minimum run or sample is not reached."""
    reasons: list[Note] = []
    changes: list[Note] = []
    if elapsed_days is not None and elapsed_days < spec.min_days:
        reasons.append(Note("reason_days", {"days": round(elapsed_days, 2), "needed": spec.min_days}))
        changes.append(Note("change_days", {"days": round(spec.min_days - elapsed_days, 2)}))
    for variant in short:
        has = _units(units, variant)
        reasons.append(Note("reason_units", {"variant": variant, "units": has, "needed": spec.min_units}))
        changes.append(Note("change_units", {"variant": variant, "units": spec.min_units - has}))
    return Verdict("too_early", "", tuple(reasons), tuple(changes)) if reasons else None


def units_needed(
    spec: Spec, variant: str, difference: float, low: float, high: float, units: int
) -> float | None:
    """How many units in all (both arms) the interval needs to leave out 0, if the difference stays.

    low and high: the fixed interval at `units` units; the spread of a unit is read from its width. The
    sequential view asks its own interval, which is wider, as this pair's plan tuned it. None: further
    than TOO_FAR times the present units, or never (no difference).
    """
    se = (high - low) / (2 * float(special.ndtri(1 - spec.alpha / 2)))
    if difference == 0 or units < 2 or not math.isfinite(se):
        return None
    if se == 0:
        return float(units)

    def clear(factor: float) -> bool:
        if spec.view != "sequential":
            return abs(difference) > (high - low) / 2 / math.sqrt(factor)
        total = units * factor
        bounds = sequential.interval(
            difference, se / math.sqrt(factor), round(total), spec.alpha, tuning_of(spec, variant)
        )
        return bounds is not None and (bounds[0] > 0 or bounds[1] < 0)

    if not clear(TOO_FAR):
        return None
    near, far = 1.0, TOO_FAR
    for _ in range(40):  # halving the range on the log scale: to a part in a million
        middle = math.sqrt(near * far)
        near, far = (near, middle) if clear(middle) else (middle, far)
    return units * far


def _more(
    spec: Spec, primary: MetricResult, found: Comparison, units: Mapping[str, int], elapsed_days: float | None
) -> tuple[Note, ...]:
    """How much longer the experiment would have to run at the present effect."""
    if found.difference is None:
        return ()
    now = found.n_control + found.n_treatment
    value = found.relative.value if found.relative else None
    told = {"metric": primary.code, "variant": found.variant, "value": value}
    effect = found.difference
    needed = units_needed(spec, found.variant, effect.difference, effect.low, effect.high, now)
    if needed is None:
        return (Note("change_too_far", {**told, "units": round(now * (TOO_FAR - 1))}),)
    more = max(1, math.ceil(needed - now))
    if not elapsed_days:
        return (Note("change_more_units", {**told, "units": more}),)
    days = max(0.1, round(elapsed_days * more / now, 1))
    everyone = math.ceil(more * max(1.0, sum(units.values()) / now))
    return (Note("change_more", {**told, "units": everyone, "days": days}),)


def _guardrails(metrics: Sequence[MetricResult], variant: str, state: str) -> list[Note]:
    """The guardrails of one treatment in a state, as reasons. Open ones count only with a margin."""
    notes = []
    for metric in metrics:
        found = metric.comparison(variant)
        if metric.role != "guardrail" or found is None or found.guardrail is None:
            continue
        guard = found.guardrail
        if guard.state == state and (state == "failed" or guard.margin > 0):
            params = {
                "metric": metric.code,
                "variant": variant,
                "margin": guard.margin,
                "low": guard.low,
                "high": guard.high,
            }
            notes.append(
                Note("reason_guardrail_failed" if state == "failed" else "reason_guardrail_open", params)
            )
    return notes


def _open(metrics: Sequence[MetricResult], variant: str) -> list[MetricResult]:
    names = {note.params["metric"] for note in _guardrails(metrics, variant, "open")}
    return [metric for metric in metrics if metric.role == "guardrail" and metric.code in names]


def _within_margins(metrics: Sequence[MetricResult], variant: str) -> bool:
    """Whether the estimates of the open guardrails lie within their margins."""
    for metric in _open(metrics, variant):
        found = metric.comparison(variant)
        if found is None or found.guardrail is None or found.relative is None:
            return False
        if _gain(metric, found) < -found.guardrail.margin:
            return False
    return True


def _clears(metric: MetricResult, variant: str) -> Note:
    return Note("change_guardrail", {"metric": metric.code, "variant": variant, "margin": metric.margin})


def _redesign(metrics: Sequence[MetricResult], failed: Mapping[str, object]) -> tuple[Note, ...]:
    """What a rolled back treatment must mend: the failed guardrails, or the primary metric."""
    codes = [
        metric.code
        for metric in metrics
        for found in metric.comparisons
        if found.variant in failed and (metric.role == "primary" or _failed(found)) and _costs(found)
    ]
    return tuple(Note("change_redesign", {"metric": code}) for code in dict.fromkeys(codes))


def _failed(found: Comparison) -> bool:
    return found.guardrail is not None and found.guardrail.state == "failed"


def _costs(found: Comparison) -> bool:
    return found.state == "worse" or _failed(found)


def _primary_note(spec: Spec, primary: MetricResult, found: Comparison) -> Note:
    low, high = view_bounds(spec, found)
    told = {
        "metric": primary.code,
        "variant": found.variant,
        "value": found.relative.value if found.relative else None,
        "low": low,
        "high": high,
    }
    if found.state == "better":
        return Note("reason_primary_better", told)
    if found.state == "worse":
        return Note("reason_primary_worse", told)
    if found.state == "flat":
        return Note("reason_primary_flat", {**told, "mde": spec.mde})
    return Note("reason_primary_unclear", told)


def _chance_notes(spec: Spec, primary: MetricResult, found: Comparison) -> list[Note]:
    """In the Bayesian view, the chance that decided."""
    if spec.view != "bayes" or found.bayes is None:
        return []
    told = {"metric": primary.code, "variant": found.variant, "share": found.bayes.chance_to_win}
    return [Note("reason_chance", told)]


def _secondary_notes(spec: Spec, metrics: Sequence[MetricResult], variant: str) -> list[Note]:
    notes = []
    for metric in metrics:
        found = metric.comparison(variant)
        if metric.role != "secondary" or found is None or found.state not in {"better", "worse"}:
            continue
        low, high = view_bounds(spec, found)
        told = {
            "metric": metric.code,
            "variant": variant,
            "value": found.relative.value if found.relative else None,
            "low": low,
            "high": high,
        }
        code = "reason_secondary_better" if found.state == "better" else "reason_secondary_worse"
        notes.append(Note(code, told))
    return notes


def _gain(metric: MetricResult, found: Comparison) -> float:
    """The change in the sense of the metric: above 0 is good."""
    change = (
        found.relative.value if found.relative else found.difference.difference if found.difference else 0.0
    )
    return change if metric.higher_is_better else -change


def _wanted(spec: Spec, variant: str) -> bool:
    """Whether the variant should get units: one with a share of 0 is switched off."""
    return spec.shares[variant] > 0


def _units(units: Mapping[str, int], variant: str) -> int:
    return int(units.get(variant, 0))
