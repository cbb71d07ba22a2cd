"""iALS (Hu, Koren, Volinsky 2008) with decayed confidences, solved by conjugate gradient in unpadded buckets.

Per shopper u: (Y'Y + Y'(C_u - I)Y + reg_u I) x_u = Y' C_u 1, with C_u = 1 + alpha * interest on what u
chose. Shoppers with equally many items form one bucket, so no row is padded; nothing of size users x items
is ever held. Shape suffixes: B rows in a bucket, L items per row, F factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from apps.ml.base import History, Model, Progress, TrainOptions, csr_from_arrays, csr_to_arrays
from apps.ml.configs import Config
from apps.ml.configs.factors import AlsConfig
from apps.ml.dataset import Dataset, IdMap, Ints
from apps.ml.device import device_resolve
from apps.ml.models.item_knn import interest_of
from apps.ml.signals import Csr, user_item
from apps.ml.topn import Floats

BUCKET_CELLS = 8_000_000
"""Gathered factors held at once: B * L * F."""


@dataclass(frozen=True)
class _Bucket:
    """Rows with equally many items. rows: int64 [B]; items: int64 [B, L]; extra: float32 [B, L], confidence
    - 1.
    """

    rows: torch.Tensor
    items: torch.Tensor
    extra: torch.Tensor


@dataclass
class AlsModel(Model[AlsConfig]):
    """user_factors: float32 [n_users, F]; item_factors: float32 [N, F]; items never chosen are all zero.
    extra: float32 CSR [n_users, N], confidence - 1.
    """

    user_factors: Floats
    item_factors: Floats
    extra: Csr

    family: ClassVar[str] = "als"
    config_class: ClassVar[type[Config]] = AlsConfig
    folds_in: ClassVar[bool] = True
    warm_starts: ClassVar[bool] = True

    @classmethod
    def fit(cls, dataset: Dataset, config: AlsConfig, options: TrainOptions) -> Self:
        device = device_resolve(options)
        extra = user_item(dataset, config.half_life_days, aggregate="log") * config.alpha
        by_user = _buckets(extra, config.factors, device)
        by_item = _buckets(sparse.csr_matrix(extra.T), config.factors, device)
        generator = torch.Generator().manual_seed(options.seed)
        items_NF = torch.zeros(extra.shape[1], config.factors, device=device)
        users_UF = (torch.randn(extra.shape[0], config.factors, generator=generator) * 0.01).to(device)
        if isinstance(options.start, AlsModel):
            _take_over(users_UF, dataset.users, options.start.user_factors, options.start.history.users)
            _take_over(items_NF, dataset.items, options.start.item_factors, options.start.history.items)
        for factors, matrix in ((users_UF, extra), (items_NF, sparse.csr_matrix(extra.T))):
            factors[torch.from_numpy(np.diff(matrix.indptr) == 0).to(device)] = 0.0
        n_pairs, last = max(extra.nnz, 1), np.inf
        for epoch in range(config.epochs):
            # shoppers last, so that theirs are the answer to the items that are kept
            _, item_penalty = _half_step(items_NF, users_UF, by_item, config, options)
            error, user_penalty = _half_step(users_UF, items_NF, by_user, config, options)
            loss = (error + user_penalty + item_penalty) / n_pairs
            options.report(
                Progress(
                    "epochs", (epoch + 1) / config.epochs, epoch + 1, config.epochs, loss, "loss per pair"
                )
            )
            # the objective only falls; once an epoch gains next to nothing, more of them only cost time
            if last - loss < config.tolerance * abs(last):
                break
            last = loss
        history = History.from_dataset(dataset)
        model = cls(config, history, users_UF.cpu().numpy(), items_NF.cpu().numpy(), extra)
        model.metrics.update(epochs=epoch + 1, loss=loss)
        return model

    def score_users(self, rows_B: Ints) -> Floats:
        return self._known_items(self.user_factors[rows_B] @ self.item_factors.T)

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        """Folds each session in: the exact solution of one user step, every item with the confidence of one
        choice.
        """
        gram = self.item_factors.T @ self.item_factors
        folded = np.zeros((len(sessions), self.config.factors), dtype=np.float32)
        extra = float(np.log(2.0)) * self.config.alpha
        for row, session in enumerate(sessions):
            chosen_LF = self.item_factors[np.unique(session)]
            ridge = _ridge(self.config, len(chosen_LF))
            system = gram + extra * chosen_LF.T @ chosen_LF + ridge * np.eye(len(gram), dtype=np.float32)
            folded[row] = np.linalg.solve(system, (1.0 + extra) * chosen_LF.sum(axis=0))
        return self._known_items(folded @ self.item_factors.T)

    def score_similar(self, rows_B: Ints) -> Floats:
        lengths = np.linalg.norm(self.item_factors, axis=1, keepdims=True)
        unit = self.item_factors / np.maximum(lengths, 1e-12)
        scores = self._known_items(unit[rows_B] @ unit.T)
        scores[lengths[rows_B, 0] == 0] = -np.inf
        return scores

    def items_of(self, row: int) -> Ints:
        return self.extra[row].indices.astype(np.int64)

    def contributions(self, row: int | None, items_L: Ints, item: int) -> NDArray[np.float64]:
        """Hu, Koren and Volinsky 2008, section 5: y_item' (Y'CY + reg I)^-1 c_j y_j of each chosen item j.

        They add up to the score of the exact solution; fitted factors come close to it.
        """
        session = float(np.log(2.0)) * self.config.alpha
        extra = np.full(len(items_L), session) if row is None else interest_of(self.extra, row, items_L)
        chosen_LF = self.item_factors[items_L].astype(np.float64)
        system = self.item_factors.T @ self.item_factors + (chosen_LF.T * extra) @ chosen_LF
        system += _ridge(self.config, len(items_L)) * np.eye(len(system))
        wanted = np.linalg.solve(system, self.item_factors[item].astype(np.float64))
        return np.where(extra > 0, 1.0 + extra, 0.0) * (chosen_LF @ wanted)

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        extra = user_item(dataset, self.config.half_life_days, aggregate="log") * self.config.alpha
        extra = _only(extra, np.asarray(self.item_factors.any(axis=1)))
        users_UF = torch.zeros(extra.shape[0], self.config.factors)
        buckets = _buckets(extra, self.config.factors, users_UF.device)
        exact = replace(self.config, cg_steps=self.config.factors)
        _half_step(users_UF, torch.from_numpy(self.item_factors), buckets, exact, TrainOptions())
        return replace(
            self, history=history, user_factors=users_UF.numpy(), extra=extra, metrics=dict(self.metrics)
        )

    def _known_items(self, scores: Floats) -> Floats:
        scores[:, ~self.item_factors.any(axis=1)] = -np.inf
        return scores

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "user_factors": self.user_factors,
            "item_factors": self.item_factors,
            **csr_to_arrays("extra", self.extra),
        }

    @classmethod
    def from_parts(
        cls, config: AlsConfig, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        extra = csr_from_arrays("extra", arrays, (len(history.users), len(history.items)))
        return cls(config, history, arrays["user_factors"], arrays["item_factors"], extra)


def _take_over(fresh: torch.Tensor, ids: IdMap, learned: Floats, known: IdMap) -> None:
    """Writes what an earlier model learned into the rows of the same raw ids, where the sizes agree."""
    if fresh.shape[1] == learned.shape[1]:
        rows = known.rows(ids.ids)
        fresh[torch.from_numpy(rows >= 0)] = torch.from_numpy(learned[rows[rows >= 0]]).to(fresh.device)


def _only(matrix: Csr, columns: NDArray[np.bool_]) -> Csr:
    """The matrix without what lies in other columns."""
    kept = sparse.csr_matrix(matrix @ sparse.diags(columns.astype(np.float32)))
    kept.eliminate_zeros()
    return kept.astype(np.float32)


def _ridge(config: AlsConfig, n_chosen: int) -> float:
    return float(config.regularisation * max(n_chosen, 1) ** config.frequency_exponent)


def _buckets(extra: Csr, factors: int, device: torch.device) -> list[_Bucket]:
    lengths = np.diff(extra.indptr)
    buckets = []
    for length in np.unique(lengths[lengths > 0]):
        rows = np.flatnonzero(lengths == length)
        size = max(1, BUCKET_CELLS // (int(length) * factors))
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            places = extra.indptr[part][:, None] + np.arange(length)
            buckets.append(
                _Bucket(
                    torch.from_numpy(part.astype(np.int64)).to(device),
                    torch.from_numpy(extra.indices[places].astype(np.int64)).to(device),
                    torch.from_numpy(extra.data[places].astype(np.float32)).to(device),
                )
            )
    return buckets


def _half_step(
    solved: torch.Tensor,
    fixed: torch.Tensor,
    buckets: list[_Bucket],
    config: AlsConfig,
    options: TrainOptions,
) -> tuple[float, float]:
    """Updates `solved` in place given `fixed`; returns the weighted squared error and the penalty of
    `solved`.
    """
    gram_FF = fixed.T @ fixed
    error, penalty = 0.0, 0.0
    for bucket in buckets:
        options.check()
        size = (*bucket.items.shape, fixed.shape[1])
        chosen_BLF = fixed.index_select(0, bucket.items.reshape(-1)).view(size)
        ridge = _ridge(config, bucket.items.shape[1])
        x_BF = _conjugate_gradient(
            solved[bucket.rows], chosen_BLF, bucket.extra, gram_FF, ridge, config.cg_steps
        )
        solved[bucket.rows] = x_BF
        predicted_BL = _along_factors(chosen_BLF, x_BF)
        # sum over chosen of c(1-p)^2 plus over the rest p^2, the latter by way of the Gram matrix
        everywhere = ((x_BF @ gram_FF) * x_BF).sum() - (predicted_BL**2).sum()
        on_chosen = ((1.0 + bucket.extra) * (1 - predicted_BL) ** 2).sum()
        error += float(on_chosen + everywhere)
        penalty += ridge * float((x_BF**2).sum())
    return error, penalty


def _conjugate_gradient(
    x_BF: torch.Tensor,
    chosen_BLF: torch.Tensor,
    extra_BL: torch.Tensor,
    gram_FF: torch.Tensor,
    ridge: float,
    steps: int,
) -> torch.Tensor:
    """A few steps from the last epoch's solution; all rows of the bucket at once."""
    # right side minus system at the start, in one pass over the gathered factors
    open_BL = 1.0 + extra_BL * (1.0 - _along_factors(chosen_BLF, x_BF))
    residual = _over_items(open_BL, chosen_BLF) - x_BF @ gram_FF - ridge * x_BF
    direction = residual.clone()
    energy = (residual**2).sum(1, keepdim=True)
    for _ in range(steps):
        weighted_BL = _along_factors(chosen_BLF, direction) * extra_BL
        image = direction @ gram_FF + _over_items(weighted_BL, chosen_BLF) + ridge * direction
        step = energy / (direction * image).sum(1, keepdim=True).clamp_min(1e-20)
        x_BF = x_BF + step * direction
        residual = residual - step * image
        renewed = (residual**2).sum(1, keepdim=True)
        direction = residual + renewed / energy.clamp_min(1e-20) * direction
        energy = renewed
    return x_BF


def _along_factors(chosen_BLF: torch.Tensor, x_BF: torch.Tensor) -> torch.Tensor:
    """Each row's prediction for each of its items: [B, L]."""
    return torch.bmm(chosen_BLF, x_BF.unsqueeze(2)).squeeze(2)


def _over_items(weights_BL: torch.Tensor, chosen_BLF: torch.Tensor) -> torch.Tensor:
    """Weighted sum of each row's items: [B, F]."""
    return torch.bmm(weights_BL.unsqueeze(1), chosen_BLF).squeeze(1)
