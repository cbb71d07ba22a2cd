from __future__ import annotations

import numpy as np

from apps.ml.evaluate import truth_of
from apps.ml.models.rising import RisingModel
from apps.ml.train import train
from tests.ml.conformance import Conformance
from tests.ml.planted import planted, planted_split


class TestRising(Conformance):
    family = "rising"
    floors = {"new": 0.24, "all": 0.28}


def fitted(**settings: float) -> RisingModel:
    model = train("rising", {"preset": "tiny", **settings}, planted_split().train)
    assert isinstance(model, RisingModel)
    return model


def test_without_weight_it_is_ease() -> None:
    users = truth_of(planted_split(), "all").users
    ease = train("ease", {"preset": "tiny"}, planted_split().train)
    np.testing.assert_array_equal(
        fitted(trend_weight=0.0).recommend(users, 10).ids, ease.recommend(users, 10).ids
    )


def test_with_all_the_weight_it_is_the_trend() -> None:
    model = fitted(trend_weight=1e6)
    users = planted().known_users[:5]
    trend = train("trend", {"recent_half_life_days": 7.0}, planted_split().train)
    np.testing.assert_array_equal(
        model.recommend(users, 10, "none").ids, trend.recommend(users, 10, "none").ids
    )


def test_scores_are_the_weighted_sum_of_both_normalised() -> None:
    model, rows = fitted(trend_weight=1.5), np.array([0, 3])
    ease = train("ease", {"preset": "tiny"}, planted_split().train)
    taste = ease.score_users(rows).astype(np.float64)
    for row in range(2):
        known = np.isfinite(taste[row]) & np.isfinite(model.trend)
        one, other = taste[row, known], model.trend[known].astype(np.float64)
        expected = (one - one.mean()) / one.std() + 1.5 * (other - other.mean()) / other.std()
        np.testing.assert_allclose(model.score_users(rows)[row, known], expected, rtol=1e-4, atol=1e-4)
