"""The invoices' traps, one by one, then the real file."""

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.accounts.selectors import shop_settings_get
from apps.catalog.models import Product
from apps.catalog.reports import report_find
from apps.core.errors import InvalidInput
from apps.datasets.adapters.online_retail import frames_load
from apps.datasets.services import dataset_import
from apps.datasets.snapshots import snapshot_create
from apps.events.models import ImportReport, Interaction, Shopper
from tests.factories.datasets import line, online_retail_file, shared_file


def load(tmp_path: Path, *lines: tuple[str, ...]) -> Any:
    """Frames of a file with these lines."""
    return frames_load(online_retail_file(tmp_path, lines))


def test_a_sale_becomes_a_purchase_in_utc(tmp_path: Path) -> None:
    frames = load(tmp_path, line(), line(date="2011-07-01 10:00:00"))
    winter, summer = frames.events.to_dict("records")
    assert (winter["kind"], winter["sku"], winter["shopper"], winter["quantity"], winter["price"]) == (
        "purchase", "85123A", "17850", 6.0, 2.55,
    )  # fmt: skip
    assert winter["session"] == "536365"
    assert winter["occurred_at"] == pd.Timestamp("2010-12-01T08:26:00Z")
    assert summer["occurred_at"] == pd.Timestamp("2011-07-01T09:00:00Z")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"invoice": "A563185", "code": "B", "price": "-11062.06"}, "bad_debt"),
        ({"code": "POST"}, "not_a_product"),
        ({"code": "BANK CHARGES"}, "not_a_product"),
        ({"code": "AMAZONFEE"}, "not_a_product"),
        ({"code": "gift_0001_20"}, "not_a_product"),
        ({"code": "C2"}, "not_a_product"),
        ({"code": "DCGSSGIRL"}, "not_a_product"),
        ({"quantity": "-10", "price": "0"}, "stock_adjustment"),
        ({"quantity": "0"}, "no_quantity"),
        ({"price": "0"}, "no_price"),
        ({"price": "-1"}, "no_price"),
        ({"invoice": "C536379"}, "cancellation_without_minus"),
        ({"date": "yesterday"}, "unreadable_date"),
        ({"quantity": "six"}, "unreadable_number"),
        ({"price": ""}, "unreadable_number"),
    ],
)
def test_what_is_no_sale_is_left_out_with_a_reason(
    tmp_path: Path, change: dict[str, str], reason: str
) -> None:
    frames = load(tmp_path, line(), line(**change))
    assert frames.skipped_counts() == {reason: 1}
    assert len(frames.events) == 1
    row = frames.skipped.iloc[0]
    assert row["line"] == 3
    assert row["field"]
    assert row["remedy"]


def test_codes_are_upper_cased_and_stripped(tmp_path: Path) -> None:
    frames = load(tmp_path, line(code=" 85123a "), line(code="85123A", invoice="2"))
    assert frames.products["sku"].tolist() == ["85123A"]


def test_the_commonest_clean_description_wins(tmp_path: Path) -> None:
    notes = ["?", "damaged", "?", "damaged", "wrong code?", "found", ""]
    frames = load(
        tmp_path,
        *[line(description=note, invoice=str(n)) for n, note in enumerate(notes)],
        line(description="WHITE  HOLDER ", invoice="90"),
        line(description="WHITE HOLDER", invoice="91"),
        line(description="CREAM HOLDER", invoice="92"),
        line(code="21407", description="BROWN CHECK CAT DOORSTOP", invoice="93"),
        line(code="21594", description="Dr. Jam's Arouzer Stress Ball", invoice="94"),
        line(code="22016", description="?", invoice="95"),
    )
    titles = dict(zip(frames.products["sku"], frames.products["title"], strict=True))
    assert titles == {
        "85123A": "WHITE HOLDER",
        "21407": "BROWN CHECK CAT DOORSTOP",
        "21594": "Dr. Jam's Arouzer Stress Ball",
        "22016": "Product 22016",
    }


def test_identical_lines_are_as_many_events(tmp_path: Path) -> None:
    frames = load(tmp_path, line(), line(), line(), line(quantity="5"))
    assert len(frames.events) == 4
    assert frames.events["client_event_id"].is_unique


def test_a_cancellation_becomes_a_return_and_lines_without_customer_are_kept(tmp_path: Path) -> None:
    frames = load(tmp_path, line(customer=""), line(invoice="C2", quantity="-4", date="2010-12-05 10:00:00"))
    assert frames.events["kind"].tolist() == ["purchase", "return"]
    assert frames.events["quantity"].tolist() == [6.0, 4.0]
    assert frames.events["shopper"].tolist() == ["", "17850"]
    assert frames.shoppers["external_id"].tolist() == ["17850"]
    assert frames.shoppers["region"].tolist() == ["United Kingdom"]


def test_a_file_without_the_columns_says_which(tmp_path: Path) -> None:
    place = tmp_path / "x.csv"
    place.write_text("a,b\n1,2\n", encoding="utf-8")
    for bad in (place, tmp_path / "gone.csv"):
        with pytest.raises(InvalidInput) as caught:
            frames_load(bad)
        assert "InvoiceNo" in caught.value.remedy


LINES = st.builds(
    line,
    invoice=st.sampled_from(["1", "2", "C3", "A4"]),
    code=st.sampled_from(["85123A", "85123a", "71053", "POST"]),
    quantity=st.sampled_from(["1", "-1", "3", "0", "x"]),
    price=st.sampled_from(["2.55", "0", "1"]),
    customer=st.sampled_from(["1.0", "2.0", ""]),
    date=st.sampled_from(["2010-12-01 08:26:00", "2011-03-27 01:30:00", "2011-10-30 01:30:00", "never"]),
)


@settings(max_examples=20, deadline=None)
@given(lines=st.lists(LINES, max_size=12), seed=st.integers(0, 9))
def test_any_order_gives_the_same_events_and_no_line_is_lost(
    tmp_path_factory: Any, lines: list[tuple[str, ...]], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("retail")
    frames = load(folder, *lines)
    shuffled = list(lines)
    random.Random(seed).shuffle(shuffled)
    again = load(folder, *shuffled)
    assert sorted(frames.events["client_event_id"]) == sorted(again.events["client_event_id"])
    assert frames.events["client_event_id"].is_unique
    assert frames.rows == len(lines) == len(frames.events) + len(frames.skipped)


@pytest.mark.django_db
def test_importing_twice_adds_nothing_and_returns_net_in_the_snapshot(tmp_path: Path, settings: Any) -> None:
    settings.SHOP_DIR = tmp_path / "shop"
    place = online_retail_file(
        tmp_path,
        [
            line(quantity="6"),
            line(quantity="6"),
            line(code="71053", quantity="3"),
            line(invoice="C9", quantity="-8", date="2010-12-09 10:00:00"),
            line(code="POST"),
        ],
    )
    first = dataset_import(name="online-retail", path=place)
    assert first.as_json() | {"seconds": 0} == {
        "rows": 5, "products": 2, "shoppers": 1, "interactions": 4,
        "skipped": {"not_a_product": 1}, "seconds": 0,
    }  # fmt: skip
    second = dataset_import(name="online-retail", path=place)
    assert (second.products, second.shoppers, second.interactions) == (0, 0, 0)
    assert second.skipped == {"not_a_product": 1, "already_stored": 4}
    assert Interaction.objects.count() == 4
    settings_now = shop_settings_get()
    assert (settings_now.currency, settings_now.time_zone) == ("GBP", "Europe/London")
    report = ImportReport.objects.latest("id")
    assert report.skipped == second.skipped
    table = pd.read_csv(report_find(report.report_path), encoding="utf-8-sig")
    row = table.iloc[0].to_dict()
    assert (row["line"], row["reason"], row["value"]) == (6, "not_a_product", "POST")
    snapshot = snapshot_create()
    parts = sorted(Path(snapshot.path).glob("interactions/*.parquet"))
    frame = pd.concat([pd.read_parquet(part) for part in parts])
    by_sku = {product.pk: product.sku for product in Product.objects.all()}
    frame["sku"] = frame["item_id"].map(by_sku)
    undone = np.isfinite(frame["undone_at"])
    left = sorted(zip(frame.loc[~undone, "sku"], frame.loc[~undone, "quantity"], strict=True))
    assert left == [("71053", 3.0), ("85123A", 4.0)]
    returned = pd.Timestamp("2010-12-09 10:00:00", tz="Europe/London").timestamp()
    assert frame.loc[undone, ["sku", "quantity", "undone_at"]].values.tolist() == [["85123A", 6.0, returned]]


@pytest.mark.django_db
@pytest.mark.real_data
def test_the_real_file_lands_whole_and_only_once(tmp_path: Path, settings: Any) -> None:
    settings.SHOP_DIR = tmp_path
    place = shared_file("online-retail", "transactions.csv.gz")
    first = dataset_import(name="online-retail", path=place)
    assert first.rows == 431_673
    assert first.skipped == {"not_a_product": 2555, "no_price": 1014, "stock_adjustment": 1157, "bad_debt": 3}
    assert (first.interactions, first.products, first.shoppers) == (426_944, 3_757, 4_001)
    assert first.rows == first.interactions + sum(first.skipped.values())
    assert Interaction.objects.count() == 426_944
    assert Shopper.objects.count() == 4_001
    assert not Product.objects.filter(placeholder=True).exists()
    report = pd.read_csv(report_find(first.report_path), encoding="utf-8-sig")
    assert len(report) == sum(first.skipped.values())
    second = dataset_import(name="online-retail", path=place)
    assert (second.interactions, second.products, second.shoppers) == (0, 0, 0)
    assert second.skipped["already_stored"] == 426_944
    assert Interaction.objects.count() == 426_944
    assert json.dumps(second.as_json())
    assert snapshot_create().interactions == 417_253 + 2_351, "what is left and what was undone"
