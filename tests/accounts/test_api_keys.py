"""What a process remembers of keys: few questions, an outage survived, no room for those who try keys."""

from dataclasses import replace

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from apps.accounts import api_keys
from apps.accounts.api_keys import caller_of_key
from apps.accounts.services import api_client_create
from tests.gates import Gate


@pytest.mark.django_db
def test_trying_keys_does_not_make_the_good_ones_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "CACHE_LIMIT", 5)
    monkeypatch.setattr(api_keys, "KEY_SECONDS", 60.0)
    _, key = api_client_create(name="Shop", scopes=["events"])
    assert caller_of_key(key)
    for number in range(20):
        assert caller_of_key(f"rp_guess{number}") is None
    with CaptureQueriesContext(connection) as queries:
        assert caller_of_key(key)
        assert caller_of_key("rp_guess19") is None
    assert len(queries) == 0
    assert len(api_keys._unknown) == 5


def test_an_outage_is_asked_about_once_in_a_while_not_by_every_request(
    database_gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, key = api_client_create(name="Shop", scopes=["events"])
    assert caller_of_key(key)
    monkeypatch.setattr(api_keys, "KEY_SECONDS", 60.0)
    [(name, good)] = api_keys._good.items()
    api_keys._good[name] = replace(good, good_at=good.good_at - 61, tried_at=good.tried_at - 61)
    database_gate.shut()
    for _ in range(10):
        connection.close()
        assert caller_of_key(key), "it was good a moment ago"
    assert database_gate.turned_away == 1, "whoever asks next waits for its turn"
    monkeypatch.setattr(api_keys, "KEY_SECONDS", 0.0)
    monkeypatch.setattr(api_keys, "OUTAGE_SECONDS", 0.0)
    with pytest.raises(OperationalError):
        caller_of_key(key)


def test_a_key_revoked_during_an_outage_stops_when_it_ends(
    database_gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, key = api_client_create(name="Shop", scopes=["events"])
    assert caller_of_key(key)
    type(client).objects.filter(pk=client.pk).update(revoked_at="2026-01-01T00:00:00Z")
    database_gate.shut()
    monkeypatch.setattr(api_keys, "KEY_SECONDS", 0.0)
    connection.close()
    assert caller_of_key(key)
    database_gate.open()
    connection.close()
    assert caller_of_key(key) is None
