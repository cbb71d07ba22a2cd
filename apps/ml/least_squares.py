"""One half step of iALS for all rows at once: weighted least squares over sparse rows by preconditioned
conjugate gradient.

Per row u: (Y'Y + Y' E_u Y + ridge_u I) x_u = Y' (1 + E_u) 1 over what u chose, E_u = confidence - 1. Two
products make a step: sampled (x_u . y_i for chosen pairs only) and gathered (sum of e_ui y_i); neither holds
more than the pairs. In the eigenbasis of Y'Y everything but E_u is diagonal, so its inverse is the
preconditioner at no cost, and two steps do on shop data what three plain ones do.
Shape suffixes: B rows in a block, P pairs in a block, N fixed rows, F factors.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import embedding_bag

from apps.ml.signals import Csr

BLOCK_ROWS = 1_024
"""Rows solved together: their vectors stay in a core's cache."""
BLOCK_PAIRS = 40_000
"""Pairs in a block, unless one row has more."""
TINY = 1e-20


@dataclass(frozen=True)
class Block:
    """Rows start..stop. pattern: sparse CSR [B, N]; owner: int64 [P], the row of each pair within the block;
    begins, items, extra: the same pairs as bags, int64 [B], int64 [P], float32 [P], confidence - 1.
    sizes: float32 [B], pairs per row.
    """

    start: int
    stop: int
    pattern: torch.Tensor
    owner: torch.Tensor
    begins: torch.Tensor
    items: torch.Tensor
    extra: torch.Tensor
    sizes: torch.Tensor


@dataclass(frozen=True)
class Ridge:
    """regularisation * (pairs of the row)^exponent."""

    regularisation: float
    exponent: float

    def of(self, sizes: torch.Tensor) -> torch.Tensor:
        return self.regularisation * sizes.clamp_min(1.0) ** self.exponent


@dataclass(frozen=True)
class Fit:
    """error: sum over all pairs, chosen or not, of confidence times squared miss. penalty: of the solved."""

    error: float
    penalty: float


def blocks_of(extra: Csr, device: torch.device) -> list[Block]:
    """The rows of a CSR matrix in blocks. extra: float32 [U, N], confidence - 1 of chosen pairs."""
    pointers = extra.indptr.astype(np.int64)
    items = torch.from_numpy(extra.indices.astype(np.int64)).to(device)
    values = torch.from_numpy(extra.data.astype(np.float32)).to(device)
    found, start = [], 0
    while start < extra.shape[0]:
        full = int(np.searchsorted(pointers, pointers[start] + BLOCK_PAIRS, side="right")) - 1
        stop = min(start + BLOCK_ROWS, max(full, start + 1), extra.shape[0])
        first, last = int(pointers[start]), int(pointers[stop])
        bounds = torch.from_numpy(pointers[start : stop + 1] - first).to(device)
        sizes = bounds.diff()
        with warnings.catch_warnings():
            # torch says once per process that its CSR layout may still change
            warnings.simplefilter("ignore")
            pattern = torch.sparse_csr_tensor(
                bounds, items[first:last], values[first:last], size=(stop - start, extra.shape[1])
            )
        owner = torch.repeat_interleave(torch.arange(stop - start, device=device), sizes)
        found.append(
            Block(
                start, stop, pattern, owner, bounds[:-1], items[first:last], values[first:last], sizes.float()
            )
        )
        start = stop
    return found


def half_step(
    solved: torch.Tensor,
    fixed: torch.Tensor,
    blocks: list[Block],
    ridge: Ridge,
    steps: int,
    threads: int = 1,
    check: Callable[[], None] | None = None,
) -> Fit:
    """Updates `solved` [U, F] in place given `fixed` [N, F]; rows without pairs become zero.

    threads: blocks solved side by side on a CPU; the answer does not depend on it. check: called before
    every block in the calling thread, may raise to cancel.
    """
    gram_FF = fixed.T @ fixed
    eigenvalues, basis = torch.linalg.eigh(gram_FF.double())
    basis_FF = basis.to(fixed.dtype)
    spread_F = eigenvalues.clamp_min(0.0).to(fixed.dtype)
    turned_NF = fixed @ basis_FF

    def solve(block: Block) -> Fit:
        x_BF = solved[block.start : block.stop] @ basis_FF
        fit = _solve(x_BF, turned_NF, spread_F, block, ridge, steps)
        solved[block.start : block.stop] = x_BF @ basis_FF.T
        return fit

    parts = []
    with ThreadPoolExecutor(max(1, threads)) as pool:
        waiting = []
        # torch's own threads wait for one another after every small product; whole blocks need not
        inner = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            for block in blocks:
                waiting.append(pool.submit(solve, block))
                if len(waiting) > 2 * threads:
                    if check is not None:
                        check()
                    parts.append(waiting.pop(0).result())
            parts += [future.result() for future in waiting]
        finally:
            for future in waiting:
                future.cancel()
            torch.set_num_threads(inner)
    return Fit(sum(part.error for part in parts), sum(part.penalty for part in parts))


def _solve(
    x_BF: torch.Tensor,
    fixed_NF: torch.Tensor,
    spread_F: torch.Tensor,
    block: Block,
    ridge: Ridge,
    steps: int,
) -> Fit:
    """Solves a block in place, from the values in `x_BF`; everything in the eigenbasis."""
    penalty_B1 = ridge.of(block.sizes)[:, None]
    diagonal_BF = spread_F + penalty_B1
    easy_BF = diagonal_BF.clamp_min(TINY).reciprocal()
    x_BF[block.sizes == 0] = 0.0
    predicted_P = _sampled(x_BF, fixed_NF, block)
    residual = _gathered(1.0 + block.extra * (1.0 - predicted_P), fixed_NF, block)
    residual.addcmul_(x_BF, diagonal_BF, value=-1.0)
    direction = residual * easy_BF
    energy_B1 = (residual * direction).sum(1, keepdim=True)
    for step in range(steps):
        along_P = _sampled(direction, fixed_NF, block)
        image = _gathered(along_P * block.extra, fixed_NF, block)
        image.addcmul_(direction, diagonal_BF)
        length_B1 = energy_B1 / (direction * image).sum(1, keepdim=True).clamp_min(TINY)
        x_BF.addcmul_(length_B1, direction)
        predicted_P = predicted_P + length_B1[:, 0][block.owner] * along_P
        if step + 1 < steps:
            residual.addcmul_(length_B1, image, value=-1.0)
            eased = residual * easy_BF
            renewed_B1 = (residual * eased).sum(1, keepdim=True)
            direction = torch.addcmul(eased, renewed_B1 / energy_B1.clamp_min(TINY), direction)
            energy_B1 = renewed_B1
    # over chosen pairs c (1-p)^2, over the rest p^2, the latter by way of the Gram matrix
    on_chosen = ((1.0 + block.extra) * (1.0 - predicted_P) ** 2 - predicted_P**2).sum()
    squares_BF = x_BF * x_BF
    return Fit(float(on_chosen + (squares_BF @ spread_F).sum()), float((squares_BF * penalty_B1).sum()))


def _sampled(x_BF: torch.Tensor, fixed_NF: torch.Tensor, block: Block) -> torch.Tensor:
    """x_u . y_i of every pair: [P]."""
    product: torch.Tensor = torch.sparse.sampled_addmm(block.pattern, x_BF, fixed_NF.T, beta=0.0)
    return product.values()


def _gathered(weights_P: torch.Tensor, fixed_NF: torch.Tensor, block: Block) -> torch.Tensor:
    """Each row's weighted sum of what it chose: [B, F]."""
    return embedding_bag(block.items, fixed_NF, block.begins, per_sample_weights=weights_P, mode="sum")
