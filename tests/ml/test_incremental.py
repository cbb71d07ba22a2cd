"""A few simulated days: what is judged, what may teach, what each way costs and forgets."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from apps.ml import incremental
from apps.ml.base import Model, TrainOptions
from apps.ml.dataset import DAY, Dataset
from apps.ml.errors import Cancelled, InvalidValue
from apps.ml.incremental import Month, month_simulate, ways_of
from apps.ml.train import train
from tests.ml.planted import (
    ITEM_BASE,
    PER_TASTE,
    interactions_frame,
    items_frame,
    planted,
    shoppers_frame,
)

DAYS = 4
TINY = {"preset": "tiny"}


@cache
def month(family: str) -> Month:
    return month_simulate(planted(), family, TINY, days=DAYS, warm_settings={"epochs": 2})


@pytest.mark.parametrize("family", ["als", "ease", "popular"])
def test_every_way_is_judged_on_the_same_shoppers_and_days(family: str) -> None:
    found = month(family)
    assert set(found.courses) == set(ways_of(family))
    assert len(found.dates) == DAYS
    for way, course in found.courses.items():
        assert len(course.values("ndcg10")) == found.judged > 40
        assert len(course.per_day) == DAYS
        # a day's update before each day but the first, and one after the last
        assert course.updates == (0 if way == "frozen" else DAYS)
        assert course.forgetting is not None
        assert course.forgetting.shoppers > 150
    told = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert told["ways"]["fold_in"]["against_full"]["users"] == found.judged
    assert told["ways"]["frozen"]["seconds"] == 0.0


def test_a_warm_start_of_a_quarter_of_the_epochs_loses_little() -> None:
    found = month("als")
    full, warm = found.courses["full"], found.courses["warm"]
    assert warm.values("ndcg10").mean() > full.values("ndcg10").mean() * 0.9
    gap = found.against_full("warm")
    assert gap is not None
    assert gap.difference.high > -0.02
    assert found.against_full("full") is None


def shifted() -> Dataset:
    """For the last ten days everybody buys of another taste than before, new shoppers too."""
    frame = interactions_frame()
    late = frame["timestamp"] > frame["timestamp"].max() - 10 * DAY
    moved = (frame.loc[late, "item_id"] - ITEM_BASE + PER_TASTE) % 90 + ITEM_BASE
    frame.loc[late, "item_id"] = moved
    newcomers = late & (frame["user_id"] % 3 == 0)
    frame.loc[newcomers, "user_id"] = frame.loc[newcomers, "user_id"] + 5_000
    return Dataset.from_frames(frame, items_frame(), shoppers_frame())


def test_where_the_world_changes_updates_pay_and_a_frozen_model_falls_behind() -> None:
    found = month_simulate(shifted(), "als", TINY, days=8, ways=["full", "fold_in", "frozen"])
    mean = {way: course.values("ndcg10").mean() for way, course in found.courses.items()}
    assert mean["full"] > mean["frozen"] * 1.2
    assert mean["fold_in"] > mean["frozen"] * 1.1


def test_a_way_that_forgets_is_seen_to_forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Warm starts that see the last two days only: the classic way to lose old knowledge."""

    def on_new_events_only(family: str, config: Any, dataset: Dataset, options: TrainOptions) -> Model[Any]:
        if options.start is not None:
            dataset = dataset.select(dataset.timestamp >= dataset.end - 2 * DAY)
        return train(family, config, dataset, options)

    kept = month("als").courses["warm"].forgetting
    monkeypatch.setattr(incremental, "train", on_new_events_only)
    lost = month_simulate(planted(), "als", TINY, days=DAYS, ways=["warm"]).courses["warm"].forgetting
    assert kept is not None
    assert lost is not None
    assert lost.lost.low > 0.1, "most of what was known of old shoppers is gone"
    assert kept.lost.high < 0.1
    assert lost.before == pytest.approx(kept.before), "before the month both are the same base"


def test_no_day_teaches_before_it_is_judged_and_hidden_purchases_never_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Dataset] = []

    def watched(family: str, config: Any, dataset: Dataset, options: TrainOptions) -> Model[Any]:
        seen.append(dataset)
        return train(family, config, dataset, options)

    monkeypatch.setattr(incremental, "train", watched)
    month_simulate(planted(), "popular", TINY, days=DAYS, ways=["full"])
    start = planted().end - DAYS * DAY
    moments = [start + day * DAY for day in range(DAYS)]
    assert [dataset.end for dataset in seen[:DAYS]] == pytest.approx(moments)
    for dataset, moment in zip(seen[:DAYS], moments, strict=True):
        assert dataset.timestamp.max() < moment
    old = planted().before(start).purchases().identified()
    missing = set(zip(old.user.tolist(), old.item.tolist(), strict=True)) - set(
        zip(seen[0].user.tolist(), seen[0].item.tolist(), strict=True)
    )
    assert len(missing) > 150
    for dataset in seen:
        assert not missing & set(zip(dataset.user.tolist(), dataset.item.tolist(), strict=True))


def test_a_day_on_which_nobody_buys_has_no_figure() -> None:
    frame = interactions_frame()
    last = frame["timestamp"].max()
    closed = (frame["timestamp"] > last - 3 * DAY) & (frame["timestamp"] < last - 1 * DAY)
    found = month_simulate(Dataset.from_frames(frame[~closed]), "popular", TINY, days=3, ways=["full"])
    assert found.courses["full"].per_day[:2] == [None, None]
    assert found.courses["full"].per_day[2] is not None
    assert np.isfinite(found.courses["full"].values("ndcg10")).all()


def test_what_cannot_be_simulated_is_refused() -> None:
    with pytest.raises(InvalidValue, match="popular can go full, fold_in, frozen"):
        month_simulate(planted(), "popular", TINY, days=2, ways=["warm"])
    with pytest.raises(InvalidValue, match="use fewer"):
        month_simulate(planted(), "popular", TINY, days=400)
    frame = pd.DataFrame({"user_id": [1, 2], "item_id": [3, 3], "timestamp": [1e9, 1e9 + 9 * DAY]})
    few = month_simulate(Dataset.from_frames(frame), "popular", TINY, days=2).to_dict()
    assert few["judged"] == 0
    assert few["ways"]["full"]["forgetting"] is None


def test_it_can_be_stopped() -> None:
    with pytest.raises(Cancelled):
        month_simulate(planted(), "popular", TINY, days=3, options=TrainOptions(should_stop=lambda: True))
