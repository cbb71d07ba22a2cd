"""The nets of SASRec and GRU4Rec: the item table that is read and scored by, searches, the losses.

Shape suffixes: B rows, M positions, P positions with a target, N items, D width.
"""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
import torch
from torch import nn
from torch.nn.functional import embedding_bag

from apps.ml.configs.sequences import SequenceConfig
from apps.ml.dataset import Ints
from apps.ml.optimise import Summed
from apps.ml.sequence_losses import gbce, gbce_beta, sampled_softmax, whole_softmax
from apps.ml.sequences import Bags, SequenceBatch

WHOLE_CATALOGUE = 10_000
"""Largest catalogue whose softmax is taken whole when the loss is "auto"."""
GROUP = 32
"""Positions that share a sample of negatives."""
INITIAL_SPREAD = 0.02


class SequenceNet(nn.Module):
    """Item vectors in, one vector per position out; the same item vectors give the scores, with a level per
    item added. Levels start at the logarithm of the item's popularity: on MovieLens-100k two epochs then
    reach the loss that three reached without (6.06).

    n_items: items of the catalogue; two more rows stand for padding and for a hidden item. asked: vectors of
    hashed words of searches, None where nobody listens.
    """

    asked: nn.Parameter | None

    def __init__(self, n_items: int, config: SequenceConfig) -> None:
        super().__init__()
        self.n_items = n_items
        self.items = nn.Embedding(n_items + 2, config.width)
        nn.init.normal_(self.items.weight, std=INITIAL_SPREAD)
        self.pauses = nn.Embedding(config.time_buckets + 1, config.width) if config.time_buckets else None
        if self.pauses is not None:
            nn.init.normal_(self.pauses.weight, std=INITIAL_SPREAD)
        self.dropout = nn.Dropout(config.dropout)
        self.level = nn.Parameter(torch.zeros(n_items))
        self.register_parameter("asked", None)

    def listen(self, buckets: int) -> None:
        """Learns a vector per hashed word of searches; all are 0 at first and change nothing."""
        self.asked = nn.Parameter(torch.zeros(buckets, self.items.embedding_dim))

    def wish(self, bags: Bags) -> torch.Tensor:
        """What searches add to what is known: [P, D], the weighted sum of their words' vectors."""
        assert self.asked is not None
        found = embedding_bag(bags.words, self.asked, bags.start, mode="sum", per_sample_weights=bags.weights)
        wished: torch.Tensor = self.dropout(found * self.items.embedding_dim**0.5)
        return wished

    @property
    def table(self) -> torch.Tensor:
        """Vectors of the catalogue's items: [N, D]."""
        return self.items.weight[: self.n_items]

    @property
    def scorers(self) -> torch.Tensor:
        """Item vectors with the item's own level as one more part: [N, D + 1]."""
        return torch.cat([self.table, self.level[:, None]], dim=1)

    def embedded(self, items_BM: torch.Tensor, pauses_BM: torch.Tensor | None) -> torch.Tensor:
        """Input vectors, as long as if their parts had variance 1 / D: [B, M, D]."""
        found: torch.Tensor = self.items(items_BM) * self.items.embedding_dim**0.5
        if self.pauses is not None and pauses_BM is not None:
            found = found + self.pauses(pauses_BM)
        return found

    @abstractmethod
    def hidden(self, items_BM: torch.Tensor, pauses_BM: torch.Tensor | None) -> torch.Tensor:
        """What is known after each position, from it and earlier ones only: [B, M, D]."""

    def forward(
        self,
        items_BM: torch.Tensor,
        lengths_B: torch.Tensor,
        pauses_BM: torch.Tensor | None = None,
        wish_BD: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Scores of the catalogue after each row's last item: [B, N]. Rows are padded at the end.

        wish_BD: what searches since then add (`wish`).
        """
        found = self.last(items_BM, lengths_B, pauses_BM)
        if wish_BD is not None:
            found = found + wish_BD
        return found @ self.table.T + self.level

    def last(
        self, items_BM: torch.Tensor, lengths_B: torch.Tensor, pauses_BM: torch.Tensor | None
    ) -> torch.Tensor:
        """The vector after each row's last item: [B, D]."""
        hidden = self.hidden(items_BM, pauses_BM)
        place = (lengths_B - 1)[:, None, None].expand(-1, 1, hidden.shape[2])
        return hidden.gather(1, place).squeeze(1)


class NextItem(nn.Module):
    """A net with its loss, so that data-parallel training sees one module. log_chance_N: of an item to be
    drawn as a negative.
    """

    log_chance_N: torch.Tensor

    def __init__(self, net: SequenceNet, config: SequenceConfig, counts_N: Ints) -> None:
        super().__init__()
        self.net, self.config = net, config
        self.kind = config.loss
        if self.kind == "auto":
            self.kind = "softmax" if net.n_items <= WHOLE_CATALOGUE else "sampled_softmax"
        # half of the negatives by popularity, half evenly: the head is told apart and the tail is not free
        chance = 0.5 * counts_N / max(counts_N.sum(), 1) + 0.5 / net.n_items
        if self.kind == "gbce":
            # Without it the many negatives first push all item vectors the same way, and as these are the
            # input too, nothing tells the items apart any more. It starts where knowing nothing is best.
            drawn = min(config.negatives, net.n_items)
            beta = gbce_beta(drawn, net.n_items, config.calibration)
            self.level = nn.Parameter(torch.tensor(float(np.log(beta / drawn))))
        self.register_buffer("log_chance_N", torch.from_numpy(np.log(chance)).float(), persistent=False)

    def forward(self, batch: SequenceBatch) -> torch.Tensor:
        """The weighted sum of the batch's losses."""
        hidden = self.net.hidden(batch.items, batch.pauses)
        hidden_PD = hidden.reshape(-1, hidden.shape[2])[batch.picked]
        if batch.asked is not None:
            hidden_PD = hidden_PD + self.net.wish(batch.asked)
        hidden_PD = torch.cat([hidden_PD, hidden_PD.new_ones(len(hidden_PD), 1)], dim=1)
        if self.kind == "softmax":
            return whole_softmax(hidden_PD, self.net.scorers, batch.targets, batch.weights)
        shape = (-(-len(hidden_PD) // GROUP), min(self.config.negatives, self.net.n_items))
        table, given = self.net.scorers, (batch.targets, batch.weights)
        if self.kind == "gbce":
            sampled = torch.randint(self.net.n_items, shape, device=hidden.device)
            return gbce(hidden_PD, table, *given, sampled, self.config.calibration, self.level)
        flat = torch.multinomial(self.log_chance_N.exp(), shape[0] * shape[1], replacement=True)
        sampled = flat.view(shape)
        return sampled_softmax(hidden_PD, table, *given, sampled, self.log_chance_N)


def loss_of(module: nn.Module, batch: SequenceBatch) -> Summed:
    """What `optimise` asks for."""
    return Summed(module(batch), float(batch.weights.sum()))
