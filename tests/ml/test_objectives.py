from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from apps.ml.blend_scoring import Scorer, Window, Worth
from apps.ml.dataset import Dataset
from apps.ml.errors import InvalidValue
from apps.ml.objectives import Objective, pareto_front
from apps.ml.protocols import Truth
from apps.ml.topn import TopN, top_k
from apps.ml.tune import weights_choose, weights_front

N_ITEMS = 50
IDS = np.arange(N_ITEMS, dtype=np.int64)
MIX = Objective(ndcg=1, revenue=1, margin=1, coverage=1, novelty=1)


def worth() -> Worth:
    """Item i costs i, was bought 50 - i times and has a margin of a tenth of its price."""
    rows = [(item % 7, item, 1e9 + n, float(item)) for item in range(N_ITEMS) for n in range(50 - item)]
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "price"]).assign(kind="purchase")
    items = pd.DataFrame({"item_id": IDS, "price": IDS * 2.0, "cost": IDS * 0.9})
    return Worth.from_dataset(Dataset.from_frames(events, items))


def two_tastes(seed: int = 0, n_users: int = 120) -> tuple[dict[str, TopN], Truth]:
    """Shoppers buy what either source says; "cheap" only lists the cheap half, "dear" the dear half."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(n_users, N_ITEMS))
    cheap, dear = scores.copy(), scores.copy()
    cheap[:, N_ITEMS // 2 :] = -np.inf
    dear[:, : N_ITEMS // 2] = -np.inf
    bought = np.concatenate([np.argsort(-cheap, axis=1)[:, :4], np.argsort(-dear, axis=1)[:, :2]], axis=1)
    truth = Truth.from_pairs(np.repeat(np.arange(n_users), 6), bought.ravel())
    lists = {
        "cheap": top_k(cheap.astype(np.float32), IDS, 20),
        "dear": top_k(dear.astype(np.float32), IDS, 20),
    }
    return lists, truth


def test_the_front_is_what_nothing_dominates() -> None:
    rng = np.random.default_rng(1)
    points = rng.random((60, 3)).round(1)
    front = pareto_front(points)
    for row in range(len(points)):
        beaten = (points >= points[row]).all(axis=1) & (points > points[row]).any(axis=1)
        assert (row in front) <= (not beaten.any())
        assert beaten.any() or any((points[kept] == points[row]).all() for kept in front)
    assert (np.diff(points[front, 0]) <= 0).all()


def test_weights_of_the_front_do_not_dominate_each_other() -> None:
    lists, truth = two_tastes()
    front = weights_front(lists, truth, worth(), parts=("ndcg", "revenue"), points=30)
    values = np.array([[point["ndcg"], point["revenue"]] for point in front])
    assert len(front) > 1
    assert (np.diff(values[:, 0]) < 0).all()
    assert (np.diff(values[:, 1]) > 0).all()
    with pytest.raises(ValueError, match="parts"):
        weights_front(lists, truth, worth(), parts=("beauty",))


def test_an_objective_moves_the_weights_towards_its_aim() -> None:
    lists, truth = two_tastes()
    plain = weights_choose(lists, truth)
    money = weights_choose(lists, truth, objective=Objective(ndcg=0.0, revenue=1.0), worth=worth())
    rare = weights_choose(lists, truth, objective=Objective(ndcg=0.0, novelty=1.0), worth=worth())
    assert money["dear"] > plain["dear"]
    assert rare["dear"] > plain["dear"]


def test_parts_of_one_list_by_hand() -> None:
    lists = {"only": TopN.from_lists([([10, 20, 30], [3.0, 2.0, 1.0])], 3)}
    truth = Truth.from_pairs(np.array([0, 0]), np.array([20, 40]))
    scorer = Scorer.build(Window(lists, truth), "z", np.random.default_rng(0), worth())
    found = {name: values[0] for name, values in scorer.parts(np.ones(1), MIX).items()}
    second = 1 / np.log2(3)
    assert found["ndcg"] == pytest.approx(second / (1 + second), rel=1e-5)
    assert found["revenue"] == pytest.approx(20 * second / (40 + 20 * second), rel=1e-5)
    assert found["margin"] == pytest.approx(2 * second / (4 + 2 * second), rel=1e-4)
    assert found["coverage"] == 1.0
    novelty = worth().novelty[[10, 20, 30]]
    assert found["novelty"] == pytest.approx(novelty.mean(), rel=1e-5)
    assert (np.diff(novelty) > 0).all()


def test_leaving_hopeless_candidates_out_changes_no_score() -> None:
    lists, truth = two_tastes(3)
    scorer = Scorer.build(Window(lists, truth), "z", np.random.default_rng(0), worth())
    weights = np.array([0.7, 0.3])
    near = scorer.near([scorer.order(weights, 25)])
    assert near.norms.shape[1] <= 25 < scorer.norms.shape[1]
    for name, values in scorer.parts(weights, MIX).items():
        np.testing.assert_allclose(near.parts(weights, MIX)[name], values, rtol=1e-6)


def test_an_objective_needs_something_to_aim_at() -> None:
    for wrong in ({"ndcg": 0.0}, {"ndcg": -1.0}, {"novelty": float("nan")}):
        with pytest.raises(InvalidValue, match="objective"):
            Objective(**wrong)
    assert Objective().only_ndcg
    assert not MIX.only_ndcg
