from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from apps.ml.configs.content import ContentConfig
from apps.ml.dataset import Dataset
from apps.ml.models.content import ContentModel
from apps.ml.train import train
from tests.ml.conformance import Conformance

TEXTS = {
    1: "red tea cup",
    2: "blue tea cup and saucer",
    3: "garden spade",
    4: "红色茶杯",
    5: "蓝色茶杯套装",
    6: "花园铲子",
    7: "red tea cup " * 40,
}


class TestContent(Conformance):
    family = "content"
    adds_up = 1e-4
    floors = {"new": 0.5, "all": 0.4}


def shop(bought: list[tuple[int, int]], categories: dict[int, str] | None = None) -> Dataset:
    interactions = pd.DataFrame(bought, columns=["user_id", "item_id"]).assign(timestamp=1.7e9)
    items = pd.DataFrame({"item_id": list(TEXTS), "text": list(TEXTS.values())})
    items["category"] = [(categories or {}).get(item, "") for item in TEXTS]
    return Dataset.from_frames(interactions, items)


def fitted(dataset: Dataset, **settings: float) -> ContentModel:
    model = train("content", {"preset": "tiny", **settings}, dataset)
    assert isinstance(model, ContentModel)
    return model


def test_chinese_titles_find_each_other_by_characters() -> None:
    model = fitted(shop([(1, 1)]))
    assert model.similar([4], 3).ids[0, 0] == 5
    assert not np.isin(model.similar([4], 7).row(0)[0], [1, 2, 3]).any()


def test_scores_are_cosines_whatever_the_length_of_text_or_history() -> None:
    """Pins the normalisation the article leaves out: item 7 repeats item 1's text forty times."""
    model = fitted(shop([(1, 1), (2, 1), (2, 7), (2, 2)]), char_weight=0.0)
    lengths = np.sqrt(np.asarray(model.vectors.multiply(model.vectors).sum(axis=1))).ravel()
    np.testing.assert_allclose(lengths, 1.0, rtol=1e-5)
    scores = model.score_users(model.history.users.rows([1, 2]))
    assert scores[np.isfinite(scores)].max() <= 1.0 + 1e-5
    similar = model.similar([2], 7)
    by_item = dict(zip(similar.ids[0].tolist(), similar.scores[0].tolist(), strict=True))
    assert by_item[7] == pytest.approx(by_item[1], abs=1e-4)


def test_categories_tie_products_without_common_words() -> None:
    paths = {1: "Home > Kitchen", 3: "Home > Garden", 6: "Home > Garden"}
    assert fitted(shop([(1, 1)], paths)).similar([3], 1).ids[0, 0] == 6
    assert 6 not in fitted(shop([(1, 1)], paths), category_weight=0.0).similar([3], 7).ids[0]


def test_a_cold_item_is_listed_from_its_text_alone() -> None:
    top = fitted(shop([(1, 1)])).recommend([1], 5)
    assert top.ids[0, 0] == 7
    assert 2 in top.ids[0]


def test_free_text_finds_products_also_after_loading(tmp_path: Path) -> None:
    model = fitted(shop([(1, 1)]))
    model.save(tmp_path / "content")
    loaded = ContentModel.load(tmp_path / "content")
    for text, item in (("spade", 3), ("铲子", 6), ("saucer", 2)):
        scores = loaded.score_texts([text])
        np.testing.assert_array_equal(scores, model.score_texts([text]))
        assert loaded.history.items.ids[int(scores[0].argmax())] == item


def test_a_shop_without_any_text_trains_and_says_nothing() -> None:
    dataset = Dataset.from_frames(pd.DataFrame({"user_id": [1], "item_id": [2], "timestamp": [1.7e9]}))
    model = train("content", ContentConfig(), dataset)
    assert model.recommend([1], 5, exclude="none").lengths.tolist() == [0]
