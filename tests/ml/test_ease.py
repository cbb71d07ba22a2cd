from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from apps.ml.dataset import Dataset
from apps.ml.models.ease import EaseModel
from apps.ml.signals import by_order, user_item
from apps.ml.train import train
from tests.ml.conformance import Conformance
from tests.ml.planted import planted, taste_of_item, taste_of_user


class TestEase(Conformance):
    family = "ease"
    adds_up = 1e-4
    floors = {"new": 0.53, "all": 0.48}


def fitted(dataset: Dataset, **settings: float | bool | None) -> EaseModel:
    model = train("ease", {"preset": "tiny", **settings}, dataset)
    assert isinstance(model, EaseModel)
    return model


def test_weights_are_the_closed_form() -> None:
    model = fitted(planted(), regularisation=7.0)
    dense = (
        user_item(planted(), model.config.row_half_life_days, aggregate="max").toarray().astype(np.float64)
    )
    inverse = np.linalg.inv(dense.T @ dense + 7.0 * np.eye(dense.shape[1]))
    expected = np.eye(dense.shape[1]) - inverse / np.diag(inverse)
    np.testing.assert_allclose(np.asarray(model.weights), expected, rtol=1e-3, atol=1e-5)
    assert (np.diag(np.asarray(model.weights)) == 0).all()


def test_without_decay_repeats_teach_nothing_new() -> None:
    """Repeated rows fed as counts make the model predict an item from itself: a known trap."""
    once = pd.DataFrame(
        [(u, i) for u in range(8) for i in range(u % 3, u % 3 + 3)], columns=["user_id", "item_id"]
    )
    once["timestamp"] = 1.7e9
    often = pd.concat([once, once.iloc[::2], once.iloc[::2]])
    plain = {"row_half_life_days": None, "profile_half_life_days": None}
    left, right = fitted(Dataset.from_frames(once), **plain), fitted(Dataset.from_frames(often), **plain)
    np.testing.assert_array_equal(np.asarray(left.weights), np.asarray(right.weights))
    np.testing.assert_array_equal(left.profile.toarray(), right.profile.toarray())


def test_an_old_habit_counts_less_than_a_recent_one() -> None:
    rows = [(u, i, 1.0e9) for u in range(5) for i in (10, 20)] + [
        (u, i, 1.7e9) for u in range(5, 10) for i in (10, 30)
    ]
    model = fitted(Dataset.from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])))
    assert model.similar([10], 1).ids[0].tolist() == [30]


def test_only_the_strongest_items_are_modelled_when_the_catalogue_is_too_large() -> None:
    model = fitted(planted(), max_items=12, tail_neighbours=0)
    assert model.weights.shape == (12, 12)
    users = planted().known_users
    assert set(np.unique(model.recommend(users, 50).ids)) - {-1} <= set(
        model.history.items.ids[model.columns]
    )


def test_anonymous_baskets_join_the_rows_when_asked() -> None:
    rows = [(-1, 10, "a"), (-1, 20, "a"), (-1, 10, "b"), (-1, 20, "b"), (1, 30, "c")]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "basket"]).assign(timestamp=1.7e9)
    assert fitted(Dataset.from_frames(frame), baskets=True).similar([10], 1).ids[0].tolist() == [20]


def test_beyond_the_head_items_lean_on_those_they_share_shoppers_with() -> None:
    whole, tailed = fitted(planted()), fitted(planted(), max_items=45, tail_neighbours=10)
    assert sparse.issparse(tailed.weights)
    assert tailed.weights.shape == (90, 90)
    assert (tailed.weights.diagonal() == 0).all()
    users = planted().known_users
    best = tailed.recommend(users, 5)
    assert (best.lengths == 5).all()
    assert (taste_of_item(best.ids) == taste_of_user(users)[:, None]).mean() > 0.7
    head = np.flatnonzero(np.isin(tailed.columns, fitted(planted(), max_items=45, tail_neighbours=0).columns))
    alone = np.asarray(fitted(planted(), max_items=45, tail_neighbours=0).weights)
    np.testing.assert_allclose(sparse.csr_matrix(tailed.weights)[head][:, head].toarray(), alone, rtol=1e-6)
    assert len(whole.columns) == len(tailed.columns)
    item = int(best.ids[0, 0])
    assert tailed.explain(int(users[0]), item)


def test_only_the_weights_of_largest_size_are_kept() -> None:
    dense, few = fitted(planted()), fitted(planted(), kept=7)
    assert sparse.issparse(few.weights)
    kept = sparse.csr_matrix(few.weights).toarray()
    assert (np.count_nonzero(kept, axis=0) == 7).all()
    np.testing.assert_array_equal(kept[kept != 0], np.asarray(dense.weights)[kept != 0])
    smallest = np.where(kept != 0, np.abs(kept), np.inf).min(axis=0)
    left = np.where(kept == 0, np.abs(np.asarray(dense.weights)), 0).max(axis=0)
    assert (smallest >= left).all()


def test_the_last_choices_weigh_most_where_only_their_order_is_known() -> None:
    rows = [(1, 10, 1.0), (1, 20, 2.0), (1, 10, 3.0), (1, 30, 3.0), (2, 20, 1.0)]
    dataset = Dataset.from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"]))
    plain = user_item(dataset, None, aggregate="max")
    assert by_order(dataset, plain, 0.5).toarray().tolist() == [[0.5, 0.25, 1.0], [0.0, 1.0, 0.0]]
    ordered = fitted(dataset, order_decay=0.5, row_half_life_days=None, profile_half_life_days=None)
    assert ordered.profile.toarray().tolist() == [[0.5, 0.25, 1.0], [0.0, 1.0, 0.0]]


def test_attributes_speak_for_items_nobody_chose_together() -> None:
    frame = pd.DataFrame([(1, 10), (2, 20), (3, 30)], columns=["user_id", "item_id"]).assign(timestamp=1.7e9)
    items = pd.DataFrame({"item_id": [10, 20, 30], "category": ["Cup", "Cup", ""], "brand": ["", "", "Lone"]})
    dataset = Dataset.from_frames(frame, items)
    assert (fitted(dataset).similar([10], 1).scores <= 0).all()
    assert fitted(dataset, side_weight=1.0).similar([10], 1).ids[0].tolist() == [20]
    assert fitted(dataset, side_weight=1.0).similar([10], 1).scores[0, 0] > 0
