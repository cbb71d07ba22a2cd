"""What lists are like, each figure against a plain reading of its formula; segments; what is recorded."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from itertools import combinations
from math import log, log2

import numpy as np
import pandas as pd
import pytest
from scipy.stats import entropy

from apps.ml.dataset import DAY, Dataset
from apps.ml.evaluate import SEGMENTS, USER_METRICS, Evaluation, evaluate_lists
from apps.ml.list_metrics import EXPECTED, LIST_METRICS, Background, gini_of, per_user_lists
from apps.ml.protocols import Split, Truth, split_last_days, truth_of
from apps.ml.topn import TopN
from tests.ml.planted import items_frame

N_ITEMS, N_USERS, KINDS = 130, 60, 4


@cache
def split() -> Split:
    """A shop of four categories with two shelves each, long-tailed; some items have no category."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, N_ITEMS + 1)
    rows = [
        (user, int(item), float(age))
        for user in range(N_USERS)
        for item, age in zip(
            rng.choice(N_ITEMS, 12, p=share / share.sum()), rng.uniform(0, 90, 12), strict=True
        )
    ]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "age"])
    frame = frame.assign(timestamp=1.7e9 - frame["age"] * DAY, kind="purchase")
    items = pd.DataFrame({"item_id": np.arange(N_ITEMS), "title": "thing"})
    items["category"] = [
        "" if item % 17 == 0 else f"Home > Kind {item % KINDS} > Shelf {item % (2 * KINDS)}"
        for item in range(N_ITEMS)
    ]
    return split_last_days(Dataset.from_frames(frame, items), 30)


def judged(seed: int = 1) -> tuple[TopN, Truth, Background]:
    rng = np.random.default_rng(seed)
    truth = truth_of(split(), "all")
    ids = np.array([rng.permutation(N_ITEMS)[:20] for _ in range(len(truth))], dtype=np.int64)
    scores = np.tile(-np.arange(20, dtype=np.float32), (len(truth), 1))
    # one short list, one list of a single item, one empty
    for row, length in ((0, 4), (1, 1), (2, 0)):
        ids[row, length:], scores[row, length:] = -1, -np.inf
    return TopN(ids, scores), truth, Background.from_dataset(split().train)


def buyers() -> dict[int, set[int]]:
    found: dict[int, set[int]] = {item: set() for item in range(N_ITEMS)}
    train = split().train
    for user, item in zip(train.user_ids.tolist(), train.item_ids.tolist(), strict=True):
        found[item].add(user)
    return found


def by_popularity() -> list[int]:
    counts = buyers()
    return sorted((item for item in counts if counts[item]), key=lambda item: (-len(counts[item]), item))


def kind_of(item: int) -> str:
    return "" if item % 17 == 0 else f"Kind {item % KINDS}"


def test_novelty_popularity_and_head_share_equal_plain_means() -> None:
    top, truth, background = judged()
    found = per_user_lists(top, truth, background)
    counts = buyers()
    everyone = len(set().union(*counts.values()))
    ranked = by_popularity()
    head = set(ranked[: round(0.2 * len(ranked))])
    for row in range(len(truth)):
        items = [int(item) for item in top.ids[row, :10] if item >= 0]
        if not items:
            assert np.isnan([found[name][row] for name in ("novelty10", "popularity10")]).all()
            continue
        surprise = [-log2((len(counts[item]) + 1) / (everyone + 1)) for item in items]
        assert found["novelty10"][row] == pytest.approx(np.mean(surprise))
        assert found["popularity10"][row] == pytest.approx(
            np.mean([len(counts[item]) / everyone for item in items])
        )
        assert found["head_share10"][row] == pytest.approx(np.mean([item in head for item in items]))


def test_serendipity_counts_hits_that_no_bestseller_page_shows() -> None:
    top, truth, background = judged()
    found = per_user_lists(top, truth, background)["serendipity10"]
    expected = set(by_popularity()[:EXPECTED])
    assert len(by_popularity()) > EXPECTED
    # what was bought decides: rare items into the truth, so that something can surprise
    rare = [item for item in range(N_ITEMS) if item not in expected]
    pairs = [(int(user), item) for user in truth.users for item in (*rare, *by_popularity()[:30])]
    wide = Truth.from_pairs(*np.array(pairs, dtype=np.int64).T)
    wider = per_user_lists(top, wide, background)["serendipity10"]
    assert np.nansum(wider) > 0
    for values, against in ((found, truth), (wider, wide)):
        for row in range(len(against)):
            items = [int(item) for item in top.ids[row, :10] if item >= 0]
            hits = [item for item in items if item in against.of(row) and item not in expected]
            if items:
                assert values[row] == pytest.approx(len(hits) / len(items))


def test_diversity_equals_the_mean_over_pairs() -> None:
    top, truth, background = judged()
    found = per_user_lists(top, truth, background)["diversity10"]
    vectors = background.vectors.toarray()
    for row in range(len(truth)):
        items = [int(item) for item in top.ids[row, :10] if item >= 0 and vectors[item].any()]
        pairs = [1 - float(vectors[a] @ vectors[b]) for a, b in combinations(items, 2)]
        assert found[row] == pytest.approx(np.mean(pairs)) if pairs else np.isnan(found[row])


def test_diversity_tells_one_shelf_from_many() -> None:
    _, truth, background = judged()
    shelf = [item for item in range(N_ITEMS) if item % 8 == 1 and item % 17][:10]
    kind = [item for item in range(N_ITEMS) if item % 4 == 1 and item % 17][:10]
    mixed = list(range(1, 11))
    values = []
    for items in (shelf, kind, mixed):
        top = TopN.from_lists([(items, [0.0] * 10)] * len(truth), 20)
        values.append(float(per_user_lists(top, truth, background)["diversity10"].mean()))
    assert values[0] == pytest.approx(0.0)
    assert values[0] < values[1] < values[2]


def test_calibration_equals_stecks_formula() -> None:
    top, truth, background = judged()
    found = per_user_lists(top, truth, background)["calibration10"]
    train = split().train
    told = 0
    for row, user in enumerate(truth.users.tolist()):
        past = [kind_of(item) for item in train.item_ids[train.user_ids == user].tolist()]
        listed = [kind_of(int(item)) for item in top.ids[row, :10] if item >= 0]
        past, listed = [kind for kind in past if kind], [kind for kind in listed if kind]
        if not past or not listed:
            assert np.isnan(found[row])
            continue
        kinds = sorted({*past, *listed})
        p = np.array([past.count(kind) / len(past) for kind in kinds])
        q = np.array([listed.count(kind) / len(listed) for kind in kinds])
        assert found[row] == pytest.approx(entropy(p, 0.99 * q + 0.01 * p))
        told += 1
    assert told > 30


def test_a_list_of_what_was_bought_is_calibrated_and_its_opposite_is_not() -> None:
    _, truth, background = judged()
    train = split().train
    own, other = [], []
    for user in truth.users.tolist():
        bought = [item for item in train.item_ids[train.user_ids == user].tolist() if item % 17]
        kinds = [item % KINDS for item in bought]
        seldom = min(range(KINDS), key=kinds.count)
        own.append(sorted(set(bought))[:10])
        other.append([item for item in range(seldom, N_ITEMS, KINDS) if item % 17][:10])
    calibrated, opposite = (
        per_user_lists(
            TopN.from_lists([(items, [0.0] * len(items)) for items in lists], 20), truth, background
        )["calibration10"]
        for lists in (own, other)
    )
    assert np.nanmean(calibrated) < 0.1
    assert np.nanmean(opposite) > 1.0
    assert np.nanmax(opposite) <= log(100) + 1e-9


def test_gini_equals_the_mean_absolute_difference() -> None:
    top, _, _ = judged()
    counts = np.zeros(N_ITEMS)
    for item in top.ids[:, :10].ravel():
        if item >= 0:
            counts[item] += 1
    gaps = np.abs(counts[:, None] - counts[None, :]).mean()
    assert gini_of(top, N_ITEMS) == pytest.approx(gaps / (2 * counts.mean()))
    same = TopN.from_lists([([5], [0.0])] * 40, 20)
    assert gini_of(same, 100) == pytest.approx(0.99)
    assert gini_of(TopN.from_lists([([5], [0.0]), ([6], [0.0])], 20), 2) == pytest.approx(0.0)
    assert gini_of(TopN.empty(3, 20), 100) is None


def test_segments_are_the_figures_of_their_part_alone() -> None:
    top, truth, background = judged()
    found = evaluate_lists(top, truth, N_ITEMS, background=background)
    assert set(found.segments) == set(SEGMENTS)
    train = split().train
    days = {
        user: len(set((train.timestamp[train.user_ids == user] // DAY).tolist()))
        for user in truth.users.tolist()
    }
    returning = np.array([days[user] > 1 for user in truth.users.tolist()])
    for name, mask in (("returning", returning), ("new", ~returning)):
        rows = np.flatnonzero(mask)
        alone = evaluate_lists(top.take(rows), truth.take(rows), N_ITEMS)
        assert found.segments[name]["users"] == len(rows)
        if len(rows):
            assert found.segments[name]["ndcg10"] == pytest.approx(alone.mean("ndcg10"))
    ranked = by_popularity()
    head = set(ranked[: round(0.2 * len(ranked))])
    for name, inside in (("head", True), ("tail", False)):
        pairs = [
            (int(user), int(item))
            for row, user in enumerate(truth.users)
            for item in truth.of(row)
            if (int(item) in head) == inside
        ]
        part = Truth.from_pairs(*np.array(pairs, dtype=np.int64).T)
        alone = evaluate_lists(top.take(np.searchsorted(truth.users, part.users)), part, N_ITEMS)
        assert found.segments[name]["users"] == len(part)
        for metric in ("ndcg10", "recall20", "map10"):
            assert found.segments[name][metric] == pytest.approx(alone.mean(metric))


def test_what_a_version_records_is_json_without_nan() -> None:
    top, truth, background = judged()
    found = evaluate_lists(top, truth, N_ITEMS, background=background).to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    named = {*USER_METRICS, *LIST_METRICS, "map10", "f1_10", "auc", "gini10", "coverage10"}
    assert named <= set(found)
    assert set(found["intervals"]) == set(USER_METRICS)
    assert found["segments"]["returning"]["users"] + found["segments"]["new"]["users"] == len(truth)


def test_figures_that_mean_nothing_in_this_shop_are_left_out() -> None:
    top, truth, _ = judged()
    bare = replace(split().train, catalogue=pd.DataFrame(index=split().train.catalogue.index))
    found = evaluate_lists(top, truth, N_ITEMS, background=Background.from_dataset(bare)).to_dict()
    assert not {"calibration10", "diversity10"} & set(found)
    assert found["novelty10"] > 0
    nothing = evaluate_lists(
        TopN.empty(len(truth), 20), truth, N_ITEMS, background=Background.from_dataset(bare)
    )
    assert not {"novelty10", "gini10", "popularity10"} & set(nothing.to_dict())
    assert nothing.mean("ndcg10") == 0.0


def test_words_of_titles_stand_in_for_categories() -> None:
    items = pd.DataFrame({"item_id": [1, 2, 3, 4], "title": ["red cup", "red cup", "blue pen", "green pen"]})
    frame = pd.DataFrame({"user_id": [1, 1], "item_id": [1, 2], "timestamp": [1e9, 1e9]})
    background = Background.from_dataset(Dataset.from_frames(frame, items))
    truth = Truth.from_pairs(np.array([1, 2, 3]), np.array([1, 1, 1]))
    top = TopN.from_lists([([1, 2], [2, 1]), ([3, 4], [2, 1]), ([1, 3], [2, 1])], 20)
    found = per_user_lists(top, truth, background)["diversity10"]
    assert found[0] == pytest.approx(0.0)
    assert found[0] < found[1] < found[2] == pytest.approx(1.0)


def test_no_test_item_is_counted_into_the_background() -> None:
    """Popularity, head, tastes and visits come from the training part alone."""
    whole = split()
    flood = pd.DataFrame(
        {
            "user_id": np.arange(N_USERS),
            "item_id": N_ITEMS - 1,
            "timestamp": whole.cut + 60.0,
            "kind": "purchase",
        }
    )
    train = whole.train
    before = pd.DataFrame(
        {"user_id": train.user_ids, "item_id": train.item_ids, "timestamp": train.timestamp}
    ).assign(kind="purchase")
    items = train.catalogue.reset_index()
    clean = Background.from_dataset(Dataset.from_frames(before, items).before(whole.cut))
    poisoned = Background.from_dataset(
        Dataset.from_frames(pd.concat([before, flood]), items).before(whole.cut)
    )
    for name in ("buyers", "head", "expected", "visits", "trained"):
        np.testing.assert_array_equal(getattr(clean, name), getattr(poisoned, name))
    np.testing.assert_array_equal(clean.tastes.toarray(), poisoned.tastes.toarray())
    assert Background.from_dataset(Dataset.from_frames(pd.concat([before, flood]), items)).head[-1]


def test_planted_categories_are_taken_below_the_root_they_share() -> None:
    frame = pd.DataFrame({"user_id": [1], "item_id": [5_000], "timestamp": [1e9]})
    background = Background.from_dataset(Dataset.from_frames(frame, items_frame()))
    assert len(np.unique(background.category)) == 6


def test_means_leave_out_users_without_a_meaning() -> None:
    found = Evaluation(
        {"ndcg10": np.array([1.0, 0.0]), "novelty10": np.array([np.nan, 4.0])}, 0.5, whole={"gini10": 0.25}
    )
    assert found.mean("novelty10") == 4.0
    assert found.mean("gini10") == 0.25
    assert found.to_dict()["novelty10"] == 4.0
