"""Settings: the shop and its API keys, which are the admins'. See also `placements` and `staff`."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from apps.accounts.models import ApiClient
from apps.accounts.selectors import api_clients_list, shop_settings_get
from apps.accounts.services import (
    PUBLISHABLE_SCOPES,
    api_client_create,
    api_client_origins_set,
    api_client_revoke,
    api_client_rotate,
    shop_settings_update,
)
from apps.core.errors import NotFound, RecoPortalError
from apps.portal.access import can_change, can_see, locked_reason, person
from apps.portal.forms.shop import ApiKeyForm, NameForm, OriginsForm, PublishableKeyForm, ShopForm
from apps.portal.pages.shell import action, done, page, show


def settings_page(request: HttpRequest, template: str, tab: str, **context: Any) -> HttpResponse:
    """A page under the settings' tabs; keys and team only for those who see "access"."""
    may_access = can_see(request.user, "access")
    return show(request, template, title=_("Settings"), tab=tab, may_access=may_access, **context)


# --- the shop ---------------------------------------------------------------------------------------


@page(area="settings")
def settings(request: HttpRequest) -> HttpResponse:
    """What the shop is called and how its numbers are read."""
    row = shop_settings_get()
    names = ("name", "currency", "time_zone", "languages", "attribution_hours")
    return _shop_page(request, ShopForm(initial={name: getattr(row, name) for name in names}))


def _shop_page(request: HttpRequest, form: ShopForm) -> HttpResponse:
    locked = "" if can_change(request.user, "settings") else locked_reason("settings")
    if locked:
        form.lock()
    return settings_page(
        request,
        "portal/settings/shop.html",
        "shop",
        form=form,
        locked=locked,
        zones=form.zones(),
    )


@action("settings")
def settings_save(request: HttpRequest) -> HttpResponse:
    """Store the shop's settings."""
    form = ShopForm(request.POST)
    if not form.is_valid():
        return _shop_page(request, form)
    try:
        shop_settings_update(actor=person(request), **form.cleaned_data)
    except RecoPortalError as error:
        form.take(error)
        return _shop_page(request, form)
    return done(request, "portal:settings", _("The settings are saved."))


# --- API keys -----------------------------------------------------------------------------------------


@page(area="access")
def keys(request: HttpRequest) -> HttpResponse:
    """Every key: who uses it, what it may, when it was last used."""
    return _keys_page(request, ApiKeyForm())


def _keys_page(
    request: HttpRequest, form: ApiKeyForm, page_form: PublishableKeyForm | None = None, **extra: Any
) -> HttpResponse:
    found = list(api_clients_list())
    return settings_page(
        request,
        "portal/settings/keys.html",
        "keys",
        form=form,
        page_form=page_form or PublishableKeyForm(),
        live=[one for one in found if one.revoked_at is None],
        revoked=[one for one in found if one.revoked_at is not None],
        **extra,
    )


@action("access")
def key_create(request: HttpRequest) -> HttpResponse:
    """Make a key and show it, this once."""
    form = ApiKeyForm(request.POST)
    if not form.is_valid():
        return _keys_page(request, form)
    try:
        client, key = api_client_create(actor=person(request), **form.cleaned_data)
    except RecoPortalError as error:
        form.take(error)
        return _keys_page(request, form)
    return _keys_page(request, ApiKeyForm(), made=client, key=key)


@action("access")
def page_key_create(request: HttpRequest) -> HttpResponse:
    """Make a publishable key for web pages."""
    form = PublishableKeyForm(request.POST)
    if form.is_valid():
        try:
            client, key = api_client_create(
                actor=person(request), scopes=PUBLISHABLE_SCOPES, **form.cleaned_data
            )
        except RecoPortalError as error:
            form.take(error)
        else:
            return _keys_page(request, ApiKeyForm(), made=client, key=key)
    return _keys_page(request, ApiKeyForm(), form)


@action("access")
def key_origins(request: HttpRequest, client_id: int) -> HttpResponse:
    """Store which web sites may use a publishable key."""
    client = _client(client_id)
    form = OriginsForm(request.POST)
    if form.is_valid():
        try:
            api_client_origins_set(client_id=client_id, actor=person(request), **form.cleaned_data)
        except RecoPortalError as error:
            form.take(error)
        else:
            return done(
                request,
                "portal:settings_keys",
                _("The web sites of “%(name)s” are saved.") % {"name": client.name},
            )
    return show(request, "portal/settings/key_ask.html", client=client, what="origins", form=form)


@page(area="access")
def key_ask(request: HttpRequest, client_id: int, what: str) -> HttpResponse:
    """The dialog before a key is renewed or revoked: what it takes with it; or the web sites it serves."""
    client = _client(client_id)
    sites = OriginsForm(initial={"origins": "\n".join(client.origins)})
    form = sites if what == "origins" else NameForm(name=client.name)
    return show(request, "portal/settings/key_ask.html", client=client, what=what, form=form)


@action("access")
def key_rotate(request: HttpRequest, client_id: int) -> HttpResponse:
    """Give the client a new key and show it, this once."""
    client, key = api_client_rotate(client_id=client_id, actor=person(request))
    return _keys_page(request, ApiKeyForm(), made=client, key=key, renewed=True)


@action("access")
def key_revoke(request: HttpRequest, client_id: int) -> HttpResponse:
    """Stop a key once its name has been typed."""
    client = _client(client_id)
    form = NameForm(request.POST, name=client.name)
    if not form.is_valid():
        return show(request, "portal/settings/key_ask.html", client=client, what="revoke", form=form)
    api_client_revoke(client_id=client_id, actor=person(request))
    return done(request, "portal:settings_keys", _("“%(name)s” is revoked.") % {"name": client.name})


def _client(client_id: int) -> ApiClient:
    client = ApiClient.objects.filter(pk=client_id).first()
    if client is None:
        raise NotFound(_("There is no such API key."))
    return client
