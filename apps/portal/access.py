"""Who sees and who changes what on the staff site, by role (Django groups, see accounts.roles)."""

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.utils.translation import gettext as _

from apps.accounts.models import User
from apps.accounts.roles import ADMIN, MERCHANDISER, ML_ENGINEER, ROLE_CODES
from apps.accounts.selectors import user_roles

# Areas not named here are seen by every role.
# Merchandisers make placements, which are among the settings; keys and colleagues ("access") are the admins'.
SEES = {"settings": frozenset({MERCHANDISER, ADMIN}), "access": frozenset({ADMIN})}
CHANGES = {
    "merchandising": frozenset({MERCHANDISER, ADMIN}),
    "experiments": frozenset({MERCHANDISER, ADMIN}),
    "models": frozenset({ML_ENGINEER, ADMIN}),
    "data": frozenset({ML_ENGINEER, ADMIN}),
    "jobs": frozenset({ML_ENGINEER, ADMIN}),
    "settings": frozenset({ADMIN}),
    "access": frozenset({ADMIN}),
}
Person = User | AnonymousUser


def roles(user: Person) -> frozenset[str]:
    """The role codes of `user`, none for a visitor. Read once per request's user object."""
    kept = vars(user)
    if "_portal_roles" not in kept:
        kept["_portal_roles"] = user_roles(user) if isinstance(user, User) else frozenset()
    found: frozenset[str] = kept["_portal_roles"]
    return found


def person(request: HttpRequest) -> User:
    """The member of staff behind a request; only for views that need a login."""
    assert isinstance(request.user, User)
    return request.user


def can_see(user: Person, area: str = "") -> bool:
    """Whether `user` has a role that may open pages of `area`."""
    return bool(roles(user) & SEES.get(area, ROLE_CODES))


def can_change(user: Person, area: str) -> bool:
    """Whether `user` may change anything in `area`."""
    return bool(roles(user) & CHANGES.get(area, frozenset()))


def locked_reason(area: str) -> str:
    """Why the controls of `area` are switched off for this reader, in words."""
    match area:
        case "merchandising" | "experiments":
            return _("You can look but not change anything here: that needs the merchandiser role.")
        case "settings" | "access":
            return _("You can look but not change anything here: that needs the admin role.")
    return _("You can look but not change anything here: that needs the ML engineer role.")
