"""Counting an experiment now instead of waiting for its turn."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _

from apps.experiments.readouts import readout_refresh
from apps.portal.experiment_page import experiment_get
from apps.portal.pages.shell import action


@action("experiments")
def experiment_refresh(request: HttpRequest, code: str) -> HttpResponse:
    """Count now instead of waiting for the next turn, and go back to where it was asked."""
    experiment = experiment_get(code)
    readout = readout_refresh(experiment_id=experiment.pk)
    if readout.error:
        messages.error(request, _("It could not be counted: %(problem)s") % {"problem": readout.error})
    else:
        messages.success(request, _("The figures are fresh."))
    there = request.POST.get("next", "")
    if not url_has_allowed_host_and_scheme(there, allowed_hosts={request.get_host()}):
        return redirect("portal:experiment", code)
    return redirect(there)
