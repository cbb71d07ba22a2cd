from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from apps.ml.configs.collaborative import GmfConfig, MlpConfig, NeuMfConfig
from apps.ml.models.neural_cf import NcfNet, pair_loss
from apps.ml.train import train
from tests.ml.conformance import Conformance
from tests.ml.planted import planted


class TestGmf(Conformance):
    family = "gmf"
    floors = {"new": 0.3, "all": 0.3}


class TestNeuMf(Conformance):
    family = "neumf"
    floors = {"new": 0.3, "all": 0.3}


def test_the_network_alone_is_a_family_too() -> None:
    model = train("mlp", {"preset": "tiny", "epochs": 4}, planted())
    assert model.recommend(planted().known_users[:3], 5).lengths.tolist() == [5, 5, 5]
    assert model.metrics["history"][-1]["loss"] < model.metrics["history"][0]["loss"]


@pytest.mark.parametrize(
    ("config", "gmf", "mlp"),
    [(GmfConfig(), True, False), (MlpConfig(layers=1), False, True), (NeuMfConfig(layers=1), True, True)],
)
def test_logits_follow_the_formula_and_never_an_id(config: GmfConfig, gmf: bool, mlp: bool) -> None:
    net = NcfNet(10, 50_000, config, gmf, mlp).eval()
    user, item = torch.tensor([3]), torch.tensor([[7, 49_999]])
    p, q = net.shoppers.weight[3], net.items.weight[item[0]]
    f = config.factors
    parts = [p[:f] * q[:, :f]] if gmf else []
    if mlp:
        side = torch.cat([p[-f:].expand(2, -1), q[:, -f:]], dim=1)
        layer: Any = net.tower[0]
        parts.append(torch.relu(side @ layer.weight.T + layer.bias))
    expected = torch.cat(parts, dim=1) @ net.output.weight[0]
    torch.testing.assert_close(net(user, item)[0], expected)
    # with ids added to the product, as printed, the last item would lead by its number
    assert float(net(user, item).detach().abs().max()) < 10


def test_losses_are_the_textbook_ones() -> None:
    logits, weight = torch.tensor([[0.7, -0.2, 0.4]]), torch.tensor([2.0])
    p = torch.sigmoid(logits[0])
    bce = -(p[0].log() + (1 - p[1]).log() + (1 - p[2]).log())
    bpr = -(torch.sigmoid(logits[0, 0] - logits[0, 1:]).log()).mean()
    softmax = -(logits[0, 0] - logits[0].logsumexp(0))
    for kind, expected in (("bce", bce), ("bpr", bpr), ("softmax", softmax)):
        assert float(pair_loss(kind, logits, weight)) == pytest.approx(2 * float(expected), rel=1e-5)


@pytest.mark.parametrize("loss", ["bpr", "softmax"])
def test_other_losses_and_popular_negatives_train(loss: str) -> None:
    settings = {"preset": "tiny", "epochs": 3, "loss": loss, "popularity_exponent": 0.75}
    model = train("gmf", settings, planted())
    curve = [row["loss"] for row in model.metrics["history"]]
    assert curve[-1] < curve[0]
    assert np.isfinite(curve).all()
