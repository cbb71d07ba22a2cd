"""Reads of staff, API clients, invitations and the audit trail."""

import hashlib
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db import connection
from django.db.models import QuerySet

from apps.accounts.models import ApiClient, ShopSettings, StaffInvitation, User
from apps.accounts.roles import ADMIN, ROLE_CODES
from apps.core import clock

SETTINGS_SECONDS = 2.0
DEFAULT_LANGUAGES = ("en",)


@dataclass(frozen=True, slots=True)
class ShopFacts:
    """The shop's settings as values; `zone` is the time zone in which a day of the shop begins and ends."""

    name: str
    currency: str
    time_zone: str
    languages: tuple[str, ...]
    attribution_hours: int
    set_up_at: datetime | None
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone as an object."""
        return ZoneInfo(self.time_zone)


_settings_lock = threading.Lock()
_settings_cached: dict[str, tuple[float, ShopFacts]] = {}


def shop_settings_get() -> ShopFacts:
    """The shop's settings, at most two seconds old; defaults while nobody has stored any."""
    database = connection.settings_dict["NAME"]
    cached = _settings_cached.get(database)
    if cached and time.monotonic() - cached[0] < SETTINGS_SECONDS:
        return cached[1]
    row = ShopSettings.objects.filter(pk=1).first() or ShopSettings()
    facts = ShopFacts(
        name=row.name,
        currency=row.currency,
        time_zone=row.time_zone,
        languages=tuple(row.languages) or DEFAULT_LANGUAGES,
        attribution_hours=row.attribution_hours,
        words=row.words if isinstance(row.words, dict) else {},
        set_up_at=row.set_up_at,
    )
    with _settings_lock:
        _settings_cached[database] = (time.monotonic(), facts)
    return facts


def shop_settings_forget() -> None:
    """Drop the cached settings of this process (after a change, and when the database is switched)."""
    with _settings_lock:
        _settings_cached.clear()


def token_hash(token: str) -> str:
    """How tokens and keys are kept: SHA-256, hex. They are long and random, so no salt is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def invitation_find(*, token: str) -> StaffInvitation | None:
    """The open invitation of `token`; None when it is unknown, accepted or past its expiry."""
    invitations = StaffInvitation.objects.filter(token_hash=token_hash(token), accepted_at=None)
    return invitations.filter(expires_at__gt=clock.now()).first()


def invitations_open() -> QuerySet[StaffInvitation]:
    """Invitations that can still be accepted, newest first."""
    return StaffInvitation.objects.filter(accepted_at=None, expires_at__gt=clock.now())


def api_clients_list() -> QuerySet[ApiClient]:
    """All API clients, live ones first."""
    return ApiClient.objects.select_related("created_by").order_by("revoked_at", "name")


def user_roles(user: User) -> frozenset[str]:
    """The role codes of `user`; a superuser is an admin, an inactive user has none."""
    if not user.is_active:
        return frozenset()
    names = set(user.groups.values_list("name", flat=True)) & ROLE_CODES
    return frozenset(names | ({ADMIN} if user.is_superuser else set()))
