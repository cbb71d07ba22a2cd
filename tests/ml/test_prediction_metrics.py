"""Predicted ratings and outcomes against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from apps.ml.errors import InvalidValue
from apps.ml.prediction_metrics import outcome_metrics, rating_metrics


def test_ratings_equal_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    actual = rng.integers(1, 6, 500).astype(np.float64)
    predicted = actual + rng.normal(0, 1.2, 500)
    found = rating_metrics(predicted, actual)
    cut = np.clip(predicted, 1, 5)
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(actual, cut))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(actual, cut))
    nearest = np.array([min(range(1, 6), key=lambda step: abs(step - value)) for value in cut])
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(actual.astype(int), nearest))
    assert found["within_one"] == pytest.approx(np.mean(np.abs(nearest - actual) <= 1))


def test_half_star_scales_round_to_half_stars() -> None:
    found = rating_metrics(np.array([3.3, 4.9]), np.array([3.5, 4.0]), (0.5, 5.0), step=0.5)
    assert found["accuracy"] == 0.5
    assert found["within_one"] == 0.5


def test_outcomes_equal_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    # rounded, so that many are tied
    p = rng.beta(1, 3, 800).round(2)
    y = (rng.random(800) < p).astype(np.float64)
    found = outcome_metrics(p, y, threshold=0.3)
    said = p >= 0.3
    assert found["auc"] == pytest.approx(metrics.roc_auc_score(y, p))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, np.clip(p, 1e-7, 1 - 1e-7)))
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(y, said))
    assert found["precision"] == pytest.approx(metrics.precision_score(y, said))
    assert found["recall"] == pytest.approx(metrics.recall_score(y, said))
    assert found["f1"] == pytest.approx(metrics.f1_score(y, said))


def test_calibration_error_tells_the_honest_from_the_boastful() -> None:
    rng = np.random.default_rng(2)
    p = rng.random(20_000)
    y = (rng.random(20_000) < p).astype(np.float64)
    assert outcome_metrics(p, y)["calibration_error"] < 0.02
    assert outcome_metrics(np.sqrt(p), y)["calibration_error"] == pytest.approx(2 / 3 - 1 / 2, abs=0.02)


def test_what_cannot_be_judged_is_refused_or_left_out() -> None:
    assert "auc" not in outcome_metrics(np.array([0.2, 0.9]), np.array([1.0, 1.0]))
    with pytest.raises(InvalidValue, match="from 0 to 1"):
        outcome_metrics(np.array([0.2, 1.9]), np.array([1.0, 0.0]))
    with pytest.raises(InvalidValue, match="NaN"):
        rating_metrics(np.array([np.nan]), np.array([3.0]))
    for size in (0, 2):
        with pytest.raises(InvalidValue, match="one prediction"):
            rating_metrics(np.zeros(size), np.zeros(0))
