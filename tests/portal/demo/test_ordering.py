"""The world can be learned and is not rigged: true taste outsells a model, a model outsells best-sellers."""

from itertools import pairwise

import numpy as np
import pandas as pd

from apps.ml.base import TrainOptions
from apps.ml.dataset import Dataset
from apps.ml.registry import FAMILIES
from apps.ml.train import train
from apps.portal.demo.comparison import comparison_report, paired_interval
from apps.portal.demo.slates import rank_random, rank_true, slate_value
from apps.portal.demo.truth import stage_build, truth_rows
from apps.portal.demo.world import World

WEIGHTS = {
    "view": 1.0,
    "click": 1.0,
    "add_to_cart": 3.0,
    "purchase": 5.0,
    "favourite": 3.0,
    "not_interested": -3.0,
}
PLACES = 12


def dataset_of(world: World) -> Dataset:
    """The history as a model sees it: events and the feed, nothing hidden."""
    events = world.events[world.events["kind"].isin(WEIGHTS) & ~world.events["bot"]]
    users = {shopper: i for i, shopper in enumerate(world.shoppers["external_id"])}
    items = {sku: i for i, sku in enumerate(world.products["sku"])}
    interactions = pd.DataFrame(
        {
            "user_id": events["shopper"].map(users).fillna(-1).astype("int64"),
            "item_id": events["sku"].map(items).astype("int64"),
            "kind": events["kind"],
            "weight": events["kind"].map(WEIGHTS).astype("float32"),
            "timestamp": (events["occurred_at"] - pd.Timestamp(0, tz="UTC")).dt.total_seconds(),
            "quantity": events["quantity"],
            "price": events["price"].fillna(0.0),
            "basket": events["session"],
            "value": events["value"].fillna(0.0),
        }
    )
    return Dataset.from_frames(interactions)


def test_purchases_order_truth_then_model_then_best_sellers_then_chance(world: World) -> None:
    rows = truth_rows(world)
    stage = stage_build(
        rows[0][2],
        [(key, data) for kind, key, data in rows if kind == "item"],
        [(key, data) for kind, key, data in rows if kind == "taste"],
    )
    data = dataset_of(world)
    users = np.intersect1d(
        np.arange(len(world.shoppers)), data.users.ids[np.unique(data.user[data.user >= 0])]
    )
    model = train("ease", FAMILIES["ease"].presets["small"], data, TrainOptions())
    ranked = model.recommend(users, PLACES * 4, exclude="bought").ids
    groups, lists = world.minds.traits.group, np.full((len(users), PLACES), -1)
    for row, items in enumerate(ranked):
        known = items[items >= 0]
        first = np.sort(np.unique(groups[known], return_index=True)[1])[:PLACES]
        lists[row, : len(first)] = known[first]

    report = comparison_report(stage, users, lists, world.horizon)

    assert list(report["policies"]) == ["true_taste", "api", "popular", "random"]
    for pair, (_, low, _) in report["differences"].items():
        assert low > 0, f"{pair}: {report}"
    clicks = [figures["clicks"] for figures in report["policies"].values()]
    assert all(better > worse for better, worse in pairwise(clicks))


def test_simulated_outcomes_agree_with_expectations(world: World) -> None:
    rng = np.random.default_rng(0)
    users = rng.integers(len(world.shoppers), size=4_000)
    day = np.full(len(users), world.horizon, dtype=np.float32)
    lists = rank_random(world.minds, users, PLACES, np.arange(len(world.products)), 1)
    value = slate_value(world.minds, users, lists, day, seed=2)
    _, low, high = paired_interval(value.clicks - value.expected_clicks)
    assert low <= 0.02
    assert high >= -0.02


def test_a_better_order_of_the_same_products_earns_more(world: World) -> None:
    users = np.arange(400)
    day = np.full(len(users), world.horizon, dtype=np.float32)
    best = rank_true(world.minds, users, day, PLACES, np.arange(len(world.products)))
    forward = slate_value(world.minds, users, best, day).expected_purchases
    backward = slate_value(world.minds, users, best[:, ::-1].copy(), day).expected_purchases
    assert (forward >= backward - 1e-6).all()
    assert forward.mean() > 1.05 * backward.mean()


def test_no_slate_of_a_reference_policy_repeats_a_product(world: World) -> None:
    users = np.arange(100)
    day = np.full(len(users), world.horizon, dtype=np.float32)
    best = rank_true(world.minds, users, day, PLACES, np.arange(len(world.products)))
    for row in best:
        assert len(set(world.minds.traits.group[row])) == PLACES
