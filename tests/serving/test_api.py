"""The recommendation endpoint: keys, wrong input, contract, exposures."""

from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from django.test import Client

from apps.accounts.models import User
from apps.accounts.roles import roles_sync
from apps.accounts.services import api_client_create, api_client_revoke
from apps.events.models import Exposure, Shopper
from apps.serving.models import ListScope
from apps.serving.remembering import exposures_flush
from tests.factories.shop import event, events_record, shoppers_make
from tests.serving.shop import catalogue_make, home_make, version_make

pytestmark = pytest.mark.django_db
HOME = "/api/v1/recommendations/home"


@pytest.fixture
def shopper() -> Shopper:
    ids = catalogue_make()
    shopper = shoppers_make("s1")["s1"]
    version_make("als", {(ListScope.SHOPPER_NEW, shopper.pk): list(ids)[:20]})
    version_make("popular", {(ListScope.EVERYONE, 0): list(ids)[20:]})
    home_make({"als": 1.0})
    return shopper


@pytest.fixture
def shop(shopper: Shopper) -> Client:
    _, key = api_client_create(name="shop", scopes=["recommend"])
    return Client(headers={"Authorization": f"Api-Key {key}"})


def test_an_answer_has_the_documented_shape(shop: Client) -> None:
    document = Client().get("/api/schema/?format=json").json()
    operation = document["paths"]["/api/v1/recommendations/{placement}"]["get"]
    assert {"400", "401", "404", "503"} <= set(operation["responses"])
    schema = {
        "$ref": "#/components/schemas/Slate",
        "components": _nullable_as_json_schema(document["components"]),
    }
    for query in ("", "?shopper=s1", "?shopper=s1&n=30&explain=1", "?n=100&lang=zh-hans"):
        response = shop.get(HOME + query)
        assert response.status_code == 200
        jsonschema.validate(response.json(), schema)
        assert response["X-Request-Id"] == response.json()["request_id"]
    error = {
        "$ref": "#/components/schemas/Error",
        "components": _nullable_as_json_schema(document["components"]),
    }
    jsonschema.validate(shop.get(HOME + "?n=0").json(), error)


def _nullable_as_json_schema(value: Any) -> Any:
    """OpenAPI 3.0 says nullable: true where JSON Schema has a list of types."""
    if isinstance(value, list):
        return [_nullable_as_json_schema(one) for one in value]
    if not isinstance(value, dict):
        return value
    converted = {key: _nullable_as_json_schema(one) for key, one in value.items()}
    if converted.pop("nullable", False) is True:
        converted["type"] = [converted["type"], "null"]
    return converted


def test_the_answer_is_recorded_with_its_request_id(shop: Client, shopper: Shopper) -> None:
    body = shop.get(HOME + "?shopper=s1&n=3&session=v9").json()
    assert exposures_flush() == 1
    stored = Exposure.objects.get()
    assert str(stored.request_id) == body["request_id"]
    assert len(stored.product_ids) == len(body["items"]) == 3
    assert (stored.placement, stored.shopper_id, stored.session) == ("home", shopper.pk, "v9")
    assert (stored.rung, stored.sources, stored.propensities) == ("shopper", ["als"] * 3, [1.0] * 3)
    assert stored.publication_id is not None
    assert len(stored.model_version_ids) == 1
    assert body["rung"] == "shopper"
    assert [item["position"] for item in body["items"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("?n=0", "n"),
        ("?n=101", "n"),
        ("?n=ten", "n"),
        ("?n=1e1", "n"),
        ("?n=²", "n"),
        ("?shopper=" + "x" * 81, "shopper"),
        ("?shopper=a%00b", "shopper"),
        ("?session=" + "x" * 65, "session"),
        ("?items=" + ",".join(f"x{n}" for n in range(51)), "items"),
        ("?items=" + "y" * 65, "items"),
        ("?items=a%0Ab", "items"),
        ("?lang=" + "z" * 11, "lang"),
        ("?explain=perhaps", "explain"),
        ("?shoper=s1", "shoper"),
    ],
)
def test_wrong_parameters_are_named_with_value_and_remedy(shop: Client, query: str, field: str) -> None:
    response = shop.get(HOME + query)
    error = response.json()["error"]
    assert response.status_code == 400
    assert error["field"] == field
    assert error["remedy"]
    assert exposures_flush() == 0


def test_odd_but_harmless_input_is_answered(shop: Client) -> None:
    for query in ("?items=,,", "?items=unknown", "?shopper='%3B drop table x", "?shopper=&n=", "?n=007"):
        assert shop.get(HOME + query).status_code == 200


def test_an_unknown_placement_is_404_and_names_those_there_are(shop: Client) -> None:
    response = shop.get("/api/v1/recommendations/hoem")
    assert response.status_code == 404
    assert "Known placements: home" in response.json()["error"]["message"]


def test_without_a_good_key_there_is_no_slate(shop: Client) -> None:
    assert Client().get(HOME).status_code == 401
    assert Client(headers={"Authorization": "Api-Key nonsense"}).get(HOME).status_code == 401
    _, key = api_client_create(name="events only", scopes=["events"])
    assert Client(headers={"Authorization": f"Api-Key {key}"}).get(HOME).status_code == 403
    client, key = api_client_create(name="gone", scopes=["recommend"])
    api_client_revoke(client_id=client.pk)
    assert Client(headers={"Authorization": f"Api-Key {key}"}).get(HOME).status_code == 401
    assert shop.put(HOME).status_code == 405


@pytest.mark.usefixtures("shop")
def test_staff_may_look_without_a_key_and_leave_no_trace_in_the_figures(
    maya: User, otto: User, client_of: Callable[[User], Client]
) -> None:
    roles_sync()
    body = client_of(maya).get(HOME + "?shopper=s1&explain=1").json()
    assert body["trace"]["rung"] == "shopper"
    assert exposures_flush() == 0
    assert client_of(otto).get(HOME).status_code == 401
    assert client_of(maya).post(HOME).status_code == 405


def test_the_trace_comes_only_when_asked_for(shop: Client) -> None:
    assert "trace" not in shop.get(HOME + "?explain=0").json()
    trace = shop.get(HOME + "?shopper=s1&explain=1&n=2").json()["trace"]
    assert trace["items"][0]["parts"][0]["source"] == "als"


def test_a_dislike_sent_as_an_event_holds_on_the_next_call(shop: Client) -> None:
    first = shop.get(HOME + "?shopper=s1").json()["items"][0]["sku"]
    events_record(event("dislike", shopper="s1", sku=first))
    assert first not in [item["sku"] for item in shop.get(HOME + "?shopper=s1&n=100").json()["items"]]
