"""Planted attacks are found, honest shoppers left alone, and what is flagged can be taken out."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from apps.ml.attacks import ATTACK_KINDS, Attack, AttackKind, attack_plant
from apps.ml.dataset import DAY, Dataset
from apps.ml.errors import DataMissing, InvalidValue
from apps.ml.shilling import MIN_CROWD, shilling_flags, without_flagged
from apps.ml.train import train
from tests.ml.planted import interactions_frame, items_frame, planted


@pytest.mark.parametrize("kind", ATTACK_KINDS)
@pytest.mark.parametrize(("bots", "days"), [(10, 7.0), (30, 7.0), (40, 30.0)])
def test_planted_crowds_are_found_whole_and_hardly_anybody_else(
    kind: AttackKind, bots: int, days: float
) -> None:
    recalls, precisions = [], []
    for seed in range(3):
        attacked = attack_plant(planted(), Attack(kind, bots, 8, days), seed)
        found = shilling_flags(attacked.dataset)
        hits = len(np.intersect1d(found.users, attacked.bots))
        recalls.append(hits / bots)
        precisions.append(hits / max(len(found.users), 1))
        if hits:
            assert found.crowds[0].target in attacked.targets
    assert np.mean(recalls) >= 0.9
    assert np.mean(precisions) >= 0.9


def test_honest_shoppers_are_left_alone() -> None:
    flagged = [shilling_flags(Dataset.from_frames(interactions_frame(seed))).share for seed in range(6)]
    assert np.mean(flagged) <= 0.005
    assert max(flagged) <= 0.05


def test_a_launch_and_a_campaign_are_no_attack() -> None:
    """A new product everybody buys in a week, and a campaign that brings honest newcomers to its product."""
    frame = interactions_frame()
    end = frame["timestamp"].max()
    rng = np.random.default_rng(0)
    launch = pd.DataFrame(
        {
            "user_id": rng.choice(frame.loc[frame["user_id"] >= 0, "user_id"].unique(), 60, replace=False),
            "item_id": 6_000,
            "timestamp": end - rng.random(60) * 5 * DAY,
            "kind": "purchase",
            "weight": 5.0,
        }
    )
    assert not len(shilling_flags(Dataset.from_frames(pd.concat([frame, launch]))).users)
    # thirty customers start in one week with one product, and then buy as their taste has it
    late = frame[frame["timestamp"] > end - 7 * DAY]
    renamed = late["user_id"].where(late["user_id"] < 0, late["user_id"] + 3_000)
    arrivals = pd.concat([frame, late.assign(user_id=renamed)])
    assert not len(shilling_flags(Dataset.from_frames(arrivals)).users)


def test_two_attacks_are_told_apart() -> None:
    earlier = replace(planted(), end=planted().end - 40 * DAY)
    one = attack_plant(earlier, Attack("random", 20, 8), seed=1)
    both = attack_plant(replace(one.dataset, end=planted().end), Attack("bandwagon", 20, 8), seed=2)
    found = shilling_flags(both.dataset)
    assert {crowd.target for crowd in found.crowds[:2]} == {*one.targets.tolist(), *both.targets.tolist()}
    assert np.isin([*one.bots, *both.bots], found.users).mean() >= 0.9


def test_what_is_flagged_comes_with_its_reasons_as_json() -> None:
    attacked = attack_plant(planted(), Attack("random", 30, 8), seed=1)
    told = json.loads(json.dumps(shilling_flags(attacked.dataset).to_dict(), allow_nan=False))
    (crowd,) = told["crowds"]
    assert set(crowd["evidence"]) == {"burst", "agreement", "similarity", "length"}
    assert crowd["evidence"]["burst"] > 4
    assert crowd["evidence"]["agreement"] > 1, "random fillers do not go together"
    assert crowd["members"] == told["flagged"] == attacked.bots.tolist()
    assert told["share"] == pytest.approx(30 / told["shoppers"], abs=1e-6)


def test_without_the_flagged_the_pushed_item_falls_back() -> None:
    attacked = attack_plant(planted(), Attack("bandwagon", 40, 8), seed=3)
    target = int(attacked.targets[0])

    def place_of(dataset: Dataset) -> int:
        first = train("popular", {"preset": "tiny"}, dataset).recommend([-5], 90, "none").ids[0]
        return int(np.flatnonzero(first == target)[0])

    cleaned = without_flagged(attacked.dataset, shilling_flags(attacked.dataset))
    assert place_of(attacked.dataset) < 5
    assert place_of(cleaned) == place_of(planted()) > 20


def test_sleepers_and_a_handful_are_not_seen_as_the_documentation_says() -> None:
    few = attack_plant(planted(), Attack("random", MIN_CROWD - 1, 8), seed=1)
    assert not len(shilling_flags(few.dataset).users)
    asleep = attack_plant(planted(), Attack("average", 20, 8, asleep_days=20.0), seed=1)
    assert not len(shilling_flags(asleep.dataset).users)


def test_bots_do_what_their_kind_says() -> None:
    for kind in ATTACK_KINDS:
        made = attack_plant(planted(), Attack(kind, 12, 6, days=5.0, targets=2), seed=4)
        mine = made.dataset.select(np.isin(made.dataset.user_ids, made.bots))
        assert len(made.dataset) == len(planted()) + len(mine)
        assert (np.diff(made.dataset.timestamp) >= 0).all()
        assert mine.timestamp.min() >= planted().end - 5 * DAY
        for bot in made.bots:
            own = mine.item_ids[mine.user_ids == bot]
            assert np.isin(made.targets, own).all()
            assert len(np.unique(own)) == len(own) > 2
        assert made.dataset.before(made.dataset.end).users is made.dataset.users


def test_attacks_that_make_no_sense_are_refused() -> None:
    with pytest.raises(InvalidValue, match="bots: 0"):
        Attack("random", 0)
    with pytest.raises(DataMissing, match="nobody to hide among"):
        attack_plant(Dataset.from_frames(interactions_frame().head(0), items_frame()), Attack("random", 3))


def test_tiny_and_anonymous_data_flag_nobody() -> None:
    frame = interactions_frame().head(40)
    for part in (frame.head(0), frame.head(1), frame, frame.assign(user_id=-1)):
        assert not len(shilling_flags(Dataset.from_frames(part)).users)
