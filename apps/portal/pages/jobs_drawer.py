"""The jobs drawer in the header of every page: what runs, how far, how long, its log, cancel."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from apps.core.clock import now
from apps.core.errors import Forbidden, NotFound
from apps.jobs.models import Job
from apps.jobs.selectors import (
    job_eta_seconds,
    job_get,
    job_seconds,
    jobs_active,
    jobs_drawer,
    jobs_recent,
)
from apps.jobs.services import job_cancel
from apps.portal.access import Person, can_change
from apps.portal.pages.shell import page, show, toast

PAGE_SIZE = 30
KEPT = 900


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job with the times and rights the drawer shows."""

    job: Job
    seconds: float | None
    left: float | None
    may_cancel: bool

    @property
    def percent(self) -> int:
        """How far, 0 to 100."""
        return round(self.job.progress * 100)


def may_cancel(user: Person, job: Job) -> bool:
    """Whoever asked for a job may cancel it, and whoever runs the engine."""
    return can_change(user, "jobs") or (job.requested_by_id is not None and job.requested_by_id == user.pk)


def _lines(request: HttpRequest, jobs: Iterable[Job]) -> list[JobLine]:
    at = now()
    return [
        JobLine(
            job,
            job_seconds(job, at=at),
            job_eta_seconds(job, at=at),
            not job.is_final and may_cancel(request.user, job),
        )
        for job in jobs
    ]


@page
def drawer(request: HttpRequest) -> HttpResponse:
    """The list; it asks for itself again each second while something is active."""
    lines = _lines(request, jobs_drawer())
    active = [line for line in lines if not line.job.is_final]
    ended = [line for line in lines if line.job.is_final]
    # On the Jobs page the same list stands in the page itself; an answer goes back to where it was asked.
    target = request.headers.get("HX-Target") or "jobs-drawer-body"
    return show(request, "portal/jobs/drawer.html", active=active, ended=ended, target=target)


@page
def jobs(request: HttpRequest) -> HttpResponse:
    """All jobs, the newest first."""
    part = Paginator(jobs_recent(limit=KEPT), PAGE_SIZE).get_page(request.GET.get("page"))
    lines = _lines(request, part.object_list)
    return show(request, "portal/jobs/page.html", title=_("Jobs"), part=part, lines=lines)


@page
def badge(request: HttpRequest) -> HttpResponse:
    """The header's button with the number of active jobs."""
    return show(request, "portal/jobs/badge.html", jobs_active=jobs_active().count())


@page
def log(request: HttpRequest, job_id: int) -> HttpResponse:
    """The last lines of a job's log, or of its error."""
    job = job_get(job_id=job_id)
    if job is None:
        raise NotFound(_("There is no job %(id)s.") % {"id": job_id})
    return show(request, "portal/jobs/log.html", job=job, lines=job.log.splitlines()[-200:])


@page
@require_POST
def cancel(request: HttpRequest, job_id: int) -> HttpResponse:
    """Ask a job to stop and show the list again."""
    job = job_get(job_id=job_id)
    if job is None or not may_cancel(request.user, job):
        raise Forbidden(_("Only whoever started this job, or an ML engineer, may cancel it."))
    job_cancel(job_id=job_id)
    return toast(drawer(request), _("“%(title)s” is being stopped.") % {"title": job.title}, kind="info")
