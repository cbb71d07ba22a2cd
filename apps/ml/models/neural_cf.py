"""Neural collaborative filtering (He et al. 2017): GMF, MLP and both joined (NeuMF).

    GMF: h . (p_u * q_i)     MLP: h . f(f([p_u, q_i] W_1) W_2)     NeuMF: h . [p_u * q_i, MLP's last layer]

with a bias per item. Ids only index the tables of vectors; the printed form that adds an item's id to the
product would rank by the number of the product. Vectors of shoppers who have just come are learned in a few
steps of Adam on the frozen rest, all items they did not choose standing against those they did through fresh
negatives. Shape suffixes: D width of a row of the tables, K negatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from apps.ml.base import History, Model, TrainOptions
from apps.ml.configs import Config
from apps.ml.configs.collaborative import GmfConfig, MlpConfig, NeuMfConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.device import device_resolve
from apps.ml.models.item_knn import indicator
from apps.ml.optimise import Summed, TensorBatches, activation_of, optimise, own_batch_size
from apps.ml.signals import Csr, user_item
from apps.ml.topn import Floats

NcfConfigT = TypeVar("NcfConfigT", bound=GmfConfig)
START_SCALE = 0.05
PAIR_CELLS = 4_000_000
"""Numbers held at once while all items are scored: pairs times width."""


class NcfNet(nn.Module):
    """Both parts in one: `multiplied` columns of a row go to GMF, the rest to the MLP."""

    def __init__(self, n_users: int, n_items: int, config: GmfConfig, gmf: bool, mlp: bool) -> None:
        super().__init__()
        self.multiplied = config.factors if gmf else 0
        width = self.multiplied + (config.factors if mlp else 0)
        self.shoppers, self.items = nn.Embedding(n_users, width), nn.Embedding(n_items, width)
        self.item_bias = nn.Embedding(n_items, 1)
        for table in (self.shoppers, self.items):
            nn.init.normal_(table.weight, std=START_SCALE)
        nn.init.zeros_(self.item_bias.weight)
        parts: list[nn.Module] = []
        size = 2 * config.factors
        if mlp and isinstance(config, MlpConfig):
            for _ in range(config.layers):
                half = max(size // 2, 1)
                parts += [nn.Linear(size, half), activation_of(config.activation), nn.Dropout(config.dropout)]
                size = half
        self.tower = nn.Sequential(*parts)
        self.output = nn.Linear(self.multiplied + (size if mlp else 0), 1, bias=False)
        with torch.no_grad():
            # a plain product to start from
            self.output.weight[:, : self.multiplied] = 1.0

    def forward(self, user_B: torch.Tensor, items_BK: torch.Tensor) -> torch.Tensor:
        """Logits [B, K] of these items for these shoppers."""
        return self.logits(self.shoppers(user_B)[:, None, :], items_BK)

    def logits(self, shopper_BD: torch.Tensor, items_BK: torch.Tensor) -> torch.Tensor:
        """Logits [B, K] from vectors [B, 1, D]."""
        item = self.items(items_BK)
        shopper, m = shopper_BD.expand(*item.shape[:-1], -1), self.multiplied
        found = [shopper[..., :m] * item[..., :m]] if m else []
        if len(self.tower):
            found.append(self.tower(torch.cat([shopper[..., m:], item[..., m:]], dim=-1)))
        joined = self.output(torch.cat(found, dim=-1)) + self.item_bias(items_BK)
        return joined.squeeze(-1)


def pair_loss(kind: str, logits_BK: torch.Tensor, weight_B: torch.Tensor) -> torch.Tensor:
    """Weighted sum of the losses of rows whose first item was chosen and whose others were not."""
    chosen, others = logits_BK[:, :1], logits_BK[:, 1:]
    if kind == "bpr":
        rows = -functional.logsigmoid(chosen - others).mean(1)
    elif kind == "softmax":
        rows = -functional.log_softmax(logits_BK, dim=1)[:, 0]
    else:
        # -(y log p + (1 - y) log(1 - p)): the brackets matter
        rows = -functional.logsigmoid(chosen).squeeze(1) - functional.logsigmoid(-others).sum(1)
    return (rows * weight_B).sum()


@dataclass
class NcfModel(Model[NcfConfigT]):
    """net: on the CPU, in evaluation mode. trained: bool [N], items somebody chose. chance: float64 [N], of
    an item to be drawn as a negative.
    """

    net: NcfNet
    trained: NDArray[np.bool_]
    chance: NDArray[np.float64]

    folds_in: ClassVar[bool] = True
    warm_starts: ClassVar[bool] = True
    gmf: ClassVar[bool] = True
    mlp: ClassVar[bool] = False

    @classmethod
    def fit(cls, dataset: Dataset, config: NcfConfigT, options: TrainOptions) -> Self:
        device = device_resolve(options)
        interest = user_item(dataset, config.half_life_days, aggregate="max")
        history = History.from_dataset(dataset)
        counts = np.bincount(interest.indices, minlength=interest.shape[1]).astype(np.float64)
        chance = np.where(counts > 0, counts**config.popularity_exponent, 0.0)
        chance = chance / max(float(chance.sum()), 1.0)
        net = NcfNet(*interest.shape, config, cls.gmf, cls.mlp)
        dials = config
        if isinstance(options.start, NcfModel):
            _start_from(net, options.start, history)
            dials = replace(config, epochs=min(config.epochs, config.warm_epochs))
        curve: list[dict[str, Any]] = []
        if interest.nnz:
            net.to(device)
            batches = _batches(interest, chance, config, device)

            def loss(module: nn.Module, batch: tuple[torch.Tensor, ...]) -> Summed:
                user, items, weight = batch
                return Summed(pair_loss(config.loss, module(user, items), weight), len(user))

            curve = optimise(net, batches, loss, dials, options)
        model = cls(config, history, net.cpu().eval(), counts > 0, chance)
        if curve:
            model.metrics.update(history=curve, epochs=len(curve), loss=curve[-1]["loss"])
        return model

    def score_users(self, rows_B: Ints) -> Floats:
        return self._scores(self.net.shoppers.weight[torch.from_numpy(np.asarray(rows_B))])

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        return self._scores(self._learned(indicator(sessions, len(self.trained))))

    def score_similar(self, rows_B: Ints) -> Floats:
        table = self.net.items.weight.detach().numpy()
        unit = table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
        scores = (unit[rows_B] @ unit.T).astype(np.float32)
        scores[:, ~self.trained] = -np.inf
        scores[~self.trained[rows_B]] = -np.inf
        return scores

    def _scores(self, shopper_BD: torch.Tensor) -> Floats:
        """Logits of the whole catalogue in blocks of pairs: float32 [B, N]."""
        n_items = len(self.trained)
        scores = np.full((len(shopper_BD), n_items), -np.inf, dtype=np.float32)
        every = torch.from_numpy(np.flatnonzero(self.trained))
        size = max(1, PAIR_CELLS // max(1, len(every) * shopper_BD.shape[1]))
        with torch.no_grad():
            for start in range(0, len(shopper_BD) if len(every) else 0, size):
                part = shopper_BD[start : start + size, None, :]
                found = self.net.logits(part, every.expand(len(part), -1))
                scores[start : start + len(part), self.trained] = found.numpy()
        return scores

    def _learned(self, chosen: Csr) -> torch.Tensor:
        """Vectors of shoppers with these choices, learned on the frozen net: [B, D]."""
        vectors = torch.zeros(chosen.shape[0], self.net.items.embedding_dim)
        if not chosen.nnz or not self.trained.any():
            return vectors
        rows = np.repeat(np.arange(chosen.shape[0]), np.diff(chosen.indptr))
        known = self.trained[chosen.indices]
        # one start for all, the mean shopper: a list must not hang on who is asked for together
        vectors += self.net.shoppers.weight.detach().mean(0)
        vectors.requires_grad_()
        optimiser = torch.optim.Adam([vectors], lr=self.config.fold_in_rate)
        user = torch.from_numpy(rows[known].astype(np.int64))
        item = torch.from_numpy(chosen.indices[known].astype(np.int64))[:, None]
        # the same negatives for every choice and call: a folded list must not change from call to call
        rng = np.random.default_rng(0)
        for parameter in self.net.parameters():
            parameter.requires_grad_(False)
        for _ in range(self.config.fold_in_steps):
            drawn = rng.choice(len(self.chance), self.config.negatives * 4, p=self.chance)
            others = torch.from_numpy(drawn).expand(len(user), -1)
            logits = self.net.logits(vectors[user][:, None, :], torch.cat([item, others], dim=1))
            goal = pair_loss("bpr", logits, torch.ones(len(user))) + 0.01 * (vectors**2).sum()
            optimiser.zero_grad()
            goal.backward()
            optimiser.step()
        return vectors.detach()

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        """Shoppers known before keep their vectors while their history is no news; others are learned."""
        net = NcfNet(len(history.users), len(self.trained), self.config, self.gmf, self.mlp)
        net.load_state_dict({**self.net.state_dict(), "shoppers.weight": self._learned(user_item(dataset))})
        places = self.history.users.rows(history.users.ids)
        told = [(row, int(place)) for row, place in enumerate(places) if place >= 0]
        same = [pair for pair in told if _equal(history.bought, self.history.bought, *pair)]
        with torch.no_grad():
            for row, place in same:
                net.shoppers.weight[row] = self.net.shoppers.weight[place]
        return replace(self, history=history, net=net.eval(), metrics=dict(self.metrics))

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        tensors = {f"net.{name}": value.numpy() for name, value in self.net.state_dict().items()}
        return {**tensors, "trained": self.trained, "chance": self.chance}

    @classmethod
    def from_parts(
        cls, config: NcfConfigT, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        net = NcfNet(len(history.users), len(history.items), config, cls.gmf, cls.mlp)
        state = {name: torch.from_numpy(arrays[f"net.{name}"].copy()) for name in net.state_dict()}
        net.load_state_dict(state)
        return cls(config, history, net.eval(), arrays["trained"], arrays["chance"])


@dataclass
class GmfModel(NcfModel[GmfConfig]):
    family: ClassVar[str] = "gmf"
    config_class: ClassVar[type[Config]] = GmfConfig


@dataclass
class MlpModel(NcfModel[MlpConfig]):
    family: ClassVar[str] = "mlp"
    config_class: ClassVar[type[Config]] = MlpConfig
    gmf: ClassVar[bool] = False
    mlp: ClassVar[bool] = True


@dataclass
class NeuMfModel(NcfModel[NeuMfConfig]):
    family: ClassVar[str] = "neumf"
    config_class: ClassVar[type[Config]] = NeuMfConfig
    mlp: ClassVar[bool] = True


def _batches(
    interest: Csr, chance: NDArray[np.float64], config: GmfConfig, device: torch.device
) -> TensorBatches:
    """Choices with fresh negatives each epoch: users [B], items [B, 1 + K] chosen first, weights [B]."""
    user = np.repeat(np.arange(interest.shape[0]), np.diff(interest.indptr))
    item = interest.indices.astype(np.int64)
    weight = np.maximum(interest.data / interest.data.max(), config.floor).astype(np.float32)
    n_items = interest.shape[1]
    chosen = np.sort(user * n_items + item)
    # ends of the items' shares of [0, 1): a draw is a search
    ends = np.cumsum(chance)

    def draw(rng: np.random.Generator, batch: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        users, items, weights = batch
        owner = users.cpu().numpy()[:, None]
        shape = (len(owner), config.negatives)
        others = np.minimum(np.searchsorted(ends, rng.random(shape) * ends[-1], side="right"), n_items - 1)
        # drawn again once where the shopper chose it; what still slips through is rare
        keys = owner * n_items + others
        taken = chosen[np.minimum(np.searchsorted(chosen, keys), len(chosen) - 1)] == keys
        again = np.searchsorted(ends, rng.random(shape) * ends[-1], side="right")
        others = np.where(taken, np.minimum(again, n_items - 1), others)
        joined = torch.cat([items[:, None], torch.from_numpy(others).to(device)], dim=1)
        return users, joined, weights

    tensors = [torch.from_numpy(part).to(device) for part in (user.astype(np.int64), item, weight)]
    return TensorBatches(tensors, own_batch_size(config), draw)


def _equal(left: Csr, right: Csr, row: int, other: int) -> bool:
    """Whether these rows of two matrices hold the same items."""
    mine = left.indices[left.indptr[row] : left.indptr[row + 1]]
    return bool(np.array_equal(mine, right.indices[right.indptr[other] : right.indptr[other + 1]]))


def _start_from(net: NcfNet, start: NcfModel[Any], history: History) -> None:
    """Everything an earlier model of the same shape learned of shoppers and items known to both."""
    earlier, now = start.net.state_dict(), net.state_dict()
    tables = {"shoppers.weight": "users", "items.weight": "items", "item_bias.weight": "items"}
    if any(earlier[name].shape[1:] != now[name].shape[1:] for name in now if name in earlier):
        return
    for name, value in earlier.items():
        if name not in tables:
            now[name].copy_(value)
            continue
        places = getattr(start.history, tables[name]).rows(getattr(history, tables[name]).ids)
        told = np.flatnonzero(places >= 0)
        now[name][told] = value[places[told]]
