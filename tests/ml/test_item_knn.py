from __future__ import annotations

import numpy as np
import pandas as pd

from apps.ml.dataset import Dataset
from apps.ml.models.item_knn import ItemKnnModel
from apps.ml.signals import rejected
from apps.ml.train import train
from tests.ml.conformance import Conformance
from tests.ml.planted import ITEM_BASE, planted, taste_of_item

PLAIN = {
    "row_half_life_days": None,
    "profile_half_life_days": None,
    "neighbours": 100,
    "row_exponent": 0.0,
    "category_prior": 0.0,
    "basket_weight": 1.0,
}


class TestItemKnn(Conformance):
    family = "item_knn"
    adds_up = 1e-4
    floors = {"new": 0.55, "all": 0.48}


def choices(dataset: Dataset, exponent: float) -> np.ndarray:
    """Who chose what among those who chose two items or more; a pair of a row of n counts n^-exponent."""
    dense = np.zeros((len(dataset.users), len(dataset.items)))
    known = dataset.user >= 0
    dense[dataset.user[known], dataset.item[known]] = 1.0
    dense[rejected(dataset).toarray()] = 0.0
    sizes = dense.sum(axis=1, keepdims=True)
    return np.where(sizes > 1, dense / np.maximum(sizes, 1.0) ** (exponent / 2), 0.0)


def test_for_shoppers_joint_choices_are_discounted_by_popularity_and_items_speak_for_themselves() -> None:
    dataset = planted().purchases()
    settings = {"baskets": False, "row_exponent": 0.7, "popularity_discount": 0.6, "shrink": 0.5}
    model = train("item_knn", {**PLAIN, **settings, "own_weight": 2.0}, dataset)
    assert isinstance(model, ItemKnnModel)
    rows = choices(dataset, 0.7)
    expected = rows.T @ rows / (np.linalg.norm(rows, axis=0) ** 0.6 + 0.5)
    np.fill_diagonal(expected, 0.0)
    np.fill_diagonal(expected, 2.0 * expected.max(axis=1))
    np.testing.assert_allclose(model.similarity.toarray(), expected, rtol=1e-5)


def test_beside_a_product_its_share_of_company_is_shrunk_to_that_of_its_category() -> None:
    dataset = planted().purchases()
    settings = {"baskets": False, "category_prior": 1.5}
    model = train("item_knn", {**PLAIN, **settings}, dataset)
    assert isinstance(model, ItemKnnModel)
    rows = choices(dataset, 0.0)
    joint = rows.T @ rows
    np.fill_diagonal(joint, 0.0)
    totals = joint.sum(axis=1)
    category = np.unique(dataset.text("category"), return_inverse=True)[1]
    member = np.eye(category.max() + 1)[category]
    meetings = member.T @ joint @ member
    parts = member.T * totals
    likely = (meetings / meetings.sum(axis=1, keepdims=True)) @ (parts / parts.sum(axis=1, keepdims=True))
    company = likely[category]
    np.fill_diagonal(company, 0.0)
    amount = 1.5 * totals[totals > 0].mean()
    expected = (joint + amount * company) / (totals + amount)[:, None]
    np.testing.assert_allclose(model.companions.toarray(), expected, rtol=1e-5)


def test_a_product_nobody_chose_keeps_the_company_of_its_category() -> None:
    rows = [(user, item) for user in (1, 2, 3) for item in (10, 20)] + [(4, 30), (5, 40)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id"]).assign(timestamp=1.7e9)
    items = pd.DataFrame({"item_id": [10, 20, 30, 40, 50], "category": ["Cup", "Tea", "", "Pot", "Cup"]})
    model = train("item_knn", {**PLAIN, "category_prior": 1.0}, Dataset.from_frames(frame, items))
    assert model.similar([50, 30, 10], 2).ids.tolist() == [[20, -1], [-1, -1], [20, -1]]


def test_what_a_shopper_looked_at_is_among_what_is_new_to_them() -> None:
    rows = [(user, item, "purchase", 5.0) for user in (1, 2, 3) for item in (10, 20, 30)]
    rows += [(4, 10, "purchase", 5.0), (4, 40, "view", 1.0), (5, 40, "view", 1.0), (5, 20, "purchase", 5.0)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "kind", "weight"]).assign(timestamp=1.7e9)
    dataset = Dataset.from_frames(frame)
    silent = train("item_knn", {**PLAIN, "own_weight": 0.0}, dataset).recommend([4], 5)
    spoken = train("item_knn", {**PLAIN, "own_weight": 200.0}, dataset).recommend([4], 5)
    assert silent.ids[0, 0] != 40
    assert spoken.ids[0, 0] == 40


def test_one_item_alone_keeps_no_company() -> None:
    rows = [(user, item, f"b{user}") for user in (1, 2) for item in (10, 20)]
    rows += [(-1, 20, f"look {n}") for n in range(50)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "basket"]).assign(timestamp=1.7e9)
    few = Dataset.from_frames(frame[frame["user_id"] > 0])
    lists = [
        train("item_knn", PLAIN, data).recommend([1], 2, "none") for data in (few, Dataset.from_frames(frame))
    ]
    np.testing.assert_array_equal(lists[0].scores, lists[1].scores)


def test_anonymous_baskets_teach_what_goes_together() -> None:
    rows = [
        (-1, 10, "a"),
        (-1, 20, "a"),
        (-1, 10, "b"),
        (-1, 20, "b"),
        (1, 10, "c"),
        (1, 30, "d"),
        (2, 30, "e"),
    ]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "basket"]).assign(timestamp=1.7e9)
    dataset = Dataset.from_frames(frame)
    together = train("item_knn", PLAIN, dataset).similar([10], 2)
    assert together.ids[0].tolist() == [20, 30]
    alone = train("item_knn", {**PLAIN, "baskets": False}, dataset).similar([10], 2)
    assert alone.ids[0].tolist() == [30, -1]


def test_recent_company_counts_more_with_a_half_life() -> None:
    rows = [(user, item, 1.0e9) for user in (1, 2) for item in (10, 20)]
    rows += [(user, item, 1.7e9) for user in (3, 4) for item in (10, 30)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    model = train("item_knn", {**PLAIN, "row_half_life_days": 30.0}, Dataset.from_frames(frame))
    assert model.similar([10], 2).ids[0, 0] == 30


def test_every_weighting_finds_the_planted_groups() -> None:
    for weighting in ("cosine", "tfidf", "bm25"):
        top = train("item_knn", {"weighting": weighting}, planted()).recommend_sessions(
            [[ITEM_BASE + 20]], 10
        )
        assert (taste_of_item(top.ids[0]) == 1).mean() >= 0.9
