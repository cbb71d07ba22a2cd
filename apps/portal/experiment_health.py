"""Whether an experiment's numbers can be trusted: shares, bias, exclusions, who came in by day."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.experiments.results import Analysis, SegmentSrm
from apps.experiments.tables import units_by_day
from apps.portal import formats
from apps.portal.charts.chart import Chart
from apps.portal.charts.experiment_days import units_by_day as units_chart
from apps.portal.experiment_results import Faces
from apps.portal.words.experiments import (
    Told,
    alarm_words,
    excluded_words,
    p_value,
    percent_short,
    segment_words,
)

MULTIPLE_SHARE = 0.01
"""From this share of units with more than one variant on it is more than devices that are shared."""


@dataclass(frozen=True, slots=True)
class ShareRow:
    """A variant's units beside those it should have."""

    variant: str
    observed: int
    share: float | None
    expected_share: float
    expected: float


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """The same check within one segment."""

    segment: str
    counts: str
    p: str
    p_adjusted: str
    told: Told


@dataclass(frozen=True, slots=True)
class SrmShown:
    """The check of the shares in words and figures."""

    told: Told
    sentence: str
    rows: list[ShareRow]
    segments: list[SegmentRow]


@dataclass(frozen=True, slots=True)
class Check:
    """One further check: its badge and a sentence."""

    title: str
    told: Told
    sentence: str


def srm_shown(analysis: Analysis, faces: Faces) -> SrmShown:
    """The split beside the planned one."""
    srm = analysis.srm
    total = sum(srm.observed.values())
    whole = sum(srm.expected.values()) or 1.0
    rows = [
        ShareRow(
            variant=faces.names.variant(variant),
            observed=srm.observed.get(variant, 0),
            share=srm.observed.get(variant, 0) / total if total else None,
            expected_share=share / whole,
            expected=total * share / whole,
        )
        for variant, share in sorted(srm.expected.items(), key=lambda one: one[0] != analysis.control)
    ]
    told = alarm_words(srm.alarm) if srm.p is not None else _unknown()
    segments = [_segment(one, faces, analysis.control) for one in srm.segments]
    return SrmShown(told, _srm_sentence(analysis), rows, segments)


def _unknown() -> Told:
    return Told("unknown", _("Too few to say"), "", "hourglass_empty")


def _srm_sentence(analysis: Analysis) -> str:
    srm = analysis.srm
    if srm.p is None:
        return _("There are too few shoppers yet to check the split.")
    said = {
        "none": _("The split is as planned (p = %(p)s)."),
        "warning": _("The split looks unlikely (p = %(p)s). Find out why before you decide."),
        "blocked": _("The split is broken (p = %(p)s). The results can't be trusted."),
    }
    words = said[srm.alarm] % {"p": p_value(srm.p)}
    if srm.sequential_p is None:
        return words
    watched = _("Watched from the start, which may be looked at every day: p = %(p)s.")
    return f"{words} {watched % {'p': p_value(srm.sequential_p)}}"


def _segment(one: SegmentSrm, faces: Faces, control: str) -> SegmentRow:
    counts = _(", ").join(
        f"{faces.names.variant(variant)} {formats.number(count)}"
        for variant, count in sorted(one.observed.items(), key=lambda pair: pair[0] != control)
    )
    told = alarm_words(one.alarm)
    return SegmentRow(segment_words(one.segment), counts, p_value(one.p), p_value(one.p_adjusted), told)


def checks_of(analysis: Analysis, faces: Faces) -> list[Check]:
    """Several variants seen, differences from before, who was left out."""
    return [_multiple(analysis), _bias(analysis, faces), _excluded(analysis)]


def _multiple(analysis: Analysis) -> Check:
    title = _("Shoppers who saw several variants")
    share = analysis.multiple_exposed
    if share is None:
        return Check(title, _not_checked(), _("The data do not say who saw what more than once."))
    if not share:
        told = Told("low", _("In order"), "good", "check_circle")
        return Check(title, told, _("Nobody saw more than one variant."))
    words = _("%(share)s saw more than one variant, for instance on two devices. They are left out.")
    told = (
        Told("high", _("Look into it"), "warn", "warning")
        if share > MULTIPLE_SHARE
        else Told("low", _("In order"), "good", "check_circle")
    )
    return Check(title, told, words % {"share": formats.percent(share, 2)})


def _not_checked() -> Told:
    return Told("none", _("Not checked"), "", "remove")


def _bias(analysis: Analysis, faces: Faces) -> Check:
    title = _("Differences from before the experiment")
    found = analysis.pre_exposure
    if not found:
        return Check(title, _not_checked(), _("There are no figures from before the shoppers came in."))
    bad = [one for one in found if one.alarm]
    if not bad:
        told = Told("none", _("In order"), "good", "check_circle")
        words = _("Before they came in, the variants' shoppers were alike (comparisons: %(n)s).")
        return Check(title, told, words % {"n": formats.number(len(found))})
    said = _(", ").join(
        _("%(metric)s with %(variant)s: %(value)s (p = %(p)s)")
        % {
            "metric": faces.names.metric(one.metric),
            "variant": faces.names.variant(one.variant),
            "value": formats.change(one.relative),
            "p": p_value(one.p),
        }
        for one in bad
    )
    words = _("They differed before they saw anything: %(found)s. Part of the effect may be older.")
    return Check(title, Told("bias", _("Look into it"), "warn", "warning"), words % {"found": said})


def _excluded(analysis: Analysis) -> Check:
    title = _("Left out")
    counts = {reason: count for reason, count in analysis.excluded.items() if count}
    if not counts:
        return Check(title, Told("none", _("Nobody"), "good", "check_circle"), _("Every shopper counts."))
    total = sum(counts.values())
    said = _(", ").join(
        _("%(reason)s: %(count)s") % {"reason": excluded_words(reason), "count": formats.number(count)}
        for reason, count in counts.items()
    )
    units = sum(analysis.units.values()) + total
    told = Told("some", formats.percent(total / units, 2) if units else formats.NO_DATA, "", "filter_alt")
    return Check(title, told, said + _("."))


def exposures_chart(analysis: Analysis, faces: Faces) -> Chart:
    """New shoppers by day and variant."""
    days = units_by_day(analysis)
    found: dict[str, list[tuple[int, int]]] = {}
    before: Mapping[str, int] = {}
    for day, units in days:
        for variant, count in units.items():
            new = count - before.get(variant, 0)
            found.setdefault(faces.names.variant(variant), []).append((round(day), new))
        before = units
    return units_chart(
        key="exposures",
        title=_("New shoppers by day"),
        unit=_("New shoppers"),
        sentence=_(
            "Shoppers who met the experiment for the first time, by variant. Bars of a day should stand in "
            "the planned shares; after the first days fewer are new."
        ),
        units=found,
    )


def level_words(analysis: Analysis) -> str:
    """The confidence level of the intervals."""
    return percent_short(1 - analysis.alpha)
