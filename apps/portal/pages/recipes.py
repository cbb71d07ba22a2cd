"""Making recipes, switching them on and off, putting them away and bringing them back."""

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from apps.core.errors import RecoPortalError
from apps.portal.access import can_change, locked_reason, person
from apps.portal.forms.new_recipe import NewRecipeForm
from apps.portal.model_lines import placements_using
from apps.portal.pages.models import recipe_get
from apps.portal.pages.shell import action, done, page, show
from apps.portal.words.sources import family_name, sources_named
from apps.training.config_fields import families_facts
from apps.training.recipes import recipe_archive, recipe_create, recipe_restore, recipe_update


@page
def recipe_new(request: HttpRequest) -> HttpResponse:
    """The form; `from` names the family or the recipe (copy:code) it starts from."""
    form = NewRecipeForm(initial={"origin": request.GET.get("from", "")})
    return _new_page(request, form)


def _new_page(request: HttpRequest, form: NewRecipeForm) -> HttpResponse:
    locked = "" if can_change(request.user, "models") else locked_reason("models")
    if locked:
        form.lock()
    families = [(family_name(facts.name), facts) for facts in families_facts()]
    return show(
        request, "portal/models/new.html", title=_("New recipe"), form=form, locked=locked, families=families
    )


@action("models")
def recipe_add(request: HttpRequest) -> HttpResponse:
    """Store the recipe and go on to its settings."""
    form = NewRecipeForm(request.POST)
    if not form.is_valid():
        return _new_page(request, form)
    try:
        made = recipe_create(**form.values(), by=person(request))
    except RecoPortalError as error:
        form.take(error)
        return _new_page(request, form)
    text = _("%(name)s is made. Look over its settings, then train it.") % {"name": made.name}
    return done(request, "portal:recipe_edit", text, made.code)


@action("models")
def recipe_switch(request: HttpRequest, code: str) -> HttpResponse:
    """Take a recipe into use, or out of it."""
    active = request.POST.get("active") == "1"
    recipe_update(recipe=recipe_get(code), changes={"active": active}, by=person(request))
    name = sources_named()[code].name
    text = _("%(name)s is in use. Train it to make it live.") if active else _("%(name)s is not in use now.")
    return done(request, "portal:recipe", text % {"name": name}, code)


@page
def archive_ask(request: HttpRequest, code: str) -> HttpResponse:
    """The dialog before a recipe is put away."""
    return show(
        request, "portal/models/archive.html", recipe=recipe_get(code), name=sources_named()[code].name,
        placements=placements_using(code),
    )  # fmt: skip


@action("models")
def archive(request: HttpRequest, code: str) -> HttpResponse:
    """Put a recipe away."""
    recipe_archive(recipe=recipe_get(code), by=person(request))
    return done(request, "portal:models", _("%(name)s is archived.") % {"name": sources_named()[code].name})


@action("models")
def restore(request: HttpRequest, code: str) -> HttpResponse:
    """Bring an archived recipe back."""
    recipe_restore(recipe=recipe_get(code), by=person(request))
    text = _("%(name)s is back, switched off.") % {"name": sources_named()[code].name}
    return done(request, "portal:recipe", text, code)
