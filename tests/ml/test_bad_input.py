"""Scores and events that are no numbers, scores that say nothing: never NaN in a list, no silent guess."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from apps.ml.base import TrainOptions
from apps.ml.blend import blend_lists, blend_many
from apps.ml.configs.popularity import PopularConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.errors import DataMissing, InvalidValue
from apps.ml.evaluate import Background, evaluate_lists
from apps.ml.models.popular import PopularModel
from apps.ml.protocols import truth_of
from apps.ml.registry import FAMILIES
from apps.ml.topn import Floats, TopN, top_k
from apps.ml.train import train
from tests.ml.planted import interactions_frame, items_frame, planted_split, shoppers_frame


class Broken(PopularModel):
    """A model gone wrong: every third score is no number."""

    def _spoilt(self, scores: Floats) -> Floats:
        scores = scores.copy()
        scores[..., ::3] = np.nan
        scores[..., 1::6] = np.inf
        return scores

    def score_users(self, rows_B: Ints) -> Floats:
        return self._spoilt(super().score_users(rows_B))

    def score_sessions(self, sessions: Any) -> Floats:
        return self._spoilt(super().score_sessions(sessions))

    def score_similar(self, rows_B: Ints) -> Floats:
        return self._spoilt(super().score_similar(rows_B))

    def score_anyone(self) -> Floats:
        return self._spoilt(super().score_anyone())


def test_a_model_that_returns_nan_never_puts_it_in_a_list() -> None:
    train_part = planted_split().train
    model = Broken.fit(train_part, PopularConfig(), TrainOptions())
    users, items = train_part.known_users, train_part.known_items
    spoilt = train_part.items.ids[::3]
    for top in (
        model.recommend(users, 50),
        model.recommend([*users[:3].tolist(), 1], 50, "none"),
        model.served_lists(users),
        model.recommend_sessions([[int(items[0])], []], 50),
        model.similar(items, 50),
    ):
        assert (top.lengths > 0).any()
        assert not np.isnan(top.scores).any()
        assert np.isfinite(top.scores[top.ids >= 0]).all()
        assert not np.isin(top.ids, spoilt).any()


def test_a_list_with_nan_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="1 scores are NaN"):
        TopN(np.array([[1, 2]]), np.array([[1.0, np.nan]], dtype=np.float32))
    top = TopN.from_lists([([7, 8, 9], [3.0, np.nan, 1.0]), ([5], [np.nan])], 2)
    assert top.ids.tolist() == [[7, 9], [-1, -1]]


def test_scores_beyond_float32_are_no_candidates() -> None:
    with np.errstate(over="ignore"):
        top = top_k(np.array([[1e300, 2.0, -1e300, 1.0]]), np.arange(4), 4)
    assert top.ids.tolist() == [[1, 3, -1, -1]]


def test_no_source_can_blend_nan_into_a_slate() -> None:
    good = (np.array([1, 2, 3]), np.array([3.0, 2.0, 1.0]))
    bad = (np.array([2, 4, 5]), np.array([np.nan, np.inf, 9.0]))
    found = blend_lists([good, bad], [1.0, 1.0])
    assert np.isfinite(found.scores).all()
    assert set(found.ids.tolist()) == {1, 2, 3, 5}
    lists = [TopN.from_lists([pair], 3) for pair in (good, (bad[0], bad[1]))]
    many = blend_many(lists, [1.0, 1.0], 5)
    assert np.isfinite(many.scores[many.ids >= 0]).all()
    assert many.row(0)[0].tolist() == found.ids.tolist()


def test_equal_scores_give_the_lowest_ids_and_take_part_in_nothing() -> None:
    level = top_k(np.full((2, 50), 7.0, dtype=np.float32), np.arange(50), 10)
    assert level.ids.tolist() == [list(range(10))] * 2
    ranked = top_k(np.tile(np.arange(50, dtype=np.float32), (2, 1)), np.arange(50), 10)
    blended = blend_many([level, ranked], [1.0, 1.0], 10)
    assert np.isfinite(blended.scores).all()
    assert blended.ids[0, 0] == 49
    truth = truth_of(planted_split(), "all")
    same = TopN.from_lists([(planted_split().train.known_items[:20], [1.0] * 20)] * len(truth), 20)
    background = Background.from_dataset(planted_split().train)
    figures = evaluate_lists(same, truth, 90, background=background).to_dict()
    assert figures["gini10"] == pytest.approx(1 - 10 / 90)
    assert not any(isinstance(value, float) and np.isnan(value) for value in figures.values())


def spoilt_frame(rated: bool) -> pd.DataFrame:
    """Events of 40 shoppers with NaN and infinity in every optional number, texts missing."""
    frame = interactions_frame(rated=rated)
    frame = frame[frame["user_id"] < 1_040].reset_index(drop=True)
    for place, column in enumerate(("weight", "quantity", "price", "value")):
        frame.loc[place::11, column] = np.nan
        frame.loc[place + 5 :: 23, column] = np.inf
    frame.loc[::13, "basket"] = None
    return frame


@pytest.mark.parametrize("family", FAMILIES)
def test_nan_in_events_and_products_reaches_no_list(family: str) -> None:
    items = items_frame()
    items.loc[::4, ["title", "text", "category"]] = None
    items["price"], items["cost"] = np.nan, np.inf
    items["created_at"] = np.nan
    shoppers = shoppers_frame().assign(age_band=None, region=None)
    dataset = Dataset.from_frames(spoilt_frame(FAMILIES[family].explicit), items, shoppers)
    assert np.isfinite(dataset.weight).all()
    assert np.isfinite(dataset.price).all()
    model = train(family, {"preset": "tiny"}, dataset)
    lists = (
        model.recommend(dataset.known_users, 30, "none"),
        model.recommend_sessions([dataset.known_items[:3].tolist()], 30),
        model.similar(dataset.known_items, 30),
    )
    assert max(top.lengths.max() for top in lists) > 0
    for top in lists:
        assert np.isfinite(top.scores[top.ids >= 0]).all()


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("timestamp", np.nan, "timestamp: '1 of 3 rows without a number'"),
        ("item_id", np.nan, "item_id: '1 of 3 rows"),
        ("user_id", np.inf, "user_id: '1 of 3 rows"),
        ("item_id", "B00X", "item_id: 'B00X' cannot be used"),
        ("timestamp", "yesterday", "timestamp: 'yesterday'"),
    ],
)
def test_ids_and_times_that_are_no_numbers_are_named(column: str, value: object, said: str) -> None:
    frame = pd.DataFrame({"user_id": [1, 2, 3], "item_id": [4, 5, 6], "timestamp": [1e9, 2e9, 3e9]})
    values: list[object] = frame[column].tolist()
    values[1] = value
    frame[column] = pd.Series(values, dtype=object)
    with pytest.raises(InvalidValue, match=said):
        Dataset.from_frames(frame)
    with pytest.raises(DataMissing, match=column):
        Dataset.from_frames(frame.drop(columns=column))
