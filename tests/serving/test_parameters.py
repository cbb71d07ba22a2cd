"""What a request may say: every parameter checked, the same in an address and in JSON."""

from typing import Any

import pytest
from django.test import Client

from apps.accounts.services import api_client_create
from apps.core.errors import InvalidInput
from apps.serving.models import ListScope
from apps.serving.parameters import PARAMETERS, request_parse
from apps.serving.slate import ANY_CONTEXT, ANY_PRODUCT, Context, Filters
from tests.serving.shop import SKUS, catalogue_make, home_make, version_make

HOME = "/api/v1/recommendations/home"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("personalised", "maybe"),
        ("exclude", ",".join(f"x{n}" for n in range(501))),
        ("items", [f"x{n}" for n in range(10_000)]),
        ("items", [1]),
        ("items", {"deep": [{}]}),
        ("rank", "r" * 65),
        ("currency", "EURO"),
        ("currency", "E1R"),
        ("currency", 12),
        ("category", "a\nb"),
        ("device", "fridge"),
        ("device", 3),
        ("hour", "24"),
        ("hour", -1),
        ("weekday", "0"),
        ("region", "r" * 61),
        ("season", "monsoon"),
        ("referrer", "https://example.org"),
        ("in_category", "c" * 401),
        ("brand", "b" * 121),
        ("price_min", "-1"),
        ("price_min", "nan"),
        ("price_min", True),
        ("price_min", 10**400),
        ("price_max", "inf"),
        ("price_max", []),
        ("in_stock", "some"),
        ("in_stock", 1),
        ("attributes", "colour"),
        ("attributes", ":red"),
        ("attributes", {"colour": ["red"]}),
        ("attributes", {f"a{n}": "x" for n in range(21)}),
        ("n", True),
        ("n", 2.5),
        ("explain", None),
        ("context", {"a": {"b": {}}}),
        ("shopper", "x" * 81),
    ],
)
def test_what_is_wrong_is_named_with_its_value_and_a_remedy(name: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as caught:
        request_parse("home", {name: value})
    assert caught.value.field == name
    assert caught.value.remedy
    assert len(str(caught.value.value)) <= 200


def test_prices_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        request_parse("home", {"price_min": "9", "price_max": 8})
    assert caught.value.field == "price_max"


def test_an_address_and_json_say_the_same() -> None:
    text = {
        "shopper": "s1",
        "items": "a, b,,c",
        "n": "7",
        "lang": "zh-Hans",
        "personalised": "0",
        "exclude": "x,y",
        "currency": "eur",
        "rank": "p,q",
        "device": "Mobile",
        "hour": "9",
        "weekday": "7",
        "in_category": "Home > Mugs",
        "brand": "Acme,Orbit",
        "price_min": "1.5",
        "price_max": "20",
        "in_stock": "true",
        "attributes": "colour:red,material:oak",
    }
    values = {
        **text,
        "items": ["a", "b", "c"],
        "n": 7,
        "personalised": False,
        "exclude": ["x", "y"],
        "rank": ["p", "q"],
        "hour": 9,
        "weekday": 7,
        "brand": ["Acme", "Orbit"],
        "price_min": 1.5,
        "price_max": 20,
        "in_stock": True,
        "attributes": {"colour": "red", "material": "oak"},
    }
    asked = request_parse("home", text)
    assert asked == request_parse("home", values)
    assert asked.context == Context(device="mobile", hour=9, weekday=7)
    assert asked.filters == Filters(
        "Home > Mugs", ("Acme", "Orbit"), 1.5, 20.0, True, (("colour", "red"), ("material", "oak"))
    )
    assert (asked.language, asked.currency, asked.exclude) == ("zh-hans", "EUR", ("x", "y"))


def test_nothing_sent_means_nothing_asked() -> None:
    asked = request_parse("home", {})
    assert asked == request_parse("home", dict.fromkeys(PARAMETERS, ""))
    assert asked.personalised
    assert asked.context == ANY_CONTEXT
    assert not asked.filters
    assert asked.filters == ANY_PRODUCT


@pytest.mark.django_db
def test_a_body_asks_what_an_address_asks() -> None:
    catalogue_make()
    version_make("popular", {(ListScope.EVERYONE, 0): SKUS})
    home_make({"popular": 1.0})
    _, key = api_client_create(name="shop", scopes=["recommend"])
    shop = Client(headers={"Authorization": f"Api-Key {key}"})
    address = shop.get(HOME + "?n=3&items=p05,p00").json()
    asked = {"n": 3, "items": ["p05", "p00"], "hour": 9, "attributes": {}}
    body = shop.post(HOME, asked, content_type="application/json").json()
    assert [item["sku"] for item in body["items"]] == [item["sku"] for item in address["items"]]
    both = shop.post(HOME + "?n=3", asked, content_type="application/json")
    assert (both.status_code, both.json()["error"]["field"]) == (400, "n")
    wrong = shop.post(HOME, [], content_type="application/json")
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (400, "body")
