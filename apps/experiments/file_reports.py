"""What the analysis of a file says to programs (JSON) and to people (text). Pure: imports no Django.

The JSON has `srm`, `metrics`, `verdict` and `warnings`, and beside them what more there is to know. A
metric's keys are those of the variant the verdict speaks of (`variant`, or else the first treatment); `arms`
has the same of every treatment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from apps.experiments.results import Analysis, Comparison, MetricResult, Note, as_json, note_text
from apps.experiments.stats.srm import worst
from apps.experiments.unit_files import FileAnalysis, FileSummary

SEQUENTIAL = ("low", "high", "p", "relative_low", "relative_high")
BAYES = ("chance_to_win", "expected_loss", "low", "high")
SEVERITY = ("none", "warning", "blocked")


def report_json(done: FileAnalysis, *, path: bool = False) -> dict[str, Any]:
    """One analysis as JSON values, NaN nowhere. path: with the effects through time."""
    analysis = done.analysis
    variant = variant_told(analysis)
    srm = analysis.srm
    report: dict[str, Any] = {
        "srm": {
            "p": srm.p,
            "alarm": worst((srm.alarm, *(one.alarm for one in srm.segments))),
            "sequential_p": srm.sequential_p,
            "observed": srm.observed,
            "expected": srm.expected,
            "segments": srm.segments,
        },
        "metrics": {
            metric.code: _metric(analysis, metric, variant, done.summary) for metric in analysis.metrics
        },
        "verdict": analysis.verdict.action,
        "warnings": warnings_of(analysis),
        "variant": analysis.verdict.variant,
        "reasons": texts(analysis.verdict.reasons),
        "would_change": texts(analysis.verdict.would_change),
        "control": analysis.control,
        "units": analysis.units,
        "excluded": analysis.excluded,
        "multiple_exposure": {
            "units": analysis.excluded.get("multiple_exposure", 0),
            "share": analysis.multiple_exposed,
        },
        "days": analysis.elapsed_days,
        "alpha": analysis.alpha,
        "view": analysis.view,
        "correction": analysis.correction,
        "families": analysis.families,
        "pre_exposure": analysis.pre_exposure,
        "interactions": analysis.interactions,
        "segments": {
            name: {metric.code: _segment(metric) for metric in metrics}
            for name, metrics in analysis.segments.items()
        },
        "codes": list(dict.fromkeys(note.code for note in _notes(analysis))),
    }
    if path:
        report["path"] = analysis.days
    return cast(dict[str, Any], as_json(report))


def reports_json(done: Mapping[str, FileAnalysis], *, path: bool = False) -> dict[str, Any]:
    """The report of the one experiment; of several, one each and the worst alarm above."""
    reports = {name: report_json(one, path=path) for name, one in done.items()}
    if len(reports) == 1:
        return next(iter(reports.values()))
    alarm = max((one["srm"]["alarm"] for one in reports.values()), key=SEVERITY.index, default="none")
    return {
        "srm": {"p": None, "alarm": alarm},
        "metrics": {},
        "verdict": None,
        "warnings": [
            f"The file holds {len(reports)} experiments: each has its own result under experiments."
        ],
        "experiments": reports,
    }


def variant_told(analysis: Analysis) -> str:
    """The treatment a short report is about: the verdict's, or else the first."""
    variants = [one.variant for metric in analysis.metrics for one in metric.comparisons]
    return (
        analysis.verdict.variant if analysis.verdict.variant in variants else variants[0] if variants else ""
    )


def warnings_of(analysis: Analysis) -> list[str]:
    """All remarks, those on single comparisons too, in words and each once."""
    return texts(_notes(analysis))


def texts(notes: Iterable[Note]) -> list[str]:
    """Notes in words, each once."""
    return list(dict.fromkeys(note_text(note) for note in notes))


def _notes(analysis: Analysis) -> list[Note]:
    return [
        *analysis.warnings,
        *(note for metric in analysis.metrics for one in metric.comparisons for note in one.warnings),
    ]


def _metric(analysis: Analysis, metric: MetricResult, variant: str, summary: FileSummary) -> dict[str, Any]:
    arms = {one.variant: _comparison(analysis, metric, one) for one in metric.comparisons}
    return {
        **arms[variant],
        "kind": metric.kind,
        "role": metric.role,
        "higher_is_better": metric.higher_is_better,
        "winsorised": summary.winsorised.get(metric.code),
        "chance_to_be_best": metric.best,
        **({"arms": arms} if len(arms) > 1 else {}),
    }


def _comparison(analysis: Analysis, metric: MetricResult, one: Comparison) -> dict[str, Any]:
    difference = one.difference
    gap = None if one.control is None or one.treatment is None else one.treatment - one.control
    share = gap / abs(one.control) if gap is not None and one.control else None
    return {
        "variant": one.variant,
        "n_control": one.n_control,
        "n_treatment": one.n_treatment,
        "control": one.control,
        "treatment": one.treatment,
        "difference": difference.difference if difference else gap,
        "interval": [difference.low, difference.high] if difference else None,
        "relative": one.relative.value if one.relative else share,
        "relative_interval": [one.relative.low, one.relative.high] if one.relative else None,
        "p": difference.p if difference else None,
        "p_adjusted": one.p_adjusted,
        "state": one.state,
        "sequential": {
            **{name: getattr(one.sequential, name, None) for name in SEQUENTIAL},
            "first_clear_day": _first_clear(analysis, metric, one.variant),
        },
        "bayes": {name: getattr(one.bayes, name, None) for name in BAYES},
        "cuped": one.cuped,
        "variance_cut": one.variance_cut,
        "unadjusted": one.unadjusted,
        "stratified": one.stratified,
        "guardrail": one.guardrail,
        "warnings": texts(one.warnings),
    }


def _first_clear(analysis: Analysis, metric: MetricResult, variant: str) -> float | None:
    """The first day on which the sequential interval left out 0."""
    path = [one for one in analysis.days.get(metric.code, ()) if one.variant == variant]
    clear = [one.day for one in path if one.sequential_p is not None and one.sequential_p < analysis.alpha]
    return clear[0] if clear else None


def _segment(metric: MetricResult) -> dict[str, Any]:
    """A segment's comparisons in short, by variant."""
    return {
        one.variant: {
            "control": one.control,
            "treatment": one.treatment,
            "n_control": one.n_control,
            "n_treatment": one.n_treatment,
            "relative": one.relative.value if one.relative else None,
            "p": one.difference.p if one.difference else None,
            "p_adjusted": one.p_adjusted,
            "state": one.state,
        }
        for one in metric.comparisons
    }


# --- for people ----


def report_text(name: str, done: FileAnalysis) -> list[str]:
    """The report as lines of plain text."""
    analysis = done.analysis
    lines = [f"Experiment {name}"] if name else []
    units = ", ".join(f"{variant} {count:,}" for variant, count in analysis.units.items())
    p = "none" if analysis.srm.p is None else f"{analysis.srm.p:.4g}"
    lines += [f"Units: {units}. Sample ratio: p = {p} ({analysis.srm.alarm}).", ""]
    for metric in analysis.metrics:
        lines += [_line(metric, one) for one in metric.comparisons]
    verdict = analysis.verdict
    lines += ["", f"Verdict: {verdict.action.replace('_', ' ')} {verdict.variant}".rstrip()]
    lines += [f"  {text}" for text in texts(verdict.reasons)]
    for title, found in (
        ("What would change our mind", texts(verdict.would_change)),
        ("Remarks", warnings_of(analysis)),
    ):
        if found:
            lines += ["", title, *(f"  {text}" for text in found)]
    return lines


def _line(metric: MetricResult, one: Comparison) -> str:
    told = f"{metric.code} ({metric.role}), {one.variant}: {_number(one.control)} to {_number(one.treatment)}"
    if one.relative and one.difference:
        told += f", {one.relative.value:+.2%} ({one.relative.low:+.2%} to {one.relative.high:+.2%})"
        told += f", p = {one.difference.p:.3g}"
    if (
        one.sequential
        and one.sequential.relative_low is not None
        and one.sequential.relative_high is not None
    ):
        told += f"; at every look {one.sequential.relative_low:+.2%} to {one.sequential.relative_high:+.2%}"
    if one.bayes:
        told += f"; chance to win {one.bayes.chance_to_win:.1%}"
    return f"{told}: {one.state.replace('_', ' ')}"


def _number(value: float | None) -> str:
    return "nothing" if value is None else f"{value:.6g}"
