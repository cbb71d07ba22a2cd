from __future__ import annotations

import numpy as np
import pytest

from apps.ml.blend import blend_many
from apps.ml.blend_scoring import CUTS, Scorer, Window
from apps.ml.evaluate import Truth, evaluate_lists
from apps.ml.topn import TopN, top_k
from apps.ml.tune import weights_choose

N_ITEMS = 80
IDS = np.arange(N_ITEMS, dtype=np.int64)


def world(seed: int, n_users: int = 150) -> tuple[dict[str, TopN], Truth]:
    """Two sources that each see half of the shoppers' taste, and one of pure noise."""
    rng = np.random.default_rng(seed)
    left, right = rng.normal(size=(2, n_users, N_ITEMS))
    wanted = np.argsort(-(left + right + rng.normal(0, 0.3, left.shape)), axis=1)[:, :6]
    truth = Truth.from_pairs(np.repeat(np.arange(n_users), 6), wanted.ravel())
    sources = {"left": left, "noise": rng.normal(size=left.shape), "right": right}
    return {name: top_k(scores.astype(np.float32), IDS, 40) for name, scores in sources.items()}, truth


def ndcg(lists: dict[str, TopN], truth: Truth, weights: dict[str, float]) -> float:
    return evaluate_lists(blend_many(list(lists.values()), list(weights.values()), 20), truth, N_ITEMS).mean(
        "ndcg10"
    )


def test_chosen_weights_find_both_halves_and_drop_the_noise_on_unseen_shoppers() -> None:
    weights = weights_choose(*world(1))
    assert sum(weights.values()) == pytest.approx(1.0, abs=1e-3)
    assert weights["noise"] < 0.1
    assert weights["left"] == pytest.approx(weights["right"], abs=0.2)
    lists, truth = world(2)
    best_single = max(ndcg(lists, truth, {name: float(name == only) for name in lists}) for only in lists)
    assert ndcg(lists, truth, weights) > best_single * 1.2


def test_same_seed_same_weights_and_further_windows_count() -> None:
    lists, truth = world(1)
    assert weights_choose(lists, truth) == weights_choose(lists, truth)
    swapped = {"left": lists["noise"], "noise": lists["left"], "right": lists["right"]}
    both = weights_choose(lists, truth, more=[Window(swapped, truth)])
    assert both["noise"] > 0.1


def test_one_source_takes_all_and_a_useless_one_does_no_harm() -> None:
    lists, truth = world(1)
    assert weights_choose({"left": lists["left"]}, truth) == {"left": 1.0}
    empty = TopN.empty(len(truth), 10)
    assert weights_choose({"left": lists["left"], "none": empty}, truth)["left"] > 0
    assert sum(weights_choose({"none": empty}, truth).values()) == 1.0


def test_windows_must_hold_the_same_sources() -> None:
    lists, truth = world(1)
    with pytest.raises(ValueError, match="same sources"):
        weights_choose(lists, truth, more=[Window({"left": lists["left"]}, truth)])


def test_the_objective_is_the_mean_ndcg_over_the_cuts() -> None:
    lists, truth = world(3)
    weights = np.array([0.5, 0.2, 0.3])
    top = blend_many(list(lists.values()), weights.tolist(), max(CUTS))
    steps = 1 / np.log2(np.arange(2, max(CUTS) + 2))
    expected = []
    for cut in CUTS:
        for row in range(len(truth)):
            hits = np.isin(top.ids[row, :cut], truth.of(row))
            ideal = steps[: min(cut, len(truth.of(row)))].sum()
            expected.append((hits * steps[:cut]).sum() / ideal)
    scorer = Scorer.build(Window(lists, truth), "z", np.random.default_rng(0))
    assert scorer.ndcg(weights, np.ones(len(truth))) == pytest.approx(np.mean(expected), rel=1e-5)


def test_chance_does_not_give_one_of_two_equal_sources_everything() -> None:
    for seed in range(4):
        lists, truth = world(seed, n_users=40)
        weights = weights_choose(lists, truth)
        assert min(weights["left"], weights["right"]) > 0.25
