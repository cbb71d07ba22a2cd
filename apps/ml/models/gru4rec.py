"""GRU4Rec (Hidasi et al. 2016; losses as in Hidasi and Tikk 2018): a recurrent network over a history.

Trained on all positions of whole histories with cross-entropy over the catalogue, by the machinery of SASRec.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from apps.ml.configs import Config
from apps.ml.configs.sequences import Gru4RecConfig
from apps.ml.models.sequence_model import SequenceModel
from apps.ml.models.sequence_net import SequenceNet


class Gru4RecNet(SequenceNet):
    """Reads forward only, so a position knows nothing of later ones; rows are padded at the end."""

    def __init__(self, n_items: int, config: Gru4RecConfig) -> None:
        super().__init__(n_items, config)
        cell = nn.GRU if config.cell == "gru" else nn.LSTM
        between = config.dropout if config.layers > 1 else 0.0
        self.cells = cell(config.width, config.width, config.layers, batch_first=True, dropout=between)
        self.norm = nn.LayerNorm(config.width)

    def hidden(self, items_BM: torch.Tensor, pauses_BM: torch.Tensor | None) -> torch.Tensor:
        found_BMD, _ = self.cells(self.dropout(self.embedded(items_BM, pauses_BM)))
        found: torch.Tensor = self.norm(self.dropout(found_BMD))
        return found


@dataclass
class Gru4RecModel(SequenceModel[Gru4RecConfig]):
    """Next items from a state carried along the history."""

    family: ClassVar[str] = "gru4rec"
    config_class: ClassVar[type[Config]] = Gru4RecConfig

    @classmethod
    def net_of(cls, n_items: int, config: Gru4RecConfig) -> SequenceNet:
        return Gru4RecNet(n_items, config)
