"""Writes of staff, API clients, the audit trail and the shop's settings."""

import secrets
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any
from zoneinfo import available_timezones

from django.contrib.auth.models import Group
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from apps.accounts.api_keys import api_keys_forget
from apps.accounts.models import ApiClient, AuditEntry, ShopSettings, StaffInvitation, User
from apps.accounts.origins import origins_clean, origins_forget
from apps.accounts.roles import ROLE_CODES
from apps.accounts.selectors import DEFAULT_LANGUAGES, shop_settings_forget, token_hash
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput, NotFound
from apps.core.models import row_check

SCOPES = ("recommend", "events", "catalog", "shoppers", "experiments")
# What a key may do that anybody can read in a page's source.
PUBLISHABLE_SCOPES = frozenset({"recommend", "events"})
KEY_PREFIX = "rp_"
PUBLISHABLE_PREFIX = "rp_pub_"
PREFIX_LENGTH = 12
INVITATION_DAYS = 7
SETTINGS_FIELDS = ("name", "currency", "time_zone", "languages", "attribution_hours", "words", "set_up_at")


def audit_record(
    *,
    actor: User | None,
    verb: str,
    object_type: str,
    object_id: Any,
    object_label: str,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> AuditEntry:
    """Store who changed what. `before` and `after` must be JSON-ready; None means there was or is nothing."""
    return AuditEntry.objects.create(
        at=clock.now(),
        actor=actor,
        verb=verb,
        object_type=object_type,
        object_id=str(object_id),
        object_label=object_label[:200],
        before=None if before is None else dict(before),
        after=None if after is None else dict(after),
        reason=reason,
    )


# --- staff ---


def role_check(role: str) -> str:
    """Return `role` if there is such a role; else InvalidInput."""
    if role not in ROLE_CODES:
        raise InvalidInput(field="role", value=role, remedy=f"Choose one of {', '.join(sorted(ROLE_CODES))}.")
    return role


@transaction.atomic
def user_roles_set(*, user: User, roles: Iterable[str], actor: User | None) -> User:
    """Give `user` exactly these roles; with none, the user can sign in but sees nothing."""
    wanted = sorted({role_check(role) for role in roles})
    before = sorted(set(user.groups.values_list("name", flat=True)) & ROLE_CODES)
    user.groups.remove(*Group.objects.filter(name__in=ROLE_CODES))
    user.groups.add(*(Group.objects.get_or_create(name=name)[0] for name in wanted))
    audit_record(
        actor=actor,
        verb="user.roles",
        object_type="user",
        object_id=user.pk,
        object_label=user.get_username(),
        before={"roles": before},
        after={"roles": wanted},
    )
    return user


@transaction.atomic
def staff_create(
    *,
    username: str,
    password: str | None,
    roles: Iterable[str] = (),
    email: str = "",
    actor: User | None = None,
) -> User:
    """Make (or, by username, update) a member of staff with a password and roles. For set-up and demos."""
    user = User.objects.filter(username=username).first() or User(username=username)
    user.is_staff, user.is_active = True, True
    user.email = email or user.email
    user.set_password(password)
    user.save()
    return user_roles_set(user=user, roles=roles, actor=actor)


@transaction.atomic
def invitation_create(
    *, email: str, role: str, actor: User | None, days: int = INVITATION_DAYS
) -> tuple[StaffInvitation, str]:
    """Invite a colleague; returns the invitation and the token for the link, which is shown this once."""
    role_check(role)
    try:
        validate_email(email)
    except ValidationError as error:
        raise InvalidInput(
            field="email", value=email, remedy="Write an address like name@shop.example."
        ) from error
    if User.objects.filter(username__iexact=email).exists():
        raise Conflict(f"{email} already has an account. Change its roles instead.")
    StaffInvitation.objects.filter(
        email__iexact=email, accepted_at=None
    ).delete()  # a new link replaces the old
    token = secrets.token_urlsafe(32)
    invitation = StaffInvitation.objects.create(
        email=email,
        role=role,
        token_hash=token_hash(token),
        expires_at=clock.now() + timedelta(days=days),
        invited_by=actor,
    )
    audit_record(
        actor=actor,
        verb="invitation.create",
        object_type="invitation",
        object_id=invitation.pk,
        object_label=email,
        after={"email": email, "role": role, "expires_at": invitation.expires_at.isoformat()},
    )
    return invitation, token


@transaction.atomic
def invitation_accept(*, token: str, password: str, first_name: str = "", last_name: str = "") -> User:
    """Make the account of an invited colleague; the link works once, until it expires."""
    open_invitations = StaffInvitation.objects.select_for_update(of=("self",)).filter(
        token_hash=token_hash(token), accepted_at=None, expires_at__gt=clock.now()
    )
    invitation = open_invitations.first()
    if invitation is None:
        raise NotFound("This invitation was used, replaced or has expired. Ask an admin for a new one.")
    user = User(username=invitation.email, email=invitation.email, first_name=first_name, last_name=last_name)
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise InvalidInput(field="password", value="…", remedy=" ".join(error.messages)) from error
    user.is_staff = True
    user.set_password(password)
    try:
        with transaction.atomic():
            user.save()
    except IntegrityError as error:
        raise Conflict(f"{invitation.email} already has an account. Sign in instead.") from error
    invitation.accepted_at = clock.now()
    invitation.save(update_fields=["accepted_at", "updated_at"])
    return user_roles_set(user=user, roles=[invitation.role], actor=invitation.invited_by)


@transaction.atomic
def invitation_revoke(*, invitation_id: int, actor: User | None) -> None:
    """Make an open invitation's link worthless."""
    invitation = StaffInvitation.objects.filter(pk=invitation_id, accepted_at=None).first()
    if invitation is None:
        raise NotFound(f"There is no open invitation {invitation_id}.")
    audit_record(
        actor=actor,
        verb="invitation.revoke",
        object_type="invitation",
        object_id=invitation.pk,
        object_label=invitation.email,
        before={"email": invitation.email, "role": invitation.role},
    )
    invitation.delete()


# --- API clients ---


def scopes_check(scopes: Iterable[str]) -> list[str]:
    """Return the scopes sorted if all exist and there is one at least; else InvalidInput."""
    wanted = sorted(set(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        raise InvalidInput(
            field="scopes", value=", ".join(unknown), remedy=f"Choose at least one of {', '.join(SCOPES)}."
        )
    return wanted


def _client_facts(client: ApiClient) -> dict[str, Any]:
    return {
        "name": client.name,
        "prefix": client.prefix,
        "scopes": client.scopes,
        "requests_per_minute": client.requests_per_minute,
        "publishable": bool(client.public_key),
        "origins": client.origins,
        "revoked_at": client.revoked_at.isoformat() if client.revoked_at else None,
    }


def _client_audit(client: ApiClient, verb: str, actor: User | None, before: dict[str, Any] | None) -> None:
    audit_record(
        actor=actor,
        verb=verb,
        object_type="api_client",
        object_id=client.pk,
        object_label=client.name,
        before=before,
        after=_client_facts(client),
    )


def _client_locked(client_id: int) -> ApiClient:
    client = ApiClient.objects.select_for_update(of=("self",)).filter(pk=client_id).first()
    if client is None:
        raise NotFound(f"There is no API key {client_id}.")
    return client


def _key_set(client: ApiClient, *, publishable: bool) -> str:
    key = (PUBLISHABLE_PREFIX if publishable else KEY_PREFIX) + secrets.token_urlsafe(32)
    client.prefix, client.key_hash = key[:PREFIX_LENGTH], token_hash(key)
    client.public_key = key if publishable else ""
    return key


@transaction.atomic
def api_client_create(
    *,
    name: str,
    scopes: Iterable[str],
    actor: User | None = None,
    requests_per_minute: int = 60_000,
    origins: Iterable[str] | None = None,
) -> tuple[ApiClient, str]:
    """Make an API client; returns it and its key. Of a secret key only the hash is kept.

    With `origins` (https://shop.example; none: only pages of this very site) the key is publishable: for web
    pages, with the scopes recommend and events at most.
    """
    name = name.strip()
    if not 1 <= len(name) <= 80:
        raise InvalidInput(field="name", value=name, remedy="Give the key a name of 1 to 80 characters.")
    if requests_per_minute < 1:
        raise InvalidInput(
            field="requests_per_minute",
            value=requests_per_minute,
            remedy="Allow at least one request a minute.",
        )
    if ApiClient.objects.filter(name=name).exists():
        raise Conflict(f"There is an API key named {name!r} already. Choose another name, or renew that key.")
    client = ApiClient(
        name=name,
        scopes=scopes_check(scopes),
        requests_per_minute=requests_per_minute,
        origins=origins_clean(origins or ()),
        created_by=actor,
    )
    if origins is not None and (excess := sorted(set(client.scopes) - PUBLISHABLE_SCOPES)):
        raise InvalidInput(
            field="scopes",
            value=", ".join(excess),
            remedy="Everybody can read a publishable key: give it recommend and events at most.",
        )
    key = _key_set(client, publishable=origins is not None)
    client.save()
    _client_audit(client, "api_client.create", actor, None)
    transaction.on_commit(origins_forget)
    return client, key


@transaction.atomic
def api_client_origins_set(*, client_id: int, origins: Iterable[str], actor: User | None = None) -> ApiClient:
    """Let pages of exactly these origins use a publishable key; in force within two seconds."""
    client = _client_locked(client_id)
    if not client.public_key:
        raise Conflict(f"{client.name!r} is a secret key, which no web page may use. Make a publishable one.")
    before = _client_facts(client)
    client.origins = origins_clean(origins)
    client.save(update_fields=["origins", "updated_at"])
    _client_audit(client, "api_client.origins", actor, before)
    transaction.on_commit(api_keys_forget)
    return client


@transaction.atomic
def api_client_rotate(*, client_id: int, actor: User | None = None) -> tuple[ApiClient, str]:
    """Give the client a new key; the old one stops working within two seconds. Undoes a revocation."""
    client = _client_locked(client_id)
    before = _client_facts(client)
    key = _key_set(client, publishable=bool(client.public_key))
    client.revoked_at = None
    client.save()
    _client_audit(client, "api_client.rotate", actor, before)
    transaction.on_commit(api_keys_forget)
    return client, key


@transaction.atomic
def api_client_revoke(*, client_id: int, actor: User | None = None, reason: str = "") -> ApiClient:
    """Stop the client's key; every process honours it within two seconds. Revoking twice changes nothing."""
    client = _client_locked(client_id)
    if client.revoked_at is None:
        before = _client_facts(client)
        client.revoked_at = clock.now()
        client.save(update_fields=["revoked_at", "updated_at"])
        _client_audit(client, "api_client.revoke", actor, before)
        transaction.on_commit(api_keys_forget)
    return client


# --- the shop ---


def _settings_facts(row: ShopSettings) -> dict[str, Any]:
    facts = {name: getattr(row, name) for name in SETTINGS_FIELDS}
    return facts | {"set_up_at": row.set_up_at.isoformat() if row.set_up_at else None}


@transaction.atomic
def shop_settings_update(*, actor: User | None = None, **changes: Any) -> ShopSettings:
    """Change the shop's settings (`SETTINGS_FIELDS`)."""
    unknown = sorted(set(changes) - set(SETTINGS_FIELDS))
    if unknown:
        raise InvalidInput(field=unknown[0], value="", remedy=f"Change one of {', '.join(SETTINGS_FIELDS)}.")
    ShopSettings.objects.get_or_create(pk=1)
    row = ShopSettings.objects.select_for_update().get(pk=1)
    before = _settings_facts(row)
    for name, value in changes.items():
        setattr(row, name, value)
    row.currency = str(row.currency).upper()
    row.languages = list(row.languages) or list(DEFAULT_LANGUAGES)
    if not (len(row.currency) == 3 and row.currency.isascii() and row.currency.isalpha()):
        raise InvalidInput(
            field="currency", value=row.currency, remedy="Write an ISO code such as EUR or GBP."
        )
    if row.time_zone not in available_timezones():
        raise InvalidInput(
            field="time_zone",
            value=row.time_zone,
            remedy="Write a name of the time zone database, like Europe/London.",
        )
    row_check(row)
    row.save()
    after = _settings_facts(row)
    if after != before:
        audit_record(
            actor=actor,
            verb="shop_settings.update",
            object_type="shop_settings",
            object_id=1,
            object_label=row.name,
            before=before,
            after=after,
        )
    shop_settings_forget()
    transaction.on_commit(shop_settings_forget)
    return row


@transaction.atomic
def user_language_set(*, user: User, language: str) -> User:
    """Remember the language a member of staff reads the pages in."""
    user.language = language
    user.save(update_fields=["language"])
    return user
