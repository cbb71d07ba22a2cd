from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from apps.ml.dataset import Dataset
from apps.ml.models.segment_popular import MAX_VALUES, SegmentPopularModel
from apps.ml.train import train
from tests.ml.conformance import Conformance
from tests.ml.planted import planted, taste_of_item, taste_of_user


class TestSegmentPopular(Conformance):
    family = "segment_popular"
    floors = {"new": 0.4, "all": 0.4}
    answers_strangers = True


PLAIN = {"half_life_days": None, "segment_half_life_days": None, "profile_half_life_days": None}


def shop(shoppers: dict[str, list[Any]]) -> Dataset:
    """Four shoppers: 1 and 2 buy item 10, 3 and 4 item 20; 5 bought nothing but item 30."""
    frame = pd.DataFrame({"user_id": [1, 1, 2, 3, 4, 5], "item_id": [10, 10, 10, 20, 20, 30]})
    frame["timestamp"] = 1.7e9
    items = pd.DataFrame({"item_id": [10, 20, 30, 40], "category": ["Tea", "Toys", "Toys", ""]})
    return Dataset.from_frames(frame, items, pd.DataFrame({"user_id": [1, 2, 3, 4, 5], **shoppers}))


def fit(dataset: Dataset, **settings: Any) -> SegmentPopularModel:
    model = train("segment_popular", {**PLAIN, **settings}, dataset)
    assert isinstance(model, SegmentPopularModel)
    return model


def test_lift_is_the_shrunk_log_share_of_the_segment_over_the_shops() -> None:
    dataset = shop({"region": ["north", "north", "south", "south", "south"]})
    model = fit(dataset, prior=2.0, category_weight=0.0)
    sold = np.array([3.0, 2.0, 1.0, 0.0]) + 0.25
    share = sold / sold.sum()
    south = (np.array([0.0, 2.0, 1.0, 0.0]) + 2.0 * share) / 5.0
    expected = np.log([3.0, 2.0, 1.0]) + np.log(south / share)[:3]
    row = int(dataset.users.rows([5])[0])
    np.testing.assert_allclose(model.score_users(np.array([row]))[0, :3], expected, rtol=1e-5)
    assert np.isneginf(model.score_users(np.array([row]))[0, 3])


def test_weights_of_columns_multiply_their_lifts() -> None:
    dataset = shop({"region": ["north"] * 2 + ["south"] * 3, "gender": ["f", "m", "f", "m", "f"]})
    whole = fit(dataset, category_weight=0.0)
    half = fit(dataset, category_weight=0.0, region_weight=0.5, gender_weight=0.0)
    assert whole.metrics["segments"] == 4
    assert half.metrics["segments"] == 2
    np.testing.assert_allclose(half.lifts, whole.lifts[:2] * 0.5, rtol=1e-6)


def test_own_categories_raise_their_items_and_speak_for_them() -> None:
    model = fit(shop({"region": [""] * 5}), category_prior=1.0)
    assert model.metrics["segments"] == 0
    row = int(model.history.users.rows([5])[0])
    chosen, prior = np.array([0.0, 1.0]), np.array([0.5, 0.5])
    lift = np.log((chosen + prior) / 2.0 / prior)
    expected = np.log([3.0, 2.0, 1.0]) + lift[[0, 1, 1]]
    np.testing.assert_allclose(model.score_users(np.array([row]))[0, :3], expected, rtol=1e-5)
    assert [reason.item_id for reason in model.explain(5, 20)] == [30]
    assert model.explain(5, 10) == []
    eager = fit(shop({"region": [""] * 5}), category_prior=0.1)
    assert eager.recommend_sessions([[20]], 3).ids[0].tolist() == [30, 10, -1]


def test_shoppers_without_a_value_get_what_anyone_gets() -> None:
    dataset = shop({"region": ["north", "north", "south", "south", None]})
    model = fit(dataset, category_weight=0.0)
    rows = dataset.users.rows([5])
    np.testing.assert_array_equal(model.score_users(rows)[0], model.score_anyone())


def test_trend_can_be_what_segments_move() -> None:
    dataset = planted()
    model = train("segment_popular", {"base": "trend", "half_life_days": 14.0}, dataset)
    trend = train("trend", {"season_weight": 0.0, "anonymous": True}, dataset)
    anyone, expected = model.score_anyone(), trend.score_anyone()
    assert anyone is not None
    assert expected is not None
    np.testing.assert_allclose(anyone, expected, rtol=1e-4, atol=1e-5)


def test_regions_of_the_planted_shop_get_their_own_products() -> None:
    model = fit(planted(), category_weight=0.0, prior=10.0)
    top = model.recommend(planted().known_users, 10, exclude="none")
    north = taste_of_user(planted().known_users)[:, None] < 3
    assert ((taste_of_item(top.ids) < 3) == north).mean() > 0.95


def test_free_text_cannot_grow_the_model_without_end() -> None:
    n = MAX_VALUES + 20
    frame = pd.DataFrame({"user_id": np.arange(n), "item_id": np.arange(n) % 5, "timestamp": 1.7e9})
    shoppers = pd.DataFrame({"user_id": np.arange(n), "region": [f"street {i}" for i in range(n)]})
    model = fit(Dataset.from_frames(frame, shoppers=shoppers))
    assert model.lifts.shape == (MAX_VALUES, 5)
    assert (model.segments[:, 0] < 0).sum() == 20


def test_a_new_shopper_of_a_known_region_gets_its_list() -> None:
    model = fit(
        shop({"region": ["north", "north", "south", "south", "south"]}), category_weight=0.0, prior=0.1
    )
    frame = pd.DataFrame({"user_id": [9], "item_id": [30], "timestamp": [1.7e9]})
    shoppers = pd.DataFrame({"user_id": [9], "region": ["south"]})
    folded = model.fold_in(Dataset.from_frames(frame, shoppers=shoppers))
    assert folded.recommend([9], 1).ids[0].tolist() == [20]
    assert model.recommend([9], 1).ids[0].tolist() == [10]
    assert folded.metrics is not model.metrics
    assert folded.metrics == pytest.approx(model.metrics)
