from __future__ import annotations

from typing import Any

import pytest
import torch

from apps.ml.configs.sequences import Gru4RecConfig
from apps.ml.models.gru4rec import Gru4RecNet
from apps.ml.train import train
from tests.ml.conformance import Conformance
from tests.ml.planted import planted_split


class TestGru4Rec(Conformance):
    family = "gru4rec"
    floors = {"new": 0.45, "all": 0.4}


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_a_position_is_told_by_what_came_before(cell: Any) -> None:
    torch.manual_seed(0)
    net = Gru4RecNet(20, Gru4RecConfig(width=8, cell=cell, layers=2)).eval()
    torch.nn.init.normal_(net.items.weight, std=1.0)
    before = torch.randint(0, 20, (3, 6))
    after = before.clone()
    after[:, 4:] = (after[:, 4:] + 1) % 20
    left, right = net.hidden(before, None), net.hidden(after, None)
    torch.testing.assert_close(left[:, :4], right[:, :4])
    assert not torch.allclose(left[:, 4:], right[:, 4:])
    state = torch.zeros(2, 3, 8)
    cells = net.cells(net.embedded(before, None), state if cell == "gru" else (state, state))[0]
    torch.testing.assert_close(left, net.norm(cells))


def test_padding_changes_nothing() -> None:
    net = Gru4RecNet(20, Gru4RecConfig(width=8)).eval()
    alone = net(torch.tensor([[5, 6]]), torch.tensor([2]))
    padded = net(torch.tensor([[5, 6, 20], [1, 2, 3]]), torch.tensor([2, 3]))
    torch.testing.assert_close(padded[:1], alone)


def test_lstm_cells_learn_too() -> None:
    model = train("gru4rec", {"preset": "tiny", "cell": "lstm", "epochs": 3}, planted_split().train)
    history = model.metrics["history"]
    assert history[-1]["loss"] < 0.95 * history[0]["loss"]
