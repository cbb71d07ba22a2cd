"""Experiments over the real API: slates, assignments for the storefront's own features, and logging in."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.accounts.services import api_client_create
from apps.events.consuming import Consumer
from apps.events.models import Exposure, Shopper
from apps.experiments.models import Experiment
from apps.merchandising.models import Placement
from apps.serving.assignments_api import OWN, WHO
from apps.serving.models import ListScope
from apps.serving.remembering import exposures_flush
from tests.factories.shop import shoppers_make
from tests.serving.experimenting import experiment_make, hiding, units_of
from tests.serving.shop import SKUS, catalogue_make, home_make, version_make
from tests.serving.test_contract import CHECKS

PATH = "/api/v1/assignments"
FUZZ = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
# The WSGI application closes its connection after each request, and with it a transaction around the test.
pytestmark = pytest.mark.usefixtures("committed_db")
Get = Callable[..., Any]


@pytest.fixture
def home(committed_db: None) -> Placement:
    catalogue_make()
    version_make("popular", {(ListScope.EVERYONE, 0): SKUS[:20]})
    return home_make({"popular": 1.0})


@pytest.fixture
def key(home: Placement) -> str:
    scopes = ["recommend", "events"]
    return api_client_create(name="shop", scopes=scopes, requests_per_minute=10_000_000)[1]


@pytest.fixture
def shop(key: str) -> Client:
    return Client(headers={"Authorization": f"Api-Key {key}"})


def hide(**fields: Any) -> Experiment:
    arms: dict[str, Any] = {"control": {"home": {}}, "b": {"home": {"rules": hiding("p00")}}}
    return experiment_make("hide", arms, **fields)


def slate_of(shop: Client, **asked: str) -> dict[str, Any]:
    body: dict[str, Any] = shop.get("/api/v1/recommendations/home", {"n": "3", **asked}).json()
    return body


def assigned(shop: Client, **asked: str) -> dict[str, str | None]:
    body = shop.get(PATH, asked).json()
    return {one["experiment"]: one["variant"] for one in body["assignments"]}


def drained() -> None:
    """Store the events that wait in the inbox."""
    stopping = iter([False, True])
    Consumer(should_stop=lambda: next(stopping)).run()


def test_logging_in_changes_no_variant(shop: Client) -> None:
    for anonymous in units_of(hide())["b"]:
        account, visit = f"account of {anonymous}", f"visit of {anonymous}"
        asked = {"shopper": anonymous, "session": visit}
        first = slate_of(shop, **asked)
        assert first["experiment"] == {"code": "hide", "variant": "b"}
        view = {"kind": "view", "client_event_id": f"v {anonymous}", "sku": "p05", **asked}
        login = {
            **view,
            "client_event_id": f"l {anonymous}",
            "shopper": account,
            "anonymous": anonymous,
        }
        for event in (view, login):
            answer = shop.post("/api/v1/events", json.dumps(event), content_type="application/json")
            assert answer.json()["accepted"] == 1
            # Even before the event is stored, when the storefront says who this was.
            meanwhile = slate_of(shop, shopper=event["shopper"], session=visit, anonymous=anonymous)
            assert meanwhile["experiment"] == first["experiment"]
        drained()
        assert slate_of(shop, shopper=account)["experiment"] == first["experiment"]
        assert assigned(shop, shopper=account) == {"hide": "b"}
        assert Shopper.objects.get(external_id=account).unit == anonymous
    exposures_flush()
    assert set(Exposure.objects.values_list("variant", flat=True)) == {"b"}


def test_a_slate_says_what_decided_it(shop: Client) -> None:
    assert slate_of(shop, shopper="u1")["experiment"] is None
    name = units_of(hide())["b"][0]
    assert slate_of(shop, shopper=name)["experiment"] == {"code": "hide", "variant": "b"}
    explained = slate_of(shop, shopper=name, explain="1")
    assert explained["experiment"] == {"code": "hide", "variant": "b"}
    assert explained["trace"]["experiment"]["share"] == 0.5
    groups = shop.get(f"/api/v1/recommendations/home/groups?shopper={name}").json()
    assert groups["experiment"] == {"code": "hide", "variant": "b"}
    assert slate_of(shop, shopper=name, personalised="0")["experiment"] is None


def test_assignments_are_what_slates_go_by(shop: Client) -> None:
    arms: dict[str, Any] = {"control": {}, "b": {}}
    hide(traffic=0.5)
    experiment_make("feature", {**arms, "c": {}})
    experiment_make("phones", arms, audience={"devices": ["mobile"]})
    seen = set()
    for number in range(40):
        name = f"u{number}"
        found = assigned(shop, shopper=name)
        decided = slate_of(shop, shopper=name)["experiment"]
        assert (decided and decided["variant"]) == found["hide"]
        assert found["phones"] is None
        assert assigned(shop, shopper=name, device="mobile")["phones"] is not None
        seen.add((found["hide"], found["feature"]))
    assert len(seen) == 9, "one tells nothing of the other"


def test_the_answer_names_the_unit(shop: Client) -> None:
    shoppers_make("known")
    Shopper.objects.update(first_known_as="anon")
    for asked, unit in (
        ({"shopper": "known"}, "anon"),
        ({"shopper": "new"}, "new"),
        ({"shopper": "new", "anonymous": "v-1"}, "v-1"),
        ({"session": "s 1"}, "session:s 1"),
        ({"shopper": "known", "personalised": "0"}, ""),
        ({}, ""),
    ):
        assert shop.get(PATH, asked).json() == {"unit": unit, "assignments": []}
    Shopper.objects.update(opted_out=True)
    hide()
    answer = shop.get(PATH, {"shopper": "known"}).json()
    assert answer["unit"] == ""
    assert answer["assignments"] == [
        {"experiment": "hide", "kind": "ab", "variant": None, "in_audience": False}
    ]


def test_who_is_held_out_has_no_other_variant(shop: Client) -> None:
    experiment_make("held", {"held": {}, "open": {}}, kind="holdout", layer="holdout")
    hide()
    pairs = [tuple(assigned(shop, shopper=f"u{number}").values()) for number in range(30)]
    assert set(pairs) == {("held", None), ("open", "control"), ("open", "b")}


def test_an_exposure_is_recorded_when_the_storefront_shows_the_variant(shop: Client) -> None:
    feature = experiment_make("feature", {"control": {}, "b": {}}, traffic=0.5)
    units = units_of(feature)
    assigned(shop, shopper=units["b"][0], experiment="feature")
    for name in ("b", ""):
        assigned(shop, shopper=units[name][0], experiment="feature", expose="1", session="v1")
    assert assigned(shop, shopper=units["b"][0], experiment="gone", expose="1") == {}
    exposures_flush()
    kept = Exposure.objects.get()
    assert (kept.experiment_id, kept.variant, kept.placement) == (feature.pk, "b", "")
    assert (kept.product_ids, kept.session, kept.rung) == ([], "v1", "feature")
    assert kept.context == {"share": 0.5, "unit": units["b"][0]}
    refused = shop.get(PATH, {"shopper": "u1", "expose": "1"})
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, "experiment")


def test_web_pages_may_ask(home: Placement) -> None:
    page = "https://shop.example"
    _, key = api_client_create(name="pages", scopes=["recommend", "events"], origins=[page])
    answer = Client().get(f"{PATH}?shopper=u1&key={key}", headers={"Origin": page})
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, page)
    assert Client().get(PATH).status_code == 401


@pytest.fixture
def operation(key: str) -> Any:
    """The endpoint as described, served in process, while an experiment runs."""
    hide(audience={"languages": ["en"]})
    schema = schemathesis.openapi.from_wsgi("/api/schema/?format=json", get_wsgi_application())
    return schema[PATH]["GET"]


@FUZZ
@given(data=st.data())
def test_it_keeps_what_its_description_promises(operation: Any, key: str, data: st.DataObject) -> None:
    case: Any = data.draw(operation.as_strategy())
    case.headers = {"Authorization": f"Api-Key {key}"}
    response = case.call()
    case.validate_response(response, checks=CHECKS)
    assert response.status_code in (200, 400), response.text
    if response.status_code == 400:
        assert response.json()["error"]["field"] in (*WHO, *OWN)


@FUZZ
@given(query=st.dictionaries(st.sampled_from([*WHO, *OWN, "other"]), st.text(max_size=100)))
def test_no_text_whatever_breaks_it(shop: Client, query: dict[str, str]) -> None:
    answer = shop.get(PATH, {name: text.encode("utf-8", "replace") for name, text in query.items()})
    assert answer.status_code in (200, 400)
    assert answer.status_code == 200 or answer.json()["error"]["remedy"]
