"""The product upsert writes what differs and nothing else, and names every row it refuses."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.catalog.models import Category, Product, ProductText
from apps.catalog.selectors import (
    available_filter,
    category_descendant_ids,
    product_get_by_skus,
    product_get_many,
    product_search,
)
from apps.catalog.services import category_names_set, product_placeholders_make, product_upsert_many
from apps.core import clock
from tests.factories.shop import day, products_frame, products_make

pytestmark = pytest.mark.django_db


def upsert(frame: pd.DataFrame) -> tuple[int, int, int, int]:
    """Counts of one upsert: inserted, updated, unchanged, refused."""
    result = product_upsert_many(frame=frame, source="test")
    assert result.rows == len(frame)
    return result.inserted, result.updated, result.unchanged, len(result.errors)


def test_a_product_lands_with_all_its_fields() -> None:
    frame = products_frame(
        "m1",
        title=[" Red mug "],
        description=["Holds tea"],
        title_zh_hans=["红杯子"],
        description_zh_hans=["装茶"],
        cost=["3,50"],
        stock=["7"],
        image_url=["https://img.example/m1.svg"],
        attributes=[{"colour": "red", "n": 2}],
        group_key=["mug"],
        available_from=["2026-01-01"],
        available_until=["2027-01-01T00:00:00Z"],
        created_at=[datetime(2026, 1, 5, tzinfo=UTC)],
        price=["€ 1.234,50"],
        currency=[""],
    )
    assert upsert(frame) == (1, 0, 0, 0)
    product = Product.objects.get()
    assert (product.title, product.price, product.currency) == ("Red mug", Decimal("1234.50"), "EUR")
    assert (product.cost, product.stock) == (Decimal("3.50"), 7)
    assert product.attributes == {"colour": "red", "n": 2}
    assert product.first_seen_at == datetime(2026, 1, 5, tzinfo=UTC)
    assert product.available_from == datetime(2026, 1, 1, tzinfo=UTC)
    text = ProductText.objects.get()
    assert (text.language, text.title, text.description) == ("zh-hans", "红杯子", "装茶")
    category = Category.objects.get(path="Home > Kitchen > Mugs")
    assert product.category_id == category.pk
    assert category.parent
    assert (category.name, category.depth, category.parent.path) == ("Mugs", 2, "Home > Kitchen")
    assert upsert(frame) == (0, 0, 1, 0)


def test_repeating_changes_nothing_and_a_change_changes_only_its_row() -> None:
    frame = products_frame("a", "b", "c", title_de=["x", "y", ""])
    assert upsert(frame) == (3, 0, 0, 0)
    before = {product.sku: product.updated_at for product in Product.objects.all()}
    assert upsert(frame) == (0, 0, 3, 0)
    assert {product.sku: product.updated_at for product in Product.objects.all()} == before
    assert upsert(frame.assign(title_de=["x", "z", ""])) == (0, 1, 2, 0)
    assert upsert(frame.assign(title_de=["x", "", ""])) == (0, 1, 2, 0)
    assert list(ProductText.objects.values_list("product__sku", "title")) == [("a", "x")]
    assert upsert(frame.assign(price=[10, 11, 10])) == (0, 1, 2, 0)
    assert upsert(frame.assign(attributes=pd.Series([{"b": 1, "a": 2}, {}, None], dtype=object))) == (
        0,
        2,
        1,
        0,
    )
    assert upsert(frame.assign(attributes=pd.Series([{"a": 2, "b": 1}, {}, None], dtype=object))) == (
        0,
        0,
        3,
        0,
    )


def test_an_absent_column_leaves_things_alone_and_an_empty_cell_empties() -> None:
    products_make("a", stock=[5], created_at=["2020-01-01"])
    assert upsert(pd.DataFrame({"sku": ["a"], "title": ["New"]})) == (0, 1, 0, 0)
    product = Product.objects.get()
    assert (product.title, product.stock, product.brand) == ("New", 5, "Acme")
    assert upsert(pd.DataFrame({"sku": ["a"], "title": ["New"], "stock": [None], "created_at": [None]})) == (
        0,
        1,
        0,
        0,
    )
    product.refresh_from_db()
    assert product.stock is None
    assert product.first_seen_at.year == 2020


@pytest.mark.parametrize(
    ("column", "value", "field"),
    [
        ("sku", "", "sku"),
        ("sku", None, "sku"),
        ("sku", "x" * 65, "sku"),
        ("sku", "a\0", "sku"),
        ("title", "", "title"),
        ("title", "x" * 301, "title"),
        ("price", "free", "price"),
        ("price", "-1", "price"),
        ("price", -1.0, "price"),
        ("price", "1e99", "price"),
        ("price", float("inf"), "price"),
        ("currency", "EURO", "currency"),
        ("stock", "-3", "stock"),
        ("stock", "1.5", "stock"),
        ("stock", "many", "stock"),
        ("cost", "?", "cost"),
        ("available_until", "soon", "available_until"),
        ("available_from", "31/12/2026", "available_from"),
        ("attributes", "[1]", "attributes"),
        ("attributes", "{", "attributes"),
        ("image_url", "javascript:alert(1)", "image_url"),
        ("category", "x" * 121, "category"),
        ("language", "english please", "language"),
        ("sku", "good", "sku"),
    ],
)
def test_a_bad_row_is_named_and_the_good_ones_land(column: str, value: Any, field: str) -> None:
    frame = products_frame("good", "bad", "fine").astype(object)
    if column not in frame:
        frame[column] = [None] * 3
    frame.at[1, column] = value
    result = product_upsert_many(frame=frame.assign(line=[2, 3, 4]), source="test")
    assert sorted(Product.objects.values_list("sku", flat=True)) == ["fine", "good"]
    (error,) = result.errors
    assert (error.line, error.field) == (3, field)
    assert error.remedy


def test_an_end_before_the_start_is_refused() -> None:
    frame = products_frame("a", available_from=["2026-02-01"], available_until=["2026-01-01"])
    assert product_upsert_many(frame=frame, source="test").errors[0].field == "available_until"


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        (["1,5", "12,50"], ["1.50", "12.50"]),
        (["1.234,56", "2,00"], ["1234.56", "2.00"]),
        (["1,234.56", "2.00"], ["1234.56", "2.00"]),
        (["1,234", "2.50"], ["1234.00", "2.50"]),
        (["£9.99", "GBP 3"], ["9.99", "3.00"]),
        (["1'234.50", "1 234.50"], ["1234.50", "1234.50"]),
        (["3 €", "2,5 EUR"], ["3.00", "2.50"]),
    ],
)
def test_prices_are_read_as_people_write_them(prices: list[str], expected: list[str]) -> None:
    frame = products_frame("a", "b", price=prices).drop(columns="currency")
    assert not product_upsert_many(frame=frame, source="test").errors
    assert [str(product.price) for product in Product.objects.order_by("sku")] == expected


def test_an_ambiguous_price_is_refused() -> None:
    result = product_upsert_many(frame=products_frame("a", "b", price=["1,234", "2,50"]), source="test")
    assert [(error.field, error.value) for error in result.errors] == [("price", "1,234")]


def test_price_and_currency_must_agree() -> None:
    frame = products_frame("a", price=["$5"], currency=["EUR"])
    assert product_upsert_many(frame=frame, source="test").errors[0].field == "currency"


def test_a_placeholder_is_made_once_and_described_later() -> None:
    assert product_placeholders_make(skus=["x", "y"], source="events", first_seen_at=clock.now()) == 2
    assert product_placeholders_make(skus=["x", "z"], source="events", first_seen_at=clock.now()) == 1
    assert upsert(products_frame("x")) == (0, 1, 0, 0)
    assert not Product.objects.get(sku="x").placeholder


def test_search_finds_by_sku_prefix_and_likeness() -> None:
    products_make(
        "MUG-1",
        "MUG-2",
        "CUP-1",
        title=["Red mug", "Blue mug", "Porcelain cup"],
        title_zh_hans=["红杯子", "", ""],
    )
    assert product_search("mug-2")[0].sku == "MUG-2"
    assert {facts.sku for facts in product_search("mug")} == {"MUG-1", "MUG-2"}
    assert product_search("porcelan")[0].sku == "CUP-1"
    assert product_search("红杯")[0].sku == "MUG-1"
    assert product_search("红杯", language="zh-hans")[0].title == "红杯子"
    assert len(product_search("")) == 3
    assert product_search("%\0_'") == []


def test_facts_say_what_is_available() -> None:
    now = day("2026-06-01")
    products_make(
        "a", "b", "c", "d", stock=[None, 0, 5, 5],
        available_from=[None, None, "2026-07-01", None], available_until=[None, None, None, "2026-05-01"],
    )  # fmt: skip
    product_placeholders_make(skus=["e"], source="x", first_seen_at=now)
    by_facts = {sku for sku, facts in product_get_by_skus("abcde").items() if facts.available(now)}
    by_query = set(Product.objects.filter(available_filter(now)).values_list("sku", flat=True))
    assert by_facts == by_query == {"a"}


def test_facts_by_id_and_category_tree() -> None:
    products = products_make("a")
    assert product_get_many([products["a"].pk, 10**9])[products["a"].pk].category == "Home > Kitchen > Mugs"
    assert len(category_descendant_ids("Home")) == 3
    assert category_names_set(names={"Home": {"zh-hans": "家"}}) == 1
    assert category_names_set(names={"Home": {"zh-hans": "家"}}) == 0


COLUMNS = (
    "sku", "title", "price", "stock", "category", "attributes", "available_from", "currency", "title_de",
)  # fmt: skip
CELL = st.sampled_from(["", "5", "5,50", "x", "-1", None, "€3", "2026-01-01", '{"a": 1}', "A > B", "\0"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, CELL)), min_size=1, max_size=8))
def test_any_rows_twice_change_nothing_the_second_time(rows: list[dict[str, Any]]) -> None:
    frame = pd.DataFrame(rows)
    first = product_upsert_many(frame=frame, source="test")
    again = product_upsert_many(frame=frame, source="test")
    assert first.rows == again.rows == len(frame)
    assert (again.inserted, again.updated, again.errors) == (0, 0, first.errors)
