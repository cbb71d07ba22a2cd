"""One experiment as its page shows it: names, standing, how fresh the figures are."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils.translation import gettext as _

from apps.accounts.selectors import shop_settings_get
from apps.core import clock
from apps.core.errors import NotFound
from apps.experiments.models import Experiment, ExperimentKind, ExperimentStatus, Readout
from apps.experiments.results import Analysis, analysis_read
from apps.metrics.units import unit_metrics
from apps.portal import formats
from apps.portal.experiment_lines import decided, where_else
from apps.portal.experiment_results import Faces
from apps.portal.measures import KINDS
from apps.portal.templatetags.spoken import spoken
from apps.portal.words.experiments import Names, Told, alarm_words, kind_words, percent_short, status_words

STALE = timedelta(minutes=30)
"""Figures of a running experiment are made every ten minutes; three times that is too old."""


@dataclass(frozen=True)
class Tab:
    """One tab of the page."""

    code: str
    route: str
    icon: str
    title: str


@dataclass(frozen=True)
class Standing:
    """What stands above the tabs."""

    state: Told
    kind: str
    where: str
    split: str
    run: str
    traffic: str
    decided: Told | None
    light: Told | None
    computed_at: datetime | None
    through: datetime | None
    stale: bool
    problem: str


def experiment_get(code: str) -> Experiment:
    """The experiment of this code; NotFound."""
    rows = Experiment.objects.select_related("layer", "created_by", "decided_by", "readout")
    found = rows.filter(code=code).first()
    if found is None:
        raise NotFound(_("There is no experiment “%(code)s”.") % {"code": code})
    return found


def readout_of(experiment: Experiment) -> Readout | None:
    """The last readout, None before the first."""
    found: Readout | None = getattr(experiment, "readout", None)
    return found


def analysis_of(experiment: Experiment) -> Analysis | None:
    """The last analysis; None before there is one, or when the last readout failed without any."""
    readout = readout_of(experiment)
    return analysis_read(readout.analysis) if readout and readout.analysis else None


def faces_of(experiment: Experiment) -> Faces:
    """What metrics and variants are called, and how their figures are written."""
    metrics = unit_metrics(archived=True)
    return Faces(
        names=Names(
            {code: str(one.label) for code, one in metrics.items()},
            {one.code: one.name for one in experiment.variants.all()},
        ),
        kinds={code: KINDS.get(one.unit, "decimal") for code, one in metrics.items()},
        currency=shop_settings_get().currency,
    )


def tabs_of(experiment: Experiment) -> list[Tab]:
    """The tabs; the post-mortem comes when it is over."""
    tabs = [
        Tab("results", "portal:experiment", "monitoring", _("Results")),
        Tab("days", "portal:experiment_days", "show_chart", _("Over time")),
        Tab("segments", "portal:experiment_segments", "groups", _("Segments")),
        Tab("health", "portal:experiment_health", "health_metrics", _("Health")),
        Tab("variants", "portal:experiment_variants", "view_column", _("Variants")),
        Tab("log", "portal:experiment_log", "history", _("Log")),
    ]
    if experiment.status == ExperimentStatus.ENDED:
        tabs.append(Tab("post-mortem", "portal:experiment_post_mortem", "summarize", _("Post-mortem")))
    return tabs


def is_shared(experiment: Experiment) -> bool:
    """Whether every shopper sees all variants, so that comparing shoppers by variant means nothing."""
    return experiment.kind in (ExperimentKind.INTERLEAVING, ExperimentKind.SWITCHBACK)


def standing_of(experiment: Experiment, analysis: Analysis | None) -> Standing:
    """State, run, traffic and freshness in words."""
    readout = readout_of(experiment)
    computed = readout.computed_at if readout else None
    running = experiment.status == ExperimentStatus.RUNNING
    variants = list(experiment.variants.all())
    places = list(experiment.placements.order_by("id"))
    return Standing(
        state=status_words(experiment.status),
        kind=kind_words(experiment.kind),
        where=_(", ").join(spoken(place.name) for place in places) or where_else(experiment),
        split=_(" · ").join(f"{one.name} {percent_short(one.share)}" for one in variants),
        run=run_words(experiment),
        traffic=traffic_words(experiment),
        decided=decided(experiment, {one.code: one.name for one in variants}),
        light=_light(experiment, analysis),
        computed_at=computed,
        through=readout.through if readout else None,
        stale=running and computed is not None and clock.now() - computed > STALE,
        problem=readout.error if readout else "",
    )


def _light(experiment: Experiment, analysis: Analysis | None) -> Told | None:
    """The state of the split; none where every shopper sees all variants."""
    if analysis is None or analysis.srm.p is None or is_shared(experiment):
        return None
    return alarm_words(analysis.srm.alarm)


def run_words(experiment: Experiment) -> str:
    """How long it ran, of how long it was planned for."""
    if experiment.started_at is None:
        return _("Not started; planned for %(days)s") % {"days": formats.days(experiment.planned_days)}
    until = experiment.ended_at or clock.now()
    days = max(0, (until - experiment.started_at).days)
    if experiment.ended_at is not None:
        return _("Ran for %(days)s") % {"days": formats.days(max(1, days))}
    return _("Day %(day)s of %(planned)s") % {
        "day": formats.number(days + 1),
        "planned": formats.number(experiment.planned_days),
    }


def traffic_words(experiment: Experiment) -> str:
    """What share of its slice takes part, and where the ramp goes."""
    share = percent_short(experiment.traffic)
    further = [step for step in experiment.ramp if step > experiment.traffic]
    if experiment.is_open and further:
        return _("%(share)s of the traffic, next %(next)s") % {
            "share": share,
            "next": percent_short(further[0]),
        }
    return _("%(share)s of the traffic") % {"share": share}
