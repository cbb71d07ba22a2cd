"""Each protocol against a plain reading of its definition."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from apps.ml.dataset import DAY, Dataset
from apps.ml.errors import DataMissing, InvalidValue
from apps.ml.evaluate import NobodyToJudge, evaluate_lists
from apps.ml.protocols import Truth, k_fold, leave_one_out, rolling_windows, truth_of
from apps.ml.topn import TopN
from tests.ml.planted import interactions_frame, planted

END = 1.7e9


def purchases(rows: list[tuple[int, int, float]], kind: str = "purchase") -> Dataset:
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "age"])
    return Dataset.from_frames(frame.assign(timestamp=END - frame["age"] * DAY, kind=kind))


def pairs_of(dataset: Dataset) -> list[tuple[int, int]]:
    return list(zip(dataset.user_ids.tolist(), dataset.item_ids.tolist(), strict=True))


def test_windows_roll_without_gap_or_overlap_and_never_see_ahead() -> None:
    splits = rolling_windows(planted(), days=20, windows=3)
    assert [split.cut for split in splits] == [planted().end - days * DAY for days in (60, 40, 20)]
    for split in splits:
        assert split.train.timestamp.max() < split.cut <= split.test.timestamp.min()
        assert split.train.end == split.cut
    for one, following in pairwise(splits):
        assert one.test.timestamp.max() < following.cut
    seen = sum(len(split.test) for split in splits)
    assert seen == int((planted().timestamp >= planted().end - 60 * DAY).sum())


def test_a_window_without_a_buyer_is_left_out_with_a_warning() -> None:
    dataset = purchases([(1, 10, 50), (1, 11, 25), (2, 10, 60), (9, 10, 15), (1, 12, 0)])
    with pytest.warns(NobodyToJudge, match=r"2023-10-25 to 2023-11-04: no known shopper buys"):
        splits = rolling_windows(dataset, days=10, windows=3)
    assert [len(truth_of(split, "all")) for split in splits] == [1, 1]


@pytest.mark.parametrize(
    ("days", "windows", "said"),
    [(0.0, 3, "days: 0.0"), (10.0, 0, "windows: 0"), (30.0, 3, "does not reach back 90 days")],
)
def test_windows_that_cannot_be_are_refused(days: float, windows: int, said: str) -> None:
    dataset = purchases([(1, 10, 50), (1, 11, 25), (1, 12, 0)])
    with pytest.raises(InvalidValue, match=said):
        rolling_windows(dataset, days, windows)


def test_windows_that_nobody_can_be_judged_by_are_refused() -> None:
    dataset = purchases([(1, 10, 50), (2, 11, 5), (3, 12, 0)])
    with pytest.warns(NobodyToJudge), pytest.raises(InvalidValue, match="No known shopper buys in any"):
        rolling_windows(dataset, 10, 2)


def test_leave_one_out_holds_each_shoppers_last_purchase() -> None:
    dataset = purchases(
        [(1, 10, 9), (1, 11, 8), (1, 12, 7), (2, 10, 3), (2, 11, 2), (3, 10, 1), (-1, 10, 0), (-1, 11, 0)]
    )
    test = leave_one_out(dataset)
    assert pairs_of(test.test) == [(1, 12), (2, 11)]
    assert pairs_of(test.train) == [(1, 10), (1, 11), (2, 10), (3, 10), (-1, 10), (-1, 11)]
    validation = leave_one_out(dataset, offset=1)
    assert pairs_of(validation.test) == [(1, 11)]
    assert (1, 12) not in pairs_of(validation.train)
    assert truth_of(test, "new").users.tolist() == [1, 2]


def test_leave_one_out_hides_all_that_a_shopper_did_from_then_on() -> None:
    split = leave_one_out(planted())
    own = split.train.user >= 0
    last = np.full(len(planted().users), np.inf)
    last[split.test.user] = split.test.timestamp
    assert (split.train.timestamp[own] <= last[split.train.user[own]]).all()
    after = planted().timestamp > last[planted().user]
    assert (after & (planted().user >= 0)).sum() > 0, "shoppers look around after their last purchase"


def test_ties_of_time_count_in_the_order_of_the_data() -> None:
    split = leave_one_out(purchases([(1, 10, 5), (1, 12, 5), (1, 11, 5)]))
    assert pairs_of(split.test) == [(1, 11)]


@pytest.mark.parametrize(("offset", "error"), [(-1, InvalidValue), (3, DataMissing)])
def test_leaving_out_more_than_there_is_is_refused(offset: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        leave_one_out(purchases([(1, 10, 5), (1, 12, 5), (1, 11, 5)]), offset)


def test_folds_share_out_all_pairs_once_and_hide_them_whole() -> None:
    dataset = planted()
    bought = set(pairs_of(dataset.purchases().identified()))
    held: list[tuple[int, int]] = []
    for split in k_fold(dataset, folds=4, seed=3):
        mine = set(pairs_of(split.test))
        assert not mine & set(pairs_of(split.train.identified())), "views of a held-out pair would tell it"
        held.extend(mine)
    assert len(held) == len(bought)
    assert set(held) == bought


def test_folds_are_even_for_each_shopper_and_follow_the_seed() -> None:
    first = [set(pairs_of(split.test)) for split in k_fold(planted(), folds=4, seed=3)]
    again = [set(pairs_of(split.test)) for split in k_fold(planted(), folds=4, seed=3)]
    other = [set(pairs_of(split.test)) for split in k_fold(planted(), folds=4, seed=4)]
    assert first == again != other
    sizes = np.array(
        [[sum(u == user for u, _ in fold) for user in planted().known_users[:20]] for fold in first]
    )
    assert (sizes.max(axis=0) - sizes.min(axis=0) <= 1).all()


def test_folds_of_nothing_and_single_folds_are_refused() -> None:
    with pytest.raises(InvalidValue, match="two folds"):
        next(k_fold(planted(), folds=1))
    with pytest.raises(DataMissing, match="no shopper bought"):
        next(k_fold(purchases([(-1, 10, 5)])))


def test_views_hold_nothing_out() -> None:
    frame = interactions_frame()
    both = Dataset.from_frames(frame)
    views = frame[frame["kind"] == "view"]
    assert np.isin(leave_one_out(both).test.kind, [both.kinds.index("purchase")]).all()
    assert len(leave_one_out(Dataset.from_frames(views)).test) > 0, "plays and ratings are choices too"


def test_truth_of_some_pairs_keeps_its_rows() -> None:
    truth = Truth.from_pairs(np.array([1, 1, 2, 3]), np.array([10, 11, 10, 11]))
    part, rows = truth.only(truth.items == 11)
    assert part.users.tolist() == [1, 3]
    assert part.items.tolist() == [11, 11]
    assert rows.tolist() == [0, 2]
    nobody, none = truth.only(truth.items == 99)
    assert len(nobody) == len(none) == 0


def test_a_window_with_nobody_to_judge_by_says_so() -> None:
    nobody = Truth.from_pairs(np.zeros(0, np.int64), np.zeros(0, np.int64))
    found = evaluate_lists(TopN.empty(0, 20), nobody, 5).to_dict()
    assert "No shopper known before the test window" in found["warning"]
    somebody = Truth.from_pairs(np.array([1]), np.array([2]))
    assert "warning" not in evaluate_lists(TopN.empty(1, 20), somebody, 5).to_dict()
