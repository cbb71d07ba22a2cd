"""PUT and PATCH of items, stock and prices: what is written, what is refused, what slates see of it."""

import gzip
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.api_keys import api_keys_forget
from apps.accounts.services import api_client_create
from apps.catalog.models import Product, ProductText
from apps.catalog.services import product_placeholders_make
from apps.core import clock
from apps.merchandising.services import placement_create
from apps.serving.memory import memory_current
from tests.factories.shop import products_make
from tests.serving.memory import serving_memory_fresh

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("serving_memory_fresh")]
Send = Callable[..., Any]
__all__ = ["serving_memory_fresh"]


@pytest.fixture
def send() -> Send:
    """Send rows (or a raw body) with a key that may write the catalogue; the answer's JSON."""
    api_keys_forget()
    _client, key = api_client_create(name="feeder", scopes=["catalog"])

    def ask(method: str, path: str, rows: Any, status: int = 200, **headers: str) -> Any:
        data = rows if isinstance(rows, bytes) else orjson.dumps({path: rows})
        headers = {"Authorization": f"Api-Key {key}"} | headers
        call = getattr(Client(), method)
        response = call(f"/api/v1/{path}", data, content_type="application/json", headers=headers)
        assert response.status_code == status, response.content
        return orjson.loads(response.content)

    return ask


def counts(body: Any) -> tuple[int, int, int, int]:
    return body["inserted"], body["updated"], body["unchanged"], len(body["rejected"])


def test_a_put_makes_replaces_and_repeats(send: Send) -> None:
    mug = {
        "sku": "m1", "title": "Mug", "category": "Home > Mugs", "price": 7.9, "list_price": 9.9, "stock": 4,
        "attributes": {"colour": "red"}, "texts": {"zh-hans": {"title": "杯子"}, "fr": {"title": "Tasse"}},
    }  # fmt: skip
    assert counts(send("put", "items", [mug])) == (1, 0, 0, 0)
    assert counts(send("put", "items", [mug])) == (0, 0, 1, 0)
    product = Product.objects.get()
    assert (product.price, product.list_price, product.currency) == (Decimal("7.90"), Decimal("9.90"), "EUR")
    born = product.first_seen_at
    smaller = {"sku": "m1", "title": "Mug", "price": 8, "texts": {"fr": {"title": "Tasse"}}}
    assert counts(send("put", "items", [smaller])) == (0, 1, 0, 0)
    product.refresh_from_db()
    assert (product.list_price, product.stock, product.attributes, product.category) == (None, None, {}, None)
    assert product.first_seen_at == born
    assert [text.language for text in ProductText.objects.all()] == ["fr"]


def test_a_patch_touches_only_what_each_row_names(send: Send) -> None:
    products_make(
        "a", "b", "c", cost=[1, 1, 1], stock=[5, 5, 5], attributes=[{"colour": "red", "size": "M"}] * 3
    )
    before = {row["sku"]: row for row in Product.objects.values()}
    body = send(
        "patch",
        "items",
        [
            {"sku": "a", "price": 3.5},
            {"sku": "b", "stock": None, "attributes": {"colour": "blue", "size": None}},
            {"sku": "c", "texts": {"fr": {"title": "Truc"}}},
        ],
    )
    assert counts(body) == (0, 3, 0, 0)
    after = {row["sku"]: row for row in Product.objects.values()}
    changed = {
        sku: {name for name, value in row.items() if value != dict(before[sku])[name]}
        - {"updated_at", "source"}
        for sku, row in after.items()
    }
    assert changed == {"a": {"price"}, "b": {"stock", "attributes"}, "c": set()}
    assert (after["a"]["price"], after["b"]["attributes"]) == (Decimal("3.50"), {"colour": "blue"})
    assert all(after[sku]["updated_at"] > before[sku]["updated_at"] for sku in "abc")
    assert counts(send("patch", "items", [{"sku": "a", "price": 3.5}])) == (0, 0, 1, 0)


def test_a_bad_row_is_named_and_loses_no_good_one(send: Send) -> None:
    products_make("a", "b")
    rows: list[Any] = [
        {"sku": "a", "stock": 9},
        {"sku": "a", "stock": 8},
        {"sku": "b", "stock": -1},
        {"sku": "nowhere", "stock": 1},
        {"sku": "b", "colour": "red"},
        {"stock": 1},
        "b",
        {"sku": "b", "stock": "4"},
        {"sku": "b", "stock": 1.5},
        {"sku": "b", "available_from": "soon"},
        {"sku": 5, "stock": 1},
    ]
    body = send("patch", "stock", rows)
    assert counts(body) == (0, 1, 0, 10)
    assert [(error["index"], error["field"]) for error in body["rejected"]] == [
        (1, "sku"), (2, "stock"), (3, "sku"), (4, "colour"), (5, "sku"), (6, "row"), (7, "stock"),
        (8, "stock"), (9, "available_from"), (10, "sku"),
    ]  # fmt: skip
    assert all(error["remedy"] for error in body["rejected"])
    assert Product.objects.get(sku="a").stock == 9


def test_put_prices_end_a_promotion_and_patched_ones_keep_it(send: Send) -> None:
    products_make("a", "b", list_price=[20, 20])
    send("patch", "prices", [{"sku": "a", "price": 5}])
    send("put", "prices", [{"sku": "b", "price": 5}])
    assert dict(Product.objects.values_list("sku", "list_price")) == {"a": Decimal(20), "b": None}


def test_an_item_that_is_described_is_no_placeholder(send: Send) -> None:
    product_placeholders_make(skus=["x", "y"], source="test", first_seen_at=clock.now())
    send("patch", "items", [{"sku": "x", "title": "X"}, {"sku": "y", "stock": 3}])
    assert dict(Product.objects.values_list("sku", "placeholder")) == {"x": False, "y": True}


@pytest.mark.parametrize("method", ["put", "patch"])
def test_the_number_of_statements_does_not_grow_with_the_batch(send: Send, method: str) -> None:
    def queries(number: int) -> int:
        skus = [f"{method}{number}-{place}" for place in range(number)]
        products_make(*skus)
        rows = [{"sku": sku, "title": sku, "category": "A > B", "price": 1} for sku in skus]
        with CaptureQueriesContext(
            connection,
        ) as found:
            assert counts(send(method, "items", rows))[1] == number
        return len(found)

    queries(1)
    assert queries(2) == queries(200)


def test_packed_bodies_are_taken_and_bounded(send: Send) -> None:
    packed = gzip.compress(orjson.dumps({"items": [{"sku": "z", "title": "Z"}]}))
    assert counts(send("put", "items", packed, **{"Content-Encoding": "gzip"})) == (1, 0, 0, 0)
    bomb = gzip.compress(b" " * 200_000_000, compresslevel=1)
    assert (
        send("put", "items", bomb, 413, **{"Content-Encoding": "gzip"})["error"]["code"]
        == "payload_too_large"
    )
    for broken in (packed[:-9], b"\x1f\x8bno", packed + packed):
        assert send("put", "items", broken, 400, **{"Content-Encoding": "gzip"})["error"]["field"] == "body"
    assert send("put", "items", packed, 400, **{"Content-Encoding": "br"})["error"]["value"] == "br"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"), (b"[]", "items"), (b'{"items": {}}', "items"), (b'{"items": [], "x": 1}', "x"),
        (orjson.dumps({"items": [{}] * 1001}), "items"), (b'{"items":' + b"[" * 2000, "body"),
    ],
)  # fmt: skip
def test_a_body_of_another_shape_is_refused_whole(send: Send, body: bytes, field: str) -> None:
    assert send("patch", "items", body, 400)["error"]["field"] == field


def test_another_scope_does_not_do() -> None:
    _client, key = api_client_create(name="clicks", scopes=["events", "recommend"])
    for path in ("items", "prices", "stock"):
        response = Client().put(f"/api/v1/{path}", b"{}", headers={"Authorization": f"Api-Key {key}"})
        assert response.status_code == 403
    assert Client().put("/api/v1/items", b"{}").status_code == 401
    assert Client().get("/api/v1/items", headers={"Authorization": f"Api-Key {key}"}).status_code == 405


def test_the_next_look_of_a_process_sees_price_and_stock(send: Send) -> None:
    ids = {sku: product.pk for sku, product in products_make("a", "b", stock=[5, 5]).items()}
    placement_create(code="home", name="Home", kind="shopper", weights={"popular": 1.0})
    assert memory_current().catalogue.items[ids["a"]].price == 10.0
    send("patch", "prices", [{"sku": "a", "price": 3}])
    send("patch", "stock", [{"sku": "b", "stock": 0}])
    items = memory_current().catalogue.items
    assert (items[ids["a"]].price, items[ids["b"]].stock) == (3.0, 0)
