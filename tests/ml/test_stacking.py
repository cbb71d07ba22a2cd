from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from apps.ml.base import TrainOptions
from apps.ml.configs.ensembles import StackedConfig
from apps.ml.dataset import DAY, Dataset
from apps.ml.errors import ArtifactInvalid, Cancelled, DataMissing
from apps.ml.evaluate import evaluate_lists
from apps.ml.protocols import Truth
from apps.ml.ranking_facts import FACT_FEATURES, ITEM_FEATURES, PAIR_FEATURES, USER_FEATURES, Facts
from apps.ml.stacking import RANKER, Lesson, StackedRanker, candidates_of
from apps.ml.topn import TopN, top_k
from tests.ml.planted import planted

N_ITEMS, N_USERS = 60, 80
ITEMS = np.arange(100, 100 + N_ITEMS, dtype=np.int64)
USERS = np.arange(N_USERS, dtype=np.int64)
CONFIG = StackedConfig(rounds=25, leaves=7, least_in_leaf=20)


def history(seed: int) -> Dataset:
    """Purchases at random; prices rise with the item, so that a price says which half of the items it is."""
    rng = np.random.default_rng(seed)
    n = 1_200
    item = rng.integers(0, N_ITEMS, n)
    return Dataset.from_frames(
        pd.DataFrame(
            {
                "user_id": rng.integers(0, N_USERS, n),
                "item_id": ITEMS[item],
                "timestamp": 1e9 + rng.random(n) * 100 * DAY,
                "price": 1.0 + item,
                "kind": "purchase",
            }
        )
    )


def lesson(seed: int) -> Lesson:
    """Two sources that each see half of the shoppers' taste; dear items sell less whatever they say."""
    rng = np.random.default_rng(seed)
    left, right = rng.normal(size=(2, N_USERS, N_ITEMS))
    wanted = left + right + rng.normal(0, 0.3, left.shape) - 3.0 * (np.arange(N_ITEMS) >= N_ITEMS // 2)
    best = np.argsort(-wanted, axis=1)[:, :6]
    truth = Truth.from_pairs(np.repeat(USERS, 6), ITEMS[best.ravel()])
    lists = {
        "left": top_k(left.astype(np.float32), ITEMS, 40),
        "right": top_k(right.astype(np.float32), ITEMS, 40),
    }
    return Lesson(lists, Facts.from_dataset(history(seed)), truth)


@cache
def fitted() -> StackedRanker:
    return StackedRanker.fit([lesson(1), lesson(2), lesson(3)], CONFIG)


def ndcg(top: TopN, truth: Truth) -> float:
    return evaluate_lists(top, truth, N_ITEMS).mean("ndcg10")


def ranked(ranker: StackedRanker, past: Lesson) -> TopN:
    return ranker.rank(past.lists, past.truth.users, past.facts)


def test_stacking_beats_the_best_source_and_the_best_blend_on_unseen_shoppers() -> None:
    unseen = lesson(9)
    own = ndcg(ranked(fitted(), unseen), unseen.truth)
    best = max(ndcg(top, unseen.truth) for top in unseen.lists.values())
    assert own > 1.5 * best
    assert next(iter(fitted().importance())) in {"log_price", "score_left", "score_right"}
    assert fitted().importance()["log_price"] > 0.1


def test_lists_hold_candidates_once_best_first_and_no_nan() -> None:
    unseen = lesson(9)
    top = ranked(fitted(), unseen)
    assert not np.isnan(top.scores).any()
    for row in range(0, N_USERS, 9):
        ids, scores = top.row(row)
        listed = np.union1d(*[one.row(row)[0] for one in unseen.lists.values()])
        assert sorted(ids.tolist()) == listed.tolist()
        assert (np.diff(scores) <= 0).all()


def test_same_seed_same_ranker_another_seed_another() -> None:
    small = replace(CONFIG, rounds=5)
    one, two = (StackedRanker.fit([lesson(1)], small, TrainOptions(seed=3)) for _ in range(2))
    other = StackedRanker.fit([lesson(1)], small, TrainOptions(seed=4))
    assert one.members == two.members
    assert one.members != other.members


def test_it_is_the_same_after_saving_and_loading(tmp_path: Path) -> None:
    fitted().save(tmp_path)
    again = StackedRanker.load(tmp_path)
    unseen = lesson(9)
    np.testing.assert_array_equal(ranked(again, unseen).ids, ranked(fitted(), unseen).ids)
    assert again.config == fitted().config
    text = (tmp_path / RANKER).read_text("utf-8")
    (tmp_path / RANKER).write_text(text.replace("left", "lift"), "utf-8")
    with pytest.raises(ArtifactInvalid, match="sha256"):
        StackedRanker.load(tmp_path)
    with pytest.raises(ArtifactInvalid, match="no readable"):
        StackedRanker.load(tmp_path / "nowhere")


def test_contributions_sum_to_the_final_score() -> None:
    unseen = lesson(9)
    for ranker in (fitted(), fitted().with_coverage(0.4)):
        ids, scores = ranked(ranker, unseen).row(5)
        row = {name: top.take(np.array([5])) for name, top in unseen.lists.items()}
        for place in (0, 3):
            parts = ranker.contributions(row, 5, int(ids[place]), unseen.facts)
            assert sum(share for _, share in parts) == pytest.approx(scores[place], abs=1e-4)
    assert fitted().contributions(row, 5, 7, unseen.facts) == []


def test_the_knob_buys_coverage_with_accuracy() -> None:
    unseen = lesson(9)
    wide = [
        evaluate_lists(ranked(fitted().with_coverage(k), unseen), unseen.truth, N_ITEMS) for k in (0.0, 3.0)
    ]
    assert wide[1].coverage10 > wide[0].coverage10
    assert wide[1].mean("ndcg10") <= wide[0].mean("ndcg10")


def test_features_of_a_cut_see_nothing_after_it() -> None:
    data = planted()
    cut = data.end - 30 * DAY
    early = Facts.from_dataset(data.before(cut))
    future = data.timestamp >= cut
    poisoned = replace(
        data,
        price=np.where(future, 9e6, data.price).astype(np.float32),
        item=np.where(future, 0, data.item),
        quantity=np.where(future, 5e5, data.quantity).astype(np.float32),
    )
    late = Facts.from_dataset(poisoned.before(cut))
    for name, value in early.to_arrays().items():
        np.testing.assert_array_equal(value, late.to_arrays()[name], err_msg=name)
    assert early.moment == cut


def test_facts_are_what_they_say() -> None:
    rows = [
        (1, 10, 0.0, 4.0, "a", 2.0),
        (1, 10, 20.0, 4.0, "b", 2.0),
        (1, 11, 20.0, 1.0, "b", 1.0),
        (2, 11, 38.0, 1.0, "c", 1.0),
    ]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "day", "price", "basket", "quantity"])
    frame["timestamp"] = 1e9 + frame.pop("day") * DAY
    shoppers = pd.DataFrame({"user_id": [1, 2], "region": ["north", "south"]})
    data = Dataset.from_frames(frame.assign(kind="purchase"), shoppers=shoppers).before(1e9 + 40 * DAY)
    facts = Facts.from_dataset(data)
    found = dict(zip(FACT_FEATURES, facts.features(np.array([1]), np.array([[10]]))[0, 0], strict=True))
    assert found["days_since_sold"] == pytest.approx(20)
    assert found["sold_7"] == pytest.approx(np.log(0.5 / 1.0))  # one sale of two items within a week
    assert found["log_price"] == pytest.approx(np.log1p(4))
    assert found["times_bought"] == 2
    assert found["days_since_bought"] == pytest.approx(20)
    assert found["basket_gap_days"] == pytest.approx(20)
    assert found["bought_over_own_gap"] == pytest.approx(1)
    assert found["in_last_basket"] == 1
    assert found["basket_share"] == pytest.approx(1)
    assert found["repeat_days"] == pytest.approx(20)
    assert found["region_lift"] > 0
    assert np.isnan(found["last_year"])
    stranger = facts.features(np.array([77]), np.array([[10, -1]]))
    assert np.isnan(stranger[0, 1, : len(ITEM_FEATURES)]).all()
    assert np.isnan(stranger[0, 0, len(ITEM_FEATURES) : -len(PAIR_FEATURES)]).all()
    assert len(FACT_FEATURES) == len(ITEM_FEATURES) + len(USER_FEATURES) + len(PAIR_FEATURES)
    arrays = Facts.from_arrays(facts.to_arrays()).to_arrays()
    np.testing.assert_array_equal(arrays["pair_keys"], facts.pair_keys)


def test_candidates_carry_scores_and_places_of_their_lists() -> None:
    one = TopN.from_lists([([101, 103], [2.0, 1.0])], 3)
    two = TopN.from_lists([([103], [5.0])], 3)
    found = candidates_of([one, two], USERS[:1], Facts.from_dataset(history(1)), 100)
    assert found.ids.tolist() == [[101, 103]]
    scores, places, listed = found.values[0, :, :2], found.values[0, :, 2:4], found.values[0, :, 4]
    np.testing.assert_allclose(scores, [[1.0, 0.0], [-1.0, 0.0]])
    np.testing.assert_allclose(places, [[1 / 21, 0.0], [1 / 22, 1 / 21]])
    assert listed.tolist() == [1.0, 2.0]


def test_nothing_to_learn_from_is_said_and_strangers_get_lists() -> None:
    past = lesson(1)
    nothing = Lesson({"left": TopN.empty(N_USERS, 5)}, past.facts, past.truth)
    with pytest.raises(DataMissing, match="nothing can be learned"):
        StackedRanker.fit([nothing], CONFIG)
    with pytest.raises(DataMissing, match="at least one"):
        StackedRanker.fit([], CONFIG)
    with pytest.raises(ValueError, match="same sources"):
        StackedRanker.fit([past, nothing], CONFIG)
    with pytest.raises(Cancelled):
        StackedRanker.fit([past], CONFIG, TrainOptions(should_stop=lambda: True))
    empty = {name: TopN.empty(1, 5) for name in past.lists}
    assert fitted().rank(empty, [4], past.facts).lengths.tolist() == [0]
    stranger = {name: top.take(np.array([0])) for name, top in past.lists.items()}
    assert fitted().rank(stranger, [987_654], past.facts).lengths[0] > 0
    with pytest.raises(KeyError):
        fitted().rank({"left": past.lists["left"]}, past.truth.users, past.facts)
