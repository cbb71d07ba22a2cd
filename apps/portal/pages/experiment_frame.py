"""What the steps of an experiment's design share: the frame around each, and the way on from it."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.core.errors import RecoPortalError
from apps.experiments.models import Experiment, VariantPublication
from apps.experiments.services import experiment_update
from apps.portal.access import can_change, locked_reason, person
from apps.portal.pages.shell import done, show
from apps.portal.words.experiment_design import (
    BLEND,
    FEATURE,
    PAGE_SIZE,
    RULE,
    STEP_CODES,
    STEPS,
    TEMPLATES,
    VERSION,
    Template,
)


def template_of(experiment: Experiment, asked: str = "") -> Template:
    """The template a draft was made from, as far as it can be told; `asked` where the page still knows."""
    if asked in TEMPLATES and TEMPLATES[asked].kind == experiment.kind:
        return TEMPLATES[asked]
    if experiment.kind != "ab":
        return next(one for one in TEMPLATES.values() if one.kind == experiment.kind)
    if experiment.variants.exists() and not experiment.placements.exists():
        return TEMPLATES[FEATURE]
    return TEMPLATES[_differing(experiment)]


def _differing(experiment: Experiment) -> str:
    """The template of what the first variant changes; weights where it changes nothing else."""
    rows = VariantPublication.objects.filter(variant__experiment=experiment, variant__is_control=False)
    shown = rows.select_related("publication", "placement__live_publication").order_by(
        "variant__position", "id"
    )
    for one in shown:
        ours, live = one.publication, one.placement.live_publication
        if live is None or ours.weights != live.weights:
            return BLEND
        if ours.rules != live.rules:
            return RULE
        if ours.page_size != live.page_size:
            return PAGE_SIZE
        if ours.versions != live.versions:
            return VERSION
    return BLEND


def step_show(
    request: HttpRequest, page: str, experiment: Experiment | None, step: str, **context: Any
) -> HttpResponse:
    """A step in its frame."""
    may = can_change(request.user, "experiments")
    place = STEP_CODES.index(step)
    name = experiment.name if experiment else _("New experiment")
    target = (
        reverse("portal:experiment_design_save", args=[experiment.code, step])
        if experiment and step != "check"
        else reverse("portal:experiment_add")
    )
    return show(
        request,
        page,
        title=name,
        experiment=experiment,
        step=STEPS[place],
        steps=STEPS,
        may=may,
        may_change=may,
        locked="" if may else locked_reason("experiments"),
        target=target,
        next_step=STEP_CODES[min(place + 1, len(STEP_CODES) - 1)],
        **context,
    )


def go_on(request: HttpRequest, experiment: Experiment, template: str = "") -> HttpResponse:
    """To the step that was asked for, or to the list."""
    to = request.POST.get("go", "")
    if to not in STEP_CODES:
        text = _("“%(name)s” is kept as a draft.") % {"name": experiment.name}
        return done(request, "portal:experiments", text)
    address = reverse("portal:experiment_design", args=[experiment.code, to])
    return redirect(f"{address}?template={template}" if template and to == "variants" else address)


def kept(request: HttpRequest, experiment: Experiment, fields: Mapping[str, Any], form: Any) -> bool:
    """Whether the service took the fields; else its refusal is on the form."""
    try:
        experiment_update(actor=person(request), experiment_id=experiment.pk, fields=fields)
    except RecoPortalError as error:
        form.take(error)
        return False
    return True
