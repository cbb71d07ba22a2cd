"""Placements among the settings: create, edit, clone, archive and bring back. Merchandisers may, too."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.core.errors import NotFound, RecoPortalError
from apps.merchandising.models import Placement
from apps.merchandising.services import (
    SETTINGS,
    placement_archive,
    placement_clone,
    placement_create,
    placement_restore,
    placement_update,
)
from apps.portal.access import can_change, locked_reason, person
from apps.portal.forms.shop import NameForm, PlacementCloneForm, PlacementEditForm, PlacementForm
from apps.portal.pages.settings import settings_page
from apps.portal.pages.shell import action, done, page, show


@page
def placements(request: HttpRequest) -> HttpResponse:
    """Every placement; archived ones below."""
    return _placements_page(request, PlacementForm())


def _placements_page(request: HttpRequest, form: PlacementForm) -> HttpResponse:
    may = can_change(request.user, "merchandising")
    found = list(Placement.objects.select_related("live_publication"))
    return settings_page(
        request,
        "portal/settings/placements.html",
        "placements",
        form=form,
        may=may,
        locked="" if may else locked_reason("merchandising"),
        used=[one for one in found if one.archived_at is None],
        archived=[one for one in found if one.archived_at is not None],
    )


@action("merchandising")
def placement_add(request: HttpRequest) -> HttpResponse:
    """Make a placement; its first publication goes live with default weights."""
    form = PlacementForm(request.POST)
    if not form.is_valid():
        return _placements_page(request, form)
    try:
        made = placement_create(actor=person(request), **form.cleaned_data)
    except RecoPortalError as error:
        form.take(error)
        return _placements_page(request, form)
    return done(request, "portal:settings_placements", _("“%(name)s” is ready.") % {"name": made.name})


def _form(what: str, placement: Placement, data: Any = None) -> Any:
    """The dialog's form: filled with what is stored, or with what was sent."""
    if what == "edit":
        return PlacementEditForm(data, initial={name: getattr(placement, name) for name in SETTINGS})
    if what == "clone":
        initial = {
            "name": _("%(name)s copy") % {"name": placement.name},
            "code": f"{placement.code}-copy"[:40],
        }
        return PlacementCloneForm(data, initial=initial)
    return NameForm(data, name=placement.name)


@page
def placement_ask(request: HttpRequest, placement_id: int, what: str) -> HttpResponse:
    """The dialog to edit, clone or archive a placement."""
    placement = _placement(placement_id)
    return _dialog(request, placement, what, _form(what, placement))


def _dialog(request: HttpRequest, placement: Placement, what: str, form: Any) -> HttpResponse:
    return show(request, "portal/settings/placement_ask.html", placement=placement, what=what, form=form)


@action("merchandising")
def placement_do(request: HttpRequest, placement_id: int, what: str) -> HttpResponse:
    """Edit, clone or archive."""
    placement, actor = _placement(placement_id), person(request)
    form = _form(what, placement, request.POST)
    if not form.is_valid():
        return _dialog(request, placement, what, form)
    try:
        changed = _do(what, placement, actor, form.cleaned_data)
    except RecoPortalError as error:
        form.take(error)
        return _dialog(request, placement, what, form)
    return done(request, "portal:settings_placements", _done_text(what, changed.name))


def _do(what: str, placement: Placement, actor: User, facts: dict[str, Any]) -> Placement:
    if what == "edit":
        return placement_update(placement=placement, actor=actor, **facts)
    if what == "clone":
        return placement_clone(placement=placement, actor=actor, **facts)
    return placement_archive(placement=placement, actor=actor)


def _done_text(what: str, name: str) -> str:
    match what:
        case "clone":
            return _("“%(name)s” is ready.") % {"name": name}
        case "archive":
            return _("“%(name)s” is archived and no longer served.") % {"name": name}
    return _("“%(name)s” is saved.") % {"name": name}


@action("merchandising")
def placement_back(request: HttpRequest, placement_id: int) -> HttpResponse:
    """Serve an archived placement again."""
    placement = placement_restore(placement=_placement(placement_id), actor=person(request))
    return done(
        request, "portal:settings_placements", _("“%(name)s” is served again.") % {"name": placement.name}
    )


def _placement(placement_id: int) -> Placement:
    placement = Placement.objects.filter(pk=placement_id).first()
    if placement is None:
        raise NotFound(_("There is no such placement."))
    return placement
