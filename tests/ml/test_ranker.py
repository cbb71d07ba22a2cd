from __future__ import annotations

import numpy as np

from apps.ml.configs.ensembles import RankerConfig
from apps.ml.dataset import DAY, Dataset
from apps.ml.models.ranker import RankerModel, past_splits, sources_of
from apps.ml.registry import FAMILIES, STANDARD
from apps.ml.train import train
from tests.ml.conformance import Conformance, fitted
from tests.ml.planted import interactions_frame, planted_split


class TestRanker(Conformance):
    family = "ranker"
    floors = {"new": 0.3, "all": 0.3}
    answers_strangers = True


def test_it_orders_what_its_sources_list() -> None:
    model = fitted("ranker")
    assert isinstance(model, RankerModel)
    assert model.ranker is not None
    assert set(model.parts) == {"popular", "personal", "item_knn", "ease"}
    users = planted_split().train.known_users[:20]
    listed = [part.served_lists(users, "none").ids for part in model.parts.values()]
    top = model.recommend(users, 20, "none")
    for row in range(len(users)):
        assert set(top.row(row)[0].tolist()) <= {int(one) for ids in listed for one in ids[row]}


def test_windows_end_with_the_data_and_do_not_overlap() -> None:
    dataset = planted_split().train
    splits = past_splits(dataset, 3)
    assert len(splits) == 3
    assert sum(len(split.test) for split in splits) + len(splits[-1].train) == len(dataset)
    for split in splits:
        assert split.train.timestamp.max() < split.cut
    assert splits[0].cut - splits[1].cut <= 30 * DAY


def test_without_settings_it_orders_the_standard_families() -> None:
    assert set(sources_of(RankerConfig())) == set(STANDARD)
    given = {"a": {"family": "ease", "config": {}}, "b": {"family": "ranker", "config": {}}}
    assert set(sources_of(RankerConfig(sources=given))) == {"a"}
    assert [name for name, family in FAMILIES.items() if family.composite] == ["ranker"]


def test_a_history_too_short_to_teach_is_blended() -> None:
    frame = interactions_frame()
    moment = frame.assign(timestamp=frame["timestamp"].min())
    model = train("ranker", {"preset": "tiny"}, Dataset.from_frames(moment))
    assert isinstance(model, RankerModel)
    assert model.ranker is None
    top = model.recommend(model.history.users.ids[:5], 10)
    assert (top.lengths > 0).any()
    assert np.isclose(sum(model.weights.values()), 1)
