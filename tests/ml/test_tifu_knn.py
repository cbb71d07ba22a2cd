from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from apps.ml.configs.repeat import TifuKnnConfig
from apps.ml.dataset import DAY, Dataset
from apps.ml.errors import InvalidValue
from apps.ml.models.tifu_knn import TifuKnnModel, basket_vectors
from apps.ml.train import train
from tests.ml.conformance import Conformance

ARTICLE = {
    "group_size": 2,
    "basket_decay": 0.9,
    "group_decay": 0.7,
    "half_life_days": None,
    "neighbour_half_life_days": None,
    "likeness": "euclidean",
    "likeness_exponent": 0.0,
    "averaged": True,
    "neighbours": 2,
    "own_share": 0.6,
}


class TestTifuKnn(Conformance):
    family = "tifu_knn"
    floors = {"new": 0.4, "all": 0.45}
    adds_up = 1e-4


def baskets(rows: list[tuple[int, str, float, list[int]]]) -> Dataset:
    """(user, basket, age in days, items) as purchases."""
    flat = [(user, name, 1.7e9 - age * DAY, item) for user, name, age, items in rows for item in items]
    return Dataset.from_frames(pd.DataFrame(flat, columns=["user_id", "basket", "timestamp", "item_id"]))


SHOP = baskets(
    [
        (1, "a", 50, [10, 20]),
        (1, "b", 40, [10]),
        (1, "c", 30, [30]),
        (1, "d", 20, [10, 30]),
        (1, "e", 10, [20]),
        (2, "f", 30, [10, 40]),
        (2, "g", 5, [10]),
        (3, "h", 9, [30, 50]),
        (4, "i", 9, [60]),
    ]
)


def article_vectors() -> np.ndarray:
    """The article's two-level mean, basket by basket: [4 shoppers, items 10 to 60]."""
    history = {
        0: [[10, 20], [10], [30], [10, 30], [20]],
        1: [[10, 40], [10]],
        2: [[30, 50]],
        3: [[60]],
    }
    found = np.zeros((4, 6))
    for user, own in history.items():
        # groups of two from the end; the oldest holds what is left
        groups = [own[max(0, stop - 2) : stop] for stop in range(len(own), 0, -2)][::-1]
        for g, group in enumerate(groups):
            mean = np.zeros(6)
            for b, basket in enumerate(group):
                for item in basket:
                    mean[item // 10 - 1] += 0.9 ** (len(group) - 1 - b) / len(group)
            found[user] += 0.7 ** (len(groups) - 1 - g) * mean / len(groups)
    return found


def test_vectors_are_the_articles_two_level_decay() -> None:
    vectors = basket_vectors(SHOP, TifuKnnConfig.from_dict(ARTICLE), None)
    np.testing.assert_allclose(vectors.toarray(), article_vectors(), rtol=1e-6)


def test_scores_are_own_vector_and_the_mean_of_the_nearest() -> None:
    model = train("tifu_knn", ARTICLE, SHOP)
    vectors = article_vectors()
    # shopper 1 shares items with 2 and 3 only, so those are the two nearest
    expected = 0.6 * vectors[0] + 0.4 * (vectors[1] + vectors[2]) / 2
    scores = model.score_users(np.array([0]))[0]
    np.testing.assert_allclose(np.where(np.isfinite(scores), scores, 0.0), expected, rtol=1e-5)


def test_the_nearest_by_euclidean_distance_is_chosen() -> None:
    model = train("tifu_knn", {**ARTICLE, "neighbours": 1, "own_share": 0.0}, SHOP)
    vectors = article_vectors()
    nearest = 1 + int(np.argmin(((vectors[1:3] - vectors[0]) ** 2).sum(axis=1)))
    scores = model.score_users(np.array([0]))[0]
    np.testing.assert_allclose(np.where(np.isfinite(scores), scores, 0.0), vectors[nearest], rtol=1e-5)


def test_weights_of_neighbours_are_powers_of_the_cosine() -> None:
    settings = {"half_life_days": None, "neighbour_half_life_days": None, "own_share": 0.0}
    model = train("tifu_knn", settings, SHOP)
    assert isinstance(model, TifuKnnModel)
    counts = model.own.toarray().astype(np.float64)
    assert counts[0].tolist() == [3, 2, 2, 0, 0, 0]
    unit = counts / np.linalg.norm(counts, axis=1, keepdims=True)
    weights = (unit[1:] @ unit[0]) ** 2
    np.testing.assert_allclose(model.neighbours[0].toarray()[0, 1:], weights / weights.sum(), rtol=1e-5)


def test_time_decays_apart_for_the_own_and_for_the_neighbours_items() -> None:
    model = train("tifu_knn", {"half_life_days": 40.0, "neighbour_half_life_days": 10.0}, SHOP)
    assert isinstance(model, TifuKnnModel)
    age = SHOP.end - 1.7e9
    assert age == pytest.approx(-5 * DAY)
    own = 0.5 ** (25 / 40) + 0.5 ** (0 / 40)
    news = 0.5 ** (25 / 10) + 0.5 ** (0 / 10)
    assert model.own[1, 0] == pytest.approx(own, rel=1e-5)
    assert model.interest[1, 0] == pytest.approx(news, rel=1e-5)


def test_an_item_counts_once_a_basket_and_events_without_one_by_their_moment() -> None:
    frame = pd.DataFrame(
        {"user_id": [1, 1, 1], "item_id": [10, 10, 10], "timestamp": [1.7e9, 1.7e9, 1.7e9 - DAY]}
    )
    plain = TifuKnnConfig(half_life_days=None)
    assert basket_vectors(Dataset.from_frames(frame), plain, None).toarray().tolist() == [[2.0]]


def test_an_item_everyone_has_makes_nobody_alike() -> None:
    rows = [(user, f"b{user}", 5.0, [10, 20 + user]) for user in range(6)]
    model = train("tifu_knn", {"likeness_ceiling": 5}, baskets(rows))
    assert isinstance(model, TifuKnnModel)
    assert model.neighbours.nnz == 0
    assert train("tifu_knn", {}, baskets(rows)).recommend([0], 5).lengths.tolist() == [5]


def test_a_share_above_one_is_refused() -> None:
    with pytest.raises(InvalidValue, match="share from 0 to 1"):
        TifuKnnConfig(own_share=1.5)
