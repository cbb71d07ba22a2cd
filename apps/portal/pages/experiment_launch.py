"""The last step of an experiment's design: what would spoil it, found before the launch."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput
from apps.experiments.launch import checks_design
from apps.experiments.models import Experiment
from apps.experiments.selectors import experiment_get
from apps.experiments.services import experiment_launch
from apps.portal.access import can_change, person
from apps.portal.experiment_rehearsal import checks_history
from apps.portal.experiment_summary import summary_of
from apps.portal.forms.base import remedy_told
from apps.portal.pages.experiment_frame import step_show
from apps.portal.pages.shell import action, done, page, show
from apps.portal.words.experiment_checks import check_lines


def check_page(request: HttpRequest, experiment: Experiment, refused: str = "") -> HttpResponse:
    checks = checks_design(experiment)
    return step_show(
        request,
        "portal/experiments/design_check.html",
        experiment,
        "check",
        lines=check_lines(experiment, checks),
        stops=sum(one.level == "stop" for one in checks),
        summary=summary_of(experiment),
        refused=refused,
    )


@page
def design_aa(request: HttpRequest, code: str) -> HttpResponse:
    """What the shop's history says: the time it takes, and an instant A/A."""
    experiment = experiment_get(code=code)
    return show(
        request,
        "portal/experiments/design_check_history.html",
        experiment=experiment,
        lines=check_lines(experiment, checks_history(experiment)),
        may=can_change(request.user, "experiments"),
    )


@action("experiments")
def launch(request: HttpRequest, code: str) -> HttpResponse:
    """Start it; what stops it is said where it was asked."""
    experiment = experiment_get(code=code)
    try:
        experiment_launch(actor=person(request), experiment_id=experiment.pk)
    except InvalidInput as error:
        return check_page(request, experiment, refused=remedy_told(error))
    return done(request, "portal:experiment", _("“%(name)s” is running.") % {"name": experiment.name}, code)
