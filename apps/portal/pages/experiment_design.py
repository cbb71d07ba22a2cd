"""The design of an experiment, step by step. Each step is kept in the draft before the next is shown."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from apps.core.errors import Conflict, NotFound, RecoPortalError
from apps.experiments.copying import code_free
from apps.experiments.deliveries import webhook_secret
from apps.experiments.models import Experiment, ExperimentStatus
from apps.experiments.selectors import experiment_get
from apps.experiments.services import experiment_create
from apps.metrics.units import unit_metrics
from apps.portal.access import can_change, person
from apps.portal.experiment_plan import Plan, plan_asked, plan_of
from apps.portal.experiment_slices import audience_found, layer_choices, layers_pictured
from apps.portal.forms.experiment import AudienceForm, IdeaForm, audience_initial
from apps.portal.forms.experiment_metrics import MetricsForm, metrics_initial
from apps.portal.forms.experiment_variants import variants_stored
from apps.portal.pages.experiment_frame import go_on, kept, step_show, template_of
from apps.portal.pages.experiment_launch import check_page
from apps.portal.pages.experiment_variants import variants_keep, variants_page
from apps.portal.pages.shell import action, csv_answer, page, show
from apps.portal.words.experiment_design import TEMPLATES


@page
def experiment_new(request: HttpRequest) -> HttpResponse:
    """The first step of an experiment that does not exist yet."""
    asked = request.GET.get("template", "")
    return _idea(request, None, IdeaForm(initial={"template": asked} if asked in TEMPLATES else {}))


@action("experiments")
def experiment_add(request: HttpRequest) -> HttpResponse:
    """Keep the idea as a draft and go on to the variants."""
    form = IdeaForm(request.POST)
    if not form.is_valid():
        return _idea(request, None, form)
    facts = form.cleaned_data
    fields = {
        "code": code_free(form.cleaned_data["name"]),
        "name": facts["name"],
        "hypothesis": facts["hypothesis"],
        "kind": TEMPLATES[facts["template"]].kind,
    }
    try:
        made = experiment_create(actor=person(request), fields=fields)
    except RecoPortalError as error:
        form.take(error)
        return _idea(request, None, form)
    return go_on(request, made, template=facts["template"])


def _idea(request: HttpRequest, experiment: Experiment | None, form: IdeaForm) -> HttpResponse:
    if not can_change(request.user, "experiments"):
        form.lock()
    return step_show(
        request,
        "portal/experiments/design_idea.html",
        experiment,
        "idea",
        form=form,
        templates=list(TEMPLATES.values()),
        chosen=form["template"].value(),
        fixed_kind=experiment.kind if experiment else "",
    )


@page
def design(request: HttpRequest, code: str, step: str = "idea") -> HttpResponse:
    """One step of a draft; what has been launched is on the experiment's own page."""
    experiment = experiment_get(code=code)
    if experiment.status != ExperimentStatus.DRAFT:
        return redirect("portal:experiment", code)
    match step:
        case "idea":
            initial = {
                "name": experiment.name,
                "hypothesis": experiment.hypothesis,
                "template": template_of(experiment, request.GET.get("template", "")).code,
            }
            return _idea(request, experiment, IdeaForm(initial=initial))
        case "variants":
            template = template_of(experiment, request.GET.get("template", ""))
            return variants_page(request, experiment, variants_stored(experiment), template)
        case "audience":
            return _audience(request, experiment, _audience_form(experiment))
        case "metrics":
            form = MetricsForm(metrics=unit_metrics(), initial=metrics_initial(experiment))
            return _metrics(request, experiment, form)
        case "check":
            return check_page(request, experiment)
    raise NotFound(_("There is no such step."))


@action("experiments")
def design_save(request: HttpRequest, code: str, step: str) -> HttpResponse:
    """Keep a step and go where the button says; what is refused comes back as it was typed."""
    experiment = experiment_get(code=code)
    if experiment.status != ExperimentStatus.DRAFT:
        raise Conflict(
            _("“%(name)s” is no draft any more: its design can't change.") % {"name": experiment.name}
        )
    match step:
        case "idea":
            return _idea_save(request, experiment)
        case "variants":
            return variants_keep(request, experiment)
        case "audience":
            return _audience_save(request, experiment)
        case "metrics":
            return _metrics_save(request, experiment)
    raise NotFound(_("There is no such step."))


def _idea_save(request: HttpRequest, experiment: Experiment) -> HttpResponse:
    form = IdeaForm(request.POST)
    if not form.is_valid():
        return _idea(request, experiment, form)
    facts = form.cleaned_data
    fields = {"name": facts["name"], "hypothesis": facts["hypothesis"]}
    if not kept(request, experiment, fields, form):
        return _idea(request, experiment, form)
    return go_on(request, experiment, template=facts["template"])


# --- audience ----


def _audience_form(experiment: Experiment, data: Any = None) -> AudienceForm:
    return AudienceForm(
        data,
        kind=experiment.kind,
        layers=layer_choices(),
        found=audience_found(),
        initial=audience_initial(experiment),
    )


def _audience(request: HttpRequest, experiment: Experiment, form: AudienceForm) -> HttpResponse:
    if not can_change(request.user, "experiments"):
        form.lock()
    return step_show(
        request,
        "portal/experiments/design_audience.html",
        experiment,
        "audience",
        form=form,
        layers=layers_pictured(experiment),
    )


def _audience_save(request: HttpRequest, experiment: Experiment) -> HttpResponse:
    form = _audience_form(experiment, request.POST)
    if not form.is_valid() or not kept(request, experiment, form.values(), form):
        return _audience(request, experiment, form)
    return go_on(request, experiment)


# --- metrics ----


def _metrics(request: HttpRequest, experiment: Experiment, form: MetricsForm) -> HttpResponse:
    may = can_change(request.user, "experiments")
    if not may:
        form.lock()
    return step_show(
        request,
        "portal/experiments/design_metrics.html",
        experiment,
        "metrics",
        form=form,
        webhook_key=webhook_secret(experiment) if may else "",
    )


def _metrics_save(request: HttpRequest, experiment: Experiment) -> HttpResponse:
    form = MetricsForm(request.POST, metrics=unit_metrics())
    if not form.is_valid() or not kept(request, experiment, form.values(), form):
        return _metrics(request, experiment, form)
    return go_on(request, experiment)


def _plan(request: HttpRequest, experiment: Experiment) -> Plan:
    form = MetricsForm(request.POST or None, metrics=unit_metrics(), initial=metrics_initial(experiment))
    return plan_of(experiment, plan_asked(experiment, form))


@page
def design_plan(request: HttpRequest, code: str) -> HttpResponse:
    """How long it takes to see what, from the shop's own history, as the form stands."""
    experiment = experiment_get(code=code)
    return show(
        request, "portal/experiments/design_plan.html", experiment=experiment, plan=_plan(request, experiment)
    )


@page
def plan_csv(request: HttpRequest, code: str) -> HttpResponse:
    """The table behind the plan's chart, as the draft is kept."""
    plan = _plan(request, experiment_get(code=code))
    if plan.chart is None:
        raise NotFound(plan.missing)
    return csv_answer(plan.chart)
