from __future__ import annotations

import numpy as np
import pandas as pd

from apps.ml.dataset import Dataset
from apps.ml.models.item_knn import ItemKnnModel
from apps.ml.train import train
from tests.ml.conformance import Conformance
from tests.ml.planted import ITEM_BASE, planted, taste_of_item

PLAIN = {"weighting": "cosine", "row_half_life_days": None, "profile_half_life_days": None, "neighbours": 100}


class TestItemKnn(Conformance):
    family = "item_knn"
    floors = {"new": 0.55, "all": 0.48}


def test_similarity_is_the_shrunk_cosine_of_the_columns() -> None:
    dataset = planted().purchases()
    model = train("item_knn", {**PLAIN, "baskets": False, "shrink": 3.0}, dataset)
    assert isinstance(model, ItemKnnModel)
    dense = np.zeros((len(dataset.users), len(dataset.items)))
    known = dataset.user >= 0
    dense[dataset.user[known], dataset.item[known]] = 1.0
    dense[model.history.rejected.toarray()] = 0.0
    lengths = np.linalg.norm(dense, axis=0)
    expected = dense.T @ dense / (np.outer(lengths, lengths) + 3.0)
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(model.similarity.toarray(), expected, rtol=1e-5)


def test_anonymous_baskets_teach_what_goes_together() -> None:
    rows = [
        (-1, 10, "a"),
        (-1, 20, "a"),
        (-1, 10, "b"),
        (-1, 20, "b"),
        (1, 10, "c"),
        (1, 30, "d"),
        (2, 30, "e"),
    ]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "basket"]).assign(timestamp=1.7e9)
    dataset = Dataset.from_frames(frame)
    together = train("item_knn", {**PLAIN, "shrink": 0.0}, dataset).similar([10], 2)
    assert together.ids[0].tolist() == [20, 30]
    alone = train("item_knn", {**PLAIN, "shrink": 0.0, "baskets": False}, dataset).similar([10], 2)
    assert alone.ids[0].tolist() == [30, -1]


def test_recent_company_counts_more_with_a_half_life() -> None:
    rows = [(user, item, 1.0e9) for user in (1, 2) for item in (10, 20)]
    rows += [(user, item, 1.7e9) for user in (3, 4) for item in (10, 30)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp"])
    model = train(
        "item_knn", {**PLAIN, "row_half_life_days": 30.0, "shrink": 1.0}, Dataset.from_frames(frame)
    )
    assert model.similar([10], 2).ids[0].tolist() == [30, -1]


def test_every_weighting_finds_the_planted_groups() -> None:
    for weighting in ("cosine", "tfidf", "bm25"):
        top = train("item_knn", {"weighting": weighting}, planted()).recommend_sessions(
            [[ITEM_BASE + 20]], 10
        )
        assert (taste_of_item(top.ids[0]) == 1).mean() >= 0.9
