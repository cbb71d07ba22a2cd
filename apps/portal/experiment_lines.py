"""The experiments as their list shows them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Prefetch, QuerySet
from django.utils.translation import gettext as _

from apps.core import clock
from apps.experiments.models import Experiment, ExperimentStatus, Readout, Variant
from apps.merchandising.models import Placement
from apps.portal import formats
from apps.portal.templatetags.spoken import spoken
from apps.portal.words.experiments import Told, alarm_words, kind_words, status_words, verdict_words

DECISIONS = {
    "ship": ("good", "rocket_launch"),
    "roll_back": ("bad", "undo"),
    "keep_control": ("", "shield"),
}
STATES = ("running", "paused", "draft", "ended")


@dataclass(frozen=True, slots=True)
class ExperimentLine:
    """One experiment in the list. light: None before there is a readout; units: of all variants."""

    experiment: Experiment
    state: Told
    kind: str
    where: str
    verdict: Told | None
    light: Told | None
    units: int | None
    days: str
    problem: str


def experiments_found(*, state: str = "", placement: str = "") -> QuerySet[Experiment]:
    """The experiments, the running ones first, then drafts, then those that are over."""
    rows = Experiment.objects.select_related("readout").prefetch_related(
        Prefetch("placements", Placement.objects.order_by("id")), Prefetch("variants", Variant.objects.all())
    )
    if state in STATES:
        rows = rows.filter(status=state)
    if placement:
        rows = rows.filter(placements__code=placement)
    return rows


def experiment_lines(rows: QuerySet[Experiment]) -> list[ExperimentLine]:
    """The lines, in the order of what asks for attention first."""
    order = {state: place for place, state in enumerate(STATES)}
    return [
        _line(one) for one in sorted(rows, key=lambda one: (order[one.status], -one.created_at.timestamp()))
    ]


def _line(one: Experiment) -> ExperimentLine:
    readout: Readout | None = getattr(one, "readout", None)
    analysis: Mapping[str, Any] = (readout.analysis if readout else None) or {}
    names = {variant.code: variant.name for variant in one.variants.all()}
    srm = analysis.get("srm") or {}
    return ExperimentLine(
        experiment=one,
        state=status_words(one.status),
        kind=kind_words(one.kind),
        where=_(", ").join(spoken(place.name) for place in one.placements.all()) or where_else(one),
        verdict=_verdict(one, analysis, names),
        light=alarm_words(srm["alarm"]) if srm and one.status != ExperimentStatus.DRAFT else None,
        units=readout.units if readout else None,
        days=days_words(one),
        problem=readout.error if readout else "",
    )


def where_else(one: Experiment) -> str:
    """Where an experiment without placements happens."""
    return _("Whole shop") if one.kind in ("holdout",) else _("The storefront itself")


def _verdict(one: Experiment, analysis: Mapping[str, Any], names: Mapping[str, str]) -> Told | None:
    if one.decision:
        return decided(one, names)
    verdict = analysis.get("verdict")
    if not verdict or one.status == ExperimentStatus.DRAFT:
        return None
    return verdict_words(verdict["action"], names.get(verdict["variant"], verdict["variant"]))


def decided(one: Experiment, names: Mapping[str, str]) -> Told | None:
    """What was decided, as a badge; None while nothing is. names: variants' by code."""
    if not one.decision:
        return None
    tone, icon = DECISIONS[one.decision]
    said = {
        "ship": _("Shipped: %(variant)s") % {"variant": names.get(one.winner, one.winner)},
        "roll_back": _("Rolled back"),
        "keep_control": _("Kept as it was"),
    }[one.decision]
    return Told(one.decision, said, tone, icon)


def days_words(one: Experiment) -> str:
    """How long it has run and is still to run, or ran."""
    if one.started_at is None:
        return formats.NO_DATA
    ran = ((one.ended_at or clock.now()) - one.started_at).total_seconds() / 86_400
    if one.ended_at is not None:
        return _("ran %(days)s") % {"days": formats.days(max(1, round(ran)))}
    ends = (one.ends_at - one.started_at).total_seconds() / 86_400 if one.ends_at else one.planned_days
    left = round(ends - ran)
    if left <= 0:
        return _("planned time is over")
    return _("%(days)s left") % {"days": formats.days(left)}
