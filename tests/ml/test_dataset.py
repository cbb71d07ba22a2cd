from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from apps.ml.dataset import DAY, Dataset, IdMap
from apps.ml.errors import DataMissing
from tests.ml.planted import interactions_frame, items_frame, planted, shoppers_frame


def snapshot_write(folder: Path) -> Path:
    """A snapshot folder as the site writes it: one Parquet part per month, items, shoppers, manifest."""
    (folder / "interactions").mkdir(parents=True)
    frame = interactions_frame()
    months = pd.to_datetime(frame["timestamp"], unit="s").dt.strftime("%Y-%m")
    for month, part in frame.groupby(months):
        part.to_parquet(folder / "interactions" / f"month={month}.parquet")
    items_frame().to_parquet(folder / "items.parquet")
    shoppers_frame().to_parquet(folder / "shoppers.parquet")
    (folder / "manifest.json").write_text(json.dumps({"content_hash": "abc"}))
    return folder


def test_a_snapshot_folder_reads_as_its_frames(tmp_path: Path) -> None:
    dataset = Dataset.from_snapshot(snapshot_write(tmp_path / "snap"))
    assert dataset.manifest == {"content_hash": "abc"}
    assert len(dataset) == len(planted())
    for name in ("user_ids", "item_ids", "timestamp", "weight", "basket", "candidates"):
        np.testing.assert_array_equal(getattr(dataset, name), getattr(planted(), name))
    assert dataset.kinds == planted().kinds
    pd.testing.assert_frame_equal(dataset.catalogue, planted().catalogue)


def test_a_folder_without_interactions_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="no interactions"):
        Dataset.from_snapshot(tmp_path)
    with pytest.raises(DataMissing, match="timestamp"):
        Dataset.from_frames(pd.DataFrame({"user_id": [1], "item_id": [2]}))


def test_ids_map_to_rows_and_back() -> None:
    ids = IdMap.from_ids(np.array([30, 10, 30, -1]), np.array([20]))
    assert ids.ids.tolist() == [10, 20, 30]
    assert ids.rows([30, 11, -1, 10]).tolist() == [2, -1, -1, 0]
    assert IdMap.from_ids().rows([1]).tolist() == [-1]


def test_a_cut_knows_nothing_of_later_and_counts_ages_from_the_cut() -> None:
    moment = planted().end - 30 * DAY
    past = planted().before(moment)
    assert past.timestamp.max() < moment
    assert past.end == moment
    assert past.ages_days().min() >= 0
    assert len(past) + len(planted().since(moment)) == len(planted())
    assert (planted().since(moment, moment + DAY).timestamp < moment + DAY).all()


def test_a_cut_forgets_stock_and_products_that_came_later() -> None:
    items = items_frame()
    items["available"] = False
    items["created_at"] = np.where(items.index == 3, 4e9, 0.0)
    frame = interactions_frame()
    dataset = Dataset.from_frames(frame[frame["item_id"] != items["item_id"][3]], items)
    assert not dataset.candidates.any()
    assert np.flatnonzero(~dataset.before(dataset.end).candidates).tolist() == [3]


def test_purchases_are_purchases_or_all_that_is_positive() -> None:
    assert set(np.array(planted().kinds)[planted().purchases().kind]) == {"purchase"}
    plays = pd.DataFrame({"user_id": [1, 1], "item_id": [2, 3], "timestamp": [1.0, 2.0], "kind": "play"})
    plays["weight"] = [1.0, -1.0]
    assert Dataset.from_frames(plays).purchases().item_ids.tolist() == [2]


def test_missing_columns_take_their_defaults() -> None:
    dataset = Dataset.from_frames(pd.DataFrame({"user_id": [1], "item_id": [2], "timestamp": [3.0]}))
    assert (dataset.kinds, dataset.weight[0], dataset.basket[0], dataset.candidates[0]) == (
        ("purchase",),
        1,
        -1,
        True,
    )
    assert dataset.text("title") == [""]


def test_anonymous_events_have_no_shopper() -> None:
    frame = pd.DataFrame({"user_id": [-1, 5], "item_id": [2, 2], "timestamp": [3.0, 4.0]})
    dataset = Dataset.from_frames(frame)
    assert dataset.known_users.tolist() == [5]
    assert dataset.user_ids.tolist() == [-1, 5]


def test_a_cut_sees_a_purchase_that_was_undone_only_later() -> None:
    frame = pd.DataFrame(
        {
            "user_id": [1, 1, 1],
            "item_id": [10, 11, 12],
            "timestamp": [1.0, 2.0, 8.0],
            "kind": ["purchase"] * 3,
            "undone_at": [6.0, np.inf, 9.0],
        }
    )
    whole = Dataset.from_frames(frame)
    assert whole.item_ids.tolist() == [11]
    assert whole.before(5.0).item_ids.tolist() == [10, 11]
    assert whole.before(7.0).item_ids.tolist() == [11]
    assert whole.before(7.0).before(5.0).item_ids.tolist() == [10, 11]
    assert whole.since(7.0).item_ids.tolist() == [12]
    assert whole.before(7.0).since(1.0).item_ids.tolist() == [10, 11]


def test_events_move_to_the_rows_of_another_catalogue() -> None:
    frame = pd.DataFrame(
        {"user_id": [1, 1, 2, 2], "item_id": [10, 20, 30, 20], "timestamp": [1.0, 2.0, 3.0, 4.0]}
    ).assign(undone_at=[np.nan, 9.0, np.nan, np.nan])
    other = IdMap(np.array([5, 20, 30]))
    moved = Dataset.from_frames(frame).aligned(other, np.array([True, False, False]))
    assert moved.item_ids.tolist() == [30, 20]
    assert moved.user_ids.tolist() == [2, 2]
    assert moved.candidates.tolist() == [True, True, True]
    assert moved.withdrawn is not None
    assert moved.withdrawn.events.item_ids.tolist() == [20]
    assert moved.withdrawn.undone_at.tolist() == [9.0]
    items = pd.DataFrame({"item_id": [20, 30], "title": ["Cup", "Pot"], "available": [True, False]})
    moved = Dataset.from_frames(frame, items).aligned(other, np.ones(3, np.bool_))
    assert moved.candidates.tolist() == [False, True, False]
    assert moved.text("title") == ["", "Cup", "Pot"]
