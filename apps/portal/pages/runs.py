"""One training run: its bar and log while it lives, its learning curve, and what came of it."""

import json

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from apps.core.errors import NotFound
from apps.jobs.services import job_cancel
from apps.portal.access import can_change
from apps.portal.charts.learning_curve import learning_curve
from apps.portal.model_lines import run_line
from apps.portal.pages.shell import action, csv_answer, page, show, toast
from apps.training.models import TrainingRun
from apps.training.selectors import run_get

LOG_LINES = 200


def _run(run_id: int) -> TrainingRun:
    run = run_get(run_id=run_id)
    if run is None:
        raise NotFound(_("There is no run %(id)s.") % {"id": run_id})
    return run


@page
def run(request: HttpRequest, run_id: int) -> HttpResponse:
    """The page."""
    found = _run(run_id)
    title = _("%(recipe)s, run %(id)s") % {"recipe": run_line(found).source.name, "id": found.pk}
    return _shown(request, "portal/models/run.html", found, title=title)


@page
def run_state(request: HttpRequest, run_id: int) -> HttpResponse:
    """Bar and log; it asks for itself again each second until the run is over."""
    found = _run(run_id)
    answer = _shown(request, "portal/models/run_state.html", found)
    if found.job.is_final:
        answer["HX-Trigger"] = json.dumps({"run:over": "", "jobs:changed": ""})
    return answer


def _shown(request: HttpRequest, template: str, found: TrainingRun, title: str = "") -> HttpResponse:
    return show(
        request, template, title=title, line=run_line(found), chart=learning_curve(history=found.history),
        log=found.job.log.splitlines()[-LOG_LINES:], may=can_change(request.user, "models"),
    )  # fmt: skip


@page
def run_curve(request: HttpRequest, run_id: int) -> HttpResponse:
    """Learning curve and steps; asked for less often, and once more when the run is over."""
    return _shown(request, "portal/models/run_curve.html", _run(run_id))


@page
def run_csv(request: HttpRequest, run_id: int) -> HttpResponse:
    """The table behind the learning curve."""
    return csv_answer(learning_curve(history=_run(run_id).history))


@action("models")
def run_cancel(request: HttpRequest, run_id: int) -> HttpResponse:
    """Ask the run to stop."""
    found = _run(run_id)
    job_cancel(job_id=found.job_id)
    answer = _shown(request, "portal/models/run_state.html", _run(run_id))
    return toast(answer, _("“%(title)s” is being stopped.") % {"title": found.job.title}, kind="info")
