"""Recent searches as a signal: what counts when, what it adds, and that it is named."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from apps.ml.artifacts import load_model, save_model
from apps.ml.base import Model
from apps.ml.configs.queries import QueryDials
from apps.ml.dataset import Dataset
from apps.ml.errors import InvalidValue
from apps.ml.protocols import leave_one_out
from apps.ml.query_items import QueryItems
from apps.ml.searches import Heard, Searches, query_normalised, token_weights, weighed
from apps.ml.sequences import sequences_of
from apps.ml.significance import paired_difference
from apps.ml.train import train
from tests.ml.conformance import assert_close, assert_same
from tests.ml.planted import ITEM_BASE, PER_TASTE, items_frame
from tests.ml.planted_searches import next_item_ndcg, questions, searched, searched_dataset

LISTENERS = ("sasrec", "gru4rec", "session_knn", "co_visit")
NETS = ("sasrec", "gru4rec")


@cache
def fitted(family: str, telling: bool, queries: bool = True) -> Model[Any]:
    settings = {"preset": "tiny", "queries": queries}
    if family in NETS:
        settings |= {"epochs": 12, "batch_size": 16, "patience": None}
    return train(family, settings, searched_dataset(telling))


@pytest.mark.parametrize("family", LISTENERS)
def test_searches_that_tell_the_intent_gain_and_noise_does_not(family: str) -> None:
    gains = {}
    # the two nets share all that listens
    for telling in (True,) if family == "gru4rec" else (True, False):
        begun, asked, came = questions(telling)
        heard = fitted(family, telling).recommend_sessions(begun, 10, asked)
        deaf = fitted(family, telling, queries=False).recommend_sessions(begun, 10, asked)
        gains[telling] = paired_difference(next_item_ndcg(heard, came), next_item_ndcg(deaf, came))
    assert gains[True].low > 0.05
    if False in gains:
        assert abs(gains[False].mean) < 0.03
        assert gains[False].low < 0.01


@pytest.mark.parametrize("family", LISTENERS)
def test_only_a_model_that_listened_hears(family: str) -> None:
    begun, asked, _ = questions(True)
    deaf = fitted(family, True, queries=False)
    assert fitted(family, True).hears
    assert not deaf.hears
    assert_same(deaf.recommend_sessions(begun, 10, asked), deaf.recommend_sessions(begun, 10))
    assert_close(
        fitted(family, True).recommend_sessions(begun, 10, [[" "]] * len(begun)),
        fitted(family, True).recommend_sessions(begun, 10),
    )
    with pytest.raises(InvalidValue, match="a list for each of 2 sessions"):
        deaf.recommend_sessions([[ITEM_BASE], [ITEM_BASE]], 10, [["tea"]])


@pytest.mark.parametrize("family", LISTENERS)
def test_a_session_that_only_searched_is_answered(family: str) -> None:
    lists = fitted(family, True).recommend_sessions([[], []], 5, [["GARDEN  things"], []])
    assert lists.lengths.tolist() == [5, 0]
    assert ((lists.ids[0] - ITEM_BASE) // PER_TASTE == 1).all()


@pytest.mark.parametrize("family", LISTENERS)
def test_chinese_queries_and_words_never_heard_find_their_products(family: str) -> None:
    model = fitted(family, True)
    lists = model.recommend_sessions([[ITEM_BASE + 40], [ITEM_BASE + 40]], 5, [["红茶杯"], ["茶具杯"]])
    assert ((lists.ids - ITEM_BASE) // PER_TASTE == 0).mean() > 0.5


@pytest.mark.parametrize("family", LISTENERS)
def test_a_search_that_carries_the_score_is_named(family: str) -> None:
    model = fitted(family, True)
    session, words = [ITEM_BASE + 40, ITEM_BASE + 50], ["Garden things", "party things"]
    item = int(model.recommend_sessions([session], 1, [words]).ids[0, 0])
    reasons = model.explain_session(session, item, 4, words)
    assert (reasons[0].query, reasons[0].item_id) == ("party things", -1)
    assert sum(reason.share for reason in reasons) == pytest.approx(1.0)
    assert all((reason.item_id == -1) == bool(reason.query) for reason in reasons)
    assert not any(reason.query for reason in model.explain_session(session, item, 4))


@pytest.mark.parametrize("family", LISTENERS)
def test_the_say_of_searches_is_what_the_score_loses_without_them(family: str) -> None:
    model = fitted(family, True)
    rows, words = np.array([3, 20]), ["garden things", "toys"]
    told = model.told_by(None, words)
    said = model.query_terms(None, rows, told, 17)
    with_, without = model.score_asked([rows], [words])[0, 17], model.score_sessions([rows])[0, 17]
    assert said.sum() == pytest.approx(
        float(with_) - max(float(without), 0.0 if family not in NETS else -1e9), abs=1e-4
    )


@pytest.mark.parametrize("family", LISTENERS)
def test_saved_and_folded_in_it_hears_the_same(family: str, tmp_path: Path) -> None:
    model, dataset = fitted(family, True), searched_dataset(True)
    begun, asked, _ = questions(True)
    save_model(model, tmp_path / "model")
    for other in (load_model(tmp_path / "model"), model.fold_in(dataset)):
        assert other.hears
        assert_close(other.recommend_sessions(begun, 10, asked), model.recommend_sessions(begun, 10, asked))
        users = dataset.known_users
        assert_close(other.recommend(users, 10), model.recommend(users, 10))


@pytest.mark.parametrize("family", LISTENERS)
def test_a_shoppers_own_last_search_is_heard_for_a_day(family: str) -> None:
    dataset = searched_dataset(True)
    user = int(dataset.known_users[0])
    lists = []
    for age_hours in (1.0, 30.0):
        frame, searches = searched(True)
        frame = frame[frame["timestamp"] < dataset.end]
        searches = searches[searches["timestamp"] < dataset.end - 40 * 3600.0]
        last = pd.DataFrame(
            [(user, "", dataset.end - age_hours * 3600.0, "Toys things")], columns=searches.columns
        )
        events = frame[(frame["user_id"] != user) | (frame["timestamp"] < dataset.end - 50 * 3600.0)]
        now = Dataset.from_frames(events, items_frame(), searches=pd.concat([searches, last])).before(
            dataset.end
        )
        folded = fitted(family, True).fold_in(now)
        lists.append(folded.recommend([user], 5, "none").ids[0])
        named = [reason.query for reason in folded.explain(user, int(lists[-1][0]), 9)]
        assert ("toys things" in named) == (age_hours < 24)
    of_toys = [((ids - ITEM_BASE) // PER_TASTE == 5).mean() for ids in lists]
    assert of_toys[0] >= 0.8
    assert of_toys[1] < of_toys[0]


def test_what_counts_before_an_event_by_hand() -> None:
    texts = ("a", "b", "c")
    asked = Searches(
        np.array([0, 0, 0, 1, -1]),
        np.array([-1, -1, -1, -1, 4]),
        np.array([100.0, 200.0, 200.0, 150.0, 300.0]),
        np.array([0, 1, 2, 0, 1]),
        texts,
    )
    # shopper 0: events at 5, 15, 20, 25; shopper 1 at 16; session 4 of nobody at 30 and 31 (two users)
    key = np.array([0, 0, 0, 0, 1, 6, 6])
    time = np.array([50.0, 150.0, 200.0, 250.0, 160.0, 300.0, 310.0])
    found = asked.heard(key, time, 2, QueryDials(query_memory=2, query_decay=0.5)).toarray()
    by_hand = np.array(
        [
            [0, 0, 0],  # nothing yet
            [1, 0, 0],  # a just now
            [0.5, 0, 0],  # one event since; b and c at this very moment do not count
            [0, 0.5, 1],  # the last two: c, and b before it
            [1, 0, 0],
            [0, 0, 0],
            [0, 0.5, 0],  # the event of the search's own moment came in between
        ]
    )
    np.testing.assert_allclose(found[:5], by_hand[:5])
    np.testing.assert_allclose(found[5], by_hand[5])
    late = asked.heard(key, time, 2, QueryDials(query_memory=1, query_hours=0.01)).toarray()
    assert late[1].sum() == 0
    assert late[4].tolist() == [1, 0, 0]


def test_normalised_words_and_their_hashes() -> None:
    assert query_normalised("  Ｂlue\tMUG ") == "blue mug"
    rows = token_weights(["blue mug", "Mugs  BLUE", "蓝色 杯子", "色", "", "mug blue"], 4096)
    likeness = (rows @ rows.T).toarray()
    np.testing.assert_allclose(np.diag(likeness)[:4], 1.0, rtol=1e-6)
    assert likeness[0, 5] == pytest.approx(1.0)
    assert 0.5 < likeness[0, 1] < 1.0
    assert likeness[2, 3] > 0.25
    assert likeness[0, 2] < 0.1
    assert rows[4].nnz == 0
    assert weighed(["tea", " ", "TEA ", "cup"], QueryDials(query_memory=3)) == [("cup", 1.0), ("tea", 0.75)]


def test_shares_follow_the_counts_smoothed_by_the_match() -> None:
    texts = ["red mug", "blue mug", "garden hose"]
    events = pd.DataFrame({"user_id": [1, 1, 2], "item_id": [10, 11, 12], "timestamp": [10.0, 30.0, 10.0]})
    items = pd.DataFrame({"item_id": [10, 11, 12], "text": texts})
    searches = pd.DataFrame(
        {"user_id": [1, 1, 2], "timestamp": [5.0, 20.0, 9.0], "query": ["mug", "mug", "gift"]}
    )
    dataset = Dataset.from_frames(events, items, searches=searches)
    dials = QueryDials(query_memory=1)
    found = sequences_of(dataset, "collapse", dials=dials)
    asked = QueryItems.fit(found, dataset.searches.texts, texts)
    shares = asked.shares(["mug", "gift", "hose", "unheard"], 2.0).toarray()
    # mug: seen to lead to 10 and 11 once each, and both say so: (1 + 2 match) / (2 + 2)
    match = (4 * shares[0, :2] - 1) / 2
    np.testing.assert_allclose(match[0], match[1], rtol=0.05)
    assert (match > 0.1).all()
    assert match.sum() < 1
    # gift: no product says so, one was opened: 1 / (1 + 2)
    np.testing.assert_allclose(shares[1], [0, 0, 1 / 3], rtol=1e-6)
    assert shares[2, 2] > 0.3 > 0.01 > shares[2, :2].max()
    assert shares[3].sum() < 0.05


def test_searches_are_cut_with_the_data() -> None:
    dataset = searched_dataset(True)
    assert len(dataset.searches) > 800
    cut = float(np.median(dataset.timestamp))
    past, rest = dataset.before(cut), dataset.since(cut)
    assert past.searches.timestamp.max() < cut <= rest.searches.timestamp.min()
    assert len(past.searches) + len(rest.searches) == len(dataset.searches)
    assert (dataset.identified().searches.user >= 0).all()
    split = leave_one_out(dataset, offset=1)
    held = dict(zip(split.test.user.tolist(), split.test.timestamp.tolist(), strict=True))
    asked = split.train.searches
    assert all(
        stamp < held.get(user, np.inf) for user, stamp in zip(asked.user, asked.timestamp, strict=True)
    )
    assert 0 < len(asked) < len(dataset.searches)


def test_what_nobody_asked_and_what_strangers_asked_is_left_out() -> None:
    events = pd.DataFrame({"user_id": [1, -1], "item_id": 5, "timestamp": [10.0, 20.0], "basket": ["", "s"]})
    rows = [
        (1, "", 1.0, "Tea"),
        (9, "s", 2.0, "x"),
        (-1, "s", 3.0, "tea"),
        (-1, "t", 4.0, "x"),
        (1, "", 5.0, " "),
    ]
    searches = pd.DataFrame(rows, columns=["user_id", "basket", "timestamp", "query"])
    found = Dataset.from_frames(events, searches=searches).searches
    assert found.texts == ("tea",)
    assert found.user.tolist() == [0, -1]
    assert found.basket.tolist() == [-1, 0]
    assert not len(Dataset.from_frames(events).searches)
    assert Heard.nothing(3).of_row(2) == []
    assert replace(found, texts=("tea",)).texts == found.texts
