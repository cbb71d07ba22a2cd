"""The generated history: complete, plausible, the same for the same seed."""

import numpy as np
import pandas as pd

from apps.portal.demo.ledger import KINDS
from apps.portal.demo.world import World, world_build
from tests.portal.demo.conftest import END


def people(world: World) -> pd.DataFrame:
    """Events of sessions, without crawlers."""
    return world.events[(world.events["session"] != "") & ~world.events["bot"]]


def test_the_seed_decides() -> None:
    def build(seed: int) -> World:
        return world_build(end=END, seed=seed, products=200, shoppers=120, days=30)

    one, same, other = build(3), build(3), build(4)
    for name in ("products", "shoppers", "events"):
        pd.testing.assert_frame_equal(getattr(one, name), getattr(same, name))
    pd.testing.assert_frame_equal(one.reviews.frame, same.reviews.frame)
    assert len(one.events) != len(other.events)


def test_the_frame_is_in_order_and_within_its_days(world: World) -> None:
    events = world.events
    assert events["client_event_id"].is_unique
    assert events["occurred_at"].is_monotonic_increasing
    assert events["occurred_at"].min() >= world.start
    assert events["occurred_at"].max() < END
    assert set(events["kind"]) == set(KINDS)
    assert (events["request_id"] == "").all()
    assert set(events["channel"]) == {"web", "app"}
    bought = events[events["kind"] == "purchase"]
    assert (bought["price"] > 0).all()
    assert (bought["shopper"] != "").all()
    assert events.loc[events["kind"] == "view", "value"].between(1, 900).all()


def test_nothing_is_touched_before_it_is_for_sale(world: World) -> None:
    born = world.products.set_index("sku")["created_at"]
    events = world.events[world.events["sku"] != ""]
    early = events["occurred_at"] < events["sku"].map(born) - pd.Timedelta(minutes=30)
    assert not early.any()


def test_the_funnel_is_plausible(world: World) -> None:
    events = people(world)
    known = events[events["shopper"] != ""]
    sessions = events["session"].nunique()
    orders = known.loc[known["kind"] == "purchase", "session"].nunique()
    counts = world.events.loc[world.events["shopper"] != "", "kind"].value_counts()
    assert 0.015 < orders / sessions < 0.06
    assert 0.08 < counts["add_to_cart"] / counts["view"] < 0.4
    assert 0.3 < counts["purchase"] / counts["add_to_cart"] < 0.8
    assert 0.02 < counts["return"] / counts["purchase"] < 0.12
    assert 1.2 < counts["purchase"] / orders < 4
    assert counts["not_interested"] > 0
    assert counts["favourite"] < counts["view"]


def test_searches_are_in_the_shoppers_language(world: World) -> None:
    searches = world.events[world.events["kind"] == "search"]
    assert (searches["query"] != "").all()
    assert (searches["sku"] == "").all()
    chinese = searches["query"].str.contains("[\u4e00-\u9fff]")
    language = searches["shopper"].map(world.shoppers.set_index("external_id")["language"])
    assert chinese[language == "zh-hans"].mean() > 0.95
    assert chinese[language == "en"].mean() == 0


def test_searches_tell_what_is_opened_next(world: World) -> None:
    """The words name the category of the next product of the session, mostly; of another session's rarely."""
    people_only = people(world)
    events = people_only[people_only["kind"].isin(["search", "view"])]
    category = world.products.set_index("sku")["category"]
    events = events.assign(category=events["sku"].map(category), known=events["shopper"] != "")
    following = events.groupby("session")[["kind", "category", "occurred_at"]].shift(-1)
    led = (events["kind"] == "search") & (following["kind"] == "view")
    led &= following["occurred_at"] - events["occurred_at"] < pd.Timedelta(minutes=3)
    assert led[events["known"]].sum() > 500
    assert led[~events["known"]].sum() > 500
    for known in (True, False):
        mine = led & (events["known"] == known)
        words, opened = events.loc[mine, "query"].reset_index(drop=True), following.loc[mine, "category"]
        opened = opened.reset_index(drop=True)
        usual = opened.groupby(words).agg(lambda names: names.value_counts().index[0])
        often = words.groupby(words).transform("size") >= 5
        hits = (words.map(usual) == opened)[often]
        chance = (words.map(usual) == opened.sample(frac=1, random_state=1).to_numpy())[often]
        assert hits.mean() > 0.7
        assert hits.mean() > 4 * chance.mean()


def test_weekends_hours_and_seasons_show(world: World) -> None:
    events = people(world)
    starts = events.groupby("session")["occurred_at"].min()
    days = starts.dt.floor("D").value_counts()
    full = days[(days.index > days.index.min()) & (days.index < days.index.max())]
    weekend = full.index.day_of_week >= 5
    assert full[weekend].mean() > 1.1 * full[~weekend].mean()
    hours = starts.dt.hour.value_counts(normalize=True)
    assert hours[[20, 21]].sum() > 4 * hours[[3, 4]].sum()
    leaf = events["sku"].map(world.products.set_index("sku")["category"])
    demand = leaf.value_counts()
    assert demand["Fashion > Accessories > Scarves"] > demand["Fashion > Shoes > Sandals"]  # it is November


def test_staples_are_bought_again_at_intervals(world: World) -> None:
    bought = world.events[world.events["kind"] == "purchase"].sort_values("occurred_at")
    again = bought.groupby(["shopper", "sku"])["occurred_at"].agg(["size", "min", "max"])
    regular = again[again["size"] >= 3]
    assert len(regular) > 20
    gap = (regular["max"] - regular["min"]).dt.days / (regular["size"] - 1)
    assert 7 < gap.median() < 40


def test_consent_hides_attributes_and_attributes_go_with_taste(world: World) -> None:
    shoppers = world.shoppers
    attributes = ["age_band", "gender", "income_band", "region", "language"]
    assert (shoppers.loc[~shoppers["consent"], attributes] == "").all(axis=None)
    assert (shoppers.loc[shoppers["consent"], attributes] != "").all(axis=None)
    assert 0.62 < shoppers["consent"].mean() < 0.78
    bought = world.events[world.events["kind"] == "purchase"].merge(
        shoppers, left_on="shopper", right_on="external_id"
    )
    level = world.minds.traits.price_level[
        bought["sku"].map({sku: i for i, sku in enumerate(world.products["sku"])}).to_numpy()
    ]
    mean = pd.Series(level).groupby(bought["income_band"]).mean()
    assert mean["low"] < mean["high"]


def test_reviews_say_what_is_true(world: World) -> None:
    frame, truths = world.reviews.frame, world.reviews.truths
    assert list(truths) == frame["external_id"].tolist()
    assert set(frame["language"]) == {"en", "zh-hans"}
    assert frame["rating"].between(1, 5).all()
    mean = np.array([np.mean(list(truths[key].values())) for key in frame["external_id"]])
    assert np.corrcoef(mean, frame["rating"])[0, 1] > 0.6
    slow = frame["text"].str.contains("three weeks|dented|wrong address|三周|压坏|送错")
    said = np.array([truths[key].get("delivery", 0) for key in frame["external_id"]])
    assert (said[slow.to_numpy()] == -1).all()
    assert (said[~slow.to_numpy()] != -1).all()
