"""What a process remembers of keys: few questions, an outage survived, no room for those who try keys."""

import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts import api_keys
from apps.accounts.api_keys import caller_of_key
from apps.accounts.models import ApiClient
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


def until(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def key_made(age: float) -> tuple[ApiClient, str]:
    """A client with its key, last looked up `age` seconds ago."""
    client, key = api_client_create(name="Shop", scopes=["events"])
    assert caller_of_key(key)
    aged(age)
    return client, key


def aged(age: float) -> None:
    [(name, good)] = api_keys._good.items()
    api_keys._good[name] = replace(good, good_at=good.good_at - age, tried_at=good.tried_at - age)


def test_a_good_key_is_looked_up_beside_the_requests(database_gate: Gate) -> None:
    _, key = key_made(1.6)
    connection.close()
    database_gate.shut()
    for _ in range(10):
        assert caller_of_key(key), "it was good a moment ago"
    assert connection.connection is None, "no request asked"
    until(lambda: database_gate.turned_away == 1 and not api_keys._asked_for)
    aged(60.0)
    assert caller_of_key(key), "known to be away: not asked for in a request, however old the answer"
    assert connection.connection is None
    until(lambda: database_gate.turned_away == 2 and not api_keys._asked_for)
    database_gate.open()
    aged(60.0)
    assert caller_of_key(key)
    until(lambda: not api_keys._away)


def test_an_unknown_key_is_no_wrong_key_while_the_database_is_away(database_gate: Gate) -> None:
    connection.close()
    database_gate.shut()
    client = Client(headers={"Authorization": "Api-Key rp_never_seen"})
    for _ in range(3):
        answer = client.post("/api/v1/events", data="{}", content_type="application/json")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
    assert database_gate.turned_away == 1, "the others did not wait"


def test_a_key_nobody_could_look_up_for_long_is_not_good_any_more(
    database_gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, key = key_made(60.0)
    monkeypatch.setattr(api_keys, "OUTAGE_SECONDS", 30.0)
    connection.close()
    database_gate.shut()
    with pytest.raises(OperationalError):
        caller_of_key(key)


def test_a_key_that_rested_is_looked_up_before_it_is_used(committed_db: None) -> None:
    client, key = key_made(60.0)
    ApiClient.objects.filter(pk=client.pk).update(revoked_at="2026-01-01T00:00:00Z")
    assert caller_of_key(key) is None


def test_a_key_revoked_during_an_outage_stops_when_it_ends(database_gate: Gate) -> None:
    client, key = key_made(0.0)
    ApiClient.objects.filter(pk=client.pk).update(revoked_at="2026-01-01T00:00:00Z")
    aged(1.6)
    connection.close()
    database_gate.shut()
    assert caller_of_key(key)
    until(lambda: bool(api_keys._away) and not api_keys._asked_for)
    database_gate.open()
    aged(1.6)
    caller_of_key(key)
    until(lambda: not api_keys._asked_for)
    assert caller_of_key(key) is None
