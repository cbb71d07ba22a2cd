from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from apps.ml import least_squares
from apps.ml.base import Progress, TrainOptions
from apps.ml.dataset import Dataset
from apps.ml.errors import Cancelled, InvalidValue
from apps.ml.least_squares import Ridge, blocks_of, half_step
from apps.ml.models.als import AlsModel
from apps.ml.train import train
from tests.ml.conformance import Conformance
from tests.ml.planted import planted


class TestAls(Conformance):
    family = "als"
    adds_up = 0.02
    floors = {"new": 0.53, "all": 0.48}


RIDGE = Ridge(regularisation=0.7, exponent=0.5)
CPU = torch.device("cpu")


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
            ridge = RIDGE.regularisation * chosen.sum() ** RIDGE.exponent
            system = fixed.T @ confidence @ fixed + ridge * np.eye(fixed.shape[1])
            solved[row] = np.linalg.solve(system, fixed.T @ confidence @ chosen)
    return solved


def test_a_half_step_solves_the_dense_normal_equations() -> None:
    extra = planted_pairs()
    fixed = torch.randn(20, 5, generator=torch.Generator().manual_seed(1))
    solved = torch.zeros(30, 5)
    fit = half_step(solved, fixed, blocks_of(extra, CPU), RIDGE, steps=40, threads=2)
    expected = dense_solution(extra.toarray(), fixed.numpy().astype(np.float64))
    np.testing.assert_allclose(solved.numpy(), expected, rtol=1e-3, atol=1e-4)
    chosen = extra.toarray() > 0
    expected_error = ((1.0 + extra.toarray()) * (chosen - expected @ fixed.numpy().T) ** 2).sum()
    ridge = RIDGE.regularisation * chosen.sum(axis=1) ** RIDGE.exponent
    assert fit.error == pytest.approx(expected_error, rel=1e-3)
    assert fit.penalty == pytest.approx(float(ridge @ (expected**2).sum(axis=1)), rel=1e-3)


def test_one_step_is_exact_where_all_pairs_are_equally_sure() -> None:
    extra = planted_pairs()
    extra.data[:] = 1e-9
    fixed = torch.randn(20, 5, generator=torch.Generator().manual_seed(1)) * torch.logspace(0, -2, 5)
    solved = torch.zeros(30, 5)
    half_step(solved, fixed, blocks_of(extra, CPU), RIDGE, steps=1)
    expected = dense_solution(extra.toarray(), fixed.numpy().astype(np.float64))
    np.testing.assert_allclose(solved.numpy(), expected, rtol=1e-3, atol=1e-5)


def test_every_row_is_in_one_block_whatever_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = planted_pairs()
    fixed = torch.randn(20, 5, generator=torch.Generator().manual_seed(1))
    whole, parts = torch.zeros(30, 5), torch.zeros(30, 5)
    half_step(whole, fixed, blocks_of(extra, CPU), RIDGE, steps=3)
    monkeypatch.setattr(least_squares, "BLOCK_PAIRS", 4)
    blocks = blocks_of(extra, CPU)
    assert len(blocks) > 10
    assert [block.start for block in blocks[1:]] == [block.stop for block in blocks[:-1]]
    assert (blocks[0].start, blocks[-1].stop) == (0, 30)
    half_step(parts, fixed, blocks, RIDGE, steps=3, threads=3)
    torch.testing.assert_close(parts, whole)


def test_the_kind_of_an_event_sets_its_confidence() -> None:
    rows = [(1, 10, "purchase", 5.0), (1, 20, "view", 1.0), (2, 10, "view", 1.0), (2, 20, "view", 1.0)]
    rows += [(2, 20, "view", 1.0)]
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "kind", "weight"]).assign(timestamp=1.7e9)
    model = train("als", {"preset": "tiny", "half_life_days": None, "alpha": 3.0}, Dataset.from_frames(frame))
    assert isinstance(model, AlsModel)
    expected = 3.0 * np.log1p([[1.0, 0.2], [0.2, 0.4]])
    np.testing.assert_allclose(model.extra.toarray(), expected, rtol=1e-6)


def test_contributions_are_the_terms_of_the_exact_solution() -> None:
    model = train("als", {"preset": "tiny"}, planted())
    assert isinstance(model, AlsModel)
    rows = np.array([3, 7, 8])
    scores = model.score_sessions([rows])[0]
    terms = np.array([model.contributions(None, rows, item).sum() for item in range(20)])
    np.testing.assert_allclose(terms, scores[:20], rtol=1e-3, atol=1e-4)


def test_a_warm_start_needs_fewer_epochs() -> None:
    settings = {"preset": "tiny", "epochs": 50, "tolerance": 1e-3}
    cold = train("als", settings, planted())
    warm = train("als", settings, planted(), TrainOptions(start=cold))
    assert warm.metrics["epochs"] < cold.metrics["epochs"] / 2
    assert warm.metrics["loss"] <= cold.metrics["loss"]


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


def test_cancellation_is_seen_inside_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(least_squares, "BLOCK_PAIRS", 4)
    check = TrainOptions(should_stop=lambda: True).check
    with pytest.raises(Cancelled):
        half_step(
            torch.zeros(30, 5), torch.randn(20, 5), blocks_of(planted_pairs(), CPU), RIDGE, 2, check=check
        )
