"""An experiment's metric by day, and by segment, as charts and words."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.experiments.results import Analysis, DayEffect, MetricResult
from apps.portal import formats
from apps.portal.charts.chart import Chart
from apps.portal.charts.experiment_days import DayEffect as Drawn
from apps.portal.charts.experiment_days import effect_by_day
from apps.portal.charts.experiment_effects import EffectLine, effects_chart
from apps.portal.experiment_health import level_words
from apps.portal.experiment_results import Faces, Group, effect_lines, groups_of, told_notes
from apps.portal.words.experiments import (
    correction_words,
    dimension_words,
    p_value,
    segment_words,
    view_words,
)

NOVELTY = frozenset({"novelty_fading", "novelty_growing"})


def metric_chosen(asked: str, analysis: Analysis) -> MetricResult | None:
    """The metric a query names, else the primary one, else the first."""
    return analysis.metric(asked) or analysis.primary or next(iter(analysis.metrics), None)


def day_charts(analysis: Analysis, metric: MetricResult, faces: Faces, view: str) -> list[Chart]:
    """The effect so far with its band, and the effect of each day by itself."""
    days = analysis.days.get(metric.code, ())
    name = {"metric": faces.names.metric(metric.code)}
    level = {"level": level_words(analysis)}
    fixed = view == "fixed"
    return [
        effect_by_day(
            key="so-far",
            title=_("%(metric)s: change so far") % name,
            sentence=(
                _(
                    "Relative change with everything through that day. The band is the %(level)s "
                    "interval for a single look."
                )
                if fixed
                else _(
                    "Relative change with everything through that day. The band is the %(level)s "
                    "always-valid interval: it narrows as shoppers come in, and may be read on any day."
                )
            )
            % level,
            interval=view_words("fixed" if fixed else "sequential"),
            effects=_by_variant(days, faces, "fixed" if fixed else "sequential"),
        ),
        effect_by_day(
            key="by-day",
            title=_("%(metric)s: each day by itself") % name,
            sentence=_(
                "Relative change on each single day. A slope down means that novelty wears off, a slope up "
                "that shoppers are still learning; single days jump about by chance."
            ),
            interval=level["level"],
            effects=_by_variant(days, faces, "daily"),
            whiskers=True,
        ),
    ]


def _by_variant(days: Sequence[DayEffect], faces: Faces, what: str) -> dict[str, list[Drawn]]:
    found: dict[str, list[Drawn]] = {}
    for one in days:
        ends = {
            "fixed": (one.value, one.low, one.high),
            "sequential": (one.value, one.sequential_low, one.sequential_high),
            "daily": (one.daily, one.daily_low, one.daily_high),
        }[what]
        day = int(one.day) if one.day == int(one.day) else one.day
        drawn = Drawn(day, *ends, one.n_control + one.n_treatment)
        found.setdefault(faces.names.variant(one.variant), []).append(drawn)
    return found


def novelty_words(metric: MetricResult, faces: Faces) -> list[str]:
    """Whether the daily effects fade or grow, for each variant that does."""
    notes = [note for one in metric.comparisons for note in one.warnings if note.code in NOVELTY]
    return told_notes(notes, faces)


@dataclass(frozen=True)
class SegmentsShown:
    """One metric within each segment."""

    chart: Chart
    groups: list[Group]
    multiplicity: str
    interactions: list[str]


def segments_shown(analysis: Analysis, code: str, faces: Faces, view: str) -> SegmentsShown:
    """A metric by segment: chart, table and how many chances there were to find something."""
    groups, lines = [], []
    for segment, metrics in sorted(analysis.segments.items(), key=_segment_order):
        mine = [metric for metric in metrics if metric.code == code]
        words = segment_words(segment)
        groups += [Group(segment, words, group.rows) for group in groups_of(mine, faces, view)]
        lines += [_renamed(line, words) for line in effect_lines(mine, faces, view)]
    chart = effects_chart(
        key="segments",
        title=_("%(metric)s by segment") % {"metric": faces.names.metric(code)},
        lines=lines,
        sentence=_("Relative change within each segment with its %(level)s interval (%(view)s).")
        % {"level": level_words(analysis), "view": view_words(view)},
    )
    return SegmentsShown(
        chart, groups, multiplicity_words(analysis, code), interaction_words(analysis, code, faces)
    )


def _segment_order(one: tuple[str, Sequence[MetricResult]]) -> tuple[str, bool, int, str]:
    """Dimension by dimension, the largest segment first, those without a name last. JSON keeps no order."""
    dimension, _colon, value = one[0].partition(":")
    units = max(
        (each.n_control + each.n_treatment for metric in one[1] for each in metric.comparisons), default=0
    )
    return dimension, value in ("", "unknown", "other"), -units, value


def _renamed(line: EffectLine, segment: str) -> EffectLine:
    return EffectLine(
        segment, line.variant, line.role, line.value, line.low, line.high, line.state, line.higher_is_better
    )


def multiplicity_words(analysis: Analysis, code: str) -> str:
    """How many comparisons of a metric there are over the segments, and what was done about it."""
    size = sum(
        len(metric.comparisons)
        for metrics in analysis.segments.values()
        for metric in metrics
        if metric.code == code
    )
    many = ngettext(
        "There is %(n)s comparison here. Without a correction %(false)s would look clear by chance alone.",
        "There are %(n)s comparisons here. Without a correction %(false)s would look clear by chance alone.",
        size,
    ) % {"n": formats.number(size), "false": formats.number(size * analysis.alpha, 1)}
    if analysis.correction == "none":
        return many + " " + _("No correction was chosen: take single finds as ideas for the next experiment.")
    told = _("What counts as better or worse is corrected for all of them together (%(name)s).")
    return many + " " + told % {"name": correction_words(analysis.correction)}


def interaction_words(analysis: Analysis, code: str, faces: Faces) -> list[str]:
    """Whether the effect truly differs between the segments of a dimension."""
    lines = []
    for one in analysis.interactions:
        if one.metric != code:
            continue
        facts = {
            "dimension": dimension_words(one.dimension),
            "variant": faces.names.variant(one.variant),
            "p": p_value(one.p_adjusted),
        }
        clear = one.p_adjusted < analysis.alpha
        words = (
            _("%(dimension)s: the effect of %(variant)s differs between the segments (corrected p = %(p)s).")
            if clear
            else _(
                "%(dimension)s: no sign that the effect of %(variant)s differs between the segments "
                "(corrected p = %(p)s)."
            )
        )
        lines.append(words % facts)
    return lines
