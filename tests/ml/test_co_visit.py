from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from apps.ml.dataset import Dataset
from apps.ml.models.co_visit import CoVisitModel
from apps.ml.train import train
from tests.ml.conformance import Conformance

SHOWN = pd.DataFrame(
    {
        "user_id": [1, 1, 1, 2, 2, 3, 3],
        "item_id": [10, 11, 12, 10, 11, 13, 10],
        "timestamp": 1e9 + np.arange(7.0),
    }
)


class TestCoVisit(Conformance):
    family = "co_visit"
    adds_up = 1e-4
    floors = {"new": 0.5, "all": 0.45}


def test_weights_by_hand() -> None:
    settings = {"backward": 0.0, "own_discount": 0.0, "other_discount": 0.0, "distance_power": 1.0}
    model = train("co_visit", settings, Dataset.from_frames(SHOWN))
    assert isinstance(model, CoVisitModel)
    expected = np.zeros((4, 4))
    expected[0, 1], expected[1, 2], expected[0, 2], expected[3, 0] = 2.0, 1.0, 0.5, 1.0
    np.testing.assert_allclose(model.weights.toarray(), expected)
    both = train("co_visit", {**settings, "backward": 0.5}, Dataset.from_frames(SHOWN))
    assert isinstance(both, CoVisitModel)
    np.testing.assert_allclose(both.weights.toarray(), expected + 0.5 * expected.T)


def test_the_last_item_speaks_loudest() -> None:
    model = train("co_visit", {"memory_decay": 0.5, "backward": 0.0}, Dataset.from_frames(SHOWN))
    assert isinstance(model, CoVisitModel)
    scores = model.score_sessions([np.array([0, 1])])[0]
    assert scores[2] == pytest.approx(0.5 * model.weights[0, 2] + model.weights[1, 2])
    assert model.recommend_sessions([[10]], 3).ids[0].tolist() == [11, 12, -1]
