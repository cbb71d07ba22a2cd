"""SASRec (Kang and McAuley 2018): causal self-attention over a history, in its pre-norm form.

The catalogue is scored by the item vectors that are also the input (tied), and trained by cross-entropy over
all items, which mends what its first loss missed (Klenitskiy and Vasilev 2023). Shape suffixes: B rows, M
positions, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional

from apps.ml.configs import Config
from apps.ml.configs.sequences import SasRecConfig
from apps.ml.models.sequence_model import SequenceModel
from apps.ml.models.sequence_net import INITIAL_SPREAD, SequenceNet
from apps.ml.optimise import activation_of


class CausalSelfAttention(nn.Module):
    """softmax(Q K' / sqrt(D / H)) V over this and earlier positions, each head on its own part."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width)
        self.merge = nn.Linear(width, width)

    def forward(self, x_BMD: torch.Tensor) -> torch.Tensor:
        rows, positions, width = x_BMD.shape
        parts = self.project(x_BMD).view(rows, positions, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4).unbind(0)
        found = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        merged: torch.Tensor = self.merge(found.transpose(1, 2).reshape(rows, positions, width))
        return merged


class Block(nn.Module):
    """Attention, then a position-wise network; each reads normalised input and adds to what came in."""

    def __init__(self, config: SasRecConfig) -> None:
        super().__init__()
        width, inner = config.width, config.widening * config.width
        self.attention_norm = nn.LayerNorm(width)
        self.attention = CausalSelfAttention(width, config.heads)
        self.network_norm = nn.LayerNorm(width)
        self.network = nn.Sequential(
            nn.Linear(width, inner), activation_of(config.activation), nn.Linear(inner, width)
        )
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BMD: torch.Tensor) -> torch.Tensor:
        x_BMD = x_BMD + self.dropout(self.attention(self.attention_norm(x_BMD)))
        found: torch.Tensor = x_BMD + self.dropout(self.network(self.network_norm(x_BMD)))
        return found


class SasRecNet(SequenceNet):
    """Rows are padded at the end: no position looks ahead, so padding needs no mask."""

    def __init__(self, n_items: int, config: SasRecConfig) -> None:
        super().__init__(n_items, config)
        self.positions = nn.Embedding(config.max_length, config.width)
        nn.init.normal_(self.positions.weight, std=INITIAL_SPREAD)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.norm = nn.LayerNorm(config.width)

    def hidden(self, items_BM: torch.Tensor, pauses_BM: torch.Tensor | None) -> torch.Tensor:
        positions_M = torch.arange(items_BM.shape[1], device=items_BM.device)
        x_BMD = self.dropout(self.embedded(items_BM, pauses_BM) + self.positions(positions_M))
        for block in self.blocks:
            x_BMD = block(x_BMD)
        found: torch.Tensor = self.norm(x_BMD)
        return found


@dataclass
class SasRecModel(SequenceModel[SasRecConfig]):
    """Next items from the order of the last ones."""

    family: ClassVar[str] = "sasrec"
    config_class: ClassVar[type[Config]] = SasRecConfig

    @classmethod
    def net_of(cls, n_items: int, config: SasRecConfig) -> SequenceNet:
        return SasRecNet(n_items, config)
