"""Invitations, keys, settings and the trail they leave."""

from datetime import timedelta
from typing import Any

import pytest

from apps.accounts.api_keys import api_caller_authenticate, caller_of_key, throttle_check
from apps.accounts.models import ApiClient, AuditEntry, ShopSettings, StaffInvitation, User
from apps.accounts.selectors import (
    api_clients_list,
    invitation_find,
    invitations_open,
    shop_settings_get,
    user_roles,
)
from apps.accounts.services import (
    api_client_create,
    api_client_revoke,
    api_client_rotate,
    audit_record,
    invitation_accept,
    invitation_create,
    invitation_revoke,
    shop_settings_update,
    staff_create,
    user_roles_set,
)
from apps.core import clock
from apps.core.errors import Conflict, InvalidInput, NotFound, Throttled, Unauthorized

pytestmark = pytest.mark.django_db
PASSWORD = "correct-horse-battery-staple"


def audit_of(object_type: str, object_id: int) -> list[AuditEntry]:
    """What happened to one object, newest first."""
    return list(AuditEntry.objects.filter(object_type=object_type, object_id=str(object_id)))


def test_an_invitation_becomes_an_account_once(adam: User) -> None:
    invitation, token = invitation_create(email="nora@shop.example", role="analyst", actor=adam)
    assert token not in str(vars(invitation))
    assert invitation_find(token=token) == invitation
    user = invitation_accept(token=token, password=PASSWORD, first_name="Nora")
    assert (user.is_staff, user_roles(user)) == (True, {"analyst"})
    assert user.check_password(PASSWORD)
    assert not invitations_open().exists()
    with pytest.raises(NotFound):
        invitation_accept(token=token, password=PASSWORD)
    with pytest.raises(Conflict):
        invitation_create(email="Nora@shop.example", role="analyst", actor=adam)


def test_an_invitation_expires_is_replaced_and_can_be_revoked(adam: User) -> None:
    _first, old = invitation_create(email="n@shop.example", role="analyst", actor=adam)
    second, token = invitation_create(email="n@shop.example", role="admin", actor=adam)
    assert invitation_find(token=old) is None
    with clock.pinned(clock.now() + timedelta(days=8)), pytest.raises(NotFound):
        invitation_accept(token=token, password=PASSWORD)
    invitation_revoke(invitation_id=second.pk, actor=adam)
    assert invitation_find(token=token) is None
    with pytest.raises(NotFound):
        invitation_revoke(invitation_id=second.pk, actor=adam)


@pytest.mark.parametrize(
    ("email", "role", "field"), [("nobody", "analyst", "email"), ("a@b.example", "boss", "role")]
)
def test_a_bad_invitation_is_refused(email: str, role: str, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        invitation_create(email=email, role=role, actor=None)
    assert caught.value.field == field
    assert not StaffInvitation.objects.exists()


def test_a_weak_password_is_refused_and_the_invitation_stays(adam: User) -> None:
    _invitation, token = invitation_create(email="n@shop.example", role="analyst", actor=adam)
    with pytest.raises(InvalidInput):
        invitation_accept(token=token, password="12345678")
    assert invitation_find(token=token)


def test_roles_are_set_exactly(adam: User) -> None:
    user = staff_create(username="zoe", password=PASSWORD, roles=["analyst"], actor=adam)
    user_roles_set(user=user, roles=["merchandiser", "ml_engineer"], actor=adam)
    assert user_roles(user) == {"merchandiser", "ml_engineer"}
    entry = audit_of("user", user.pk)[0]
    assert (entry.before, entry.after) == ({"roles": ["analyst"]}, {"roles": ["merchandiser", "ml_engineer"]})
    assert staff_create(username="zoe", password=PASSWORD, roles=["admin"]).pk == user.pk


def test_a_key_is_shown_once_and_kept_as_a_hash(adam: User) -> None:
    client, key = api_client_create(name="Shop", scopes=["events", "recommend"], actor=adam)
    assert key.startswith("rp_")
    assert client.prefix == key[:12]
    assert key not in str(ApiClient.objects.filter(pk=client.pk).values())
    caller = api_caller_authenticate({"HTTP_AUTHORIZATION": f"Api-Key {key}"}, {})
    assert (caller.name, caller.scopes) == ("Shop", {"events", "recommend"})
    client.refresh_from_db()
    assert client.last_used_at
    assert list(api_clients_list()) == [client]
    with pytest.raises(Conflict):
        api_client_create(name="Shop", scopes=["events"])


@pytest.mark.parametrize(
    ("name", "scopes", "field"), [("", ["events"], "name"), ("a", [], "scopes"), ("a", ["all"], "scopes")]
)
def test_a_bad_key_request_is_refused(name: str, scopes: list[str], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        api_client_create(name=name, scopes=scopes)
    assert caught.value.field == field


def test_rotating_and_revoking_stop_the_old_key(django_capture_on_commit_callbacks: Any) -> None:
    client, old = api_client_create(name="Shop", scopes=["events"])
    assert caller_of_key(old)
    with django_capture_on_commit_callbacks(execute=True):
        _client, new = api_client_rotate(client_id=client.pk)
    assert caller_of_key(old) is None
    assert caller_of_key(new)
    with django_capture_on_commit_callbacks(execute=True):
        api_client_revoke(client_id=client.pk)
    assert caller_of_key(new) is None
    assert api_client_revoke(client_id=client.pk).revoked_at  # again: no error
    verbs = [entry.verb for entry in audit_of("api_client", client.pk)]
    assert verbs == ["api_client.revoke", "api_client.rotate", "api_client.create"]
    with pytest.raises(NotFound):
        api_client_rotate(client_id=10**9)


def test_a_revocation_elsewhere_is_honoured_when_the_memory_is_old(monkeypatch: pytest.MonkeyPatch) -> None:
    client, key = api_client_create(name="Shop", scopes=["events"])
    assert caller_of_key(key)
    ApiClient.objects.filter(pk=client.pk).update(revoked_at=clock.now())  # another process
    assert caller_of_key(key)
    monkeypatch.setattr("apps.accounts.api_keys.KEY_SECONDS", 0.0)
    assert caller_of_key(key) is None


@pytest.mark.parametrize("header", [None, "", "Bearer x", "Api-Key", "Api-Key  ", "Api-Key rp_none"])
def test_headers_that_name_nobody(header: str | None) -> None:
    with pytest.raises(Unauthorized):
        api_caller_authenticate({"HTTP_AUTHORIZATION": header}, {})


def test_a_throttle_counts_over_processes_and_says_when_to_return(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.accounts.api_keys.time.time", lambda: 60_000_000.0)
    _client, key = api_client_create(name="Shop", scopes=["events"], requests_per_minute=3)
    caller = api_caller_authenticate({"HTTP_AUTHORIZATION": f"Api-Key {key}"}, {})
    for _ in range(3):
        throttle_check(caller)
    with pytest.raises(Throttled) as caught:
        throttle_check(caller)
    assert caught.value.retry_after == 60
    monkeypatch.setattr("apps.accounts.api_keys.time.time", lambda: 60_000_060.0)
    throttle_check(caller)


def test_settings_have_defaults_and_are_checked(adam: User) -> None:
    assert shop_settings_get().attribution_hours == 24
    shop_settings_update(actor=adam, name="Mug shop", currency="gbp", time_zone="Europe/London")
    facts = shop_settings_get()
    assert (facts.name, facts.currency, str(facts.zone)) == ("Mug shop", "GBP", "Europe/London")
    assert ShopSettings.objects.count() == 1
    entry = AuditEntry.objects.get(verb="shop_settings.update")
    assert entry.before
    assert entry.after
    assert (entry.before["currency"], entry.after["currency"]) == ("EUR", "GBP")
    shop_settings_update(actor=adam, currency="GBP")
    assert AuditEntry.objects.filter(verb="shop_settings.update").count() == 1  # nothing changed
    for change in (
        {"currency": "POUND"},
        {"time_zone": "Mars"},
        {"attribution_hours": 0},
        {"colour": "red"},
        {"name": ""},
    ):
        with pytest.raises(InvalidInput):
            shop_settings_update(actor=adam, **change)


def test_the_audit_trail_names_actor_and_change(adam: User) -> None:
    audit_record(
        actor=adam, verb="rule.hide", object_type="rule", object_id=7, object_label="x" * 300, before=None,
        after={"a": 1}, reason="sold out",
    )  # fmt: skip
    (entry,) = audit_of("rule", 7)
    assert (entry.actor, entry.reason, entry.after, len(entry.object_label)) == (
        adam,
        "sold out",
        {"a": 1},
        200,
    )
