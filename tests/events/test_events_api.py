"""POST /api/v1/events: keys, scopes, shapes, limits and the document that describes them."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from django.http import HttpResponse
from django.test import Client

from apps.accounts.api_keys import api_keys_forget
from apps.accounts.services import api_client_create, api_client_revoke
from apps.events.models import Interaction
from tests.factories.shop import event

pytestmark = pytest.mark.django_db
Post = Callable[..., Any]


@pytest.fixture
def post() -> Post:
    """Send a body (object or raw bytes) with a good key unless another is given."""
    api_keys_forget()
    _client, key = api_client_create(name="shop", scopes=["events"])

    def send(body: Any, key: str | None = key, **headers: str) -> Any:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        if key is not None:
            headers["Authorization"] = f"Api-Key {key}"
        return Client().post("/api/v1/events", data, content_type="application/json", headers=headers)

    return send


def answer(response: HttpResponse) -> Any:
    """The JSON of a response."""
    return orjson.loads(response.content)


def test_one_event(post: Post) -> None:
    response = post(event())
    assert response.status_code == 200
    assert answer(response) == {"accepted": 1, "duplicates": 0, "rejected": []}


def test_a_batch_names_each_rejected_event(post: Post) -> None:
    good = event()
    response = post({"events": [good, event("dance"), good, 5]})
    body = answer(response)
    assert (body["accepted"], body["duplicates"]) == (1, 1)
    assert [(error["index"], error["field"]) for error in body["rejected"]] == [(1, "kind"), (3, "event")]
    assert set(body["rejected"][0]) == {"index", "field", "value", "remedy"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        (b"", "body"),
        (b"\xff", "body"),
        (b"[]", "body"),
        (b"null", "body"),
        (b'{"events": {}}', "events"),
        (orjson.dumps({"events": [{}] * 1001}), "events"),
    ],
)
def test_a_body_that_is_no_batch_is_refused_in_the_one_shape(post: Post, body: bytes, field: str) -> None:
    response = post(body)
    assert response.status_code == 400
    error = answer(response)["error"]
    assert set(error) == {"code", "message", "field", "value", "remedy"}
    assert error["field"] == field


def test_a_huge_body_is_refused(post: Post) -> None:
    response = post(b'{"events": ["' + b"x" * 2_100_000 + b'"]}')
    assert response.status_code == 413
    assert answer(response)["error"]["code"] == "payload_too_large"


@pytest.mark.parametrize("key", [None, "", "rp_wrong", "ünknown"])
def test_without_a_good_key_nothing_is_stored(post: Post, key: str | None) -> None:
    response = post(event(), key=key)
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Api-Key"
    assert answer(response)["error"]["code"] == "unauthorized"
    assert not Interaction.objects.exists()


def test_the_scope_is_needed(post: Post) -> None:
    _client, key = api_client_create(name="reader", scopes=["recommend"])
    assert post(event(), key=key).status_code == 403


def test_a_revoked_key_stops(post: Post) -> None:
    client, key = api_client_create(name="short", scopes=["events"])
    assert post(event(), key=key).status_code == 200
    api_client_revoke(client_id=client.pk)
    api_keys_forget()
    assert post(event(), key=key).status_code == 401


def test_too_many_requests_are_throttled(post: Post) -> None:
    _client, key = api_client_create(name="slow", scopes=["events"], requests_per_minute=2)
    codes = [post(event(), key=key).status_code for _ in range(6)]
    assert codes.count(429) >= 2  # a minute may end in between
    assert codes[:2] == [200, 200]
    response = post(event(), key=key)
    if response.status_code == 429:
        assert int(response["Retry-After"]) >= 1


def test_get_is_not_answered(post: Post) -> None:
    response = Client().get("/api/v1/events")
    assert response.status_code == 405
    assert response["Allow"] == "POST"


def test_the_document_describes_the_endpoint() -> None:
    schema = orjson.loads(Client().get("/api/schema/?format=json").content)
    operation = schema["paths"]["/api/v1/events"]["post"]
    assert {"200", "400", "401", "403", "413", "429", "503"} <= set(operation["responses"])
    assert {"Event", "EventBatch", "EventResult", "Error"} <= set(schema["components"]["schemas"])
    assert schema["components"]["securitySchemes"]["ApiKey"]["name"] == "Authorization"
