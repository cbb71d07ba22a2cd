"""The benchmark's own parts without any peer: cuts, exchange, choice of settings, ratios, tables, limits."""

from __future__ import annotations

import json
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from apps.ml.dataset import DAY, Dataset
from apps.ml.evaluate import VARIANTS, Truth
from apps.ml.topn import TopN
from tests.benchmarks.models import growth
from tests.benchmarks.models.goals import coverage_goal, goals_of
from tests.benchmarks.models.own_lists import dataset_read, dataset_write
from tests.benchmarks.models.parts import last_object
from tests.benchmarks.models.results import flat, growth_text, part_text, retail_object, retail_text, table
from tests.benchmarks.models.retail import Retail
from tests.benchmarks.models.running import Run, bounded
from tests.benchmarks.models.standings import Standing, choose, judge, ratio, standing
from tests.benchmarks.models.two_terms import Fitted, Terms
from tests.benchmarks.models.windows import TEST_WINDOWS, Window, exchange_write, online_retail, rolling
from tests.factories.datasets import line, online_retail_file

CODES = tuple(f"{10_000 + number}" for number in range(30))


@pytest.fixture
def shop(tmp_path: Path) -> Dataset:
    """Six customers buy every ten days: a product of their own again, and one they never had."""
    lines = [
        line(
            invoice=f"{500_000 + step * 10 + customer}",
            code=code,
            date=f"{pd.Timestamp('2011-01-01 12:00') + pd.Timedelta(days=10 * step):%Y-%m-%d %H:%M:%S}",
            customer=f"{12_000 + customer}.0",
        )
        for step in range(22)
        for customer in range(6)
        for code in (CODES[customer], CODES[(6 + 5 * customer + step) % 30])
    ]
    lines += [
        line(invoice="600000", code=CODES[0], date="2011-01-05 10:00:00", customer=""),
        line(invoice="600001", code="POST", date="2011-01-05 10:00:00"),
        line(invoice="600002", code="99999", date="2011-01-02 10:00:00", customer="12000.0", quantity="4"),
        line(invoice="C600003", code="99999", date="2011-06-20 10:00:00", customer="12000.0", quantity="-4"),
    ]
    return online_retail(online_retail_file(tmp_path, lines))


@pytest.fixture
def windows(shop: Dataset) -> list[Window]:
    return rolling(shop)


def perfect(window: Window, wrong: int = 0) -> TopN:
    """For each user of "all" exactly what they buy, after `wrong` items nobody buys."""
    truth = window.truth["all"]
    lists = []
    for row in range(len(truth)):
        ids = [*range(900, 900 + wrong), *truth.of(row).tolist()]
        lists.append((ids, [-float(place) for place in range(len(ids))]))
    return TopN.from_lists(lists, 20)


def entrant(name: str, windows: list[Window], wrong: int = 0, ours: bool = False) -> Standing:
    lists = [dict.fromkeys(VARIANTS, perfect(window, wrong)) for window in windows]
    return standing(name, ours, lists, windows, {"new": [{}], "all": [{"wrong": wrong}]})


def test_windows_follow_each_other_and_share_no_event(windows: list[Window]) -> None:
    for later, earlier in pairwise(windows):
        assert later.split.cut - earlier.split.cut == 30 * DAY
        assert earlier.until == later.split.cut
        assert earlier.split.test.timestamp.max() < later.split.cut
        assert later.split.train.timestamp.max() < later.split.cut


def test_only_products_bought_by_known_customers_are_data(shop: Dataset) -> None:
    assert sorted(shop.catalogue["sku"]) == [*CODES, "99999"]
    assert len(shop) == 22 * 6 * 2
    assert (shop.user_ids > 0).all()


def test_a_cancelled_purchase_stands_until_it_is_cancelled(windows: list[Window]) -> None:
    bought_at, cancelled_at = (
        pd.Timestamp(day, tz="Europe/London").timestamp() for day in ("2011-01-02 10:00", "2011-06-20 10:00")
    )
    for window in windows:
        item = int(window.split.train.catalogue.index[window.split.train.catalogue["sku"] == "99999"][0])
        stands = item in window.split.train.item_ids
        assert stands == (bought_at < window.split.cut <= cancelled_at)


def test_peers_get_the_events_before_the_cut_and_all_users_to_serve(
    windows: list[Window], tmp_path: Path
) -> None:
    file = exchange_write(windows[0], tmp_path)

    with np.load(file) as found:
        assert found["timestamp"].max() < windows[0].split.cut
        assert (np.diff(found["timestamp"]) >= 0).all()
        assert len(found["user"]) == len(windows[0].split.train)
        assert found["users"].tolist() == windows[0].truth["all"].users.tolist()
        assert set(windows[0].truth["new"].users) <= set(found["users"].tolist())


def test_stored_data_gives_the_same_windows(shop: Dataset, tmp_path: Path) -> None:
    dataset_write(shop, tmp_path)

    for one, other in zip(rolling(dataset_read(tmp_path)), rolling(shop), strict=True):
        assert one.facts() == other.facts()
        assert np.array_equal(one.split.train.item_ids, other.split.train.item_ids)


def test_lists_of_all_users_are_judged_on_the_users_of_the_variant(windows: list[Window]) -> None:
    window = windows[0]
    everyone = window.truth["all"].users
    some = Truth.from_pairs(everyone[1:2], window.truth["all"].of(1)[:1])
    cut = Window(window.name, window.split, window.until, {"all": window.truth["all"], "new": some})

    assert judge(perfect(cut), cut, "all").mean("ndcg10") == pytest.approx(1.0)
    assert judge(perfect(cut), cut, "new").n_users == 1
    assert judge(perfect(cut), cut, "new").mean("hit10") == 1.0


def test_the_best_setting_of_the_validation_window_is_chosen(windows: list[Window]) -> None:
    runs = [
        Run({"a": 1}, {}, "MemoryError"),
        Run({"a": 2}, dict.fromkeys(VARIANTS, perfect(windows[1], wrong=3))),
        Run({"a": 3}, dict.fromkeys(VARIANTS, perfect(windows[1], wrong=1))),
    ]

    assert choose(runs, windows[1], "all") == 2
    assert choose(runs[:1], windows[1], "all") is None


def test_a_ratio_is_paired_and_knows_its_windows(windows: list[Window]) -> None:
    tests = windows[:TEST_WINDOWS]
    good, worse = entrant("good", tests), entrant("worse", tests, wrong=1)
    expected = float(
        np.mean(good.pooled("all", "ndcg10")) / np.mean(worse.pooled("all", "ndcg10"))
    )  # every window has the same users

    found = ratio(good, worse, "all", "ndcg10")

    assert found.pooled == pytest.approx(expected)
    assert len(found.by_window) == TEST_WINDOWS
    assert 1 < found.low <= found.pooled <= found.high
    same = ratio(good, good, "all", "ndcg10")
    assert (same.windows, same.low, same.high) == (1.0, 1.0, 1.0)


def test_entrants_of_other_users_have_no_ratio(windows: list[Window]) -> None:
    with pytest.raises(ValueError, match="different users"):
        ratio(entrant("a", windows[:1]), entrant("b", windows[:2]), "all", "ndcg10")


def test_goals_take_the_best_peer_and_the_combination_that_keeps_coverage(windows: list[Window]) -> None:
    tests = windows[:TEST_WINDOWS]
    standings = [
        entrant("implicit ALS", tests, wrong=2),
        entrant("implicit BPR", tests, wrong=6),
        entrant("personal", tests, wrong=4, ours=True),
        entrant("stacked ranker", tests, ours=True),
        Standing("cornac EASE", False, error="not installed: no wheel"),
    ]

    found = {(goal.variant, goal.b): goal for goal in goals_of(standings)}

    assert found[("new", "implicit ALS")].a == "stacked ranker"
    assert found[("all", "personal")].ratio.windows > found[("all", "implicit ALS")].ratio.windows > 1
    assert found[("all", "personal")].met
    assert coverage_goal(standings)["met"]


def test_the_report_names_who_could_not_run(windows: list[Window]) -> None:
    tests = windows[:TEST_WINDOWS]
    retail = Retail(
        [window.facts() for window in windows[: TEST_WINDOWS + 1]],
        [
            entrant("implicit ALS", tests, wrong=1),
            entrant("stacked ranker", tests, ours=True),
            Standing("cornac UPCF", False, error="exit 139: Segmentation fault"),
        ],
        [{"knob": 0.0, "ndcg10": 0.5, "recall20": 0.5, "coverage10": 0.25}],
        {"2011-10-01, new": ["Orders repeat every 31 days."]},
    )

    text = retail_text(retail)

    assert "cornac UPCF: exit 139: Segmentation fault" in text
    assert windows[0].dates in text
    assert "Orders repeat every 31 days." in text
    assert json.loads(json.dumps(retail_object(retail)))["standings"]["cornac UPCF"]["error"]


def test_the_two_terms_meet_where_the_weight_says(windows: list[Window]) -> None:
    items = np.arange(4)
    ease = np.array([[4.0, 3.0, 2.0, 1.0], [1.0, 2.0, 3.0, 4.0]])
    trend = np.array([0.0, 0.0, 9.0, -np.inf])
    bought = np.array([[True, False, False, False], [False, False, False, False]])
    fitted = Fitted(windows[0], items, {1.0: ease}, {7.0: trend}, bought, 0.0)

    plain = fitted.lists(Terms(1.0, 7.0, 0.0), "new").ids[:, :3].tolist()
    risen = fitted.lists(Terms(1.0, 7.0, 5.0), "all").ids[:, :3].tolist()

    assert plain == [[1, 2, -1], [2, 1, 0]]
    assert risen == [[2, 0, 1], [2, 1, 0]]


def test_growth_measures_fit_and_lists_of_made_up_data() -> None:
    size = growth.Size(2_000, 100, 50)
    data = growth.synthetic(size)
    assert (len(data), len(data.users), len(data.items)) == (2_000, 100, 50)
    counts = np.sort(np.bincount(data.item, minlength=50))[::-1]
    assert counts[:5].sum() > 2 * counts[-5:].sum()

    row = growth.measure("popular", size)

    assert row["listed"] > 0
    assert row["peak_gb"] > 0
    failed = {"family": "ease", "events": 10, "users": 1, "items": 1, "error": "stopped after 3 s"}
    assert "stopped after 3 s" in growth_text([row, failed])


def test_a_command_is_stopped_in_time_and_its_failure_told(tmp_path: Path) -> None:
    began = time.monotonic()
    sleeping = [sys.executable, "-c", "import time; time.sleep(60)"]
    assert bounded(sleeping, 1, tmp_path / "log") == "stopped after 1 s"
    assert time.monotonic() - began < 30
    failing = [sys.executable, "-c", "raise SystemExit('no wheel')"]
    assert bounded(failing, 60, tmp_path / "log") == "exit 1: no wheel"
    assert bounded(failing, 0, tmp_path / "log") == "not started: no time left"
    assert bounded([sys.executable, "-c", ""], 60, tmp_path / "log") == ""


def test_a_part_answers_by_its_last_object() -> None:
    assert last_object('10 %\n{"rows": [{"a": 1}]}\n') == {"rows": [{"a": 1}]}
    assert "error" in last_object("Traceback\n{broken")
    text = part_text("Speed", {"rows": [{"a": 1, "b": [1, 2]}], "error": "stopped after 3 s", "notes": ["x"]})
    assert "| 1 | [1, 2] |" in text
    assert "stopped after 3 s" in text


def test_nested_answers_become_rows() -> None:
    answer = {"seconds": 2.0, "retail": {"sides": {"a": {"fit": 1.0}}, "steps": [{"n": 1}, {"n": 2}]}}

    assert flat(answer) == [
        {"what": "", "seconds": 2.0},
        {"what": "retail sides a", "fit": 1.0},
        {"what": "retail steps 1", "n": 1},
        {"what": "retail steps 2", "n": 2},
    ]
    assert "retail sides a" in part_text("Speed", answer)


def test_a_table_keeps_bars_in_their_cells() -> None:
    assert table(("a", "b"), [("x|y", 0.12345), (None, 2.0)]) == (
        "| a | b |\n|---|--:|\n| x\\|y | 0.1235 |\n|  | 2 |"
    )
