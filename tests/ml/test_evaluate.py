from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn.metrics import roc_auc_score
from torchmetrics.functional import retrieval

from apps.ml.dataset import DAY, Dataset
from apps.ml.errors import InvalidValue
from apps.ml.evaluate import (
    USER_METRICS,
    Truth,
    evaluate_lists,
    hits_of,
    paired_difference,
    per_user_metrics,
    split_last_days,
    truth_of,
)
from apps.ml.ranking_metrics import auc_of
from apps.ml.topn import TopN, top_k
from tests.ml.planted import planted

N_ITEMS = 60


def ranked_at_random(n_users: int = 40) -> tuple[TopN, Truth, np.ndarray]:
    """A full ranking of the catalogue per user, so that an independent library sees the same problem."""
    rng = np.random.default_rng(5)
    scores = rng.permuted(np.tile(np.arange(N_ITEMS, dtype=np.float32), (n_users, 1)), axis=1)
    sizes = rng.integers(1, 30, n_users)
    pairs = [
        (user, item) for user in range(n_users) for item in rng.choice(N_ITEMS, sizes[user], replace=False)
    ]
    users, items = np.array(pairs, dtype=np.int64).T
    truth = Truth.from_pairs(users + 100, items + 7)
    return top_k(scores, np.arange(N_ITEMS, dtype=np.int64) + 7, N_ITEMS), truth, scores


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("ndcg10", lambda scores, wanted: retrieval.retrieval_normalized_dcg(scores, wanted, top_k=10)),
        ("recall20", lambda scores, wanted: retrieval.retrieval_recall(scores, wanted, top_k=20)),
        ("mrr10", lambda scores, wanted: retrieval.retrieval_reciprocal_rank(scores, wanted, top_k=10)),
        ("hit10", lambda scores, wanted: retrieval.retrieval_hit_rate(scores, wanted, top_k=10)),
        ("precision10", lambda scores, wanted: retrieval.retrieval_precision(scores, wanted, top_k=10)),
        ("ndcg20", lambda scores, wanted: retrieval.retrieval_normalized_dcg(scores, wanted, top_k=20)),
        ("recall10", lambda scores, wanted: retrieval.retrieval_recall(scores, wanted, top_k=10)),
    ],
)
def test_metrics_equal_torchmetrics(name: str, reference: object) -> None:
    assert callable(reference)
    top, truth, scores = ranked_at_random()
    found = per_user_metrics(top, truth)[name]
    for row in range(len(truth)):
        wanted = torch.zeros(N_ITEMS, dtype=torch.long)
        wanted[truth.of(row) - 7] = 1
        assert found[row] == pytest.approx(float(reference(torch.from_numpy(scores[row]), wanted)), abs=1e-6)


def test_map_and_f1_equal_a_plain_reading_of_their_formulas() -> None:
    top, truth, scores = ranked_at_random()
    found = per_user_metrics(top, truth)
    for row in range(len(truth)):
        wanted = set(truth.of(row).tolist())
        hits, precisions = 0, []
        for place, item in enumerate(top.ids[row, :10].tolist(), start=1):
            if item in wanted:
                hits += 1
                precisions.append(hits / place)
        assert found["map10"][row] == pytest.approx(sum(precisions) / min(len(wanted), 10))
        precision, recall = hits / 10, hits / len(wanted)
        f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
        assert found["f1_10"][row] == pytest.approx(f1)
    assert scores.shape == (len(truth), N_ITEMS)


@pytest.mark.parametrize("kept", [N_ITEMS, 25, 3])
def test_auc_equals_scikit_learn_with_what_is_not_listed_tied_at_the_end(kept: int) -> None:
    top, truth, _ = ranked_at_random()
    found = auc_of(top.head(kept), truth, N_ITEMS)
    for row in range(len(truth)):
        place = {item: -rank for rank, item in enumerate(top.ids[row, :kept].tolist())}
        ranked = [place.get(item, -N_ITEMS) for item in range(7, N_ITEMS + 7)]
        wanted = np.isin(np.arange(7, N_ITEMS + 7), truth.of(row))
        assert found[row] == pytest.approx(roc_auc_score(wanted, ranked))


def test_auc_of_all_or_nothing_bought_and_of_strange_items() -> None:
    truth = Truth.from_pairs(np.array([1, 1, 2]), np.array([10, 11, 99]))
    top = TopN.from_lists([([10, 11], [2, 1]), ([10, 11], [2, 1])], k=2)
    # everything bought: no pair to order; a purchase the catalogue lacks stands below all of it
    assert auc_of(top, truth, 2).tolist() == [0.5, 0.0]


def test_coverage_equals_a_naive_count() -> None:
    top, truth, _ = ranked_at_random()
    shown = {int(item) for row in top.ids for item in row[:10]}
    assert evaluate_lists(top, truth, catalogue_size=80).coverage10 == pytest.approx(len(shown) / 80)


def test_a_known_case_by_hand() -> None:
    truth = Truth.from_pairs(np.array([1, 1, 2]), np.array([10, 30, 99]))
    top = TopN.from_lists([([20, 10, 40, 30], [4, 3, 2, 1]), ([20], [1])], k=20)
    found = per_user_metrics(top, truth)
    ideal = 1 + 1 / np.log2(3)
    assert found["ndcg10"].tolist() == pytest.approx([(1 / np.log2(3) + 1 / np.log2(5)) / ideal, 0.0])
    assert found["recall20"].tolist() == [1.0, 0.0]
    assert found["mrr10"].tolist() == [0.5, 0.0]
    assert found["hit10"].tolist() == [1.0, 0.0]
    assert found["precision10"].tolist() == [0.2, 0.0]
    assert hits_of(top, truth).sum() == 2


def test_intervals_are_those_of_scipy_bootstrap() -> None:
    top, truth, _ = ranked_at_random(200)
    found = evaluate_lists(top, truth, N_ITEMS)
    for name in USER_METRICS:
        interval = found.intervals[name]
        reference = stats.bootstrap(
            (found.per_user[name],),
            np.mean,
            n_resamples=2_000,
            method="percentile",
            rng=np.random.default_rng(1),
        ).confidence_interval
        width = reference.high - reference.low
        assert interval.mean == pytest.approx(found.per_user[name].mean())
        assert interval.low == pytest.approx(reference.low, abs=width * 0.1)
        assert interval.high == pytest.approx(reference.high, abs=width * 0.1)
    assert found.to_dict()["intervals"]["ndcg10"] == pytest.approx(
        [found.intervals["ndcg10"].low, found.intervals["ndcg10"].high], abs=1e-6
    )


def test_paired_intervals_cover_the_true_difference_at_their_nominal_rate() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        common = rng.normal(size=150)
        a, b = common + 0.1 + rng.normal(0, 0.5, 150), common + rng.normal(0, 0.5, 150)
        found = paired_difference(a, b, seed=seed, resamples=300)
        covered += found.low <= 0.1 <= found.high
    assert 0.89 <= covered / 200 <= 0.985
    with pytest.raises(ValueError, match="same users"):
        paired_difference(np.zeros(3), np.zeros(2))


def purchases(rows: list[tuple[int, int, float]]) -> Dataset:
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "age"])
    return Dataset.from_frames(frame.assign(timestamp=1.7e9 - frame["age"] * DAY))


def test_truth_is_what_known_shoppers_buy_after_the_cut() -> None:
    dataset = purchases(
        [(1, 10, 50), (1, 10, 5), (1, 20, 4), (1, 20, 3), (2, 10, 2), (3, 30, 60), (3, 30, 1), (-1, 10, 0)]
    )
    split = split_last_days(dataset, 30)
    assert split.catalogue_size == 2
    both = truth_of(split, "all")
    assert both.users.tolist() == [1, 3]
    assert [both.of(row).tolist() for row in range(2)] == [[10, 20], [30]]
    fresh = truth_of(split, "new")
    assert fresh.users.tolist() == [1]
    assert fresh.of(0).tolist() == [20]
    assert both.take(np.array([1])).items.tolist() == [30]


def test_views_are_no_truth() -> None:
    split = split_last_days(planted(), 30)
    truth = truth_of(split, "all")
    bought = split.test.purchases()
    assert truth.sizes.sum() <= len(bought)
    assert np.isin(truth.items, bought.item_ids).all()


def test_a_window_longer_than_the_data_is_refused() -> None:
    with pytest.raises(InvalidValue, match="fewer days"):
        split_last_days(planted(), 4_000)


def test_nobody_to_judge_by_gives_zeros() -> None:
    nobody = Truth.from_pairs(np.zeros(0, np.int64), np.zeros(0, np.int64))
    found = evaluate_lists(TopN.empty(0, 20), nobody, 0).to_dict()
    assert found["users"] == 0
    assert found["ndcg10"] == 0.0
    with pytest.raises(ValueError, match="lists for"):
        hits_of(TopN.empty(2, 5), nobody)
