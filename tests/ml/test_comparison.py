from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest

from apps.ml.base import Progress, TrainOptions
from apps.ml.blend import blend_lists
from apps.ml.comparison import EXCLUDE, Comparison, compare, served_length
from apps.ml.errors import Cancelled, InvalidValue
from apps.ml.evaluate import VARIANTS, evaluate_lists, split_last_days, truth_of
from apps.ml.registry import STANDARD
from apps.ml.topn import SERVED_LIST_LENGTH, SHARED_LIST_LENGTH
from apps.ml.train import train
from tests.ml.planted import planted

SEEN: list[Progress] = []
TINY = {name: {"preset": "tiny"} for name in STANDARD}


@cache
def compared() -> Comparison:
    options = TrainOptions(on_progress=SEEN.append)
    return compare(planted(), test_days=25, validation_days=25, configs=dict(TINY), options=options)


def test_every_family_and_the_hybrid_are_judged_in_both_variants() -> None:
    found = json.loads(json.dumps(compared().to_dict()))
    assert set(found["models"]) == set(STANDARD)
    for row in [*found["models"].values(), found["hybrid"]]:
        for variant in VARIANTS:
            assert {"ndcg10", "recall20", "mrr10", "hit10", "precision10", "coverage10", "users"} <= set(
                row[variant]
            )
        assert row["seconds"] >= 0
    assert set(found["hybrid"]["weights"]["new"]) == set(STANDARD)
    assert found["hybrid"]["list_length"] == 100


def test_figures_are_those_of_a_model_fitted_by_hand() -> None:
    split = split_last_days(planted(), 25)
    model = train("item_knn", TINY["item_knn"], split.train)
    for variant in VARIANTS:
        truth = truth_of(split, variant)
        top = model.recommend(truth.users, SERVED_LIST_LENGTH, EXCLUDE[variant])
        expected = evaluate_lists(top, truth, split.catalogue_size)
        found = compared().models["item_knn"].evaluations[variant]
        np.testing.assert_allclose(found.per_user["ndcg10"], expected.per_user["ndcg10"])
        assert found.coverage10 == expected.coverage10


def test_the_hybrid_is_the_blend_of_the_served_lists() -> None:
    done = compared()
    for variant in VARIANTS:
        weights = done.hybrid.weights[variant]
        for row in (0, 7):
            sources = [done.lists[name][variant].row(row) for name in weights]
            expected = blend_lists(sources, list(weights.values()))
            assert (
                done.lists["hybrid"][variant].row(row)[0].tolist()
                == expected.ids[:SERVED_LIST_LENGTH].tolist()
            )


def test_lists_cover_all_test_shoppers_at_the_served_length() -> None:
    done = compared()
    for name in STANDARD:
        length = SHARED_LIST_LENGTH if name in ("popular", "trend") else SERVED_LIST_LENGTH
        assert served_length(name) == length
        for variant in VARIANTS:
            assert done.lists[name][variant].ids.shape == (len(done.users), length)
    assert np.isin(done.truth["new"].users, done.users).all()


def test_the_hybrid_is_no_worse_than_its_sources_on_planted_data() -> None:
    for variant in VARIANTS:
        for difference in compared().hybrid.differences[variant].values():
            assert difference.high >= 0
            assert difference.low <= difference.mean <= difference.high


def test_progress_rises_from_start_to_end() -> None:
    compared()
    fractions = [progress.fraction for progress in SEEN]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)
    assert {"validation", "test", "weights"} <= {progress.stage for progress in SEEN}


def test_weights_may_be_chosen_on_several_windows() -> None:
    few = ["popular", "item_knn"]
    done = compare(planted(), test_days=25, validation_days=20, validation_windows=3, families=few)
    assert done.hybrid.weights["new"]["item_knn"] > 0.5
    assert done.truth["all"].users.tolist() == compared().truth["all"].users.tolist()
    with pytest.raises(InvalidValue, match="at least one window"):
        compare(planted(), validation_windows=0, families=few)


def test_a_ranker_is_judged_beside_the_hybrid_when_asked_for() -> None:
    few = ["popular", "item_knn", "ease"]
    tiny = {name: TINY[name] for name in few}
    done = compare(planted(), test_days=20, validation_days=20, stacked_windows=2, configs=tiny, families=few)
    assert compared().to_dict().keys() == done.to_dict().keys() - {"stacked"}
    found = json.loads(json.dumps(done.to_dict()))["stacked"]
    assert found["windows"] == 2
    for variant in VARIANTS:
        assert set(found["paired_ndcg10"][variant]) == {*few, "hybrid"}
        assert found[variant]["ndcg10"] > done.models["popular"].evaluations[variant].mean("ndcg10")
        assert len(done.lists["stacked"][variant]) == len(done.users)
    assert done.stacked is not None
    assert done.stacked.rankers["new"].sources == tuple(few)


def test_it_stops_when_asked_and_refuses_windows_without_data() -> None:
    with pytest.raises(Cancelled):
        compare(planted(), families=["popular"], options=TrainOptions(should_stop=lambda: True))
    with pytest.raises(InvalidValue, match="validation_days"):
        compare(planted(), test_days=30, validation_days=900, families=["popular"])
