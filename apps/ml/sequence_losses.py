"""Losses over a catalogue: the whole softmax without keeping its logits, a sampled one, a calibrated one.

Each returns a weighted sum over positions. Shape suffixes: P positions, N items, D width, G groups of
positions with a sample of K items each.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

CHUNK_CELLS = 400_000
"""Logits held at once (1.6 MB): small enough to stay in a core's cache between the passes over them."""


class WholeSoftmax(torch.autograd.Function):
    """Cross-entropy of `hidden @ table.T` in chunks of positions.

    The gradient of a chunk is formed while its logits are at hand, so nothing of P x N is ever stored; the
    idea is that of "Cut Your Losses" (Wijmans et al. 2024) without its kernel.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden_PD: torch.Tensor,
        table_ND: torch.Tensor,
        targets_P: torch.Tensor,
        weights_P: torch.Tensor,
    ) -> torch.Tensor:
        rows = max(1, CHUNK_CELLS // max(1, len(table_ND)))
        hidden_gradient = torch.empty_like(hidden_PD)
        table_gradient = torch.zeros_like(table_ND)
        total = hidden_PD.new_zeros((), dtype=torch.float32)
        for begin in range(0, len(hidden_PD), rows):
            part = slice(begin, begin + rows)
            hidden, targets, weights = hidden_PD[part], targets_P[part, None], weights_P[part, None]
            logits = (hidden @ table_ND.T).float()
            logits -= logits.amax(dim=1, keepdim=True)
            chosen = logits.gather(1, targets)
            logits.exp_()
            mass = logits.sum(dim=1, keepdim=True)
            total += ((mass.log() - chosen) * weights).sum()
            logits *= weights / mass
            logits.scatter_add_(1, targets, -weights)
            slope = logits.to(hidden.dtype)
            hidden_gradient[part] = slope @ table_ND
            table_gradient += slope.T @ hidden
        ctx.save_for_backward(hidden_gradient, table_gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden_gradient, table_gradient = ctx.saved_tensors
        return hidden_gradient * outer[0], table_gradient * outer[0], None, None


def whole_softmax(
    hidden_PD: torch.Tensor, table_ND: torch.Tensor, targets_P: torch.Tensor, weights_P: torch.Tensor
) -> torch.Tensor:
    """sum of weight * -log softmax(hidden @ table.T)[target]."""
    half = torch.is_autocast_enabled(hidden_PD.device.type)
    kind = torch.bfloat16 if half else torch.float32
    found: torch.Tensor = WholeSoftmax.apply(hidden_PD.to(kind), table_ND.to(kind), targets_P, weights_P)
    return found


def sampled_softmax(
    hidden_PD: torch.Tensor,
    table_ND: torch.Tensor,
    targets_P: torch.Tensor,
    weights_P: torch.Tensor,
    sampled_GK: torch.Tensor,
    log_chance_N: torch.Tensor,
) -> torch.Tensor:
    """The softmax over each target and its K sampled items, every logit less the logarithm of the item's
    chance to be drawn (Bengio and Senecal 2008); a sampled item that is the target is left out.
    """
    positive, negative, sampled_PK = _logits(hidden_PD, table_ND, targets_P, sampled_GK)
    positive = positive - log_chance_N[targets_P, None]
    negative = negative - log_chance_N[sampled_PK]
    negative = negative.masked_fill(targets_P[:, None] == sampled_PK, -torch.inf)
    found = torch.logsumexp(torch.cat([positive, negative], dim=1), dim=1) - positive[:, 0]
    return (found * weights_P).sum()


def gbce(
    hidden_PD: torch.Tensor,
    table_ND: torch.Tensor,
    targets_P: torch.Tensor,
    weights_P: torch.Tensor,
    sampled_GK: torch.Tensor,
    calibration: float,
    level: torch.Tensor | float = 0.0,
) -> torch.Tensor:
    """-(beta log s(positive) + sum over negatives of log(1 - s(negative))) / (K + 1), s the logistic
    function.

    beta = a (t (1 - 1/a) + 1/a) with a = K / (N - 1), the share of negatives drawn, and t the calibration
    (Petrov and Macdonald, gSASRec, RecSys 2023). level: added to every logit, no matter for the ranking.
    """
    positive, negative, sampled_PK = _logits(hidden_PD, table_ND, targets_P, sampled_GK)
    positive, negative = positive + level, negative + level
    drawn = sampled_PK.shape[1]
    beta = gbce_beta(drawn, len(table_ND), calibration)
    other = (targets_P[:, None] != sampled_PK).float()
    found = -beta * functional.logsigmoid(positive[:, 0]) - (functional.logsigmoid(-negative) * other).sum(1)
    return (found * weights_P).sum() / (drawn + 1)


def gbce_beta(drawn: int, n_items: int, calibration: float) -> float:
    """Weight of the positive beside `drawn` negatives out of a catalogue."""
    rate = min(drawn / max(n_items - 1, 1), 1.0)
    return rate * (calibration * (1.0 - 1.0 / rate) + 1.0 / rate)


def _logits(
    hidden_PD: torch.Tensor, table_ND: torch.Tensor, targets_P: torch.Tensor, sampled_GK: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits of the targets [P, 1] and of the sampled items [P, K], and which items those are.

    Positions are dealt to G groups, each with its own sample: one sample for all would move those few items
    by the whole batch at once, one for each position would cost a gather of P x K vectors.
    """
    groups, positions = len(sampled_GK), len(hidden_PD)
    rows = -(-positions // groups)
    filled = functional.pad(hidden_PD, (0, 0, 0, rows * groups - positions))
    drawn = table_ND[sampled_GK].transpose(1, 2)
    negative = torch.bmm(filled.view(groups, rows, -1), drawn).flatten(0, 1)[:positions]
    positive = (hidden_PD * table_ND[targets_P]).sum(dim=1, keepdim=True)
    return positive.float(), negative.float(), sampled_GK.repeat_interleave(rows, dim=0)[:positions]
