from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from apps.ml import sequence_losses
from apps.ml.base import TrainOptions
from apps.ml.sequence_losses import gbce, sampled_softmax, whole_softmax
from apps.ml.train import train
from tests.ml.conformance import ndcg
from tests.ml.planted import planted_split


def parts(n_items: int = 11) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(6)
    hidden = torch.randn(9, 4, requires_grad=True)
    table = torch.randn(n_items, 4, requires_grad=True)
    return hidden, table, torch.randint(0, n_items, (9,)), torch.rand(9)


def test_the_whole_softmax_and_its_gradients_are_torchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence_losses, "CHUNK_CELLS", 44)  # four rows at a time, the last chunk smaller
    hidden, table, targets, weights = parts()
    expected = (functional.cross_entropy(hidden @ table.T, targets, reduction="none") * weights).sum()
    wanted = torch.autograd.grad(3.0 * expected, [hidden, table])
    found = whole_softmax(hidden, table, targets, weights)
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(torch.autograd.grad(3.0 * found, [hidden, table]), wanted, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_large_logits_stay_numbers() -> None:
    hidden, table, targets, weights = parts()
    assert torch.isfinite(whole_softmax(1e4 * hidden, table, targets, weights))


def test_the_whole_softmax_in_half_width_is_close() -> None:
    hidden, table, targets, weights = parts()
    exact = whole_softmax(hidden, table, targets, weights)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = whole_softmax(hidden, table, targets, weights)
    assert half.dtype == torch.float32
    assert float(half.detach()) == pytest.approx(float(exact.detach()), rel=0.02)
    assert float(half.detach()) != float(exact.detach())


def test_sampled_softmax_by_hand() -> None:
    hidden, table, targets, weights = parts()
    sampled = torch.tensor([2, 7, int(targets[0])])
    chance = torch.rand(11) + 0.1
    expected = 0.0
    for row, target in enumerate(targets.tolist()):
        logits = {
            item: float((hidden[row] @ table[item]).detach()) - math.log(chance[item]) for item in range(11)
        }
        others = sum(math.exp(logits[item]) for item in sampled.tolist() if item != target)
        expected -= float(weights[row]) * math.log(
            math.exp(logits[target]) / (math.exp(logits[target]) + others)
        )
    found = sampled_softmax(hidden, table, targets, weights, sampled[None], chance.log())
    assert float(found.detach()) == pytest.approx(expected, rel=1e-4)


def test_a_sample_of_everything_is_the_whole_softmax() -> None:
    hidden, table, targets, weights = parts()
    found = sampled_softmax(hidden, table, targets, weights, torch.arange(11).repeat(4, 1), torch.zeros(11))
    torch.testing.assert_close(found, whole_softmax(hidden, table, targets, weights))


@pytest.mark.parametrize("calibration", [0.0, 0.75, 1.0])
def test_gbce_by_hand(calibration: float) -> None:
    hidden, table, targets, weights = parts()
    sampled = torch.tensor([2, 7, 7])
    rate = 3 / 10
    beta = rate * (calibration * (1 - 1 / rate) + 1 / rate)
    assert calibration or beta == pytest.approx(1.0)
    expected = 0.0
    for row, target in enumerate(targets.tolist()):
        scores = (hidden[row] @ table.T).detach().numpy()
        chance = 1 / (1 + np.exp(-scores))
        terms = beta * math.log(chance[target])
        terms += sum(math.log(1 - chance[item]) for item in sampled.tolist() if item != target)
        expected -= float(weights[row]) * terms / 4
    found = gbce(hidden, table, targets, weights, sampled[None], calibration)
    assert float(found.detach()) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("loss", ["sampled_softmax", "gbce"])
def test_every_loss_learns_the_planted_tastes(loss: str) -> None:
    config = {"preset": "tiny", "loss": loss, "negatives": 30, "epochs": 12}
    model = train("sasrec", config, planted_split().train, TrainOptions())
    assert model.metrics["history"][-1]["loss"] < 0.95 * model.metrics["history"][0]["loss"]
    assert model.metrics["history"][-1]["metric"] > 0.2
    assert ndcg("sasrec", "all") > 0.4
