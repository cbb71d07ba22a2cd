"""Publishable keys: which pages they serve, and what browsers are told (CORS)."""

import json
from typing import Any

import pytest
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from apps.accounts import origins
from apps.accounts.api_keys import ApiCaller, api_view_plain
from apps.accounts.models import ApiClient
from apps.accounts.services import (
    api_client_create,
    api_client_origins_set,
    api_client_revoke,
    api_client_rotate,
)
from apps.core.api import json_response
from apps.core.errors import Conflict, InvalidInput
from tests.gates import Gate

SHOP = "https://shop.example"
pytestmark = pytest.mark.django_db


@api_view_plain("GET", "POST", scope="events")
def endpoint(request: HttpRequest, caller: ApiCaller) -> HttpResponse:
    """Say who asked, and what was seen of the address."""
    return json_response({"caller": caller.name, "query": request.GET.dict()})


def ask(key: str = "", *, method: str = "GET", header: str = "", **headers: str) -> HttpResponse:
    """One call, with the key in the query or in the header."""
    named = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    if header:
        named["HTTP_AUTHORIZATION"] = f"Api-Key {header}"
    named.setdefault("HTTP_HOST", "reco.example")
    query = f"?key={key}" if key else ""
    extra: dict[str, Any] = dict(named)
    return endpoint(RequestFactory().generic(method, f"/x{query}", **extra))


@pytest.fixture
def key() -> str:
    """A key for the pages of SHOP."""
    return api_client_create(name="Pages", scopes=["events", "recommend"], origins=[SHOP + "/"])[1]


def test_a_publishable_key_is_kept_and_renewed_as_one(key: str) -> None:
    client = ApiClient.objects.get()
    assert (client.public_key, client.origins) == (key, [SHOP])
    assert key.startswith("rp_pub_")
    _client, fresh = api_client_rotate(client_id=client.pk)
    client.refresh_from_db()
    assert client.public_key == fresh != key
    assert fresh.startswith("rp_pub_")


def test_pages_of_its_origin_are_served_and_may_read_the_answer(key: str) -> None:
    for response in (
        ask(key, origin=SHOP),
        ask(key, origin=SHOP, method="POST"),
        ask(header=key, origin=SHOP),
    ):
        assert response.status_code == 200
        assert response["Access-Control-Allow-Origin"] == SHOP
        assert "Origin" in response["Vary"]
        assert json.loads(response.content) == {"caller": "Pages", "query": {}}
    assert "Access-Control-Allow-Credentials" not in response


def test_pages_of_this_site_are_served(key: str) -> None:
    assert ask(key, origin="https://reco.example").status_code == 200
    assert ask(key, referer="https://reco.example/storefront/").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://other.example"},
        {"origin": "null"},
        {"origin": "http://shop.example"},
        {"origin": "https://shop.example.evil.example"},
        {"referer": "https://other.example/x"},
        {},
    ],
)
def test_other_pages_are_refused_and_told_nothing(key: str, headers: dict[str, str]) -> None:
    response = ask(key, **headers)
    assert response.status_code == 403
    assert "Access-Control-Allow-Origin" not in response


def test_a_browser_that_asks_first_is_answered_for_known_origins_only(key: str) -> None:
    asked = {"method": "OPTIONS", "access_control_request_method": "POST"}
    answer = ask(origin=SHOP, **asked)
    assert answer.status_code == 204
    assert answer["Access-Control-Allow-Origin"] == SHOP
    assert answer["Access-Control-Allow-Methods"] == "GET, POST"
    assert "Authorization" in answer["Access-Control-Allow-Headers"]
    stranger = ask(origin="https://other.example", **asked)
    assert stranger.status_code == 405
    assert "Access-Control-Allow-Origin" not in stranger


def test_a_page_can_read_why_it_was_refused(key: str) -> None:
    response = ask("rp_pub_nope", origin=SHOP)
    assert response.status_code == 401
    assert response["Access-Control-Allow-Origin"] == SHOP


def test_a_secret_key_in_an_address_is_refused() -> None:
    _, secret = api_client_create(name="Server", scopes=["events"])
    assert ask(secret).status_code == 401
    assert ask(header=secret).status_code == 200
    with pytest.raises(Conflict):
        api_client_origins_set(client_id=ApiClient.objects.get().pk, origins=[SHOP])


def test_origins_can_be_changed_and_a_revoked_key_opens_nothing(
    key: str, django_capture_on_commit_callbacks: Any
) -> None:
    client = ApiClient.objects.get()
    with django_capture_on_commit_callbacks(execute=True):
        api_client_origins_set(client_id=client.pk, origins=["https://new.example"])
    assert ask(key, origin="https://new.example").status_code == 200
    assert ask(key, origin=SHOP).status_code == 403
    with django_capture_on_commit_callbacks(execute=True):
        api_client_revoke(client_id=client.pk)
    assert origins.origins_known() == frozenset()


@pytest.mark.parametrize(
    "origin", ["shop.example", "https://shop.example/page", "ftp://x", "*", "https://", "https://a b"]
)
def test_what_is_no_origin_is_refused(origin: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        api_client_create(name="Pages", scopes=["events"], origins=[origin])
    assert caught.value.field == "origins"


def test_a_publishable_key_never_gets_the_catalogue() -> None:
    with pytest.raises(InvalidInput) as caught:
        api_client_create(name="Pages", scopes=["catalog", "events"], origins=[SHOP])
    assert caught.value.field == "scopes"


def test_the_check_costs_no_query(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("apps.accounts.api_keys.KEY_SECONDS", 60.0)
    monkeypatch.setattr("apps.accounts.origins.ORIGIN_SECONDS", 60.0)
    ask(key, origin=SHOP)
    with CaptureQueriesContext(connection) as queries:
        assert ask(key, origin=SHOP).status_code == 200
        assert ask(key, origin="https://other.example").status_code == 403
    assert len(queries) == 0


def test_pages_go_on_while_the_database_is_away(database_gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    _, key = api_client_create(name="Pages", scopes=["events"], origins=[SHOP])
    assert ask(key, origin=SHOP).status_code == 200
    monkeypatch.setattr("apps.accounts.api_keys.KEY_SECONDS", 0.0)
    monkeypatch.setattr("apps.accounts.origins.ORIGIN_SECONDS", 0.0)
    database_gate.shut()
    connection.close()
    response = ask(key, origin=SHOP)
    assert response.status_code == 200
    assert response["Access-Control-Allow-Origin"] == SHOP
