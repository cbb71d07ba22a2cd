from __future__ import annotations

import pandas as pd
import pytest

from apps.ml.dataset import DAY, Dataset
from apps.ml.train import train
from tests.ml.conformance import Conformance


class TestPersonal(Conformance):
    family = "personal"
    floors = {"new": 0.15, "all": 0.38}
    says = ("users",)
    tells_new = False


def test_score_is_the_decayed_sum_of_own_choices() -> None:
    rows = [
        (1, 10, "purchase", 4.0, 0.0),
        (1, 20, "purchase", 4.0, 30.0),
        (1, 20, "view", 1.0, 30.0),
        (1, 30, "purchase", 4.0, 0.0),
        (1, 30, "not_interested", -1.0, 0.0),
        (2, 40, "view", 1.0, 0.0),
    ]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "kind", "weight", "age"])
    frame["timestamp"] = 1.7e9 - frame.pop("age") * DAY
    top = train("personal", {"half_life_days": 30.0}, Dataset.from_frames(frame)).recommend(
        [1], 3, exclude="none"
    )
    assert top.ids[0].tolist() == [10, 20, -1]
    assert top.scores[0, :2].tolist() == pytest.approx([1.0, 0.5 * 1.25])
