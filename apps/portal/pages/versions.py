"""Promoting a version and rolling back: what speaks against it, what it takes with it, and the deed."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from apps.core.errors import NotFound, RecoPortalError
from apps.portal.access import person
from apps.portal.forms.version import PromoteForm, RollbackForm
from apps.portal.model_lines import MEASURES, PROTOCOLS, cell, placements_using
from apps.portal.model_page import settings_told
from apps.portal.pages.models import recipe_get
from apps.portal.pages.shell import action, done, page, show
from apps.portal.words.sources import sources_named
from apps.training.models import ModelVersion
from apps.training.registry import gate_now, rollback_target, version_live, version_promote, version_rollback


def _version(version_id: int) -> ModelVersion:
    found = (
        ModelVersion.objects.select_related("recipe", "run__job", "promoted_by").filter(pk=version_id).first()
    )
    if found is None:
        raise NotFound(_("There is no such version."))
    return found


def said(version: ModelVersion) -> str:
    """A version as people call it: the source's name and the number."""
    return f"{sources_named()[version.recipe.code].name} v{version.number}"


@page
def version(request: HttpRequest, version_id: int) -> HttpResponse:
    """Everything known of one version, in the side panel."""
    found = _version(version_id)
    figures = [(title, [cell(found, protocol, code) for protocol in PROTOCOLS]) for code, title in MEASURES]
    return show(
        request,
        "portal/models/version.html",
        version=found,
        name=said(found),
        figures=figures,
        settings=settings_told(found.config, found.recipe.family),
    )


@page
def promote_ask(request: HttpRequest, version_id: int) -> HttpResponse:
    """The dialog before a version goes live."""
    found = _version(version_id)
    return _promote_dialog(request, found, PromoteForm(refused=gate_now(found)))


def _promote_dialog(request: HttpRequest, found: ModelVersion, form: PromoteForm) -> HttpResponse:
    return show(
        request, "portal/models/promote.html", version=found, name=said(found), form=form,
        live=version_live(found.recipe),
        placements=placements_using(found.recipe.code),
    )  # fmt: skip


@action("models")
def promote(request: HttpRequest, version_id: int) -> HttpResponse:
    """Make a version live; against the gate only with a reason."""
    found = _version(version_id)
    form = PromoteForm(request.POST, refused=gate_now(found))
    if not form.is_valid():
        return _promote_dialog(request, found, form)
    try:
        version_promote(version=found, by=person(request), reason=form.cleaned_data.get("reason", ""))
    except RecoPortalError as error:
        form.take(error)
        return _promote_dialog(request, found, form)
    return done(
        request, "portal:recipe", _("%(version)s is live.") % {"version": said(found)}, found.recipe.code
    )


@page
def rollback_ask(request: HttpRequest, code: str) -> HttpResponse:
    """The dialog before the live version goes back to the one before."""
    return _rollback_dialog(request, code, RollbackForm())


def _rollback_dialog(request: HttpRequest, code: str, form: RollbackForm) -> HttpResponse:
    recipe = recipe_get(code)
    return show(
        request, "portal/models/rollback.html", recipe=recipe, name=sources_named()[code].name, form=form,
        live=version_live(recipe),
        target=rollback_target(recipe), placements=placements_using(code),
    )  # fmt: skip


@action("models")
def rollback(request: HttpRequest, code: str) -> HttpResponse:
    """Make live what was live before."""
    form = RollbackForm(request.POST)
    if not form.is_valid():
        return _rollback_dialog(request, code, form)
    try:
        back = version_rollback(
            recipe=recipe_get(code), by=person(request), reason=form.cleaned_data["reason"]
        )
    except RecoPortalError as error:
        form.take(error)
        return _rollback_dialog(request, code, form)
    return done(request, "portal:recipe", _("%(version)s is live again.") % {"version": said(back)}, code)
