"""An analysis as the results pages show it: rows of figures in words, the verdict, the chart of effects.

The experiment's page and "Analyse a file" share it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from apps.experiments.results import Analysis, Comparison, MetricResult, Note
from apps.portal import formats
from apps.portal.charts.chart import Chart
from apps.portal.charts.experiment_effects import EffectLine, effects_chart
from apps.portal.words.experiments import (
    Names,
    Told,
    guardrail_words,
    note_words,
    p_value,
    percent_short,
    role_words,
    state_words,
    verdict_meaning,
    verdict_words,
)

VIEWS = ("sequential", "fixed", "bayes")
ROLES = ("primary", "secondary", "guardrail")
# What CUPED took is told from this share of the variance on.
CUT_AT_LEAST = 0.01
Range = tuple[float | None, float | None]
Said = Callable[[float | None], str]


@dataclass(frozen=True)
class Faces:
    """How figures are shown. kinds: metric to percent, money or decimal; currency: of money."""

    names: Names
    kinds: Mapping[str, str] = field(default_factory=dict)
    explained: Mapping[str, str] = field(default_factory=dict)
    currency: str = ""

    def amount(self, metric: str, value: float | None) -> str:
        """A value of the metric."""
        match self.kinds.get(metric):
            case "percent":
                return formats.percent(value, 2)
            case "money":
                return formats.money(value, self.currency)
        return formats.number(value, _digits(value))

    def difference(self, metric: str, value: float | None) -> str:
        """A difference with its sign; of rates in percentage points."""
        if value is None:
            return formats.NO_DATA
        sign = "+" if value > 0 else "−" if value < 0 else "±"
        if self.kinds.get(metric) == "percent":
            return sign + _("%(n)s pp") % {"n": formats.number(100 * abs(value), 2)}
        return sign + self.amount(metric, abs(value))


def _digits(value: float | None) -> int:
    return 0 if value is None or abs(value) >= 1000 else 2 if abs(value) >= 10 else 4


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison in the table."""

    metric: str
    label: str
    explained: str
    variant: str
    n_control: int
    n_treatment: int
    control: str
    treatment: str
    difference: str
    difference_range: str
    relative: str
    relative_range: str
    p: str
    chance: str
    loss: str
    cut: str
    plain: str
    state: Told
    guardrail: Told | None
    margin: str
    bounds: str
    remarks: list[str]


@dataclass(frozen=True, slots=True)
class Group:
    """The metrics of one role."""

    role: str
    title: str
    rows: list[Row]


@dataclass(frozen=True, slots=True)
class VerdictShown:
    """The verdict as it stands on top of the page."""

    told: Told
    meaning: str
    reasons: list[str]
    would_change: list[str]


def verdict_shown(analysis: Analysis, faces: Faces) -> VerdictShown:
    """What to do, why, and what would change it."""
    verdict = analysis.verdict
    return VerdictShown(
        told=verdict_words(verdict.action, faces.names.variant(verdict.variant)),
        meaning=verdict_meaning(verdict.action),
        reasons=told_notes(verdict.reasons, faces),
        would_change=told_notes(verdict.would_change, faces),
    )


def told_notes(notes: Sequence[Note], faces: Faces) -> list[str]:
    """Remarks in words, each once."""
    return list(dict.fromkeys(note_words(note, faces.names) for note in notes))


def view_of(asked: str, analysis: Analysis) -> str:
    """The way of looking that a query names, else the experiment's own."""
    return asked if asked in VIEWS else analysis.view


def groups_of(metrics: Sequence[MetricResult], faces: Faces, view: str) -> list[Group]:
    """The table's rows by role, primary first."""
    found = []
    for role in ROLES:
        rows = [
            _row(metric, comparison, faces, view)
            for metric in metrics
            if metric.role == role
            for comparison in metric.comparisons
        ]
        if rows:
            found.append(Group(role, role_words(role), rows))
    return found


def _row(metric: MetricResult, one: Comparison, faces: Faces, view: str) -> Row:
    relative, relative_range = _relative(one, view)
    guard = one.guardrail
    return Row(
        metric=metric.code,
        label=faces.names.metric(metric.code),
        explained=faces.explained.get(metric.code, ""),
        variant=faces.names.variant(one.variant),
        n_control=one.n_control,
        n_treatment=one.n_treatment,
        control=faces.amount(metric.code, one.control),
        treatment=faces.amount(metric.code, one.treatment),
        difference=faces.difference(metric.code, one.difference.difference if one.difference else None),
        difference_range=_range_words(
            _difference_range(one, view), lambda value: faces.difference(metric.code, value)
        ),
        relative=formats.change(relative),
        relative_range=_range_words(relative_range, formats.change),
        p=p_value(_p(one, view)),
        chance=chance_words(one.bayes.chance_to_win) if one.bayes else formats.NO_DATA,
        loss=percent_short(one.bayes.expected_loss) if one.bayes else formats.NO_DATA,
        cut=formats.percent(one.variance_cut, 0) if _cut(one) else "",
        plain=_plain(one, view),
        state=state_words(one.state),
        guardrail=guardrail_words(guard.state) if guard else None,
        margin=percent_short(metric.margin) if metric.margin is not None else "",
        bounds=_range_words((guard.low, guard.high), formats.change) if guard else "",
        remarks=told_notes(one.warnings, faces),
    )


def _cut(one: Comparison) -> bool:
    """Whether CUPED took enough of the variance to speak of."""
    return one.cuped and one.variance_cut is not None and one.variance_cut >= CUT_AT_LEAST


def _plain(one: Comparison, view: str) -> str:
    """The relative change as it was before CUPED, with the interval of the view."""
    plain = one.unadjusted
    if plain is None or plain.relative is None or view == "bayes" or not _cut(one):
        return ""
    ends: Range = (plain.relative.low, plain.relative.high)
    if view == "sequential" and plain.sequential is not None:
        ends = (plain.sequential.relative_low, plain.sequential.relative_high)
    words = _range_words(ends, formats.change)
    return formats.change(plain.relative.value) + (f" ({words})" if words else "")


def chance_words(chance: float) -> str:
    """A chance; never told as certain."""
    if chance > 0.999:
        return f"> {formats.percent(0.999, 1)}"
    if chance < 0.001:
        return f"< {formats.percent(0.001, 1)}"
    return formats.percent(chance, 1)


def _p(one: Comparison, view: str) -> float | None:
    if view == "sequential":
        return one.sequential.p if one.sequential else None
    return one.difference.p if one.difference and view == "fixed" else None


def _relative(one: Comparison, view: str) -> tuple[float | None, Range]:
    """The relative change with the interval of the view."""
    value = one.relative.value if one.relative else None
    if view == "sequential":
        found = one.sequential
        return value, (found.relative_low, found.relative_high) if found else (None, None)
    if view == "bayes":
        return value, (one.bayes.low, one.bayes.high) if one.bayes else (None, None)
    return value, (one.relative.low, one.relative.high) if one.relative else (None, None)


def _difference_range(one: Comparison, view: str) -> Range:
    if view == "sequential" and one.sequential:
        return one.sequential.low, one.sequential.high
    if view == "fixed" and one.difference:
        return one.difference.low, one.difference.high
    return None, None


def _range_words(ends: Range, said: Said) -> str:
    low, high = ends
    if low is None or high is None:
        return ""
    return _("%(low)s to %(high)s") % {"low": said(low), "high": said(high)}


def effect_lines(metrics: Sequence[MetricResult], faces: Faces, view: str) -> list[EffectLine]:
    """What the chart of effects draws."""
    lines = []
    for role in ROLES:
        for metric in metrics:
            for one in metric.comparisons if metric.role == role else ():
                value, (low, high) = _relative(one, view)
                lines.append(
                    EffectLine(
                        metric=faces.names.metric(metric.code),
                        variant=faces.names.variant(one.variant),
                        role=role,
                        value=value,
                        low=low,
                        high=high,
                        state=one.state,
                        higher_is_better=metric.higher_is_better,
                        margin=metric.margin if role == "guardrail" else None,
                    )
                )
    return lines


def effects_drawn(analysis: Analysis, faces: Faces, view: str) -> Chart:
    """The chart of effects of all metrics."""
    return effects_chart(
        key="effects",
        title=_("Change against %(control)s") % {"control": faces.names.variant(analysis.control)},
        lines=effect_lines(analysis.metrics, faces, view),
        sentence=effects_sentence(analysis, view),
    )


def effects_sentence(analysis: Analysis, view: str) -> str:
    """What the lines of the chart are."""
    level = percent_short(1 - analysis.alpha)
    parts = {
        "sequential": _("Relative change with its %(level)s always-valid interval."),
        "fixed": _("Relative change with its %(level)s interval for a single look."),
        "bayes": _("Relative change with its %(level)s credible interval."),
    }
    said = parts[view] % {"level": level}
    if any(metric.role == "guardrail" and metric.margin for metric in analysis.metrics):
        said += " " + _("A dotted mark shows the loss a guardrail still accepts.")
    if view != analysis.view:
        said += " " + _("Colours follow the view the experiment is judged by, not this one.")
    return said
