"""The events endpoint keeps what its OpenAPI description promises, whatever it is sent."""

from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from apps.accounts.services import api_client_create

CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]

# The WSGI application closes its connection after each request, and with it a transaction around the test.
pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def operation(committed_db: None) -> Any:
    """The endpoint as described, served in process."""
    schema = schemathesis.openapi.from_wsgi("/api/schema/?format=json", get_wsgi_application())
    return schema["/api/v1/events"]["POST"]


@pytest.fixture
def key(committed_db: None) -> str:
    """A key that may report events."""
    return api_client_create(name="fuzz", scopes=["events"], requests_per_minute=10_000_000)[1]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_events_keep_their_contract(operation: Any, key: str, data: st.DataObject) -> None:
    case = data.draw(operation.as_strategy())
    case.headers = {"Authorization": f"Api-Key {key}"}
    response = case.call()
    assert response.status_code in (200, 400), response.text
    case.validate_response(response, checks=CHECKS)
    if response.status_code == 200:
        body = response.json()
        sent = len(case.body.get("events", [case.body]))
        assert body["accepted"] + body["duplicates"] + len(body["rejected"]) == sent
