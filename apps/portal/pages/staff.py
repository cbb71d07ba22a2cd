"""Colleagues: who works here with which roles, and invitations. Their own pages are in `profile`."""

from typing import Any

from django.conf import settings
from django.core.mail import send_mail
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from apps.accounts.models import StaffInvitation, User
from apps.accounts.roles import ROLE_CODES, ROLE_TITLES
from apps.accounts.selectors import invitations_open, shop_settings_get
from apps.accounts.services import (
    invitation_create,
    invitation_revoke,
    user_roles_set,
)
from apps.core.errors import NotFound, RecoPortalError
from apps.portal.access import person
from apps.portal.forms.staff import InvitationForm, RolesForm
from apps.portal.pages.settings import settings_page
from apps.portal.pages.shell import action, done, page, show


@page(area="access")
def team(request: HttpRequest) -> HttpResponse:
    """Everybody who can log in, and invitations still open."""
    return _team_page(request, InvitationForm())


def _team_page(request: HttpRequest, form: InvitationForm, **extra: Any) -> HttpResponse:
    return settings_page(
        request,
        "portal/settings/team.html",
        "team",
        form=form,
        people=_people(),
        invitations=[(one, ROLE_TITLES.get(one.role, one.role)) for one in invitations_open()],
        **extra,
    )


def _people() -> list[tuple[User, list[str | Promise]]]:
    """Everybody with the titles of their roles, those who may log in first."""
    people = User.objects.order_by("-is_active", "username").prefetch_related("groups")
    return [
        (one, [ROLE_TITLES[group.name] for group in one.groups.all() if group.name in ROLE_CODES])
        for one in people
    ]


@action("access")
def invite(request: HttpRequest) -> HttpResponse:
    """Make an invitation; its link is shown this once, and mailed where mail is set up."""
    form = InvitationForm(request.POST)
    if not form.is_valid():
        return _team_page(request, form)
    try:
        invitation, token = invitation_create(actor=person(request), **form.cleaned_data)
    except RecoPortalError as error:
        form.take(error)
        return _team_page(request, form)
    link = request.build_absolute_uri(reverse("portal:welcome", args=[token]))
    mailed = invitation_mail(invitation, link, shop_settings_get().name)
    return _team_page(request, InvitationForm(), invited=invitation, link=link, mailed=mailed)


def invitation_mail(invitation: StaffInvitation, link: str, shop_name: str) -> bool:
    """Send the link if a mail server is set up; False when it has to be handed over another way."""
    if not settings.EMAIL_HOST:
        return False
    subject = _("You are invited to %(shop)s") % {"shop": shop_name}
    text = _("Open this link to choose a password. It works once, until %(date)s.") % {
        "date": f"{invitation.expires_at:%Y-%m-%d %H:%M} UTC"
    }
    return bool(send_mail(subject, f"{text}\n\n{link}\n", None, [invitation.email], fail_silently=True))


@action("access")
def invitation_withdraw(request: HttpRequest, invitation_id: int) -> HttpResponse:
    """Make an open invitation's link worthless."""
    invitation_revoke(invitation_id=invitation_id, actor=person(request))
    return done(request, "portal:settings_team", _("The invitation is withdrawn."))


@page(area="access")
def roles_ask(request: HttpRequest, user_id: int) -> HttpResponse:
    """The dialog with a colleague's roles."""
    colleague = _colleague(user_id)
    names = [group.name for group in colleague.groups.all()]
    form = RolesForm(initial={"roles": names}, own=colleague == request.user)
    return show(request, "portal/settings/roles.html", person=colleague, form=form)


@action("access")
def roles_save(request: HttpRequest, user_id: int) -> HttpResponse:
    """Give a colleague exactly these roles."""
    colleague = _colleague(user_id)
    form = RolesForm(request.POST, own=colleague == request.user)
    if not form.is_valid():
        return show(request, "portal/settings/roles.html", person=colleague, form=form)
    user_roles_set(user=colleague, roles=form.cleaned_data["roles"], actor=person(request))
    return done(
        request, "portal:settings_team", _("The roles of %(name)s are changed.") % {"name": colleague}
    )


def _colleague(user_id: int) -> User:
    colleague = User.objects.filter(pk=user_id).first()
    if colleague is None:
        raise NotFound(_("There is no such colleague."))
    return colleague
