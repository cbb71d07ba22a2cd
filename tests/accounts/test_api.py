"""REST framework endpoints: key authentication, scopes, throttles and the one error shape."""

from typing import Any

import pytest
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.test import RequestFactory
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.accounts.api import ApiKeyAuthentication, ApiKeyThrottle, HasScope
from apps.accounts.services import api_client_create
from apps.core.api import errors_answered, json_response
from apps.core.errors import Conflict, InvalidInput, RecoPortalError

pytestmark = pytest.mark.django_db


class BodySerializer(serializers.Serializer[Any]):
    """A body with one number in it."""

    size = serializers.IntegerField(max_value=9)


class EchoView(APIView):
    """Raises what it is told to, else answers the caller's name."""

    authentication_classes = (ApiKeyAuthentication,)
    permission_classes = (HasScope,)
    throttle_classes = (ApiKeyThrottle,)
    required_scope = "catalog"
    error: Exception | None = None

    def post(self, request: Request) -> Response:
        """Check the body and answer."""
        if self.error is not None:
            raise self.error
        BodySerializer(data=request.data).is_valid(raise_exception=True)
        return Response({"caller": getattr(request.auth, "name", "")})


def call(
    key: str | None = None, body: Any = None, method: str = "post", error: Exception | None = None
) -> Any:
    """(status, body, response) of one call."""
    headers = {} if key is None else {"Authorization": f"Api-Key {key}"}
    request = getattr(RequestFactory(), method)(
        "/x", data=body if body is not None else {"size": 1}, content_type="application/json", headers=headers
    )
    response = EchoView.as_view(error=error)(request)
    response.render()
    return response


@pytest.fixture
def key() -> str:
    """A key with the view's scope."""
    return api_client_create(name="Feeder", scopes=["catalog"], requests_per_minute=100)[1]


def test_a_good_key_comes_through(key: str) -> None:
    response = call(key)
    assert (response.status_code, response.data) == (200, {"caller": "Feeder"})


def test_every_refusal_has_the_one_shape(key: str) -> None:
    other = api_client_create(name="Reader", scopes=["recommend"])[1]
    cases = [
        (call(None), 401, "unauthorized"),
        (call("rp_nope"), 401, "unauthorized"),
        (call(other), 403, "forbidden"),
        (call(key, body={"size": 10}), 400, "invalid_input"),
        (call(key, body="{"), 400, "invalid_input"),
        (call(key, method="put"), 405, "method_not_allowed"),
        (call(key, error=InvalidInput(field="a", value="b", remedy="c")), 400, "invalid_input"),
        (call(key, error=Conflict("no")), 409, "conflict"),
        (call(key, error=Http404()), 404, "not_found"),
        (call(key, error=OperationalError()), 503, "unavailable"),
    ]
    for response, status, code in cases:
        assert response.status_code == status
        assert set(response.data["error"]) == {"code", "message", "field", "value", "remedy"}
        assert response.data["error"]["code"] == code
    assert cases[3][0].data["error"]["field"] == "size"
    assert cases[0][0]["WWW-Authenticate"] == "Api-Key"
    assert cases[9][0]["Retry-After"]


def test_the_throttle_answers_429() -> None:
    key = api_client_create(name="Slow", scopes=["catalog"], requests_per_minute=1)[1]
    responses = [call(key) for _ in range(5)]
    assert responses[-1].status_code in (200, 429)
    late = [response for response in responses if response.status_code == 429]
    assert late  # at most two minutes touch five calls
    assert int(late[0]["Retry-After"]) >= 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RecoPortalError("x"), 500),
        (ZeroDivisionError(), 500),
        (OperationalError(), 503),
        (Conflict("x"), 409),
    ],
)
def test_a_plain_view_never_shows_a_traceback(error: Exception, status: int) -> None:
    @errors_answered
    def view(request: HttpRequest) -> HttpResponse:
        raise error

    response = view(RequestFactory().get("/"))
    assert response.status_code == status
    assert b"error" in response.content
    assert b"Traceback" not in response.content


def test_a_plain_view_answers_json() -> None:
    assert json_response({"a": 1}, status=201).content == b'{"a":1}'
