from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch

from apps.ml.base import TrainOptions
from apps.ml.dataset import Dataset
from apps.ml.errors import DataMissing
from apps.ml.models.biased_mf import BiasedFactors, BiasedMfModel
from apps.ml.models.rating_model import Ratings
from apps.ml.train import train
from tests.ml.conformance import Conformance
from tests.ml.planted import ITEM_BASE, UNKNOWN_ITEM, planted, planted_split

MEAN = 3.2
STRANGER = 9_999


class TestBiasedMf(Conformance):
    family = "biased_mf"
    floors = {"new": 0.07, "all": 0.1}
    beats = ()
    answers_strangers = True

    def test_a_warm_start_is_used_or_ignored(self) -> None:
        """Judged by its error: the order of so few ratings says little."""
        split = planted_split(True)
        ratings = Ratings.of(split.train)
        cold = self.model
        assert isinstance(cold, BiasedMfModel)
        warm = train(self.family, {"preset": "tiny"}, split.train, TrainOptions(start=cold))
        assert isinstance(warm, BiasedMfModel)
        assert warm.error(ratings)["rmse"] <= 1.05 * cold.error(ratings)["rmse"]


@cache
def stars() -> Dataset:
    """Ratings made by the formula itself: two hidden tastes, biases, little noise."""
    rng = np.random.default_rng(2)
    p, q = rng.normal(size=(80, 2)), rng.normal(size=(50, 2))
    b_u, b_i = rng.normal(size=80) * 0.4, rng.normal(size=50) * 0.4
    user, item = np.nonzero(rng.random((80, 50)) < 0.5)
    value = MEAN + b_u[user] + b_i[item] + 0.6 * (p[user] * q[item]).sum(1) + rng.normal(size=len(user)) * 0.1
    frame = pd.DataFrame({"user_id": user + 1, "item_id": item + 1, "value": np.clip(value, 0.5, 6.0)})
    return Dataset.from_frames(frame.assign(kind="rating", timestamp=1.7e9))


@cache
def fitted() -> BiasedMfModel:
    settings = {"factors": 4, "epochs": 30, "batch_size": 128, "learning_rate": 0.02, "regularisation": 0.02}
    model = train("biased_mf", settings, stars())
    assert isinstance(model, BiasedMfModel)
    return model


def test_hidden_tastes_are_found_and_the_error_is_among_the_metrics() -> None:
    assert fitted().metrics["rmse"] < 0.4
    assert fitted().metrics["mae"] < fitted().metrics["rmse"]
    assert float(stars().value.std()) > 0.9
    assert fitted().metrics["ratings"] == len(stars())
    assert len(fitted().metrics["history"]) > 1


def test_the_score_is_mean_biases_and_the_product_of_factors_never_of_ids() -> None:
    net = BiasedFactors(900, 70_000, 3, MEAN)
    user, item = torch.tensor([5, 800]), torch.tensor([3, 69_999])
    predicted = net(user, item)[0].detach()
    p, q = net.shoppers.weight[user].detach(), net.items.weight[item].detach()
    torch.testing.assert_close(predicted, MEAN + (p * q).sum(1))
    # the printed form adds the item's id: its score would grow with the number of the product
    assert float((predicted - (MEAN + (p * q).sum(1) + item)).abs().min()) > 1
    assert float(predicted.abs().max()) < 5
    net.item_bias.weight.data[3] = 0.5
    assert float(net(user, item)[0].detach()[0] - predicted[0]) == pytest.approx(0.5)


def test_shoppers_solve_their_ridge_regression() -> None:
    model = fitted()
    own = model.rated[7]
    sides = np.column_stack([model.item_factors[own.indices], np.ones(own.nnz)])
    ridge = np.diag([model.config.regularisation] * 4 + [model.config.bias_regularisation]) * own.nnz
    gap = own.data - model.mean - model.item_bias[own.indices]
    solved = np.linalg.solve(sides.T @ sides + ridge, sides.T @ gap)
    np.testing.assert_allclose(model.shopper_factors[7], solved[:-1], rtol=1e-5, atol=1e-7)
    assert model.shopper_bias[7] == pytest.approx(solved[-1], rel=1e-5)


def test_terms_of_the_explanation_add_up_to_the_product_of_factors() -> None:
    model = fitted()
    for item in (0, 11, 42):
        terms = model.contributions(7, model.items_of(7), item)
        assert terms.sum() == pytest.approx(
            float(model.shopper_factors[7] @ model.item_factors[item]), rel=1e-4
        )


def test_predictions_keep_the_scale_and_answer_the_unknown() -> None:
    model = fitted()
    found = model.predict([1, STRANGER, 1, STRANGER], [1, 1, UNKNOWN_ITEM, UNKNOWN_ITEM])
    assert found[1] == pytest.approx(model.mean + model.item_bias[0])
    assert found[2] == pytest.approx(model.mean + model.shopper_bias[0])
    assert found[3] == pytest.approx(model.mean)
    assert (model.scale[0] <= found).all()
    assert (found <= model.scale[1]).all()
    assert found[0] == pytest.approx(np.clip(model.score_users(np.array([0]))[0, 0], *model.scale), rel=1e-5)


def test_the_latest_rating_of_a_pair_counts_and_empty_ones_do_not() -> None:
    rows = [(1, 10, 2.0, 1), (1, 10, 5.0, 2), (1, 20, 0.0, 1), (-1, 20, 4.0, 1), (2, 20, 3.0, 1)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "value", "timestamp"]).assign(kind="rating")
    found = Ratings.of(Dataset.from_frames(frame))
    assert found.value.tolist() == [5.0, 3.0]
    assert found.scale == (3.0, 5.0)


@pytest.mark.parametrize("family", ["biased_mf", "rating_knn"])
def test_data_without_ratings_are_named_as_the_problem(family: str) -> None:
    with pytest.raises(DataMissing, match="no ratings.*import ratings or choose another family"):
        train(family, {"preset": "tiny"}, planted())


def test_a_warm_start_needs_fewer_epochs() -> None:
    short = {**fitted().config.to_dict(), "epochs": 1, "learning_rate": 1e-4}
    cold = train("biased_mf", short, stars())
    warm = train("biased_mf", short, stars(), TrainOptions(start=fitted()))
    ratings = Ratings.of(stars())
    assert isinstance(cold, BiasedMfModel)
    assert isinstance(warm, BiasedMfModel)
    assert warm.error(ratings)["rmse"] < 0.5 * cold.error(ratings)["rmse"]


def test_items_nobody_rated_are_in_no_list() -> None:
    items = pd.DataFrame({"item_id": [1, 2, 3], "title": "x"})
    frame = pd.DataFrame({"user_id": [1, 2], "item_id": [1, 2], "value": [4.0, 5.0]})
    dataset = Dataset.from_frames(frame.assign(kind="rating", timestamp=1.7e9), items)
    model = train("biased_mf", {"preset": "tiny"}, dataset)
    assert model.recommend([1], 5, exclude="none").lengths.tolist() == [2]
    assert model.similar([3], 5).lengths.tolist() == [0]
    assert ITEM_BASE not in model.history.items.ids
