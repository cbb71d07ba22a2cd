from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from apps.ml import signals
from apps.ml.dataset import DAY, Dataset


def events(rows: list[tuple[int, int, str, float, float, str]]) -> Dataset:
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "kind", "weight", "age", "basket"])
    return Dataset.from_frames(frame.assign(timestamp=1.7e9 - frame["age"] * DAY))


SHOP = [
    (1, 10, "purchase", 5.0, 0.0, "a"),
    (1, 10, "purchase", 5.0, 30.0, "b"),
    (1, 20, "view", 1.0, 0.0, "a"),
    (2, 20, "not_interested", -3.0, 1.0, ""),
    (2, 30, "not_interested", -3.0, 9.0, ""),
    (2, 30, "purchase", 5.0, 0.0, "c"),
    (2, 20, "view", 1.0, 5.0, ""),
    (-1, 30, "purchase", 5.0, 0.0, "d"),
]


@pytest.mark.parametrize(
    ("aggregate", "expected"), [("sum", 1.5), ("max", 1.0), ("log", np.log1p(1.5))], ids=["sum", "max", "log"]
)
def test_interest_adds_up_or_takes_the_strongest(aggregate: signals.Aggregate, expected: float) -> None:
    matrix = signals.user_item(events(SHOP), half_life_days=30.0, aggregate=aggregate).toarray()
    assert matrix[0, 0] == pytest.approx(expected)


def test_a_view_counts_its_share_of_a_purchase_or_one_when_binary() -> None:
    assert signals.user_item(events(SHOP)).toarray()[0, 1] == pytest.approx(0.2)
    assert signals.user_item(events(SHOP), binary=True).toarray()[0, 1] == 1.0


def test_only_the_latest_word_on_an_item_counts_as_rejection() -> None:
    assert np.argwhere(signals.rejected(events(SHOP)).toarray()).tolist() == [[1, 1]]
    interest = signals.user_item(events(SHOP)).toarray()
    assert interest[1, 1] == 0.0
    assert interest[1, 2] > 0.0


def test_bought_pairs_are_purchases_of_known_shoppers() -> None:
    assert np.argwhere(signals.bought(events(SHOP)).toarray()).tolist() == [[0, 0], [1, 2]]


def test_baskets_hold_what_lay_together_whoever_bought_it() -> None:
    baskets = signals.basket_item(events(SHOP)).toarray()
    assert sorted(map(tuple, baskets.tolist())) == [(0, 0, 1), (0, 0, 1), (1, 0, 0), (1, 1, 0)]
    assert signals.basket_item(events(SHOP), anonymous_only=True).toarray().tolist() == [[0, 0, 1]]
    assert signals.basket_item(events(SHOP), largest=1).shape[0] == 3


def test_decay_halves() -> None:
    assert signals.decay(np.array([0.0, 30.0, 60.0]), 30.0).tolist() == [1.0, 0.5, 0.25]
    assert signals.decay(np.array([500.0]), None).tolist() == [1.0]
