"""What is done from an experiment's page: ship, roll back, keep, take back, more traffic, write down."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.errors import InvalidInput, NotFound, RecoPortalError
from apps.experiments.learnings import learnings_set
from apps.experiments.models import Experiment
from apps.experiments.services import (
    experiment_decide,
    experiment_end,
    experiment_pause,
    experiment_ramp,
    experiment_resume,
    experiment_undo,
)
from apps.portal.access import person
from apps.portal.experiment_controls import DECISIONS, END, PAUSE, RAMP, RESUME, SHIP, UNDO, Ask, ask_of
from apps.portal.experiment_page import analysis_of, experiment_get
from apps.portal.forms.base import remedy_told
from apps.portal.pages.shell import action, done, page, show

_RUN: dict[str, tuple[Callable[..., Experiment], str | Promise]] = {
    PAUSE: (experiment_pause, gettext_lazy("It is paused: every shopper sees what is live.")),
    RESUME: (experiment_resume, gettext_lazy("It goes on: everybody has the variant they had.")),
    END: (experiment_end, gettext_lazy("It is over. Decide what to make of it.")),
    UNDO: (experiment_undo, gettext_lazy("It is taken back.")),
}


def _ask(experiment: Experiment, what: str) -> Ask:
    found = ask_of(experiment, what, analysis_of(experiment))
    if found is None:
        raise NotFound(_("That can't be done with this experiment now. Load the page again."))
    return found


def _dialog(request: HttpRequest, experiment: Experiment, ask: Ask, **more: Any) -> HttpResponse:
    return show(request, "portal/experiments/act.html", experiment=experiment, ask=ask, **more)


@page
def experiment_act_ask(request: HttpRequest, code: str, what: str) -> HttpResponse:
    """The dialog: what will change, in words."""
    experiment = experiment_get(code)
    return _dialog(request, experiment, _ask(experiment, what))


@action("experiments")
def experiment_act(request: HttpRequest, code: str, what: str) -> HttpResponse:
    """Do it, or say in the dialog why it can't be done."""
    experiment = experiment_get(code)
    ask = _ask(experiment, what)
    try:
        said = _act(request, experiment, ask)
    except RecoPortalError as error:
        note = request.POST.get("note", "")
        remedy = remedy_told(error) if isinstance(error, InvalidInput) else error.message
        return _dialog(request, experiment, ask, error=remedy, note=note)
    return done(request, "portal:experiment", said, experiment.code)


def _act(request: HttpRequest, experiment: Experiment, ask: Ask) -> str:
    actor, note = person(request), request.POST.get("note", "").strip()[:300]
    if ask.what in DECISIONS:
        experiment_decide(
            actor=actor,
            experiment_id=experiment.pk,
            decision=DECISIONS[ask.what],
            variant=request.POST.get("variant") if ask.what == SHIP else None,
            note=note,
            force=ask.forced,
        )
        return {
            "ship": _("It is shipped: every shopper gets it from their next request."),
            "roll_back": _("It is rolled back: every shopper sees what is live."),
        }.get(DECISIONS[ask.what], _("What is live stays; the experiment is over."))
    if ask.what == RAMP:
        experiment_ramp(actor=actor, experiment_id=experiment.pk, step=experiment.ramp_step)
        return _("More of the traffic takes part now.")
    do, said = _RUN[ask.what]
    do(actor=actor, experiment_id=experiment.pk, note=note)
    return str(said)


@action("experiments")
def experiment_learnings(request: HttpRequest, code: str) -> HttpResponse:
    """Keep what was learned."""
    experiment = experiment_get(code)
    text = request.POST.get("learnings", "")
    learnings_set(actor=person(request), experiment_id=experiment.pk, text=text)
    return done(request, "portal:experiment_post_mortem", _("What was learned is kept."), code)
