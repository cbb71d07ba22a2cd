"""The catalogue and shopper endpoints keep what their OpenAPI description promises."""

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
ROWS = {"items": "catalog", "prices": "catalog", "stock": "catalog", "shoppers": "shoppers"}
ENDPOINTS = [(name, method) for name in ROWS for method in ("PUT", "PATCH")]

# The WSGI application closes its connection after each request, and with it a transaction around the test.
pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def schema(committed_db: None) -> Any:
    """The document, served in process."""
    return schemathesis.openapi.from_wsgi("/api/schema/?format=json", get_wsgi_application())


@pytest.fixture
def key(committed_db: None) -> str:
    """A key that may write all of them."""
    scopes = sorted(set(ROWS.values()))
    return api_client_create(name="fuzz", scopes=scopes, requests_per_minute=10_000_000)[1]


@pytest.mark.parametrize(("name", "method"), ENDPOINTS)
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_batches_keep_their_contract(
    schema: Any, key: str, data: st.DataObject, name: str, method: str
) -> None:
    case = data.draw(schema[f"/api/v1/{name}"][method].as_strategy())
    case.headers = {"Authorization": f"Api-Key {key}"}
    response = case.call()
    assert response.status_code in (200, 400), response.text
    case.validate_response(response, checks=CHECKS)
    if response.status_code == 200:
        body = response.json()
        done = body["inserted"] + body["updated"] + body["unchanged"] + len(body["rejected"])
        assert done == len(case.body[name])
