"""The variants of an experiment's design: what each shows where, the split, slates side by side."""

from dataclasses import replace
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput, RecoPortalError
from apps.experiments.models import Experiment, ExperimentKind
from apps.experiments.selectors import experiment_get
from apps.experiments.services import experiment_update, variants_set
from apps.merchandising.models import Placement
from apps.merchandising.selectors import placement_get, placement_list
from apps.portal.access import can_change, locked_reason, person
from apps.portal.context_bar import PageContext
from apps.portal.experiment_blends import panels_of, preview_of
from apps.portal.forms.experiment_variants import MOST, VariantsForm, variants_posted
from apps.portal.pages.experiment_frame import go_on, step_show, template_of
from apps.portal.pages.shell import page, show
from apps.portal.samples import with_sample
from apps.portal.slates import slate_explained, slates_beside
from apps.portal.waterfall import waterfall
from apps.portal.words.experiment_design import FEATURE, Template
from apps.serving.publications import PublicationState

PLACED = (ExperimentKind.INTERLEAVING, ExperimentKind.SWITCHBACK)
GROWING = (ExperimentKind.AB, ExperimentKind.BANDIT, ExperimentKind.SWITCHBACK)


def _placements(data: Any) -> list[Placement]:
    wanted = data.getlist("placements")
    return [one for one in placement_list() if one.code in wanted]


def variants_page(
    request: HttpRequest, experiment: Experiment, form: VariantsForm, template: Template, **more: Any
) -> HttpResponse:
    """The step; `fragment` is its form alone, for the form's own buttons."""
    fragment = more.pop("fragment", False)
    facts: dict[str, Any] = {
        "form": form,
        "made_from": template,
        "placements": list(placement_list()),
        "chosen": {one.code for one in form.placements},
        "whole_shop": experiment.kind == ExperimentKind.HOLDOUT,
        "needs_placement": experiment.kind in PLACED
        or (experiment.kind == ExperimentKind.AB and template.code != FEATURE),
        "may_add": len(form.variants) < MOST and experiment.kind in GROWING,
        "shape_url": reverse("portal:experiment_shape", args=[experiment.code]),
        "variants": panels_of(experiment, form, template),
    } | more
    if fragment:
        may = can_change(request.user, "experiments")
        return show(
            request,
            "portal/experiments/design_variants_form.html",
            experiment=experiment,
            may=may,
            may_change=may,
            locked="" if may else locked_reason("experiments"),
            **facts,
        )
    return step_show(request, "portal/experiments/design_variants.html", experiment, "variants", **facts)


@page
def variants_shape(request: HttpRequest, code: str) -> HttpResponse:
    """The form after one of its own buttons: a variant more or less, an even split, another start. Keeps
    nothing: that is the step's save.
    """
    experiment = experiment_get(code=code)
    form = variants_posted(request.POST, _placements(request.POST))
    what, _colon, rest = request.POST.get("do", "").partition(":")
    row, _colon, placement = rest.partition(":")
    more: dict[str, Any] = {"fragment": True}
    match what:
        case "add":
            form.add()
            more |= {"fresh": len(form.variants) - 1, "said": _("A variant was added.")}
        case "drop" if row.isdecimal():
            form.drop(int(row))
            more["said"] = _("The variant was removed.")
        case "even":
            form.even()
            more["said"] = _("The shares are even.")
        case "from" if row.isdecimal() and int(row) < len(form.variants):
            form.start_again(int(row), placement)
    if what != "":
        for one in form.variants:  # the button's answer is no place to scold for what is still empty
            one.errors.clear()
    return variants_page(
        request, experiment, form, template_of(experiment, request.POST.get("template", "")), **more
    )


def variants_keep(request: HttpRequest, experiment: Experiment) -> HttpResponse:
    """Keep placements and variants, both or neither."""
    form = variants_posted(request.POST, _placements(request.POST))
    template = template_of(experiment, request.POST.get("template", ""))
    if experiment.kind == ExperimentKind.AB and template.code != FEATURE and not form.placements:
        form.where = _(
            "Tick at least one placement. To test a feature of the storefront, choose that on the first step."
        )
    if not form.valid:
        return variants_page(request, experiment, form, template)
    actor, pk = person(request), experiment.pk
    try:
        with transaction.atomic():
            if experiment.kind != ExperimentKind.HOLDOUT:
                codes = [one.code for one in form.placements]
                experiment_update(actor=actor, experiment_id=pk, fields={"placements": codes})
            variants_set(actor=actor, experiment_id=pk, variants=form.values())
    except RecoPortalError as error:
        form.take(error)
        return variants_page(request, experiment, form, template)
    return go_on(request, experiment)


def _blend_posted(data: QueryDict, row: int, place: Placement) -> tuple[str, PublicationState]:
    """The name of the form's variant, and what it shows on the placement."""
    form = variants_posted(data, [place])
    if not 0 < row < len(form.variants):
        raise InvalidInput(field="row", value=row, remedy=_("The variant is gone; load the page again."))
    return form.variants[row].name, preview_of(form.variants[row].blends[place.code])


@page
def variant_preview(request: HttpRequest, code: str, row: int, placement: str) -> HttpResponse:
    """A variant's slate beside live's, as the form stands, for somebody picked at random."""
    place = placement_get(code=placement)
    name, shown = _blend_posted(request.POST, row, place)
    bar = replace(PageContext.of(request), code=place.code)
    picked = QueryDict(with_sample(bar).removeprefix("?"))
    if picked:
        skus = tuple(one for one in picked.get("items", "").split(",") if one)
        bar = replace(bar, shopper=picked.get("shopper", ""), skus=skus)
    live, view = slates_beside(bar, shown)
    return show(
        request,
        "portal/experiments/design_preview.html",
        bar=bar,
        view=view,
        live=live,
        name=name,
        query=bar.query().removeprefix("?"),
        why_variant=reverse("portal:experiment_preview_why", args=[code, row, placement]),
    )


@page
def variant_why(request: HttpRequest, code: str, row: int, placement: str) -> HttpResponse:
    """Why a product stands on a variant's slate; the query holds the form, whom it is for and the product."""
    place = placement_get(code=placement)
    _name, shown = _blend_posted(request.GET, row, place)
    bar = replace(PageContext.of(request), code=place.code)
    found = waterfall(slate_explained(bar, shown), request.GET.get("sku", ""))
    if found is None:
        raise InvalidInput(
            field="sku", value=request.GET.get("sku"), remedy=_("The slate has changed; look at it again.")
        )
    return show(request, "portal/slate/waterfall.html", why=found)
