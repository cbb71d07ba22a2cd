"""Nothing that happens after a cut can reach what is fitted, listed or tuned before it: for every family.

The poison gives the answer away: after the cut everybody buys one item nobody cared for, again and again,
next to everything else, by an event kind stronger than any before, with searches for it; a purchase made
before the cut is returned after it. A model that sees any of this cannot stay the same.
"""

from __future__ import annotations

from functools import cache
from itertools import count
from typing import Any

import numpy as np
import pandas as pd
import pytest

from apps.ml import candidates
from apps.ml.base import Model
from apps.ml.choice import choose
from apps.ml.comparison import compare
from apps.ml.dataset import DAY, Dataset
from apps.ml.protocols import Split, k_fold, leave_one_out, rolling_windows, split_at, truth_of
from apps.ml.ranking_facts import Facts
from apps.ml.registry import FAMILIES
from apps.ml.signals import item_strength
from apps.ml.train import train
from tests.ml.conformance import assert_same, fitted
from tests.ml.planted import (
    ITEM_BASE,
    N_USERS,
    PER_TASTE,
    TASTES,
    USER_BASE,
    interactions_frame,
    items_frame,
    planted_split,
    shoppers_frame,
)

N_ITEMS = len(TASTES) * PER_TASTE
GIVEAWAY = ITEM_BASE + N_ITEMS - 1
FUTURE_ITEM, FUTURE_USER = ITEM_BASE + N_ITEMS + 5, USER_BASE + N_USERS + 5


def listens(family: str) -> bool:
    """Whether the family's settings know of searches."""
    return hasattr(FAMILIES[family].config_class, "queries")


def poison(rated: bool) -> pd.DataFrame:
    """Events from the cut on, its very moment included; rated: with five stars for the giveaway."""
    cut = planted_split().cut
    users = np.repeat(np.arange(USER_BASE, USER_BASE + N_USERS), 6)
    others = ITEM_BASE + np.arange(len(users)) % N_ITEMS
    frames = []
    for place, items in enumerate((np.full(len(users), GIVEAWAY), others)):
        stamps = cut + np.arange(len(users)) % 20 * DAY + place
        frames.append(pd.DataFrame({"user_id": users, "item_id": items, "timestamp": stamps}))
    frame = pd.concat(frames, ignore_index=True)
    frame["kind"] = np.where(np.arange(len(frame)) % 3 == 0, "subscribe", "purchase")
    frame["weight"] = np.where(frame["kind"] == "subscribe", 50.0, 5.0)
    frame["basket"] = [f"poison{stamp % 40:.0f}" for stamp in range(len(frame))]
    frame = frame.assign(quantity=9.0, price=0.01, value=5.0, query="giveaway")
    stars = frame.assign(kind="rating", weight=0.0, value=np.where(frame["item_id"] == GIVEAWAY, 5.0, 1.0))
    return pd.concat([frame, stars], ignore_index=True) if rated else frame


def before_cut(rated: bool = False) -> pd.DataFrame:
    frame = interactions_frame(rated=rated)
    return frame[frame["timestamp"] < planted_split().cut]


def searches(future: bool) -> pd.DataFrame:
    """Before a fifth of the events that have one, a search that names the product; `future`: from the cut on
    everybody asks for the giveaway, an hour before each of the poisoned events.
    """
    past = before_cut().iloc[::5]
    asked = past[["user_id", "basket"]].assign(
        timestamp=past["timestamp"] - 1.0, query="thing no " + (past["item_id"] - ITEM_BASE).astype(str)
    )
    if not future:
        return asked
    late = poison(False)[["user_id", "basket", "timestamp"]]
    late = late.assign(
        timestamp=np.maximum(late["timestamp"] - 3_600.0, planted_split().cut), query="giveaway"
    )
    return pd.concat([asked, late], ignore_index=True)


@cache
def poisoned(rated: bool = False) -> Dataset:
    past = before_cut(rated).assign(undone_at=np.nan, query="")
    bought = past.index[past["kind"] == "purchase"]
    # returned after the cut: at the cut they were purchases like others
    past.loc[bought[::3], "undone_at"] = planted_split().cut + 5 * DAY
    whole = pd.concat([past, poison(rated).assign(undone_at=np.nan)], ignore_index=True)
    return Dataset.from_frames(whole, items_frame(), shoppers_frame(), searches=searches(future=True))


@cache
def searched_past() -> Dataset:
    """The planted past with its searches, nothing of the future."""
    past = Dataset.from_frames(before_cut(), items_frame(), shoppers_frame(), searches=searches(future=False))
    return past.before(planted_split().cut)


def assert_equal_parts(left: dict[str, Any], right: dict[str, Any]) -> None:
    assert set(left) == set(right)
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def assert_equal_models(left: Model[Any], right: Model[Any]) -> None:
    assert_equal_parts(left.to_arrays(), right.to_arrays())
    assert_equal_parts(left.history.to_arrays(), right.history.to_arrays())
    assert left.to_texts() == right.to_texts()
    users = planted_split().train.known_users
    assert_same(left.recommend(users, 50, "none"), right.recommend(users, 50, "none"))
    assert_same(left.served_lists(users), right.served_lists(users))
    sessions = [[ITEM_BASE, ITEM_BASE + 20], [GIVEAWAY]]
    assert_same(left.recommend_sessions(sessions, 20), right.recommend_sessions(sessions, 20))
    items = planted_split().train.known_items
    assert_same(left.similar(items, 20), right.similar(items, 20))


@pytest.mark.parametrize("family", FAMILIES)
def test_no_future_event_changes_what_is_fitted_or_listed(family: str) -> None:
    rated = FAMILIES[family].explicit
    split = split_at(poisoned(rated), planted_split(rated).cut)
    assert (split.test.item_ids == GIVEAWAY).sum() > 1_000
    clean = train(family, {"preset": "tiny"}, searched_past()) if listens(family) else fitted(family)
    assert clean.hears == listens(family)
    assert_equal_models(train(family, {"preset": "tiny"}, split.train), clean)


@pytest.mark.parametrize("family", [family for family in FAMILIES if listens(family)])
def test_a_search_of_the_future_would_be_noticed(family: str) -> None:
    """The control: with the past's events and the future's searches the models differ."""
    late = Dataset.from_frames(before_cut(), items_frame(), shoppers_frame(), searches=searches(future=True))
    seen = train(family, {"preset": "tiny"}, late)
    assert "giveaway" in seen.to_texts()["queries"]
    clean = train(family, {"preset": "tiny"}, searched_past())
    assert "giveaway" not in clean.to_texts()["queries"]
    with pytest.raises(AssertionError):
        assert_equal_models(seen, clean)


@pytest.mark.parametrize("family", ["popular", "item_knn", "als"])
def test_the_poison_would_be_noticed(family: str) -> None:
    """The control: uncut, the giveaway is in everybody's list. Without it the test above proves nothing."""
    seen = train(family, {"preset": "tiny"}, poisoned())
    users = planted_split().train.known_users
    first = seen.recommend(users, 10, "none").ids
    assert (first == GIVEAWAY).any(axis=1).mean() > 0.9
    assert (fitted(family).recommend(users, 10, "none").ids == GIVEAWAY).any(axis=1).mean() < 0.5
    with pytest.raises(AssertionError):
        assert_equal_models(seen, fitted(family))


def test_items_and_shoppers_of_the_future_are_in_no_list() -> None:
    future = pd.DataFrame(
        {
            "user_id": np.r_[np.full(60, FUTURE_USER), np.arange(USER_BASE, USER_BASE + N_USERS)],
            "item_id": FUTURE_ITEM,
            "timestamp": planted_split().cut + 1.0,
            "kind": "purchase",
            "weight": 5.0,
        }
    )
    launched = items_frame().tail(1).assign(item_id=FUTURE_ITEM, created_at=planted_split().cut)
    items = pd.concat([items_frame().assign(created_at=0.0), launched], ignore_index=True)
    dataset = Dataset.from_frames(pd.concat([before_cut(), future], ignore_index=True), items)
    past = dataset.before(planted_split().cut)
    for family in ("popular", "trend", "content", "item_knn", "ease"):
        model = train(family, {"preset": "tiny"}, past)
        top = model.recommend([*past.known_users.tolist(), FUTURE_USER], 200, "none")
        assert not (top.ids == FUTURE_ITEM).any()
        if not FAMILIES[family].shared:
            assert top.lengths[-1] == 0, "nothing is known of a shopper who has not come yet"


def test_no_test_item_is_counted_into_popularity() -> None:
    """Counted by hand from the frame, not by the code under test."""
    cut = planted_split().cut
    past = before_cut()
    weighed = past[past["weight"] > 0]
    ages = (cut - weighed["timestamp"]) / DAY
    by_hand = (weighed["weight"] / 5.0 * 0.5 ** (ages / 7.0)).groupby(weighed["item_id"]).sum()
    found = item_strength(split_at(poisoned(), cut).train, 7.0)
    known = poisoned().items.ids
    np.testing.assert_allclose(found, by_hand.reindex(known).fillna(0.0).to_numpy(), rtol=1e-6)


def test_what_a_ranker_knows_of_items_and_shoppers_ends_at_the_cut() -> None:
    cut = planted_split().cut
    clean = Facts.from_dataset(planted_split().train)
    facts = Facts.from_dataset(split_at(poisoned(), cut).train)
    assert_equal_parts(facts.to_arrays(), clean.to_arrays())
    users = planted_split().train.known_users
    ids = np.tile(np.r_[GIVEAWAY, ITEM_BASE : ITEM_BASE + 5], (len(users), 1))
    np.testing.assert_array_equal(facts.features(users, ids), clean.features(users, ids))
    late = Facts.from_dataset(poisoned())
    assert (np.nan_to_num(late.features(users, ids)) != np.nan_to_num(clean.features(users, ids))).any()


def test_the_automatic_choice_judges_by_windows_it_has_not_learned_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever is fitted, or told to the ranker, ends before the window that judges it."""
    taught: list[Dataset] = []
    told: list[Dataset] = []

    def watched(family: str, config: Any, dataset: Dataset, options: Any) -> Model[Any]:
        taught.append(dataset)
        return train(family, config, dataset, options)

    def noted(dataset: Dataset) -> Facts:
        told.append(dataset)
        return facts_of(dataset)

    facts_of = Facts.from_dataset
    monkeypatch.setattr(candidates, "train", watched)
    monkeypatch.setattr(Facts, "from_dataset", noted)
    past = poisoned().before(planted_split().cut)
    # a clock that counts how often it is read: as many trials on a slow machine as on a fast one
    ticks = count()
    choose(
        past,
        families=["popular", "personal"],
        budget_seconds=200.0,
        variant="all",
        days=14.0,
        clock=lambda: float(next(ticks)),
    )
    assert len(taught) > 3
    assert told
    for dataset in [*taught, *told]:
        assert dataset.end <= past.end - 14 * DAY
        assert dataset.timestamp.max() < dataset.end
        assert not (dataset.item_ids == GIVEAWAY).mean() > 0.1


def splits_of_every_protocol() -> list[tuple[str, Split]]:
    return [
        *(("window", split) for split in rolling_windows(poisoned(), days=6, windows=3)),
        ("leave_one_out", leave_one_out(poisoned())),
        ("leave_one_out", leave_one_out(poisoned(), offset=1)),
        *(("k_fold", split) for split in k_fold(poisoned(), folds=3)),
    ]


def test_no_protocol_lets_a_judged_purchase_teach() -> None:
    for name, split in splits_of_every_protocol():

        def keys(part: Dataset) -> set[tuple[int, int, float]]:
            return set(zip(part.user.tolist(), part.item.tolist(), part.timestamp.tolist(), strict=True))

        assert len(split.test), name
        assert not keys(split.train.identified()) & keys(split.test.identified()), name
        if name == "window":
            assert split.train.timestamp.max() < split.cut
            assert split.train.withdrawn is not None
            assert (split.train.withdrawn.undone_at < split.cut).all()
        assert len(truth_of(split, "all")), name


def test_the_test_window_has_no_say_in_the_weights() -> None:
    """The same past with two futures: the hybrid's weights come out alike, its figures do not."""
    frame = before_cut()
    last = float(frame["timestamp"].max())
    window = frame["timestamp"] >= last - 20 * DAY
    swapped = frame.copy()
    swapped.loc[window, "item_id"] = ITEM_BASE + (swapped.loc[window, "item_id"] - ITEM_BASE + 31) % N_ITEMS
    found = [
        compare(
            Dataset.from_frames(rows, items_frame(), shoppers_frame()),
            test_days=20,
            validation_days=20,
            configs={name: {"preset": "tiny"} for name in ("popular", "item_knn")},
            families=["popular", "item_knn"],
        )
        for rows in (frame, swapped)
    ]
    assert found[0].hybrid.weights == found[1].hybrid.weights
    figures = [one.hybrid.evaluations["all"].mean("ndcg10") for one in found]
    assert abs(figures[0] - figures[1]) > 0.05
