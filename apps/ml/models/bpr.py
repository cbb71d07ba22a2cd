"""BPR (Rendle et al. 2009): what a shopper chose should outscore what they did not.

Maximises sum ln sigmoid(x_ui - x_uj) - reg |theta|^2 with x_ui = p_u . q_i + b_i over chosen i and drawn j.
Gradients are written out, added up per row of a batch and applied by Adagrad; recent choices are drawn more
often. Shape suffixes: S samples in a batch, F factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import embedding_bag

from apps.ml.base import History, Model, Progress, TrainOptions
from apps.ml.configs import Config
from apps.ml.configs.factors import BprConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.device import device_resolve
from apps.ml.models.als import FACTOR_CELLS, products, take_over
from apps.ml.signals import Csr, user_item
from apps.ml.topn import Floats

FOLD_IN_EPOCHS = 10
START_SQUARES = 1e-2
"""What Adagrad has seen before the first batch: keeps the first steps short."""
REDRAWS = 2


@dataclass
class BprModel(Model[BprConfig]):
    """user_factors: float32 [n_users, F + 1], 0 for who chose nothing, the last column 1 for the others.
    item_factors: float32 [N, F + 1], the last column the item's bias; 0 for items never chosen.
    """

    user_factors: Floats
    item_factors: Floats

    family: ClassVar[str] = "bpr"
    config_class: ClassVar[type[Config]] = BprConfig
    folds_in: ClassVar[bool] = True
    warm_starts: ClassVar[bool] = True
    block_cells: ClassVar[int] = FACTOR_CELLS

    def __post_init__(self) -> None:
        self._silent = np.flatnonzero(~self.item_factors.any(axis=1))

    @classmethod
    def fit(cls, dataset: Dataset, config: BprConfig, options: TrainOptions) -> Self:
        device = device_resolve(options)
        interest = user_item(dataset, config.half_life_days, aggregate="max")
        learner = _Learner(interest, config, options.seed, device)
        if isinstance(options.start, BprModel):
            start = options.start
            take_over(learner.users, dataset.users, start.user_factors, start.history.users)
            take_over(learner.items, dataset.items, start.item_factors, start.history.items)
        loss = 0.0
        for epoch in range(config.epochs):
            loss = learner.epoch(options)
            done = (epoch + 1) / config.epochs
            options.report(Progress("epochs", done, epoch + 1, config.epochs, loss, "loss per sample"))
        users, items = learner.finished()
        model = cls(config, History.from_dataset(dataset), users, items)
        model.metrics.update(epochs=config.epochs, loss=loss)
        return model

    def score_users(self, rows_B: Ints) -> Floats:
        scores = self._known_items(products(self.user_factors[rows_B], self.item_factors))
        scores[self.user_factors[rows_B, -1] == 0] = -np.inf
        return scores

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        """By the mean of the session's items."""
        mean = np.stack([self.item_factors[np.unique(session)].mean(axis=0) for session in sessions])
        mean[:, -1] = 1.0
        return self._known_items(products(mean, self.item_factors))

    def score_similar(self, rows_B: Ints) -> Floats:
        lengths = np.linalg.norm(self.item_factors[:, :-1], axis=1, keepdims=True)
        unit = self.item_factors[:, :-1] / np.maximum(lengths, 1e-12)
        scores = self._known_items(products(unit[rows_B], unit))
        scores[lengths[rows_B, 0] == 0] = -np.inf
        return scores

    def contributions(self, row: int | None, items_L: Ints, item: int) -> NDArray[np.float64]:
        """The part of each item in the mean of the history, times the item; its bias is nobody's."""
        likeness = self.item_factors[items_L, :-1].astype(np.float64) @ self.item_factors[item, :-1]
        return likeness / max(len(items_L), 1)

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        """Learns the new shoppers' factors; the items stay as they are."""
        interest = user_item(dataset, self.config.half_life_days, aggregate="max")
        learner = _Learner(interest, self.config, 0, torch.device("cpu"))
        learner.items = torch.from_numpy(self.item_factors.copy())
        for _ in range(max(FOLD_IN_EPOCHS, self.config.epochs)):
            learner.epoch(TrainOptions(), items_learn=False)
        users, _ = learner.finished()
        return replace(self, history=history, user_factors=users, metrics=dict(self.metrics))

    def _known_items(self, scores: Floats) -> Floats:
        if len(self._silent):
            scores[:, self._silent] = -np.inf
        return scores

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {"user_factors": self.user_factors, "item_factors": self.item_factors}

    @classmethod
    def from_parts(
        cls, config: BprConfig, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        return cls(config, history, arrays["user_factors"], arrays["item_factors"])


class _Learner:
    """Factors, what Adagrad has seen, and the pairs to draw from."""

    def __init__(self, interest: Csr, config: BprConfig, seed: int, device: torch.device) -> None:
        n_users, n_items = interest.shape
        self.config, self.device, self.n_items = config, device, n_items
        self.rng = np.random.default_rng(seed)
        owner = np.repeat(np.arange(n_users), np.diff(interest.indptr))
        self.keys = np.sort(owner * n_items + interest.indices)
        order = np.argsort(owner * n_items + interest.indices)
        self.chances = np.cumsum(interest.data[order].astype(np.float64))
        self.chosen_items = np.unique(interest.indices)
        generator = torch.Generator().manual_seed(seed)
        size = config.factors + 1
        self.users = (torch.randn(n_users, size, generator=generator) * 0.1).to(device)
        self.items = (torch.randn(n_items, size, generator=generator) * 0.1).to(device)
        self.items[:, -1] = 0.0
        self.users[:, -1] = 1.0
        self.user_squares = torch.full_like(self.users, START_SQUARES)
        self.item_squares = torch.full_like(self.items, START_SQUARES)

    def epoch(self, options: TrainOptions, items_learn: bool = True) -> float:
        """As many samples as there are pairs; returns the mean of -ln sigmoid."""
        n = len(self.keys)
        if not n or len(self.chosen_items) < 2:
            options.check()
            return 0.0
        drawn = np.searchsorted(self.chances, self.rng.random(n) * self.chances[-1], side="right")
        user, item = np.divmod(self.keys[np.minimum(drawn, n - 1)], self.n_items)
        other = self._others(user)
        users, items, others = (torch.from_numpy(part).to(self.device) for part in (user, item, other))
        total = 0.0
        for start in range(0, n, self.config.batch_size):
            options.check()
            part = slice(start, start + self.config.batch_size)
            total += self._batch(users[part], items[part], others[part], items_learn)
        return total / n

    def _others(self, user: Ints) -> Ints:
        """An item for each sample that its shopper has not chosen, as far as a few draws find one."""
        other = self.rng.choice(self.chosen_items, len(user))
        for _ in range(REDRAWS):
            wanted = user * self.n_items + other
            places = np.minimum(np.searchsorted(self.keys, wanted), len(self.keys) - 1)
            again = np.flatnonzero(self.keys[places] == wanted)
            if not len(again):
                break
            other[again] = self.rng.choice(self.chosen_items, len(again))
        return other

    def _batch(self, user: torch.Tensor, item: torch.Tensor, other: torch.Tensor, items_learn: bool) -> float:
        own_SF, better_SF, worse_SF = self.users[user], self.items[item], self.items[other]
        apart_SF = better_SF - worse_SF
        margin_S = (own_SF * apart_SF).sum(1)
        pull_S1 = torch.sigmoid(-margin_S)[:, None]
        ridge = self.config.regularisation
        if items_learn:
            push_SF = pull_S1 * own_SF
            gradient = torch.cat([push_SF - ridge * better_SF, -push_SF - ridge * worse_SF])
            self._apply(self.items, self.item_squares, torch.cat([item, other]), gradient)
        gradient = pull_S1 * apart_SF - ridge * own_SF
        gradient[:, -1] = 0.0
        self._apply(self.users, self.user_squares, user, gradient)
        return float(torch.nn.functional.softplus(-margin_S).sum())

    def _apply(
        self, table: torch.Tensor, squares: torch.Tensor, rows: torch.Tensor, up: torch.Tensor
    ) -> None:
        """Adagrad on the summed gradient of each row; a row that comes often in a batch steps once."""
        ranked, order = torch.sort(rows)
        distinct, counts = torch.unique_consecutive(ranked, return_counts=True)
        summed = embedding_bag(order, up, counts.cumsum(0) - counts, mode="sum")
        seen = squares[distinct].addcmul_(summed, summed)
        squares[distinct] = seen
        table[distinct] += self.config.learning_rate * summed / seen.sqrt()

    def finished(self) -> tuple[Floats, Floats]:
        """User and item factors, 0 for those without a pair."""
        users, items = self.users.cpu().numpy(), self.items.cpu().numpy()
        users[np.setdiff1d(np.arange(len(users)), self.keys // max(self.n_items, 1))] = 0.0
        items[np.setdiff1d(np.arange(len(items)), self.chosen_items)] = 0.0
        return users, items
