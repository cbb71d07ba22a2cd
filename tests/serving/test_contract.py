"""The recommendation endpoint keeps what its OpenAPI description promises, whatever it is asked."""

from typing import Any
from urllib.parse import urlencode

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from apps.accounts.services import api_client_create
from apps.merchandising.services import DEFAULT_PLACEMENTS, placements_ensure
from apps.serving.decide import ITEMS_MAX
from apps.serving.models import ListScope
from apps.serving.parameters import PARAMETERS
from apps.serving.remembering import exposures_flush
from tests.factories.shop import event, events_record, shoppers_make
from tests.serving.shop import SKUS, catalogue_make, version_make

CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
PATH = "/api/v1/recommendations/{placement}"
PLACEMENTS = [code for code, *_ in DEFAULT_PLACEMENTS]
FUZZ = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))

# The WSGI application closes its connection after each request, and with it a transaction around the test.
pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def key(committed_db: None) -> str:
    """A key for a shop with every default placement, lists of every kind and a shopper with a past."""
    ids = catalogue_make()
    shopper = shoppers_make("s1", region=["Kent"], consent=[True])["s1"]
    lists = {(ListScope.ITEM, pk): SKUS[::-1] for pk in list(ids.values())[:10]}
    version_make("als", {**lists, (ListScope.SHOPPER_NEW, shopper.pk): SKUS[:20]})
    version_make("ease", {(ListScope.SHOPPER_NEW, shopper.pk): SKUS[10:]})
    version_make("popular", {(ListScope.EVERYONE, 0): SKUS})
    version_make("trend", {(ListScope.EVERYONE, 0): SKUS[5:25]})
    placements_ensure()
    events_record(
        event("purchase", shopper="s1", sku="p01"),
        event("dislike", shopper="s1", sku="p02"),
        event("view", shopper="", session="v1", sku="p03"),
    )
    return api_client_create(name="fuzz", scopes=["recommend"], requests_per_minute=10_000_000)[1]


@pytest.fixture
def operation(key: str) -> Any:
    """The endpoint as described, served in process."""
    schema = schemathesis.openapi.from_wsgi("/api/schema/?format=json", get_wsgi_application())
    return schema[PATH]["GET"]


def described_answer(case: Any, key: str) -> Any:
    """The answer, after holding it against the description."""
    case.headers = {"Authorization": f"Api-Key {key}"}
    response = case.call()
    case.validate_response(response, checks=CHECKS)
    return response


@pytest.mark.parametrize("placement", PLACEMENTS)
@FUZZ
@given(data=st.data())
def test_what_the_description_allows_is_answered_with_a_slate(
    operation: Any, key: str, placement: str, data: st.DataObject
) -> None:
    case = data.draw(operation.as_strategy())
    case.path_parameters = {"placement": placement}
    response = described_answer(case, key)
    # The description can not say "at most 50 skus of 64 printable characters" of one text.
    assert response.status_code in (200, 400), response.text
    if response.status_code == 400:
        assert response.json()["error"]["field"] in PARAMETERS
    else:
        body = response.json()
        assert body["placement"] == placement
        assert [item["position"] for item in body["items"]] == list(range(1, len(body["items"]) + 1))
        assert ("trace" in body) == (case.query.get("explain") in ("1", "true"))


@pytest.mark.parametrize("placement", [code for code in PLACEMENTS if code != "again"])
@FUZZ
@given(
    shopper=st.sampled_from(["", "s1", "nobody"]),
    session=st.sampled_from(["", "v1", "v2"]),
    items=st.lists(st.sampled_from([*SKUS, "unknown"]), max_size=ITEMS_MAX),
    n=st.integers(min_value=1, max_value=100),
    lang=st.sampled_from(["", "en", "zh-hans", "xx"]),
    explain=st.sampled_from(["0", "1"]),
)
def test_whoever_asks_gets_a_slate_without_repeats_and_without_what_was_named(
    operation: Any, key: str, placement: str, items: list[str], n: int, **query: str
) -> None:
    asked = {**query, "items": ",".join(items), "n": n}
    case = operation.Case(path_parameters={"placement": placement}, query=asked)
    response = described_answer(case, key)
    assert response.status_code == 200, response.text
    skus = [item["sku"] for item in response.json()["items"]]
    gone = set(items) - {"unknown"}
    if query["shopper"] == "s1":
        gone |= {"p01", "p02"}
    assert not gone & set(skus)
    assert len(skus) == len(set(skus)) == min(n, len(SKUS) - len(gone))


@pytest.mark.parametrize("placement", [*PLACEMENTS, "nowhere"])
@FUZZ
@given(
    query=st.dictionaries(
        st.sampled_from(["shopper", "items", "session", "n", "lang", "explain", "other"]),
        st.text(max_size=100) | st.integers().map(str),
    )
)
def test_no_text_whatever_breaks_it(key: str, placement: str, query: dict[str, str]) -> None:
    client = Client(headers={"Authorization": f"Api-Key {key}"}, raise_request_exception=False)
    encoded = urlencode(query, encoding="utf-8", errors="surrogatepass")
    response = client.get(f"/api/v1/recommendations/{placement}?{encoded}")
    assert response.status_code in ((200, 400) if placement != "nowhere" else (400, 404))
    if response.status_code == 400:
        error = response.json()["error"]
        assert error["field"]
        assert error["remedy"]
    assert exposures_flush() == (response.status_code == 200)
