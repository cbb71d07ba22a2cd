"""Biased matrix factorisation of ratings (Koren, Bell, Volinsky 2009): r_ui = mean + b_u + b_i + p_u . q_i.

Squared error on the stars themselves, plus lambda (|p_u|^2 + |q_i|^2) + lambda_b (b_u^2 + b_i^2) per rating.
Items are learned by gradient. Shoppers are then solved for exactly, given the items, so that a new shopper is
taken in as a known one is:

    (A'A + n lambda I) x = A' (r - mean - b_i),   A = [q_i, 1],   x = [p_u, b_u]

with lambda_b in the last place of the diagonal. Shape suffixes: F factors, L ratings of a shopper.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from apps.ml.base import History, TrainOptions, csr_from_arrays, csr_to_arrays
from apps.ml.configs import Config
from apps.ml.configs.ratings import BiasedMfConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.device import device_resolve
from apps.ml.models.rating_model import Doubles, RatingModel, Ratings, held_out_metrics, stage
from apps.ml.optimise import TensorBatches, optimise, own_batch_size
from apps.ml.topn import Floats

START_SCALE = 0.1


class BiasedFactors(nn.Module):
    """mean + b_u + b_i + p_u . q_i for batches of pairs; ids are places in tables, never numbers."""

    def __init__(self, n_users: int, n_items: int, factors: int, mean: float) -> None:
        super().__init__()
        self.mean = mean
        self.shoppers = nn.Embedding(n_users, factors)
        self.items = nn.Embedding(n_items, factors)
        self.shopper_bias = nn.Embedding(n_users, 1)
        self.item_bias = nn.Embedding(n_items, 1)
        for table in (self.shoppers, self.items):
            nn.init.normal_(table.weight, std=START_SCALE)
        for table in (self.shopper_bias, self.item_bias):
            nn.init.zeros_(table.weight)

    def forward(self, user_B: torch.Tensor, item_B: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Predictions [B], squared factors [B] and squared biases [B] of these pairs."""
        p, q = self.shoppers(user_B), self.items(item_B)
        b_u, b_i = self.shopper_bias(user_B).squeeze(1), self.item_bias(item_B).squeeze(1)
        return self.mean + b_u + b_i + (p * q).sum(1), (p**2 + q**2).sum(1), b_u**2 + b_i**2


@dataclass
class BiasedMfModel(RatingModel[BiasedMfConfig]):
    """item_factors: float64 [N, F]; item_bias: float64 [N]; shopper_factors: float64 [n_users, F];
    shopper_bias: float64 [n_users]. 0 where nothing is known.
    """

    item_factors: Doubles
    item_bias: Doubles
    shopper_factors: Doubles
    shopper_bias: Doubles

    family: ClassVar[str] = "biased_mf"
    config_class: ClassVar[type[Config]] = BiasedMfConfig
    folds_in: ClassVar[bool] = True
    warm_starts: ClassVar[bool] = True

    @classmethod
    def fit(cls, dataset: Dataset, config: BiasedMfConfig, options: TrainOptions) -> Self:
        ratings = Ratings.needed(dataset, cls.family)
        if isinstance(options.start, BiasedMfModel):
            config = replace(config, epochs=min(config.epochs, config.warm_epochs))
        history = History.from_dataset(dataset)
        learned, held = ratings.parted(config.holdout, options.seed)
        found: dict[str, float] | None = None
        curve: list[dict[str, Any]] = []
        if held is not None:
            trial, curve = cls._fitted(
                learned, ratings.scale, history, config, stage(options, 0.0, 0.5), held
            )
            found = trial.error(held)
            best = max((row["epoch"] for row in curve if row["best"]), default=config.epochs)
            config = replace(config, epochs=best)
            options = stage(options, 0.5, 1.0)
        model, last = cls._fitted(ratings, ratings.scale, history, config, options, None)
        model.metrics.update(held_out_metrics(found, ratings), history=curve or last, epochs=config.epochs)
        return model

    @classmethod
    def _fitted(
        cls,
        ratings: Ratings,
        scale: tuple[float, float],
        history: History,
        config: BiasedMfConfig,
        options: TrainOptions,
        held: Ratings | None,
    ) -> tuple[Self, list[dict[str, Any]]]:
        device = device_resolve(options)
        mean = float(ratings.value.mean())
        net = BiasedFactors(*ratings.shape, config.factors, mean)
        if isinstance(options.start, BiasedMfModel):
            _start_from(net, options.start, history)
        net.to(device)
        columns = (ratings.user, ratings.item, ratings.value.astype(np.float32))
        batches = TensorBatches(
            [torch.from_numpy(column).to(device) for column in columns], own_batch_size(config)
        )

        def loss(module: nn.Module, batch: tuple[torch.Tensor, ...]) -> torch.Tensor:
            user, item, stars = batch
            predicted, factors, biases = module(user, item)
            penalty = config.regularisation * factors + config.bias_regularisation * biases
            return ((stars - predicted) ** 2 + penalty).mean()

        def minus_rmse(module: nn.Module) -> float:
            return -cls._of(net, ratings, scale, history, config).error(held)["rmse"] if held else 0.0

        curve = optimise(net, batches, loss, config, options, minus_rmse if held else None)
        return cls._of(net, ratings, scale, history, config), curve

    @classmethod
    def _of(
        cls,
        net: BiasedFactors,
        ratings: Ratings,
        scale: tuple[float, float],
        history: History,
        config: BiasedMfConfig,
    ) -> Self:
        known = np.bincount(ratings.item, minlength=ratings.shape[1]) > 0
        factors = net.items.weight.detach().cpu().numpy().astype(np.float64) * known[:, None]
        bias = net.item_bias.weight.detach().cpu().numpy().astype(np.float64)[:, 0] * known
        empty = np.zeros((0, config.factors)), np.zeros(0)
        rated = ratings.matrix(ratings.value)
        model = cls(config, history, rated, known, net.mean, scale, factors, bias, *empty)
        model.shopper_factors, model.shopper_bias = model._solved(rated.indptr, rated.indices, rated.data)
        return model

    def _solved(
        self, indptr: NDArray[Any], columns: NDArray[Any], stars: NDArray[Any]
    ) -> tuple[Doubles, Doubles]:
        """Factors [B, F] and biases [B] of shoppers with these ratings, row by row of a CSR matrix."""
        n_factors = self.item_factors.shape[1]
        solved = np.zeros((len(indptr) - 1, n_factors + 1))
        ridge = np.full(n_factors + 1, self.config.regularisation)
        ridge[-1] = self.config.bias_regularisation
        for row in np.flatnonzero(np.diff(indptr)):
            own = columns[indptr[row] : indptr[row + 1]]
            known = self.known[own]
            own, given = own[known], stars[indptr[row] : indptr[row + 1]][known]
            if len(own):
                sides_LF = np.column_stack([self.item_factors[own], np.ones(len(own))])
                # a hair on the diagonal keeps the system solvable without any regularisation
                system = sides_LF.T @ sides_LF + np.diag(len(own) * ridge + 1e-9)
                solved[row] = np.linalg.solve(system, sides_LF.T @ (given - self.mean - self.item_bias[own]))
        return solved[:, :-1], solved[:, -1]

    def predict_rows(self, rows: Ints, columns: Ints) -> Doubles:
        user, item = np.maximum(rows, 0), np.maximum(columns, 0)
        seen_user = (rows >= 0).astype(np.float64) * bool(len(self.shopper_bias))
        seen_item = (columns >= 0).astype(np.float64) * bool(len(self.item_bias))
        found = np.full(len(rows), self.mean)
        if len(self.shopper_bias):
            found += seen_user * self.shopper_bias[user]
        if len(self.item_bias):
            found += seen_item * self.item_bias[item]
        if len(self.shopper_bias) and len(self.item_bias):
            both = seen_user * seen_item
            found += both * np.einsum("nf,nf->n", self.shopper_factors[user], self.item_factors[item])
        return found

    def score_users(self, rows_B: Ints) -> Floats:
        scores = self.shopper_factors[rows_B] @ self.item_factors.T
        return self.known_only(scores + (self.mean + self.item_bias) + self.shopper_bias[rows_B][:, None])

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        """A choice without stars counts as the highest rating."""
        indptr = np.concatenate([[0], np.cumsum([len(session) for session in sessions])])
        stars = np.full(int(indptr[-1]), self.scale[1])
        factors, bias = self._solved(indptr, np.concatenate(sessions), stars)
        scores = factors @ self.item_factors.T
        return self.known_only(scores + (self.mean + self.item_bias) + bias[:, None])

    def score_similar(self, rows_B: Ints) -> Floats:
        lengths = np.linalg.norm(self.item_factors, axis=1, keepdims=True)
        unit = self.item_factors / np.maximum(lengths, 1e-12)
        scores = self.known_only(unit[rows_B] @ unit.T)
        scores[~self.known[rows_B]] = -np.inf
        return scores

    def score_anyone(self) -> Floats:
        return self.known_only(self.mean + self.item_bias)

    def contributions(self, row: int | None, items_L: Ints, item: int) -> NDArray[np.float64]:
        """Exact terms of p_u . q_i, which is linear in what the shopper gave beyond the biases."""
        stars = np.full(len(items_L), self.scale[1])
        if row is not None:
            stars = np.asarray(self.rated[row, items_L].todense(), dtype=np.float64).ravel()
        known = self.known[items_L]
        terms = np.zeros(len(items_L))
        own = items_L[known]
        if not len(own):
            return terms
        _, bias = self._solved(np.array([0, len(own)]), own, stars[known])
        factors_LF = self.item_factors[own]
        ridge = len(own) * self.config.regularisation + 1e-9
        system = factors_LF.T @ factors_LF + ridge * np.eye(factors_LF.shape[1])
        above = stars[known] - self.mean - self.item_bias[own] - bias[0]
        terms[known] = (factors_LF @ np.linalg.solve(system, self.item_factors[item])) * above
        return terms

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        ratings = Ratings.of(dataset)
        rated = ratings.matrix(ratings.value)
        factors, bias = self._solved(rated.indptr, rated.indices, rated.data)
        return replace(
            self,
            history=history,
            rated=rated,
            shopper_factors=factors,
            shopper_bias=bias,
            metrics=dict(self.metrics),
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        return {
            **csr_to_arrays("rated", self.rated),
            "known": self.known,
            "levels": np.array([self.mean, *self.scale]),
            "item_factors": self.item_factors,
            "item_bias": self.item_bias,
            "shopper_factors": self.shopper_factors,
            "shopper_bias": self.shopper_bias,
        }

    @classmethod
    def from_parts(
        cls, config: BiasedMfConfig, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        mean, low, high = arrays["levels"].tolist()
        return cls(
            config,
            history,
            csr_from_arrays("rated", arrays, (len(history.users), len(history.items))),
            arrays["known"],
            mean,
            (low, high),
            arrays["item_factors"],
            arrays["item_bias"],
            arrays["shopper_factors"],
            arrays["shopper_bias"],
        )


def _start_from(net: BiasedFactors, start: BiasedMfModel, history: History) -> None:
    """Factors and biases of the shoppers and items an earlier model knew; others start at random."""
    if start.item_factors.shape[1] != net.items.embedding_dim:
        return
    pairs = (
        (start.history.users, history.users, start.shopper_factors, net.shoppers),
        (start.history.users, history.users, start.shopper_bias[:, None], net.shopper_bias),
        (start.history.items, history.items, start.item_factors, net.items),
        (start.history.items, history.items, start.item_bias[:, None], net.item_bias),
    )
    with torch.no_grad():
        for earlier, now, values, table in pairs:
            places = earlier.rows(now.ids)
            told = places >= 0
            told[told] = np.asarray(values[places[told]] != 0).any(axis=1)
            table.weight[torch.from_numpy(told)] = torch.from_numpy(values[places[told]]).float()
