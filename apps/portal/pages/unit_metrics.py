"""The metrics of experiments: those built in, in words, and those the shop defines here."""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from apps.catalog.selectors import categories_all
from apps.core.errors import InvalidInput, NotFound, RecoPortalError
from apps.metrics.feeds import FEED_DAYS, Feed, metrics_fed
from apps.metrics.services import metric_archive, metric_define
from apps.metrics.units import UnitMetric, unit_metrics
from apps.portal.access import can_change, locked_reason, person
from apps.portal.forms.base import remedy_told
from apps.portal.forms.unit_metric import UnitMetricForm, measures_of
from apps.portal.lookups import brands
from apps.portal.pages.shell import action, done, page, show
from apps.portal.words.unit_metrics import ADVICE, KIND_TITLES, measure_words, metric_words


@dataclass(frozen=True, slots=True)
class MetricLine:
    """One metric with its words and what fed it lately."""

    metric: UnitMetric
    words: str
    advice: str
    kind: str
    feed: Feed


def metric_lines(metrics: dict[str, UnitMetric]) -> list[MetricLine]:
    """The metrics with their words, in their order."""
    feeds = metrics_fed(metrics.values())
    return [
        MetricLine(one, metric_words(one), str(ADVICE.get(code, "")), str(KIND_TITLES[one.kind]), feeds[code])
        for code, one in metrics.items()
    ]


@page
def metrics(request: HttpRequest) -> HttpResponse:
    """Every metric: the shop's own first, then the built-in ones; archived ones folded."""
    may = can_change(request.user, "experiments")
    active, known = unit_metrics(), unit_metrics(archived=True)
    lines = metric_lines(known)
    return show(
        request,
        "portal/experiments/metrics.html",
        title=_("Metrics of experiments"),
        may=may,
        locked="" if may else locked_reason("experiments"),
        days=FEED_DAYS,
        own=[one for one in lines if not one.metric.built_in and one.metric.code in active],
        built_in=[one for one in lines if one.metric.built_in],
        archived=[one for one in lines if one.metric.code not in active],
    )


@page
def metric_new(request: HttpRequest) -> HttpResponse:
    """The form of a new metric."""
    return _form(request, UnitMetricForm())


def _form(request: HttpRequest, form: UnitMetricForm) -> HttpResponse:
    may = can_change(request.user, "experiments")
    if not may:
        form.lock()
    return show(
        request,
        "portal/experiments/metric_new.html",
        title=_("New metric"),
        form=form,
        may=may,
        locked="" if may else locked_reason("experiments"),
        brands=brands(),
        categories=[category.path for category in categories_all()],
        **_counted(request.POST),
    )


def _counted(data: Any) -> dict[str, Any]:
    """What would have fed the metric as the form stands: counts and words for its measures, or the remedy."""
    try:
        measures = measures_of(data)
    except InvalidInput as error:
        return {"counts": [], "incomplete": remedy_told(error), "days": FEED_DAYS}
    names = ("numerator", "denominator")
    trials = [UnitMetric(name, name, "mean", measure) for name, measure in zip(names, measures, strict=False)]
    feeds = metrics_fed(trials)
    counts = [(measure_words(one.numerator), feeds[one.code].numerator) for one in trials]
    return {"counts": counts, "incomplete": "", "days": FEED_DAYS}


@page
def metric_count(request: HttpRequest) -> HttpResponse:
    """How many events feed what the form holds now."""
    return show(request, "portal/experiments/metric_count.html", **_counted(request.POST or request.GET))


@action("experiments")
def metric_add(request: HttpRequest) -> HttpResponse:
    """Define it."""
    form = UnitMetricForm(request.POST)
    if not form.is_valid():
        return _form(request, form)
    try:
        row = metric_define(actor=person(request), **form.values())
    except RecoPortalError as error:
        form.take(error)
        return _form(request, form)
    return done(
        request, "portal:experiment_metrics", _("“%(name)s” can be used in experiments.") % {"name": row.name}
    )


@page
def metric_archive_ask(request: HttpRequest, code: str) -> HttpResponse:
    """The dialog before a metric is archived."""
    metric = unit_metrics().get(code)
    if metric is None or metric.built_in:
        raise NotFound(_("There is no such metric."))
    return show(request, "portal/experiments/metric_archive.html", metric=metric)


@action("experiments")
def metric_drop(request: HttpRequest, code: str) -> HttpResponse:
    """Offer it to no new experiment."""
    row = metric_archive(actor=person(request), code=code)
    return done(request, "portal:experiment_metrics", _("“%(name)s” is archived.") % {"name": row.name})
