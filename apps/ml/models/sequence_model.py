"""What SASRec and GRU4Rec share: the item table, training of all positions at once, scoring, fine-tuning.

Shape suffixes: B rows, M positions, P positions with a target, N items, D width.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from apps.ml.base import History, Model, TrainOptions
from apps.ml.configs.sequences import SequenceConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.device import device_resolve
from apps.ml.optimise import Summed, optimise, own_batch_size, summed_over_processes
from apps.ml.sequence_losses import gbce, gbce_beta, sampled_softmax, whole_softmax
from apps.ml.sequences import SequenceBatch, SequenceBatches, Sequences, pause_buckets, sequences_of
from apps.ml.topn import Floats

WHOLE_CATALOGUE = 10_000
"""Largest catalogue whose softmax is taken whole when the loss is "auto"."""
GROUP = 32
"""Positions that share a sample of negatives."""
HELD_OUT_MOST = 2_000
HELD_OUT_LEAST_EVENTS = 4
SCORED_ROWS = 256
INITIAL_SPREAD = 0.02

SequenceConfigT = TypeVar("SequenceConfigT", bound=SequenceConfig)


class SequenceNet(nn.Module):
    """Item vectors in, one vector per position out; the same item vectors give the scores, with a level per
    item added. Levels start at the logarithm of the item's popularity: on MovieLens-100k two epochs then
    reach the loss that three reached without (6.06).

    n_items: items of the catalogue; two more rows stand for padding and for a hidden item.
    """

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
        self, items_BM: torch.Tensor, lengths_B: torch.Tensor, pauses_BM: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Scores of the catalogue after each row's last item: [B, N]. Rows are padded at the end."""
        return self.last(items_BM, lengths_B, pauses_BM) @ self.table.T + self.level

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


@dataclass
class SequenceModel(Model[SequenceConfigT]):
    """net: in evaluation mode, on the CPU. tails: each shopper's last events by row of `history.users`.
    trained: bool [N], items the net has met. until: epoch s, the last moment it has learned from.
    """

    net: SequenceNet
    tails: Sequences
    trained: NDArray[np.bool_]
    until: float

    folds_in: ClassVar[bool] = True
    warm_starts: ClassVar[bool] = True
    data_parallel: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def net_of(cls, n_items: int, config: SequenceConfigT) -> SequenceNet:
        """An untrained net."""

    @classmethod
    def fit(cls, dataset: Dataset, config: SequenceConfigT, options: TrainOptions) -> Self:
        device = device_resolve(options)
        everything = sequences_of(dataset, config.repeats)
        n_items = len(dataset.items)
        own = torch.from_numpy(np.bincount(everything.items, minlength=n_items).astype(np.int64))
        counts = summed_over_processes(own).numpy()
        net = cls.net_of(n_items, config)
        trained = counts > 0
        taught, dials = everything, config
        with torch.no_grad():
            net.level.copy_(torch.from_numpy(np.log((counts + 1.0) / (counts.mean() + 1.0))))
        if isinstance(options.start, cls):
            known = carried_over(net, options.start, dataset.items.rows(options.start.history.items.ids))
            trained |= known
            taught = _renewed(everything, options.start.until, np.random.default_rng(options.seed))
            dials = replace(config, epochs=config.warm_epochs)
        history: list[dict[str, Any]] = []
        if (taught.lengths > 1).any():
            kept, held = _held_out(taught, config, np.random.default_rng((options.seed, 1)))
            batches = SequenceBatches(kept, config, own_batch_size(config), n_items, n_items + 1, device)
            module = NextItem(net, config, counts).to(device)
            judge = _Judge(held, config, device) if held is not None else None
            history = optimise(
                module, batches, loss_of, dials, options, None if judge is None else judge.ndcg
            )
        net = net.to("cpu").eval()
        model = cls(
            config,
            History.from_dataset(dataset),
            net,
            _by_shopper(everything, len(dataset.users)).tails(config.max_length),
            trained,
            dataset.end,
        )
        if history:
            best = max(history, key=lambda row: -np.inf if row["metric"] is None else row["metric"])
            model.metrics.update(history=history, epochs=len(history), loss=history[-1]["loss"])
            model.metrics.update(best_epoch=best["epoch"] if best["metric"] is not None else len(history))
        return model

    # -- scores

    def score_users(self, rows_B: Ints) -> Floats:
        starts, items = self.tails.start, self.tails.items
        sessions = [items[starts[row] : starts[row + 1]] for row in rows_B]
        pauses = None
        if self.config.time_buckets:
            pauses = [
                pause_buckets(self.tails.time[None, starts[row] : starts[row + 1]], self.config.time_buckets)[
                    0
                ]
                for row in rows_B
            ]
        return self._scores(sessions, pauses)

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        return self._scores(sessions, None)

    def score_similar(self, rows_B: Ints) -> Floats:
        return self._scores([rows_B[at : at + 1] for at in range(len(rows_B))], None)

    def _scores(self, sessions: Sequence[Ints], pauses: Sequence[Ints] | None) -> Floats:
        """Scores [B, N] after each session; without times its events follow each other at once."""
        size, n_items = self.config.max_length, self.net.n_items
        if pauses is None:
            pauses = [np.minimum(np.arange(len(session)), 1) for session in sessions]
        known = [self.trained[session] for session in sessions]
        rows = [session[mask][-size:] for session, mask in zip(sessions, known, strict=True)]
        waits = [pause[mask][-size:] for pause, mask in zip(pauses, known, strict=True)]
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        scores = np.full((len(sessions), n_items), -np.inf, dtype=np.float32)
        order = np.argsort(lengths, kind="stable")
        order = order[lengths[order] > 0]
        with torch.no_grad():
            for begin in range(0, len(order), SCORED_ROWS):
                block = order[begin : begin + SCORED_ROWS]
                items = padded([rows[place] for place in block], n_items)
                paused = padded([waits[place] for place in block], 0) if self.net.pauses is not None else None
                scores[block] = self.net(items, torch.from_numpy(lengths[block]), paused).numpy()
        scores[:, ~self.trained] = -np.inf
        return scores

    def items_of(self, row: int) -> Ints:
        own = self.tails.items[self.tails.start[row] : self.tails.start[row + 1]][::-1]
        _, first = np.unique(own, return_index=True)
        return own[np.sort(first)][::-1]

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        tails = _by_shopper(sequences_of(dataset, self.config.repeats, anonymous=False), len(dataset.users))
        return replace(
            self, history=history, tails=tails.tails(self.config.max_length), metrics=dict(self.metrics)
        )

    # -- folder

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        net = {f"net.{name}": value.numpy() for name, value in self.net.state_dict().items()}
        return net | {
            "trained": self.trained,
            "until": np.array([self.until]),
            "tail.items": self.tails.items,
            "tail.time": self.tails.time,
            "tail.start": self.tails.start,
        }

    @classmethod
    def from_parts(
        cls, config: SequenceConfigT, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        net = cls.net_of(len(history.items), config)
        net.load_state_dict({name: torch.from_numpy(arrays[f"net.{name}"]) for name in net.state_dict()})
        items = arrays["tail.items"]
        owner = np.arange(len(history.users))
        strength = np.ones(len(items), dtype=np.float32)
        tails = Sequences(items, arrays["tail.time"], strength, arrays["tail.start"], owner)
        return cls(config, history, net.eval(), tails, arrays["trained"], float(arrays["until"][0]))


def padded(rows: Sequence[Ints], padding: int) -> torch.Tensor:
    """Ragged rows as int64 [B, M], padded at the end."""
    found = np.full((len(rows), max(len(row) for row in rows)), padding, dtype=np.int64)
    for place, row in enumerate(rows):
        found[place, : len(row)] = row
    return torch.from_numpy(found)


def carried_over(net: SequenceNet, start: SequenceModel[Any], rows: Ints) -> NDArray[np.bool_]:
    """Puts an earlier model's weights into a net of the same shape; its item table may have grown.

    rows: int64, the row in `net` of each item of `start`, -1 where it is gone. Returns bool [N]: items the
    earlier model had met. Weights of another shape stay as they are.
    """
    known = np.zeros(net.n_items, dtype=np.bool_)
    if start.net.items.embedding_dim != net.items.embedding_dim:
        return known
    kept = np.flatnonzero(rows >= 0)
    own, theirs = net.state_dict(), start.net.state_dict()
    for name, value in theirs.items():
        if name not in ("items.weight", "level") and name in own and own[name].shape == value.shape:
            own[name].copy_(value)
    with torch.no_grad():
        net.items.weight[torch.from_numpy(rows[kept])] = theirs["items.weight"][torch.from_numpy(kept)]
        net.level[torch.from_numpy(rows[kept])] = theirs["level"][torch.from_numpy(kept)]
        net.items.weight[net.n_items :] = theirs["items.weight"][start.net.n_items :]
    known[rows[kept]] = start.trained[kept]
    return known


def _renewed(found: Sequences, until: float, rng: np.random.Generator) -> Sequences:
    """Histories with events after `until`, and as many others, so that what was learned is not forgotten."""
    fresh = np.zeros(len(found), dtype=np.bool_)
    fresh[found.row_of[found.time > until]] = True
    others = np.flatnonzero(~fresh)
    fresh[rng.choice(others, min(len(others), int(fresh.sum())), replace=False)] = True
    return found.select(fresh[found.row_of])


def _by_shopper(found: Sequences, n_users: int) -> Sequences:
    """One history per row of the shoppers, empty where there is none; sessions of nobody are left out."""
    known = found.select(found.owner[found.row_of] >= 0)
    counts = np.zeros(n_users, dtype=np.int64)
    owned = found.owner >= 0
    counts[found.owner[owned]] = known.lengths[owned]
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    # histories of shoppers ascend by row, so their events are in the right places already
    return replace(known, start=start, owner=np.arange(n_users))


def _held_out(
    found: Sequences, config: SequenceConfig, rng: np.random.Generator
) -> tuple[Sequences, Sequences | None]:
    """What is trained, and whole histories whose last event is not."""
    long = np.flatnonzero(found.lengths >= HELD_OUT_LEAST_EVENTS)
    count = min(HELD_OUT_MOST, int(config.holdout * len(long)))
    if config.patience is None or count == 0:
        return found, None
    chosen = np.zeros(len(found), dtype=np.bool_)
    chosen[rng.choice(long, count, replace=False)] = True
    last = np.zeros(len(found.items), dtype=np.bool_)
    last[found.start[1:][chosen] - 1] = True
    whole = found.select(chosen[found.row_of]).tails(config.max_length + 1)
    used = np.flatnonzero(chosen)
    held = replace(
        whole,
        start=np.concatenate([[0], np.cumsum(whole.lengths[used])]).astype(np.int64),
        owner=found.owner[used],
    )
    return found.select(~last), held


class _Judge:
    """NDCG@10 of the held-out last items among the whole catalogue, items of the history left out where
    repeats are.
    """

    def __init__(self, held: Sequences, config: SequenceConfig, device: torch.device) -> None:
        self.fresh_only = config.repeats in ("first", "last")
        self.rows = [held.items[held.start[row] : held.start[row + 1]] for row in range(len(held))]
        self.times = [held.time[held.start[row] : held.start[row + 1]] for row in range(len(held))]
        self.order = np.argsort(held.lengths, kind="stable")
        self.buckets, self.device = config.time_buckets, device

    def ndcg(self, module: nn.Module) -> float:
        """The mean over the histories; module: a NextItem."""
        net: Any = module.net
        total = 0.0
        for begin in range(0, len(self.order), SCORED_ROWS):
            places = self.order[begin : begin + SCORED_ROWS]
            inputs = [self.rows[place][:-1] for place in places]
            lengths = torch.tensor([len(row) for row in inputs], device=self.device)
            items = padded(inputs, net.n_items).to(self.device)
            waits = None
            if self.buckets:
                waits = padded(
                    [pause_buckets(self.times[place][None, :-1], self.buckets)[0] for place in places], 0
                ).to(self.device)
            scores = net(items, lengths, waits)
            targets = torch.tensor([int(self.rows[place][-1]) for place in places], device=self.device)
            wanted = scores.gather(1, targets[:, None])
            if self.fresh_only:
                scores = torch.cat([scores, scores.new_zeros(len(scores), 1)], dim=1)
                scores.scatter_(1, items, -torch.inf)
                scores = scores[:, :-1]
            rank = (scores > wanted).sum(dim=1) + 1
            total += float((1.0 / torch.log2(rank + 1.0)).masked_fill(rank > 10, 0.0).sum())
        return total / len(self.rows)
