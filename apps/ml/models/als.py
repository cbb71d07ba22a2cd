"""iALS (Hu, Koren, Volinsky 2008) with decayed confidences; `least_squares` solves the half steps.

C_u = 1 + alpha * interest on what shopper u chose, 1 elsewhere. Nothing of size users x items is ever held.
Shape suffixes: B rows in a block, L items of one history, F factors.
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
from apps.ml.least_squares import Ridge, blocks_of, half_step
from apps.ml.models.item_knn import interest_of
from apps.ml.scratch import scores_array
from apps.ml.signals import Csr, user_item
from apps.ml.topn import Floats

FACTOR_CELLS = 16_000_000
"""Scores held at once: a product of few rows with many items is slow, and its memory is used again."""
FOLD_IN_STEPS = 8
"""From nothing; preconditioned, the error is below what training leaves after a handful."""


@dataclass
class AlsModel(Model[AlsConfig]):
    """user_factors: float32 [n_users, F]; item_factors: float32 [N, F]; items never chosen are all zero.
    extra: float32 CSR [n_users, N], confidence - 1.
    """

    user_factors: Floats
    item_factors: Floats
    extra: Csr

    def __post_init__(self) -> None:
        self._silent = np.flatnonzero(~self.item_factors.any(axis=1))

    family: ClassVar[str] = "als"
    config_class: ClassVar[type[Config]] = AlsConfig
    folds_in: ClassVar[bool] = True
    warm_starts: ClassVar[bool] = True
    block_cells: ClassVar[int] = FACTOR_CELLS

    @classmethod
    def fit(cls, dataset: Dataset, config: AlsConfig, options: TrainOptions) -> Self:
        device = device_resolve(options)
        extra = user_item(dataset, config.half_life_days, aggregate="log") * config.alpha
        by_user = blocks_of(extra, device)
        by_item = blocks_of(sparse.csr_matrix(extra.T), device)
        generator = torch.Generator().manual_seed(options.seed)
        users_UF = torch.zeros(extra.shape[0], config.factors, device=device)
        items_NF = (torch.randn(extra.shape[1], config.factors, generator=generator) * 0.01).to(device)
        if isinstance(options.start, AlsModel):
            take_over(users_UF, dataset.users, options.start.user_factors, options.start.history.users)
            take_over(items_NF, dataset.items, options.start.item_factors, options.start.history.items)
        n_pairs, last = max(extra.nnz, 1), np.inf
        ridge = Ridge(config.regularisation, config.frequency_exponent)
        how = (ridge, config.cg_steps, options.threads, options.check)
        for epoch in range(config.epochs):
            user = half_step(users_UF, items_NF, by_user, *how)
            item = half_step(items_NF, users_UF, by_item, *how)
            loss = (item.error + user.penalty + item.penalty) / n_pairs
            options.report(
                Progress(
                    "epochs", (epoch + 1) / config.epochs, epoch + 1, config.epochs, loss, "loss per pair"
                )
            )
            # the objective only falls; once an epoch gains next to nothing, more of them only cost time
            if last - loss < config.tolerance * abs(last):
                break
            last = loss
        # shoppers once more, so that theirs are the answer to the items that are kept
        half_step(users_UF, items_NF, by_user, *how)
        history = History.from_dataset(dataset)
        model = cls(config, history, users_UF.cpu().numpy(), items_NF.cpu().numpy(), extra)
        model.metrics.update(epochs=epoch + 1, loss=loss)
        return model

    def score_users(self, rows_B: Ints) -> Floats:
        return self._known_items(products(self.user_factors[rows_B], self.item_factors))

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        """Folds each session in: the exact solution of one user step, every item with the confidence of one
        choice.
        """
        gram = self.item_factors.T @ self.item_factors
        folded = np.zeros((len(sessions), self.config.factors), dtype=np.float32)
        extra = float(np.log(2.0)) * self.config.alpha
        for row, session in enumerate(sessions):
            chosen_LF = self.item_factors[np.unique(session)]
            system = gram + extra * chosen_LF.T @ chosen_LF + self._ridge(len(chosen_LF))
            folded[row] = np.linalg.solve(system, (1.0 + extra) * chosen_LF.sum(axis=0))
        return self._known_items(products(folded, self.item_factors))

    def score_similar(self, rows_B: Ints) -> Floats:
        lengths = np.linalg.norm(self.item_factors, axis=1, keepdims=True)
        unit = self.item_factors / np.maximum(lengths, 1e-12)
        scores = self._known_items(products(unit[rows_B], unit))
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
        system = system + self._ridge(len(items_L))
        wanted = np.linalg.solve(system, self.item_factors[item].astype(np.float64))
        return np.where(extra > 0, 1.0 + extra, 0.0) * (chosen_LF @ wanted)

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        extra = user_item(dataset, self.config.half_life_days, aggregate="log") * self.config.alpha
        extra = _only(extra, np.asarray(self.item_factors.any(axis=1)))
        users_UF = torch.zeros(extra.shape[0], self.config.factors)
        ridge = Ridge(self.config.regularisation, self.config.frequency_exponent)
        blocks = blocks_of(extra, users_UF.device)
        half_step(users_UF, torch.from_numpy(self.item_factors), blocks, ridge, FOLD_IN_STEPS)
        return replace(
            self, history=history, user_factors=users_UF.numpy(), extra=extra, metrics=dict(self.metrics)
        )

    def _ridge(self, n_chosen: int) -> Floats:
        amount = self.config.regularisation * max(n_chosen, 1) ** self.config.frequency_exponent
        return np.diag(np.full(self.config.factors, amount, dtype=np.float32))

    def _known_items(self, scores: Floats) -> Floats:
        if len(self._silent):
            scores[:, self._silent] = -np.inf
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


def products(queries: Floats, items: Floats) -> Floats:
    """Every query times every item: float32 [B, N]."""
    return np.matmul(queries, items.T, out=scores_array(len(queries), len(items)))


def take_over(fresh: torch.Tensor, ids: IdMap, learned: Floats, known: IdMap) -> None:
    """Writes what an earlier model learned into the rows of the same raw ids, where the sizes agree."""
    if fresh.shape[1] == learned.shape[1]:
        rows = known.rows(ids.ids)
        fresh[torch.from_numpy(rows >= 0)] = torch.from_numpy(learned[rows[rows >= 0]]).to(fresh.device)


def _only(matrix: Csr, columns: NDArray[np.bool_]) -> Csr:
    """The matrix without what lies in other columns."""
    kept = sparse.csr_matrix(matrix @ sparse.diags(columns.astype(np.float32)))
    kept.eliminate_zeros()
    return kept.astype(np.float32)
