"""E-mail lists under Data: start an export of slates, watch it, download its files."""

from dataclasses import dataclass
from typing import Any

from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from apps.core.clock import now
from apps.core.errors import RecoPortalError
from apps.jobs.models import Job, JobStatus
from apps.jobs.queue import job_enqueue
from apps.jobs.selectors import job_eta_seconds, job_seconds, jobs_recent
from apps.portal.access import can_change, locked_reason, person
from apps.portal.forms.exports import ExportForm
from apps.portal.pages.shell import action, page, show
from apps.serving.exports import FORMATS, JOB_KIND, export_create, export_file

SHOWN = 20


@dataclass(frozen=True, slots=True)
class ExportLine:
    """One export in the table."""

    job: Job
    seconds: float | None
    left: float | None

    @property
    def percent(self) -> int:
        """Progress in percent."""
        return round(100 * self.job.progress)

    @property
    def formats(self) -> tuple[str, ...]:
        """What can be downloaded."""
        return FORMATS if self.job.status == JobStatus.DONE else ()


def _facts() -> dict[str, Any]:
    at = now()
    jobs = list(jobs_recent(kind=JOB_KIND, limit=SHOWN))
    lines = [ExportLine(job, job_seconds(job, at=at), job_eta_seconds(job, at=at)) for job in jobs]
    return {"lines": lines, "over": all(job.is_final for job in jobs)}


def _page(request: HttpRequest, form: ExportForm) -> HttpResponse:
    may = can_change(request.user, "merchandising")
    locked = "" if may else locked_reason("merchandising")
    facts = {"form": form, "may": may, "locked": locked, **_facts()}
    return show(request, "portal/data/exports.html", title=_("Data"), tab="exports", **facts)


@page
def exports(request: HttpRequest) -> HttpResponse:
    """The form to start an export, and the exports so far."""
    return _page(request, ExportForm())


@page
def exports_state(request: HttpRequest) -> HttpResponse:
    """The table, which asks for itself again until all exports are over."""
    return show(request, "portal/data/exports_state.html", **_facts())


@action("merchandising")
def export_add(request: HttpRequest) -> HttpResponse:
    """Register an export and queue it."""
    form = ExportForm(request.POST)
    if not form.is_valid():
        return _page(request, form)
    try:
        job = export_create(requested_by=person(request), **form.cleaned_data)
    except RecoPortalError as error:
        form.take(error)
        return _page(request, form)
    job_enqueue(job)
    return redirect("portal:exports")


@page
def export_download(request: HttpRequest, job_id: int, format: str) -> HttpResponseBase:
    """A finished export's file."""
    path = export_file(job_id=job_id, format=format)
    return FileResponse(path.open("rb"), as_attachment=True, filename=path.name)
