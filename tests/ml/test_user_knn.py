from __future__ import annotations

import numpy as np

from apps.ml.models.user_knn import UserKnnModel
from apps.ml.train import train
from tests.ml.conformance import Conformance
from tests.ml.planted import planted

PLAIN = {
    "weighting": "cosine",
    "similarity_half_life_days": None,
    "interest_half_life_days": None,
    "shrink": 0.0,
}


class TestUserKnn(Conformance):
    family = "user_knn"
    adds_up = 1e-4
    floors = {"new": 0.55, "all": 0.48}


def test_score_is_the_sum_over_the_nearest_shoppers() -> None:
    """Pins the formula the article prints without its sum."""
    dataset = planted().purchases()
    model = train("user_knn", {**PLAIN, "neighbours": 7}, dataset)
    assert isinstance(model, UserKnnModel)
    dense = np.zeros((len(dataset.users), len(dataset.items)))
    known = dataset.user >= 0
    dense[dataset.user[known], dataset.item[known]] = 1.0
    dense[model.history.rejected.toarray()] = 0.0
    unit = dense / np.maximum(np.linalg.norm(dense, axis=1, keepdims=True), 1e-12)
    alike = unit @ unit.T
    np.fill_diagonal(alike, 0.0)
    ranked = -np.sort(-alike, axis=1)
    row = int(np.argmax(ranked[:, 6] - ranked[:, 7]))  # no tie for the last place
    nearest = np.argsort(-alike[row], kind="stable")[:7]
    expected = sum(alike[row, other] * dense[other] for other in nearest)
    scores = model.score_users(np.array([row]))[0]
    np.testing.assert_allclose(np.where(np.isfinite(scores), scores, 0.0), expected, rtol=1e-5, atol=1e-6)
    assert np.count_nonzero(expected > expected.max() / 2) > 1


def test_a_session_equal_to_a_shopper_has_that_shopper_as_its_nearest() -> None:
    dataset = planted().purchases()
    model = train("user_knn", {**PLAIN, "neighbours": 1}, dataset)
    assert isinstance(model, UserKnnModel)
    chosen = model.vectors[5].indices
    scores = model.score_sessions([chosen.astype(np.int64)])[0]
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(scores)), np.sort(model.interest[5].indices))


def test_items_everybody_has_do_not_make_shoppers_alike() -> None:
    dataset = planted().purchases()
    counts = np.bincount(dataset.item, minlength=len(dataset.items))
    model = train("user_knn", {**PLAIN, "likeness_ceiling": 20}, dataset)
    assert isinstance(model, UserKnnModel)
    kept = np.unique(model.vectors.indices)
    holders = np.asarray((model.interest > 0).sum(axis=0)).ravel()
    assert set(kept.tolist()) == set(np.flatnonzero((holders > 0) & (holders <= 20)).tolist())
    assert len(kept) < np.count_nonzero(counts)
