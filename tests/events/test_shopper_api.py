"""PUT and PATCH of shoppers: consent decides what is kept, a bad row loses no good one."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.api_keys import api_keys_forget
from apps.accounts.services import api_client_create
from apps.events.models import Shopper

pytestmark = pytest.mark.django_db
Send = Callable[..., Any]


@pytest.fixture
def send() -> Send:
    """Send shoppers with a key that may; counts of (inserted, updated, unchanged) and the rejected rows."""
    api_keys_forget()
    _client, key = api_client_create(name="crm", scopes=["shoppers"])

    def ask(method: str, *rows: Any) -> tuple[tuple[int, int, int], list[Any]]:
        call = getattr(Client(), method)
        body = orjson.dumps({"shoppers": rows})
        headers = {"Authorization": f"Api-Key {key}"}
        response = call("/api/v1/shoppers", body, content_type="application/json", headers=headers)
        assert response.status_code == 200, response.content
        answer = orjson.loads(response.content)
        return (answer["inserted"], answer["updated"], answer["unchanged"]), answer["rejected"]

    return ask


def stored(name: str) -> tuple[bool, str, str]:
    return Shopper.objects.values_list("consent", "region", "gender").get(external_id=name)


def test_a_patch_keeps_what_it_does_not_name(send: Send) -> None:
    full = {"shopper": "s1", "consent": True, "region": "Kent", "gender": "f"}
    assert send("put", full) == ((1, 0, 0), [])
    assert send("patch", {"shopper": "s1", "region": "Fife"}) == ((0, 1, 0), [])
    assert stored("s1") == (True, "Fife", "f")
    assert send("patch", {"shopper": "s1", "region": "Fife"}) == ((0, 0, 1), [])
    assert send("put", {"shopper": "s1", "consent": True}) == ((0, 1, 0), [])
    assert stored("s1") == (True, "", "")


def test_attributes_go_with_consent(send: Send) -> None:
    send("put", {"shopper": "s1", "consent": True, "region": "Kent"})
    send("patch", {"shopper": "s1", "consent": False})
    assert stored("s1") == (False, "", "")
    send("patch", {"shopper": "s1", "region": "Kent"}, {"shopper": "new", "region": "Kent"})
    assert stored("s1") == stored("new") == (False, "", "")


def test_opting_out_holds_for_a_stranger_and_survives_other_patches(send: Send) -> None:
    assert send("patch", {"shopper": "s1", "opted_out": True}) == ((1, 0, 0), [])
    send("patch", {"shopper": "s1", "consent": True})
    assert Shopper.objects.get().opted_out


def test_no_nightly_sync_undoes_an_opt_out(send: Send) -> None:
    send("put", {"shopper": "s1", "consent": True, "opted_out": True})
    for row in ({"shopper": "s1"}, {"shopper": "s1", "opted_out": None}):
        for method in ("put", "patch"):
            send(method, row)
            assert Shopper.objects.get().opted_out, (method, row)
    assert send("put", {"shopper": "s1", "opted_out": False}) == ((0, 1, 0), [])
    assert not Shopper.objects.get().opted_out


def test_a_shopper_who_is_described_is_no_placeholder(send: Send) -> None:
    Shopper.objects.create(external_id="s1", placeholder=True)
    assert send("patch", {"shopper": "s1"}) == ((0, 1, 0), [])
    assert not Shopper.objects.get().placeholder


def test_a_bad_row_is_named_and_loses_no_good_one(send: Send) -> None:
    rows = [
        {"shopper": "a", "consent": True, "first_seen": "2026-01-05T10:00:00Z"},
        {"shopper": "a"},
        {"shopper": "b", "consent": "yes"},
        {"shopper": "c" * 81},
        {"consent": True},
        {"shopper": "d", "first_seen": "soon"},
        {"shopper": "e", "first_seen": "2999-01-01"},
        {"shopper": "f", "region": "a\0b"},
        {"shopper": "g", "age": 5},
    ]
    counts, rejected = send("put", *rows)
    assert counts == (1, 0, 0)
    assert sorted((error["index"], error["field"]) for error in rejected) == [
        (1, "shopper"), (2, "consent"), (3, "shopper"), (4, "shopper"), (5, "first_seen"), (6, "first_seen"),
        (7, "region"), (8, "age"),
    ]  # fmt: skip
    assert Shopper.objects.get().first_seen_at.isoformat() == "2026-01-05T10:00:00+00:00"


def test_the_number_of_statements_does_not_grow_with_the_batch(send: Send) -> None:
    def queries(number: int) -> int:
        with CaptureQueriesContext(connection) as found:
            send("put", *({"shopper": f"{number}-{place}", "consent": True} for place in range(number)))
        return len(found)

    queries(1)
    assert queries(2) == queries(300)


def test_keys_for_events_may_not_write_shoppers() -> None:
    _client, key = api_client_create(name="clicks", scopes=["events", "recommend", "catalog"])
    headers = {"Authorization": f"Api-Key {key}"}
    assert Client().put("/api/v1/shoppers", b"{}", headers=headers).status_code == 403
