"""A colleague's own pages: the first one after an invitation, and the profile."""

from typing import Any

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache

from apps.accounts.models import StaffInvitation
from apps.accounts.roles import ROLE_TITLES
from apps.accounts.selectors import invitation_find, shop_settings_get
from apps.accounts.services import invitation_accept, user_language_set
from apps.core.errors import RecoPortalError
from apps.portal.access import person, roles
from apps.portal.forms.staff import LanguageForm, WelcomeForm
from apps.portal.pages.shell import page, show


@never_cache
def welcome(request: HttpRequest, token: str) -> HttpResponse:
    """Where an invited colleague chooses a password and is logged in."""
    invitation = invitation_find(token=token)
    form = WelcomeForm(request.POST or None)
    if not invitation or not form.is_valid():
        return _welcome_page(request, form, invitation)
    facts = {name: form.cleaned_data[name] for name in ("password", "first_name", "last_name")}
    try:
        user = invitation_accept(token=token, **facts)
    except RecoPortalError as error:
        form.take(error)
        return _welcome_page(request, form, invitation)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return redirect("portal:overview")


def _welcome_page(
    request: HttpRequest, form: WelcomeForm, invitation: StaffInvitation | None
) -> HttpResponse:
    facts: dict[str, Any] = {**admin.site.each_context(request), "form": form, "invitation": invitation}
    facts |= {"shop": shop_settings_get(), "title": _("Welcome")}
    facts["role"] = ROLE_TITLES.get(invitation.role, "") if invitation else ""
    return render(request, "portal/settings/welcome.html", facts, status=200 if invitation else 404)


@page
def profile(request: HttpRequest) -> HttpResponse:
    """One's own language and password."""
    return _profile_page(request, _password_form(request))


def _password_form(request: HttpRequest) -> PasswordChangeForm:
    return PasswordChangeForm(person(request), request.POST or None, label_suffix="")


def _profile_page(request: HttpRequest, password: PasswordChangeForm) -> HttpResponse:
    language = LanguageForm(initial={"language": request.LANGUAGE_CODE})
    return show(
        request, "portal/settings/profile.html", title=_("Profile"), language=language, password=password,
        titles=[ROLE_TITLES[code] for code in ROLE_TITLES if code in roles(request.user)],
    )  # fmt: skip


@page
def profile_language(request: HttpRequest) -> HttpResponse:
    """Store the reader's language and speak it from the next page on."""
    form = LanguageForm(request.POST)
    if request.method != "POST" or not form.is_valid():
        return redirect("portal:profile")
    language = form.cleaned_data["language"]
    user_language_set(user=person(request), language=language)
    answer = redirect("portal:profile")
    answer.set_cookie(settings.LANGUAGE_COOKIE_NAME, language, max_age=365 * 24 * 3600, samesite="Lax")
    return answer


@page
def profile_password(request: HttpRequest) -> HttpResponse:
    """Change one's own password and stay logged in."""
    form = _password_form(request)
    if request.method != "POST" or not form.is_valid():
        return _profile_page(request, form)
    update_session_auth_hash(request, form.save())
    messages.success(request, _("Your password is changed."))
    return redirect("portal:profile")
