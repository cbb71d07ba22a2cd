"""Experiments: the list, and what is done with a design from anywhere: copy it, delete a draft.

What is done with one that runs is in `experiment_actions`.
"""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.errors import NotFound, RecoPortalError
from apps.experiments.models import Experiment
from apps.experiments.selectors import experiment_get
from apps.experiments.services import experiment_copy, experiment_delete
from apps.portal.access import can_change, locked_reason, person
from apps.portal.experiment_lines import STATES, experiment_lines, experiments_found
from apps.portal.forms.base import PortalForm
from apps.portal.forms.shop import NameForm
from apps.portal.pages.shell import action, done, page, show
from apps.portal.words.experiments import status_words

# What may be asked for in a dialog, and the states it is for.
ASKED = {"delete": ("draft",), "copy": STATES}


class CopyForm(PortalForm):
    """What the copy is called."""

    name = forms.CharField(label=gettext_lazy("Name of the copy"), max_length=80)


@page
def experiments(request: HttpRequest) -> HttpResponse:
    """Every experiment, by state and placement."""
    may = can_change(request.user, "experiments")
    state, placement = request.GET.get("state", ""), request.GET.get("where", "")
    lines = experiment_lines(experiments_found(state=state, placement=placement))
    return show(
        request,
        "portal/experiments/list.html",
        title=_("Experiments"),
        may=may,
        locked="" if may else locked_reason("experiments"),
        lines=lines,
        state=state,
        where=placement,
        states=[status_words(one) for one in STATES],
        any=bool(lines) or Experiment.objects.exists(),
    )


def _asked(what: str, experiment: Experiment) -> None:
    if what not in ASKED:
        raise NotFound(_("There is no such question."))
    if experiment.status not in ASKED[what]:
        state = status_words(experiment.status).words
        raise NotFound(
            _("“%(name)s” is in the state “%(state)s” now: load the page again.")
            % {
                "name": experiment.name,
                "state": state,
            }
        )


def _form(what: str, experiment: Experiment, data: Any = None) -> Any:
    if what == "delete":
        return NameForm(data, name=experiment.name)
    return CopyForm(data, initial={"name": (_("%(name)s copy") % {"name": experiment.name})[:80]})


@page
def experiment_ask(request: HttpRequest, code: str, what: str) -> HttpResponse:
    """The dialog before something is done with an experiment."""
    experiment = experiment_get(code=code)
    _asked(what, experiment)
    return _dialog(request, experiment, what, _form(what, experiment))


def _dialog(request: HttpRequest, experiment: Experiment, what: str, form: Any) -> HttpResponse:
    return show(request, "portal/experiments/list_ask.html", experiment=experiment, what=what, form=form)


@action("experiments")
def experiment_do(request: HttpRequest, code: str, what: str) -> HttpResponse:
    """Copy or delete."""
    experiment = experiment_get(code=code)
    _asked(what, experiment)
    form = _form(what, experiment, request.POST)
    if not form.is_valid():
        return _dialog(request, experiment, what, form)
    try:
        return _done(request, experiment, what, form.cleaned_data)
    except RecoPortalError as error:
        form.take(error)
        return _dialog(request, experiment, what, form)


def _done(request: HttpRequest, experiment: Experiment, what: str, facts: dict[str, Any]) -> HttpResponse:
    actor = person(request)
    if what == "delete":
        experiment_delete(actor=actor, experiment_id=experiment.pk)
        text = _("The draft “%(name)s” is deleted.") % {"name": experiment.name}
        return done(request, "portal:experiments", text)
    copy = experiment_copy(actor=actor, experiment_id=experiment.pk, name=facts["name"])
    text = _("“%(name)s” is a draft of its own.") % {"name": copy.name}
    return done(request, "portal:experiment_design", text, copy.code)
