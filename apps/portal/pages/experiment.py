"""One experiment: results, days, segments, health, variants side by side, log and post-mortem."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.core.errors import NotFound
from apps.experiments.learnings import learnings_get
from apps.experiments.models import Experiment, ExperimentStatus
from apps.experiments.results import Analysis
from apps.experiments.table_files import experiment_table_file
from apps.portal.access import can_change, locked_reason
from apps.portal.charts import peeking as figures
from apps.portal.charts.chart import Chart
from apps.portal.charts.peeking import peeking_chart
from apps.portal.context_bar import PageContext
from apps.portal.experiment_controls import controls_of
from apps.portal.experiment_days import day_charts, metric_chosen, novelty_words, segments_shown
from apps.portal.experiment_health import checks_of, exposures_chart, srm_shown
from apps.portal.experiment_kinds import kind_panel
from apps.portal.experiment_page import (
    analysis_of,
    experiment_get,
    faces_of,
    is_shared,
    standing_of,
    tabs_of,
)
from apps.portal.experiment_results import (
    VIEWS,
    Faces,
    VerdictShown,
    effects_drawn,
    groups_of,
    told_notes,
    verdict_shown,
    view_of,
)
from apps.portal.experiment_variants import placement_bar, variants_shown
from apps.portal.pages.shell import csv_answer, page, show
from apps.portal.samples import with_sample
from apps.portal.words.experiment_log import log_lines, reasons_words
from apps.portal.words.experiments import decision_words, role_words, view_meaning, view_words

BASE = "portal/experiments/"


def experiment_page(request: HttpRequest, found: Experiment, tab: str, **facts: Any) -> HttpResponse:
    """The page at one of its tabs. `facts` hold `analysis` and `faces` where the tab needs them."""
    analysis = facts.get("analysis") or analysis_of(found)
    may = can_change(request.user, "experiments")
    return show(
        request,
        f"{BASE}{tab.replace('-', '_')}.html",
        title=found.name,
        experiment=found,
        tab=tab,
        shared=is_shared(found),
        tabs=tabs_of(found),
        standing=standing_of(found, analysis),
        may=may,
        locked="" if may else locked_reason("experiments"),
        controls=controls_of(found, analysis) if may else [],
        **facts,
    )


def _analysed(code: str) -> tuple[Experiment, Analysis | None, Faces]:
    found = experiment_get(code)
    return found, analysis_of(found), faces_of(found)


def _views(request: HttpRequest, **kept: str) -> list[tuple[str, str, str]]:
    """The ways of looking as (code, words, link)."""
    query = "".join(f"&{name}={value}" for name, value in kept.items() if value)
    return [(code, view_words(code), f"{request.path}?view={code}{query}") for code in VIEWS]


@page
def experiment(request: HttpRequest, code: str) -> HttpResponse:
    """Results: the verdict, the figures, the effects drawn."""
    found, analysis, faces = _analysed(code)
    if analysis is None:
        return experiment_page(request, found, "results")
    view = view_of(request.GET.get("view", ""), analysis)
    return experiment_page(
        request,
        found,
        "results",
        analysis=analysis,
        view=view,
        views=_views(request),
        meaning=view_meaning(view),
        verdict=_verdict(found, analysis, faces),
        remarks=told_notes(analysis.warnings, faces),
        groups=groups_of(analysis.metrics, faces, view),
        several=len(analysis.srm.expected) > 2,
        control_name=faces.names.variant(analysis.control),
        chart=effects_drawn(analysis, faces, view),
        panel=kind_panel(found, analysis, faces),
    )


def _verdict(found: Experiment, analysis: Analysis, faces: Faces) -> VerdictShown:
    """The verdict of the experiment's kind."""
    panel = kind_panel(found, analysis, faces)
    return (panel.verdict if panel else None) or verdict_shown(analysis, faces)


def _metric_choices(analysis: Analysis, faces: Faces) -> list[tuple[str, str, str]]:
    """The metrics as (code, words, role in words)."""
    return [(one.code, faces.names.metric(one.code), role_words(one.role)) for one in analysis.metrics]


@page
def experiment_days(request: HttpRequest, code: str) -> HttpResponse:
    """The effect so far and day by day."""
    found, analysis, faces = _analysed(code)
    metric = metric_chosen(request.GET.get("metric", ""), analysis) if analysis else None
    if analysis is None or metric is None:
        return experiment_page(request, found, "days")
    view = view_of(request.GET.get("view", ""), analysis)
    return experiment_page(
        request,
        found,
        "days",
        analysis=analysis,
        metric=metric.code,
        metrics=_metric_choices(analysis, faces),
        view=view,
        views=[one for one in _views(request, metric=metric.code) if one[0] != "bayes"],
        charts=day_charts(analysis, metric, faces, view),
        novelty=novelty_words(metric, faces),
    )


@page
def experiment_segments(request: HttpRequest, code: str) -> HttpResponse:
    """One metric within each segment."""
    found, analysis, faces = _analysed(code)
    metric = metric_chosen(request.GET.get("metric", ""), analysis) if analysis else None
    if analysis is None or metric is None:
        return experiment_page(request, found, "segments")
    view = view_of(request.GET.get("view", ""), analysis)
    return experiment_page(
        request,
        found,
        "segments",
        analysis=analysis,
        metric=metric.code,
        metrics=_metric_choices(analysis, faces),
        view=view,
        views=_views(request, metric=metric.code),
        shown=segments_shown(analysis, metric.code, faces, view),
        several=len(analysis.srm.expected) > 2,
        control_name=faces.names.variant(analysis.control),
    )


@page
def experiment_health(request: HttpRequest, code: str) -> HttpResponse:
    """Whether the numbers can be trusted."""
    found, analysis, faces = _analysed(code)
    if analysis is None:
        return experiment_page(request, found, "health")
    guardrails = [one for one in analysis.metrics if one.role == "guardrail"]
    return experiment_page(
        request,
        found,
        "health",
        analysis=analysis,
        srm=srm_shown(analysis, faces),
        checks=checks_of(analysis, faces),
        chart=exposures_chart(analysis, faces),
        groups=groups_of(guardrails, faces, analysis.view),
        view=analysis.view,
        several=len(analysis.srm.expected) > 2,
        control_name=faces.names.variant(analysis.control),
    )


@page
def experiment_variants(request: HttpRequest, code: str) -> HttpResponse:
    """The variants' slates side by side for whom the context bar names."""
    found = experiment_get(code)
    bar = PageContext.of(request)
    here = placement_bar(found, bar)
    # Nobody in particular may visit the home page; the first visit picks somebody, so that slates differ.
    fresh = with_sample(here) if here and (here.seeds_missing or "placement" not in request.GET) else ""
    if fresh:
        return redirect(request.path + fresh)
    shown = variants_shown(found, bar)
    return experiment_page(request, found, "variants", bar=shown.bar, shown=shown)


@page
def experiment_log(request: HttpRequest, code: str) -> HttpResponse:
    """What happened, the newest first."""
    found = experiment_get(code)
    return experiment_page(request, found, "log", lines=log_lines(found, faces_of(found)))


@page
def experiment_table(request: HttpRequest, code: str, table: str, format: str) -> HttpResponse:
    """One of the tables as a file."""
    content, content_type, name = experiment_table_file(code=code, table=table, format=format)
    answer = HttpResponse(content, content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@page
def experiment_chart_csv(request: HttpRequest, code: str, tab: str, key: str) -> HttpResponse:
    """The table behind one of the charts, as the query says it is shown."""
    found, analysis, faces = _analysed(code)
    charts: list[Chart] = []
    if analysis is not None:
        charts = _charts(request, found, analysis, faces, tab)
    chart = next((one for one in charts if one.key == key), None)
    if chart is None:
        raise NotFound(_("There is no such chart."))
    return csv_answer(chart)


def _charts(
    request: HttpRequest, found: Experiment, analysis: Analysis, faces: Faces, tab: str
) -> list[Chart]:
    view = view_of(request.GET.get("view", ""), analysis)
    metric = metric_chosen(request.GET.get("metric", ""), analysis)
    match tab:
        case "days":
            return day_charts(analysis, metric, faces, view) if metric else []
        case "segments":
            return [segments_shown(analysis, metric.code, faces, view).chart] if metric else []
        case "health":
            return [exposures_chart(analysis, faces)]
    panel = kind_panel(found, analysis, faces)
    return [effects_drawn(analysis, faces, view), *(panel.charts if panel else ())]


@page
def experiment_post_mortem(request: HttpRequest, code: str) -> HttpResponse:
    """What was tried, what came out, what was decided and learned."""
    found, analysis, faces = _analysed(code)
    if found.status != ExperimentStatus.ENDED:
        # A link may be older than a decision that was taken back.
        messages.info(request, _("The post-mortem comes when the experiment is over."))
        return redirect("portal:experiment", code)
    facts: dict[str, Any] = {
        "lines": log_lines(found, faces),
        "learnings": learnings_get(experiment=found),
        "variants": variants_shown(found, None),
        "decision": decision_words(found.decision, faces.names.variant(found.winner)),
        "reasons": reasons_words(found.decision_reason, faces),
    }
    if analysis is not None:
        facts |= {
            "analysis": analysis,
            "verdict": _verdict(found, analysis, faces),
            "groups": groups_of(analysis.metrics, faces, analysis.view),
            "view": analysis.view,
            "several": len(analysis.srm.expected) > 2,
            "control_name": faces.names.variant(analysis.control),
            "chart": effects_drawn(analysis, faces, analysis.view),
            "csv_url": reverse("portal:experiment_chart_csv", args=[code, "results", "effects"]),
        }
    return experiment_page(request, found, "post-mortem", **facts)


@page
def peeking(request: HttpRequest) -> HttpResponse:
    """Why looking every day is safe here, and is not elsewhere."""
    return show(
        request,
        f"{BASE}peeking.html",
        title=_("Why you may look every day"),
        chart=peeking_chart(),
        figures={
            "once": figures.ONCE,
            "every": figures.EVERY,
            "valid": figures.VALID,
            "gone": figures.GONE,
            "found": figures.FOUND,
            "experiments": figures.EXPERIMENTS,
            "series": figures.SERIES,
        },
    )


@page
def peeking_csv(request: HttpRequest) -> HttpResponse:
    """The table behind its chart."""
    return csv_answer(peeking_chart())
