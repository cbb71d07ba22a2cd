from __future__ import annotations

import numpy as np
import pandas as pd

from apps.ml.dataset import Dataset
from apps.ml.models.ease import EaseModel
from apps.ml.signals import user_item
from apps.ml.train import train
from tests.ml.conformance import Conformance
from tests.ml.planted import planted


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
    np.testing.assert_allclose(model.weights, expected, rtol=1e-3, atol=1e-5)
    assert (np.diag(model.weights) == 0).all()


def test_without_decay_repeats_teach_nothing_new() -> None:
    """Repeated rows fed as counts make the model predict an item from itself: a known trap."""
    once = pd.DataFrame(
        [(u, i) for u in range(8) for i in range(u % 3, u % 3 + 3)], columns=["user_id", "item_id"]
    )
    once["timestamp"] = 1.7e9
    often = pd.concat([once, once.iloc[::2], once.iloc[::2]])
    plain = {"row_half_life_days": None, "profile_half_life_days": None}
    left, right = fitted(Dataset.from_frames(once), **plain), fitted(Dataset.from_frames(often), **plain)
    np.testing.assert_array_equal(left.weights, right.weights)
    np.testing.assert_array_equal(left.profile.toarray(), right.profile.toarray())


def test_an_old_habit_counts_less_than_a_recent_one() -> None:
    rows = [(u, i, 1.0e9) for u in range(5) for i in (10, 20)] + [
        (u, i, 1.7e9) for u in range(5, 10) for i in (10, 30)
    ]
    model = fitted(Dataset.from_frames(pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])))
    assert model.similar([10], 1).ids[0].tolist() == [30]


def test_only_the_strongest_items_are_modelled_when_the_catalogue_is_too_large() -> None:
    model = fitted(planted(), max_items=12)
    assert model.weights.shape == (12, 12)
    users = planted().known_users
    assert set(np.unique(model.recommend(users, 50).ids)) - {-1} <= set(
        model.history.items.ids[model.columns]
    )


def test_anonymous_baskets_join_the_rows_when_asked() -> None:
    rows = [(-1, 10, "a"), (-1, 20, "a"), (-1, 10, "b"), (-1, 20, "b"), (1, 30, "c")]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "basket"]).assign(timestamp=1.7e9)
    assert fitted(Dataset.from_frames(frame), baskets=True).similar([10], 1).ids[0].tolist() == [20]
