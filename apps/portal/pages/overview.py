"""Overview: how the shop does in a period against the one before, and whether everything runs."""

from dataclasses import dataclass, replace
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _

from apps.accounts.selectors import shop_settings_get
from apps.core.errors import NotFound
from apps.jobs.selectors import job_counts, jobs_active
from apps.merchandising.models import Placement, Publication
from apps.metrics.selectors import (
    Figure,
    Period,
    Point,
    metric_by_placement,
    metric_series,
    metric_summary,
    period_with_data,
)
from apps.monitoring.health import health_report
from apps.portal.charts.by_day import DayPoint, by_day
from apps.portal.charts.by_placement import PlacementBar, by_placement
from apps.portal.charts.chart import Chart, Mark
from apps.portal.context_bar import PageContext
from apps.portal.measures import DRAWABLE, KINDS, PLACEMENT_CODES, SHOP_CODES, base_note, card
from apps.portal.model_lines import recipe_lines
from apps.portal.pages.shell import csv_answer, page, show
from apps.portal.start_steps import start_steps

DAYS = (7, 28, 90)


@dataclass(frozen=True)
class Scope:
    """What the overview looks at: how many days, the whole shop ("") or a placement, the measure drawn."""

    days: int
    placement: str
    measure: str
    period: Period
    currency: str

    @classmethod
    def of(cls, request: HttpRequest) -> "Scope":
        """Read it from the query; anything unknown falls back to the default."""
        days = request.GET.get("days", "")
        chosen = int(days) if days in map(str, DAYS) else 28
        code = PageContext.of(request).code
        placement = code if Placement.objects.filter(code=code).exists() else ""
        measure = request.GET.get("measure", "")
        allowed = DRAWABLE & set(PLACEMENT_CODES if placement else SHOP_CODES)
        return cls(
            days=chosen,
            placement=placement,
            measure=measure if measure in allowed else "",
            period=period_with_data(days=chosen),
            currency=shop_settings_get().currency,
        )

    def query(self, **changes: object) -> str:
        """This scope as a query string, with `changes` laid over it."""
        values = {"days": self.days, "placement": self.placement, "measure": self.measure} | changes
        return "?" + urlencode({key: value for key, value in values.items() if value})

    @property
    def codes(self) -> tuple[str, ...]:
        """The measures shown as cards."""
        return PLACEMENT_CODES if self.placement else SHOP_CODES


Series = dict[str, list[Point]]


def looked_up(request: HttpRequest) -> tuple[Scope, dict[str, Figure], Series]:
    """The scope with its figures and series; without a choice, the first measure that has days to draw."""
    scope = Scope.of(request)
    figures = metric_summary(period=scope.period, placement=scope.placement)
    series = metric_series(period=scope.period, placement=scope.placement, codes=scope.codes)
    if not scope.measure:
        known = {code: sum(bool(point.estimate.value) for point in points) for code, points in series.items()}
        drawn = next((code for code in ("ctr", "conversion", "sessions") if known.get(code, 0) > 2), "ctr")
        scope = replace(scope, measure=drawn)
    return scope, figures, series


@page
def overview(request: HttpRequest) -> HttpResponse:
    """The page; a shop that nobody has set up starts with its first steps instead."""
    if shop_settings_get().set_up_at is None:
        return redirect("portal:start")
    scope, figures, series = looked_up(request)
    cards = [
        card(
            figures[code],
            series.get(code, []),
            currency=scope.currency,
            chosen=scope.measure,
            link=scope.query(measure=code),
        )
        for code in scope.codes
    ]
    return show(
        request, "portal/overview/page.html", title=_("Overview"), scope=scope, cards=cards,
        charts=charts(scope, figures, series), all_days=DAYS,
        unfinished=[step for step in start_steps() if not step.done], before=scope.period.previous(),
    )  # fmt: skip


@page
def overview_state(request: HttpRequest) -> HttpResponse:
    """Models, jobs and services; asked for after the figures, which a slow service must not hold up."""
    return show(
        request, "portal/overview/state.html", health=health_report(), counts=job_counts(),
        active=jobs_active()[:4], lines=recipe_lines(),
    )  # fmt: skip


@page
def overview_csv(request: HttpRequest, key: str) -> HttpResponse:
    """The table behind one chart."""
    scope, figures, series = looked_up(request)
    found = {chart.key: chart for chart in charts(scope, figures, series)}
    if key not in found:
        raise NotFound(_("There is no chart “%(key)s” on this page.") % {"key": key})
    return csv_answer(found[key])


def charts(scope: Scope, figures: dict[str, Figure], series: Series) -> list[Chart]:
    """The page's charts: the chosen measure by day, and clicks by placement."""
    return [
        day_chart(scope, figures[scope.measure], series[scope.measure]),
        placement_chart(scope, figures["ctr"]),
    ]


def day_points(points: list[Point]) -> list[DayPoint]:
    """A metric's series as the chart takes it."""
    return [
        DayPoint(
            point.day, point.estimate.value, point.estimate.low, point.estimate.high, round(point.estimate.n)
        )
        for point in points
    ]


def day_chart(scope: Scope, figure: Figure, series: list[Point]) -> Chart:
    """The chosen measure by day, with publications as marks."""
    before = metric_series(period=scope.period.previous(), placement=scope.placement, codes=(scope.measure,))
    label = str(figure.label)
    return by_day(
        key=f"{scope.measure}-by-day",
        title=_("%(measure)s by day") % {"measure": label},
        measure=label,
        kind=KINDS[figure.unit],
        points=day_points(series),
        previous=day_points(before[scope.measure]),
        marks=publication_marks(scope),
        currency=scope.currency,
        unfinished=scope.period.last == timezone.localdate(),
    )


def placement_chart(scope: Scope, figure: Figure) -> Chart:
    """Click-through rate of every placement."""
    names = dict(Placement.objects.values_list("code", "name"))
    found = metric_by_placement(period=scope.period, code="ctr")
    bars = [
        PlacementBar(code, _(names.get(code, code)), rate.value, rate.low, rate.high, round(rate.n))
        for code, rate in found.items()
    ]
    sentence = _("Slates with a click, %(base)s; whiskers are 95%% intervals.") % {
        "base": base_note(figure.base)
    }
    return by_placement(
        key="ctr-by-placement",
        title=_("%(measure)s by placement") % {"measure": str(figure.label)},
        measure=str(figure.label),
        kind="percent",
        bars=bars,
        sentence=sentence,
    )


def publication_marks(scope: Scope) -> list[Mark]:
    """Publications of the period, as events in the chart."""
    days = (scope.period.first, scope.period.last)
    found = Publication.objects.filter(published_at__date__range=days, trial=False)
    found = found.select_related("placement")
    return [
        Mark(
            day=timezone.localtime(one.published_at).date(),
            label=f"{one.placement.code} #{one.number}",
            detail=f"{one.placement.name} #{one.number}" + (f": {one.note}" if one.note else ""),
        )
        for one in (found.filter(placement__code=scope.placement) if scope.placement else found)
    ]
