from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import sparse

from apps.ml.base import Progress, TrainOptions
from apps.ml.configs.factors import AlsConfig
from apps.ml.errors import Cancelled, InvalidValue
from apps.ml.models import als
from apps.ml.models.als import AlsModel
from apps.ml.train import train
from tests.ml.conformance import Conformance
from tests.ml.planted import planted


class TestAls(Conformance):
    family = "als"
    adds_up = 0.02
    floors = {"new": 0.53, "all": 0.48}


CONFIG = AlsConfig(factors=5, cg_steps=40, regularisation=0.7, frequency_exponent=0.5, alpha=3.0)


def planted_pairs() -> sparse.csr_matrix:
    rng = np.random.default_rng(3)
    dense = rng.random((30, 20)) * (rng.random((30, 20)) < 0.3)
    dense[4] = 0.0
    return sparse.csr_matrix(dense.astype(np.float32))


def dense_solution(extra: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """The weighted normal equations with every pair written out."""
    solved = np.zeros((len(extra), fixed.shape[1]))
    for row, own in enumerate(extra):
        chosen = own > 0
        if chosen.any():
            confidence = np.diag(1.0 + own)
            ridge = CONFIG.regularisation * chosen.sum() ** CONFIG.frequency_exponent
            system = fixed.T @ confidence @ fixed + ridge * np.eye(fixed.shape[1])
            solved[row] = np.linalg.solve(system, fixed.T @ confidence @ chosen)
    return solved


def test_a_half_step_solves_the_dense_normal_equations() -> None:
    extra = planted_pairs()
    fixed = torch.randn(20, 5, generator=torch.Generator().manual_seed(1))
    solved = torch.zeros(30, 5)
    buckets = als._buckets(extra, 5, torch.device("cpu"))
    error, penalty = als._half_step(solved, fixed, buckets, CONFIG, TrainOptions())
    expected = dense_solution(extra.toarray(), fixed.numpy().astype(np.float64))
    np.testing.assert_allclose(solved.numpy(), expected, rtol=1e-3, atol=1e-4)
    chosen = extra.toarray() > 0
    expected_error = ((1.0 + extra.toarray()) * (chosen - expected @ fixed.numpy().T) ** 2).sum()
    ridge = CONFIG.regularisation * chosen.sum(axis=1) ** CONFIG.frequency_exponent
    assert error == pytest.approx(expected_error, rel=1e-3)
    assert penalty == pytest.approx(float(ridge @ (expected**2).sum(axis=1)), rel=1e-3)


def test_rows_of_a_bucket_are_equally_long_and_all_there() -> None:
    extra = planted_pairs()
    buckets = als._buckets(extra, 5, torch.device("cpu"))
    rows = np.concatenate([bucket.rows.numpy() for bucket in buckets])
    assert sorted(rows.tolist()) == np.flatnonzero(np.diff(extra.indptr)).tolist()
    assert sum(bucket.items.numel() for bucket in buckets) == extra.nnz


def test_the_objective_falls_and_training_stops_when_it_stalls() -> None:
    seen: list[Progress] = []
    options = TrainOptions(on_progress=seen.append)
    model = train("als", {"preset": "tiny", "epochs": 200, "tolerance": 1e-3}, planted(), options)
    losses = [progress.metric for progress in seen if progress.metric is not None]
    assert all(later < earlier for earlier, later in pairwise(losses))
    assert 2 < model.metrics["epochs"] < 200
    assert model.metrics["loss"] == losses[-1]


def test_a_session_is_folded_in_exactly() -> None:
    model = train("als", {"preset": "tiny"}, planted())
    assert isinstance(model, AlsModel)
    rows = np.array([3, 7, 8])
    extra = np.zeros((1, len(planted().items)))
    extra[0, rows] = np.log(2.0) * model.config.alpha
    confidence = np.diag(1.0 + extra[0])
    factors = model.item_factors.astype(np.float64)
    ridge = model.config.regularisation * 3**model.config.frequency_exponent
    system = factors.T @ confidence @ factors + ridge * np.eye(factors.shape[1])
    solved = np.linalg.solve(system, factors.T @ confidence @ (extra[0] > 0))
    np.testing.assert_allclose(model.score_sessions([rows])[0], factors @ solved, rtol=1e-3, atol=1e-4)


def test_another_seed_gives_other_factors() -> None:
    model = train("als", {"preset": "tiny"}, planted(), TrainOptions(seed=0))
    other = train("als", {"preset": "tiny"}, planted(), TrainOptions(seed=1))
    assert isinstance(model, AlsModel)
    assert isinstance(other, AlsModel)
    assert not np.allclose(model.item_factors, other.item_factors)


@pytest.mark.parametrize("family", ["als", "ease"])
def test_a_device_that_is_not_there_is_named(family: str) -> None:
    with pytest.raises(InvalidValue, match="auto, cpu, cuda"):
        train(family, {"preset": "tiny"}, planted(), TrainOptions(device="tpu"))
    if not torch.cuda.is_available():
        with pytest.raises(InvalidValue, match="no CUDA device"):
            train(family, {"preset": "tiny"}, planted(), TrainOptions(device="cuda"))


def test_cancellation_is_seen_inside_an_epoch() -> None:
    buckets = als._buckets(planted_pairs(), 5, torch.device("cpu"))
    with pytest.raises(Cancelled):
        als._half_step(
            torch.zeros(30, 5), torch.randn(20, 5), buckets, CONFIG, TrainOptions(should_stop=lambda: True)
        )
