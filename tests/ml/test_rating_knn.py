from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from apps.ml.dataset import Dataset
from apps.ml.models.rating_knn import RatingKnnModel
from apps.ml.train import train
from tests.ml.conformance import Conformance
from tests.ml.test_biased_mf import stars


class TestRatingKnn(Conformance):
    family = "rating_knn"
    floors = {"new": 0.1, "all": 0.1}
    beats = ()
    answers_strangers = True


def fitted(**settings: float) -> RatingKnnModel:
    model = train("rating_knn", {"shrink": 5.0, "neighbours": 8, **settings}, stars())
    assert isinstance(model, RatingKnnModel)
    return model


def test_neighbours_move_predictions_nearer_than_biases_do() -> None:
    model = fitted(neighbours=40)
    assert model.metrics["rmse"] < 0.8
    alone = fitted(damping=1e9)
    assert model.metrics["rmse"] < 0.9 * alone.metrics["rmse"]


def test_weights_are_shrunk_correlations_to_the_power() -> None:
    model = fitted(exponent=1.0, neighbours=49)
    centred = np.full(model.centred.shape, np.nan)
    rows = np.repeat(np.arange(len(model.shopper_bias)), np.diff(model.centred.indptr))
    centred[rows, model.centred.indices] = model.centred.data
    for i, j in ((0, 1), (3, 17), (20, 41)):
        both = ~np.isnan(centred[:, i]) & ~np.isnan(centred[:, j])
        a, b = centred[both, i], centred[both, j]
        n = both.sum()
        expected = max(0.0, float(a @ b / np.sqrt((a @ a) * (b @ b)) * (n - 1) / (n - 1 + 5.0)))
        assert model.weights[i, j] == pytest.approx(expected, rel=1e-4, abs=1e-7)
    assert model.weights.diagonal().tolist() == [0.0] * 50


def test_a_prediction_is_the_centred_mean_over_the_neighbours_rated() -> None:
    model = fitted(neighbours=30)
    row, item = 6, 9
    near = model.weights[item]
    gaps = model.centred[row]
    own = dict(zip(gaps.indices.tolist(), gaps.data.tolist(), strict=True))
    pairs = [(float(w), own[int(j)]) for j, w in zip(near.indices, near.data, strict=True) if int(j) in own]
    assert len(pairs) > 1
    moved = sum(w * gap for w, gap in pairs) / (sum(w for w, _ in pairs) + model.config.damping)
    expected = model.mean + model.shopper_bias[row] + model.item_bias[item] + moved
    assert model.score_users(np.array([row]))[0, item] == pytest.approx(expected, rel=1e-5)
    assert model.predict_rows(np.array([row]), np.array([item]))[0] == pytest.approx(expected, rel=1e-5)
    # the printed form, one neighbour's likeness times its rating, is no number of stars
    given = model.rated[row].toarray()[0]
    one = float((near.data * given[near.indices]).max())
    assert abs(one - expected) > 0.5


def test_biases_are_what_is_left_drawn_to_zero() -> None:
    frame = pd.DataFrame({"user_id": [1, 2, 3], "item_id": [7, 7, 8], "value": [5.0, 4.0, 1.0]})
    dataset = Dataset.from_frames(frame.assign(kind="rating", timestamp=1.7e9))
    model = train("rating_knn", {"shopper_prior": 1e12, "item_prior": 2.0, "holdout": 0.0}, dataset)
    assert isinstance(model, RatingKnnModel)
    mean = 10 / 3
    np.testing.assert_allclose(model.item_bias, [(9 - 2 * mean) / 4, (1 - mean) / 3], rtol=1e-6)
    np.testing.assert_allclose(model.shopper_bias, 0.0, atol=1e-9)


def test_a_new_shoppers_own_ratings_count() -> None:
    model = fitted()
    best = int(np.argmax(np.asarray(model.weights.sum(axis=0)).ravel()))
    frame = pd.DataFrame({"user_id": [500], "item_id": [best + 1], "value": [6.0], "kind": "rating"})
    folded = model.fold_in(Dataset.from_frames(frame.assign(timestamp=1.8e9)))
    near = np.flatnonzero(np.asarray(model.weights[:, [best]].todense()).ravel() > 0)
    told = folded.predict(np.full(len(near), 500), near + 1)
    assert (told >= np.clip(model.mean + model.item_bias[near], *model.scale)).all()
    assert folded.predict([500], [best + 1])[0] > model.predict([500], [best + 1])[0]
