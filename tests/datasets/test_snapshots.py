"""A snapshot is complete, equal for equal data, and never changes."""

import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest

from apps.core.errors import InvalidInput
from apps.datasets.models import Snapshot
from apps.datasets.snapshots import snapshot_create
from apps.events.models import EventKind, Shopper
from apps.ml.dataset import Dataset
from tests.factories.shop import day, event, events_record, products_make, shoppers_make

pytestmark = pytest.mark.django_db
NOW = day("2026-06-15")


@pytest.fixture(autouse=True)
def shop_dir(tmp_path: Path, settings: Any) -> Path:
    """A shop folder of this test's own."""
    settings.SHOP_DIR = tmp_path
    return tmp_path


def record(kind: str, date: str, **fields: Any) -> None:
    """Store one event of that day."""
    events_record(event(kind, occurred_at=day(date).isoformat(), **fields))


def read(snapshot: Snapshot, table: str = "interactions") -> pd.DataFrame:
    """A table of the snapshot."""
    folder = Path(snapshot.path)
    if table in ("interactions", "searches"):
        return pd.concat([pd.read_parquet(part) for part in sorted(folder.glob(f"{table}/*.parquet"))])
    return pd.read_parquet(folder / f"{table}.parquet")


def test_the_folder_holds_what_the_contract_says() -> None:
    products_make(
        "a", "b", title=["Red mug", "Blue mug"], description=["Tea", ""], title_zh_hans=["红杯子", ""],
        stock=[0, 3], cost=[4, 5], group_key=["g", "g"], created_at=["2026-01-01", "2026-01-02"],
    )  # fmt: skip
    shoppers_make("s1", consent=[True], region=["Bern"], age_band=["30-39"])
    record("view", "2026-04-30", sku="a")
    record("purchase", "2026-05-01", sku="b", quantity=2, price=9.5, session="basket-7")
    record("dislike", "2026-05-02", sku="a", shopper="s2")
    record("view", "2026-05-02", sku="a", shopper="")
    record("search", "2026-05-02", sku="", query="mug")
    record("view", "2026-05-02", sku="a", bot=True)
    snapshot = snapshot_create(window_end=NOW)
    folder = Path(snapshot.path)
    assert folder.name == snapshot.content_hash[:12]
    assert sorted(path.name for path in folder.glob("interactions/*")) == [
        "month=2026-04.parquet",
        "month=2026-05.parquet",
    ]
    frame = read(snapshot)
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "user_id": "int64", "item_id": "int64", "kind": "str", "weight": "float32", "timestamp": "float64",
        "quantity": "float32", "price": "float32", "basket": "str", "value": "float32",
        "undone_at": "float64",
    }  # fmt: skip
    assert frame["kind"].tolist() == ["view", "purchase", "view", "dislike"]
    assert frame["user_id"].tolist()[2] == -1
    bought = frame[frame["kind"] == "purchase"].iloc[0]
    assert (bought["quantity"], bought["price"], bought["basket"]) == (2.0, 9.5, "basket-7")
    assert bought["timestamp"] == day("2026-05-01").timestamp()
    assert frame["weight"].tolist()[-1] < 0
    items = read(snapshot, "items").set_index("sku")
    assert items.loc["a", "text"] == "Red mug\nTea\n红杯子"
    assert items.loc["a", "category"] == "Home > Kitchen > Mugs"
    assert items["available"].to_dict() == {"a": False, "b": True}
    assert items.loc["b", "created_at"] == pd.Timestamp("2026-01-02T00:00:00Z").timestamp()
    shoppers = read(snapshot, "shoppers")
    assert shoppers["region"].tolist() == ["Bern", ""]
    manifest = orjson.loads((folder / "manifest.json").read_bytes())
    assert manifest["content_hash"] == snapshot.content_hash
    assert manifest["counts"]["interactions"] == snapshot.interactions == 4
    assert manifest["counts"]["searches"] == 1
    assert manifest["columns"]["searches"] == {
        "user_id": "int64", "basket": "string", "timestamp": "double", "query": "string",
    }  # fmt: skip
    assert manifest["window_end"] == NOW.isoformat()
    assert manifest["currency"]


def test_searches_lie_beside_the_events() -> None:
    products_make("a")
    shoppers_make("s1")
    record("search", "2026-04-30", sku="", shopper="s1", query="  Ｒed\t MUG ")
    record("search", "2026-05-01", sku="", shopper="", session="visit-1", query="杯子")
    record("search", "2026-05-02", sku="", shopper="", session="", query="of nobody")
    record("search", "2026-05-02", sku="", shopper="s1", query=" ")
    record("search", "2026-05-02", sku="", shopper="s1", query="crawler", bot=True)
    record("search", "2026-06-20", sku="", shopper="s1", query="after the window")
    record("view", "2026-05-01", sku="a", shopper="", session="visit-1")
    snapshot = snapshot_create(window_end=NOW)
    frame = read(snapshot, "searches")
    assert frame["query"].tolist() == ["red mug", "杯子"]
    assert frame["basket"].tolist()[1] == "visit-1"
    assert frame["user_id"].tolist() == [Shopper.objects.get(external_id="s1").pk, -1]
    assert [path.name for path in sorted(Path(snapshot.path).glob("searches/*"))] == [
        "month=2026-04.parquet",
        "month=2026-05.parquet",
    ]
    heard = Dataset.from_snapshot(snapshot.path).searches
    assert heard.texts == ("red mug", "杯子")
    assert heard.user.tolist()[1] == -1
    record("search", "2026-05-03", sku="", shopper="s1", query="teapot")
    assert snapshot_create(window_end=NOW).content_hash != snapshot.content_hash


def test_a_snapshot_without_searches_still_loads() -> None:
    products_make("a")
    record("view", "2026-05-01", sku="a")
    copy = Path(snapshot_create(window_end=NOW).path)
    old = copy.parent / "older"
    shutil.copytree(copy, old, ignore=shutil.ignore_patterns("searches"))
    dataset = Dataset.from_snapshot(old)
    assert len(dataset) == 1
    assert not len(dataset.searches)


def test_equal_data_gives_the_same_snapshot_and_other_data_another() -> None:
    products_make("p1")
    record("view", "2026-05-01")
    first = snapshot_create(window_end=NOW)
    assert snapshot_create(window_end=NOW + timedelta(days=1)).pk == first.pk
    record("view", "2026-05-02")
    second = snapshot_create(window_end=NOW)
    assert second.content_hash != first.content_hash
    assert len(read(first)) == 1
    assert snapshot_create(window_end=day("2026-05-02")).content_hash == first.content_hash
    assert not list(Path(first.path).parent.glob(".*"))


def test_the_order_of_arrival_does_not_matter() -> None:
    products_make("p1", "p2")
    rows = [event("view", occurred_at=day("2026-05-01").isoformat(), sku=f"p{1 + n % 2}") for n in range(6)]
    events_record(*rows[:3])
    events_record(*rows[3:])
    first = snapshot_create(window_end=NOW).content_hash
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM events_interaction")
        cursor.execute("DELETE FROM events_eventkey")
    events_record(*reversed(rows))
    assert snapshot_create(window_end=NOW).content_hash == first


def test_windows() -> None:
    products_make("p1")
    for date in ("2026-03-01", "2026-05-01", "2026-05-31"):
        record("view", date)
    assert snapshot_create(window_days=31, window_end=NOW).interactions == 2
    assert snapshot_create(window_start=day("2026-05-10"), window_end=NOW).interactions == 1
    assert snapshot_create(window_end=day("2026-05-01")).interactions == 1
    with pytest.raises(InvalidInput):
        snapshot_create(window_start=NOW, window_end=NOW)
    with pytest.raises(InvalidInput):
        snapshot_create(window_days=0)


def test_an_empty_shop_gives_an_empty_snapshot() -> None:
    snapshot = snapshot_create(window_end=NOW)
    assert (snapshot.interactions, snapshot.items, snapshot.shoppers) == (0, 0, 0)
    assert len(read(snapshot)) == 0
    assert list(read(snapshot).columns)[:3] == ["user_id", "item_id", "kind"]


def test_ratings_weigh_by_their_stars_and_other_purchases_are_purchases() -> None:
    products_make("p1")
    EventKind.objects.filter(code="rating").update(weight=2.0)
    EventKind.objects.create(code="order", name="Order", role="purchase", weight=4.0)
    from apps.events.kinds import kinds_forget

    kinds_forget()
    for stars in (1, 3, 5):
        record("rating", f"2026-05-0{stars}", value=stars)
    record("order", "2026-05-06")
    frame = read(snapshot_create(window_end=NOW))
    assert frame["weight"].tolist() == [-2.0, 0.0, 2.0, 4.0]
    assert frame["kind"].tolist() == ["rating", "rating", "rating", "purchase"]
    kinds_forget()


def test_events_of_a_merged_shopper_are_the_others() -> None:
    products_make("p1")
    record("view", "2026-05-01", shopper="old")
    record("view", "2026-05-02", shopper="new")
    new = Shopper.objects.get(external_id="new")
    Shopper.objects.filter(external_id="old").update(merged_into=new)
    snapshot = snapshot_create(window_end=NOW)
    assert read(snapshot)["user_id"].tolist() == [new.pk, new.pk]
    assert read(snapshot, "shoppers")["user_id"].tolist() == [new.pk]


def test_attributes_of_a_shopper_without_consent_stay_here() -> None:
    attributes = {
        "age_band": "30-39",
        "gender": "f",
        "income_band": "high",
        "region": "Bern",
        "language": "de",
    }
    Shopper.objects.create(external_id="yes", consent=True, **attributes)
    Shopper.objects.create(external_id="no", consent=False, **attributes)
    agreed, refused = read(snapshot_create(window_end=NOW), "shoppers").to_dict("records")
    assert attributes.items() <= agreed.items()
    assert {refused[name] for name in attributes} == {""}
