from __future__ import annotations

import pandas as pd
import pytest

from apps.ml.dataset import Dataset
from apps.ml.errors import InvalidValue
from apps.ml.models.association import AssociationModel
from apps.ml.train import train
from tests.ml.conformance import Conformance

BASKETS = [[1, 2], [1, 2, 3], [1, 3], [4], [1, 2, 3, 4]]
ALL_RULES = {"min_count": 1, "min_support": 0.0, "longer_support": 0.0, "min_confidence": 0.0}


class TestAssociation(Conformance):
    family = "association"
    adds_up = 1e-4
    floors = {"new": 0.5, "all": 0.48}


def baskets(with_names: bool) -> Dataset:
    rows = [
        (100 + number, item, 1e9 + number, f"b{number}")
        for number, basket in enumerate(BASKETS)
        for item in basket
    ]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "basket"])
    return Dataset.from_frames(frame if with_names else frame.drop(columns="basket"))


@pytest.mark.parametrize("with_names", [True, False])
def test_an_item_scores_by_the_added_value_of_the_rules_fulfilled(with_names: bool) -> None:
    model = train("association", ALL_RULES, baskets(with_names))
    assert isinstance(model, AssociationModel)
    top = model.recommend_sessions([[2, 3]], 5)
    # {2} -> 1 and {3} -> 1 with confidence 1, {2, 3} -> 1 with confidence 1; 1 lies in 4 of 5 baskets
    assert top.ids[0].tolist()[0] == 1
    assert top.scores[0, 0] == pytest.approx(3 * (1.0 - 0.8))
    shares = {reason.item_id: reason.share for reason in model.explain_session([2, 3], 1)}
    assert shares == pytest.approx({2: 0.5, 3: 0.5})


def test_rules_no_better_than_chance_are_left_out() -> None:
    model = train("association", ALL_RULES, baskets(True))
    assert isinstance(model, AssociationModel)
    assert (model.worth > 0).all()
    # 4 lies in 2 of 5 baskets, with 1 in one of four: less than chance
    assert not ((model.right == 3) & (model.left[:, 0].toarray().ravel() > 0)).any()


def test_lengths_past_ten_are_refused() -> None:
    with pytest.raises(InvalidValue, match="max_length"):
        train("association", {"max_length": 11}, baskets(True))
