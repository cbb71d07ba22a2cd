"""Reports on a model: ask for one from its page, watch it, read and download what it found."""

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from apps.core.errors import NotFound
from apps.jobs.models import Job
from apps.jobs.queue import job_enqueue
from apps.jobs.selectors import job_eta_seconds, job_get, job_seconds
from apps.portal.access import can_change, person
from apps.portal.pages.models import recipe_get
from apps.portal.pages.shell import action, csv_answer, page, show
from apps.portal.report_cards import KINDS, charts_of, sentences_of
from apps.portal.words.reports import report_title
from apps.portal.words.sources import sources_named
from apps.training.reports import DAYS_DEFAULT, report_job_create, report_of, reports_recent


@action("models")
def report_start(request: HttpRequest, code: str, slug: str) -> HttpResponse:
    """Queue a report on the recipe and go to it."""
    if slug not in KINDS:
        raise NotFound(_("There is no such report."))
    recipe = recipe_get(code)
    days = request.POST.get("days", "")
    job = report_job_create(
        kind=KINDS[slug],
        recipe=recipe,
        variant=request.POST.get("variant", "all"),
        days=int(days) if days.isdecimal() else DAYS_DEFAULT,
        requested_by=person(request),
    )
    job_enqueue(job)
    return redirect("portal:report", job.pk)


def _job(job_id: int) -> Job:
    job = job_get(job_id=job_id)
    if job is None or job.kind not in KINDS.values():
        raise NotFound(_("There is no report %(id)s.") % {"id": job_id})
    return job


def _shown(request: HttpRequest, template: str, job: Job, *, title: str = "") -> HttpResponse:
    recipe = recipe_get(job.params["recipe"])
    found = report_of(job)
    facts: dict[str, Any] = {}
    if found is not None:
        facts = {"found": found, "charts": charts_of(found), "sentences": sentences_of(found)}
    return show(
        request, template, title=title, job=job, recipe=recipe, source=sources_named()[recipe.code],
        percent=round(100 * job.progress), seconds=job_seconds(job), left=job_eta_seconds(job),
        may=can_change(request.user, "models"),
        earlier=[one for one in reports_recent(kind=job.kind, recipe=recipe) if one.pk != job.pk],
        **facts,
    )  # fmt: skip


@page
def report(request: HttpRequest, job_id: int) -> HttpResponse:
    """The page: the bar while it works, then what was found."""
    job = _job(job_id)
    name = sources_named()[recipe_get(job.params["recipe"]).code].name
    return _shown(request, "portal/models/report.html", job, title=f"{name}: {report_title(job.kind)}")


@page
def report_state(request: HttpRequest, job_id: int) -> HttpResponse:
    """The same without the frame; asks for itself again until it is over."""
    job = _job(job_id)
    answer = _shown(request, "portal/models/report_state.html", job)
    if job.is_final:
        answer["HX-Trigger"] = json.dumps({"jobs:changed": ""})
    return answer


@page
def report_csv(request: HttpRequest, job_id: int, key: str) -> HttpResponse:
    """The table behind one of the charts."""
    found = report_of(_job(job_id))
    charts = {chart.key: chart for chart in charts_of(found)} if found else {}
    if key not in charts:
        raise NotFound(_("There is no such chart."))
    return csv_answer(charts[key])
