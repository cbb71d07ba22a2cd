"""Staff roles as Django groups. Nobody without a role sees anything."""

from dataclasses import dataclass, field

from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

MERCHANDISER = "merchandiser"
ANALYST = "analyst"
ML_ENGINEER = "ml_engineer"
ADMIN = "admin"
ROLE_TITLES = {
    MERCHANDISER: _("Merchandiser"),
    ANALYST: _("Analyst"),
    ML_ENGINEER: _("ML engineer"),
    ADMIN: _("Admin"),
}
ROLE_CODES = frozenset(ROLE_TITLES)
# Who may sign in, call the API or read the audit trail is for admins alone.
PRIVATE_APPS = ("accounts", "auth", "axes", "admin", "sessions", "contenttypes")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a role may change: whole apps, or single models as `app.model`. Every role views the shop."""

    apps: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    everything: bool = field(default=False)


GRANTS = {
    MERCHANDISER: Grant(
        apps=("merchandising", "experiments"),
        models=("catalog.product", "catalog.category", "catalog.producttext"),
    ),
    ANALYST: Grant(),
    ML_ENGINEER: Grant(
        apps=("training", "serving", "datasets", "jobs"), models=("events.eventkind", "catalog.feedimport")
    ),
    ADMIN: Grant(everything=True),
}


def permission_filter(grant: Grant) -> Q:
    """Which permissions a role with `grant` has."""
    if grant.everything:
        return Q()
    wanted = Q(codename__startswith="view_") & ~Q(content_type__app_label__in=PRIVATE_APPS)
    wanted |= Q(content_type__app_label__in=grant.apps)
    for label in grant.models:
        app_label, model = label.split(".")
        wanted |= Q(content_type__app_label=app_label, content_type__model=model)
    return wanted


@transaction.atomic
def roles_sync() -> dict[str, int]:
    """Make the role groups and give each exactly its permissions; returns how many each has.

    Run it after every migrate (`manage.py sync_roles`): new tables bring new permissions.
    """
    counts: dict[str, int] = {}
    for role, grant in GRANTS.items():
        group, _made = Group.objects.get_or_create(name=role)
        permissions = list(Permission.objects.filter(permission_filter(grant)))
        group.permissions.set(permissions)
        counts[role] = len(permissions)
    return counts
