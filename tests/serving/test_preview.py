"""Staff may try another publication or blend on one request, no API key may; and which traces are kept."""

from collections.abc import Callable

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.accounts.roles import roles_sync
from apps.accounts.services import api_client_create
from apps.events.models import Exposure
from apps.merchandising.models import Placement
from apps.serving.memory import memory_forget
from apps.serving.models import ListScope, SlateTrace
from apps.serving.remembering import exposures_flush
from apps.serving.traces import traces_prune
from tests.factories.shop import shoppers_make
from tests.serving.shop import SKUS, catalogue_make, home_make, rules_publish, version_make

pytestmark = pytest.mark.django_db
HOME = "/api/v1/recommendations/home?shopper=s1&n=3"


@pytest.fixture(autouse=True)
def shop() -> None:
    """Publication 1 without rules, publication 2 with a pin; lists of two sources."""
    roles_sync()
    catalogue_make()
    shopper = shoppers_make("s1")["s1"]
    version_make("als", {(ListScope.SHOPPER_NEW, shopper.pk): SKUS[:10]})
    version_make("ease", {(ListScope.SHOPPER_NEW, shopper.pk): SKUS[10:20]})
    pin = {"id": "r", "kind": "pin", "position": 1, "target": {"type": "product", "skus": ["p29"]}}
    rules_publish(home_make({"als": 1.0}), pin)


def test_staff_see_another_publication_or_blend(maya: User, client_of: Callable[[User], Client]) -> None:
    browser = client_of(maya)

    def shown(query: str) -> tuple[int | None, list[str]]:
        body = browser.get(HOME + query).json()
        return body["publication"], [item["sku"] for item in body["items"]]

    assert shown("") == (2, ["p29", "p00", "p01"])
    assert shown("&publication=1") == (1, ["p00", "p01", "p02"])
    assert shown("&blend=ease:1") == (None, ["p29", "p10", "p11"])
    assert shown("&publication=1&blend=ease:1,als:0") == (None, ["p10", "p11", "p12"])
    assert shown("") == (2, ["p29", "p00", "p01"]), "nothing stays"
    exposures_flush()
    assert not Exposure.objects.exists()


@pytest.mark.parametrize(
    ("query", "status", "field"),
    [
        ("&publication=9", 404, None),
        ("&publication=one", 400, "publication"),
        ("&blend=ease", 400, "blend"),
        ("&blend=ease:2", 400, "weights.ease"),
        ("&blend=nothing:0.5", 400, "weights.nothing"),
        ("&blend=ease:nan", 400, "weights.ease"),
    ],
)
def test_wrong_overrides_are_named(
    maya: User, client_of: Callable[[User], Client], query: str, status: int, field: str | None
) -> None:
    answer = client_of(maya).get(HOME + query)
    assert (answer.status_code, answer.json()["error"]["field"]) == (status, field)


@pytest.mark.parametrize(("name", "value"), [("publication", "1"), ("blend", "ease:1")])
def test_no_key_may_override(maya: User, client_of: Callable[[User], Client], name: str, value: str) -> None:
    _, key = api_client_create(name="shop", scopes=["recommend"])
    header = {"Authorization": f"Api-Key {key}"}
    for browser in (Client(), client_of(maya)):
        answer = browser.get(f"{HOME}&{name}={value}", headers=header)
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, name)
        answer = browser.post(
            HOME.partition("?")[0], {name: value}, content_type="application/json", headers=header
        )
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, name)


def test_a_share_of_traces_is_kept_and_those_staff_asked_for(
    maya: User, client_of: Callable[[User], Client]
) -> None:
    _, key = api_client_create(name="shop", scopes=["recommend"])
    shop = Client(headers={"Authorization": f"Api-Key {key}"})
    shop.get(HOME)
    assert not SlateTrace.objects.exists(), "none is kept unless a placement says so"
    client_of(maya).get(HOME + "&explain=1")
    client_of(maya).get(HOME)
    assert SlateTrace.objects.get().for_staff
    Placement.objects.update(trace_share=1.0)
    memory_forget()
    body = shop.get(HOME).json()
    assert "trace" not in body, "the storefront did not ask"
    kept = SlateTrace.objects.get(request_id=body["request_id"])
    assert [item["sku"] for item in kept.trace["items"]] == [item["sku"] for item in body["items"]]
    assert "trace" in shop.get(HOME + "&explain=1").json()
    assert traces_prune() == 0
    SlateTrace.objects.update(at="2020-01-01T00:00:00Z")
    assert traces_prune() == 3
