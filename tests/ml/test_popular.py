from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from apps.ml.configs.popularity import PopularConfig, TrendConfig
from apps.ml.dataset import DAY, Dataset
from apps.ml.models.popular import PopularModel, TrendModel, popular_by_category, popular_by_segment
from apps.ml.topn import SHARED_LIST_LENGTH
from apps.ml.train import train
from tests.ml.conformance import Conformance
from tests.ml.planted import planted, taste_of_item


class TestPopular(Conformance):
    family = "popular"
    floors = {"new": 0.03, "all": 0.08}
    beats = ()
    answers_strangers = True
    explains = False


class TestTrend(Conformance):
    family = "trend"
    floors = {"new": 0.03, "all": 0.05}
    beats = ()
    answers_strangers = True
    explains = False


def sales(rows: list[tuple[int, int, float]]) -> Dataset:
    """(user, item, age in days) as purchases, the youngest at the end of the data."""
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "age"])
    frame["timestamp"] = 1.7e9 - frame.pop("age") * DAY
    return Dataset.from_frames(frame)


def test_popularity_halves_with_every_half_life() -> None:
    dataset = sales([(1, 10, 0.0), (1, 20, 7.0), (2, 20, 7.0), (3, 20, 14.0), (1, 30, 28.0)])
    top = train("popular", {"half_life_days": 7.0}, dataset).recommend([99], 3)
    assert top.ids[0].tolist() == [20, 10, 30]
    assert top.scores[0].tolist() == pytest.approx([0.5 + 0.5 + 0.25, 1.0, 0.0625])


def test_without_half_life_popularity_counts() -> None:
    dataset = sales([(1, 10, 0.0), (1, 20, 300.0), (2, 20, 200.0)])
    top = train("popular", {"half_life_days": None}, dataset).recommend([99], 2)
    assert top.ids[0].tolist() == [20, 10]
    assert top.scores[0].tolist() == [2.0, 1.0]


def test_anonymous_sales_count_where_asked_for_or_where_there_is_nothing_else() -> None:
    dataset = sales([(1, 10, 0.0), (-1, 20, 0.0), (-1, 20, 0.0)])
    assert train("popular", {"anonymous": True}, dataset).recommend([99], 1).ids[0, 0] == 20
    assert train("popular", {"anonymous": False}, dataset).recommend([99], 1).ids[0, 0] == 10
    nobody = sales([(-1, 10, 0.0), (-1, 20, 0.0), (-1, 20, 0.0)])
    assert train("popular", {"anonymous": False}, nobody).recommend([99], 1).ids[0, 0] == 20


def test_trend_is_the_log_ratio_of_recent_to_long_sales() -> None:
    dataset = sales([(1, 10, 0.0), (2, 10, 14.0), (1, 20, 90.0), (2, 20, 90.0), (3, 20, 0.0)])
    model = train("trend", {"prior": 0.5, "long_prior": 5.0}, dataset)
    assert isinstance(model, TrendModel)
    assert model.config == TrendConfig()
    recent = np.array([1 + 0.5, 1 + 2 * 0.5 ** (90 / 14)])
    long = np.array([1 + 0.5 ** (14 / 90), 1 + 2 * 0.5])
    np.testing.assert_allclose(model.item_scores, np.log((recent + 0.5) / (long + 5.0)), rtol=1e-5)


def test_companions_of_an_item_are_the_best_of_its_category() -> None:
    model = train("popular", {}, planted())
    assert isinstance(model, PopularModel)
    items = planted().known_items
    top = model.similar(items, 14)
    assert (taste_of_item(top.ids) == taste_of_item(items)[:, None]).all()


def test_the_served_list_is_the_shared_one_less_what_the_shopper_bought_or_rejected() -> None:
    model = train("popular", {}, planted())
    shared = model.shared_list().row(0)[0]
    users = np.append(planted().known_users, 1)
    history = model.history
    for exclude in ("bought", "none"):
        top = model.served_lists(users, exclude)
        assert top.k == SHARED_LIST_LENGTH
        for row, user in enumerate(history.users.rows(users)):
            out = [] if user < 0 else history.rejected[user].indices.tolist()
            if exclude == "bought" and user >= 0:
                out += history.bought[user].indices.tolist()
            gone = history.items.ids[np.array(out, dtype=np.int64)]
            assert top.row(row)[0].tolist() == [item for item in shared.tolist() if item not in gone]


def test_lists_by_category_hold_every_branch_and_only_its_products() -> None:
    lists = popular_by_category(planted(), PopularConfig(), k=15)
    assert len(lists) == 7
    assert lists["Home"].lengths.tolist() == [15]
    assert set(taste_of_item(lists["Home > Garden"].ids[0]).tolist()) == {1}


def test_lists_by_segment_follow_the_segment() -> None:
    lists = popular_by_segment(planted(), PopularConfig(half_life_days=None), "region", k=20)
    assert set(lists) == {"north", "south"}
    assert (taste_of_item(lists["north"].ids[0]) < 3).all()
    assert (taste_of_item(lists["south"].ids[0]) >= 3).all()
    assert popular_by_segment(planted(), PopularConfig(), "no_such_column") == {}


def two_years(days: int = 400) -> Dataset:
    """Item 10 sells every day, item 20 in the fortnight that comes a year after its last season, item 30 in
    the fortnight that is over.
    """
    rows = [(day % 7, 10, float(day)) for day in range(days)]
    rows += [(day % 7, 20, 351.0 + day) for day in range(14) for _ in range(5)]
    rows += [(day % 7, 30, 366.0 + day) for day in range(14) for _ in range(5)]
    return sales([row for row in rows if row[2] < days])


def test_last_years_season_counts_by_its_weight() -> None:
    model = train("popular", {"season_weight": 0.5, "half_life_days": 7.0}, two_years())
    assert isinstance(model, PopularModel)
    recent = sum(0.5 ** (day / 7) for day in range(400))
    season = {10: 28.0, 20: 70.0, 30: 0.0}
    scale = 0.5 * recent / 98.0
    assert model.item_scores[0] == pytest.approx(recent + scale * season[10], rel=1e-4)
    assert model.item_scores[1] == pytest.approx(scale * season[20], rel=1e-4)
    assert model.item_scores[2] == pytest.approx(0.0, abs=1e-6)
    assert model.metrics["season_used"] is True
    assert model.metrics["season_days_lacking"] == 0.0


def test_last_years_rise_is_added_to_the_trend() -> None:
    plain, seasonal = (train("trend", {"season_weight": weight}, two_years()) for weight in (0.0, 0.5))
    assert isinstance(plain, TrendModel)
    assert isinstance(seasonal, TrendModel)
    added = seasonal.item_scores - plain.item_scores
    np.testing.assert_allclose(added[1], 0.5 * np.log((70 + 5) / (0 + 5)), rtol=1e-4)
    np.testing.assert_allclose(added[2], 0.5 * np.log((0 + 5) / (70 + 5)), rtol=1e-4)
    assert seasonal.metrics["season_used"] is True


@pytest.mark.parametrize("family", ["popular", "trend"])
def test_without_a_year_of_history_the_season_does_nothing_and_says_so(family: str) -> None:
    short = two_years(300)
    plain, seasonal = (train(family, {"season_weight": weight}, short) for weight in (0.0, 0.5))
    np.testing.assert_array_equal(seasonal.score_anyone(), plain.score_anyone())
    assert seasonal.metrics["season_used"] is False
    assert seasonal.metrics["season_days_lacking"] == pytest.approx(65 if family == "popular" else 93)
