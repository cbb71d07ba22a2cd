"""What SASRec and GRU4Rec share: training of all positions at once, scoring, fine-tuning, searches.

Shape suffixes: B rows, M positions, N items.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import nn

from apps.ml.base import History, Model, TrainOptions
from apps.ml.configs.sequences import SequenceConfig
from apps.ml.dataset import Dataset, Ints
from apps.ml.device import device_resolve
from apps.ml.models.sequence_net import NextItem, SequenceNet, loss_of
from apps.ml.optimise import optimise, own_batch_size, summed_over_processes
from apps.ml.ordered_items import no_pairs
from apps.ml.searches import Heard, token_weights, weighed
from apps.ml.sequences import Bags, SequenceBatches, Sequences, pause_buckets, sequences_of
from apps.ml.signals import Csr
from apps.ml.topn import Floats

HELD_OUT_MOST = 2_000
HELD_OUT_LEAST_EVENTS = 4
SCORED_ROWS = 256

SequenceConfigT = TypeVar("SequenceConfigT", bound=SequenceConfig)


@dataclass
class SequenceModel(Model[SequenceConfigT]):
    """net: in evaluation mode, on the CPU. tails: each shopper's last events by row of `history.users`.
    trained: bool [N], items the net has met. until: epoch s, the last moment it has learned from. heard:
    what each shopper searched for last.
    """

    net: SequenceNet
    tails: Sequences
    trained: NDArray[np.bool_]
    until: float
    heard: Heard

    folds_in: ClassVar[bool] = True
    warm_starts: ClassVar[bool] = True
    data_parallel: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def net_of(cls, n_items: int, config: SequenceConfigT) -> SequenceNet:
        """An untrained net."""

    @property
    def hears(self) -> bool:
        return self.net.asked is not None

    @classmethod
    def fit(cls, dataset: Dataset, config: SequenceConfigT, options: TrainOptions) -> Self:
        device = device_resolve(options)
        everything = sequences_of(dataset, config.repeats, dials=config)
        n_items = len(dataset.items)
        counted = torch.from_numpy(np.bincount(everything.items, minlength=n_items).astype(np.int64))
        counts = summed_over_processes(counted).numpy()
        net = cls.net_of(n_items, config)
        asked = 0 if everything.asked is None else everything.asked.nnz
        # all processes train the same net, whoever has the searches
        if summed_over_processes(torch.tensor([asked])).item() > 0:
            net.listen(config.query_buckets)
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
            words = None
            if net.asked is not None:
                words = token_weights(dataset.searches.texts, config.query_buckets)
            batches = SequenceBatches(
                kept,
                config,
                own_batch_size(config),
                n_items,
                n_items + 1,
                device,
                words=None if words is None else words_before(kept, words),
            )
            module = NextItem(net, config, counts).to(device)
            judge = _Judge(held, words, config, device) if held is not None else None
            history = optimise(
                module, batches, loss_of, dials, options, None if judge is None else judge.ndcg
            )
        net = net.to("cpu").eval()
        own = _by_shopper(everything, len(dataset.users))
        model = cls(
            config,
            History.from_dataset(dataset),
            net,
            replace(own, asked=None).tails(config.max_length),
            trained,
            dataset.end,
            _heard(own, dataset, config, net),
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
        return self._scores(sessions, pauses, self._words(self.heard.now[rows_B], self.heard.texts))

    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        return self._scores(sessions, None)

    def score_asked(self, sessions: Sequence[Ints], queries: Sequence[Sequence[str]]) -> Floats:
        told = [weighed(texts, self.config) for texts in queries]
        texts = [text for row in told for text, _ in row]
        starts = np.concatenate([[0], np.cumsum([len(row) for row in told])])
        weights = np.array([weight for row in told for _, weight in row], dtype=np.float32)
        shape = (len(sessions), len(texts))
        asked = sparse.csr_matrix((weights, np.arange(len(texts)), starts), shape=shape)
        return self._scores(sessions, None, self._words(asked, texts))

    def told_by(self, row: int | None, queries: Sequence[str]) -> list[tuple[str, float]]:
        return weighed(queries, self.config) if row is None else self.heard.of_row(row)

    def query_terms(
        self, row: int | None, items_L: Ints, told: Sequence[tuple[str, float]], item: int
    ) -> NDArray[np.float64]:
        """Exact: a search adds its words' vectors, and their product with the item's is its say."""
        weights = sparse.csr_matrix(np.diag([weight for _, weight in told]).astype(np.float32))
        words = self._words(weights, [text for text, _ in told])
        if words is None:
            return np.zeros(len(told))
        with torch.no_grad():
            say = self.net.wish(Bags.from_rows(words)) @ self.net.table[item]
        return say.numpy().astype(np.float64)

    def _words(self, asked: Csr, texts: Sequence[str]) -> Csr | None:
        """Hashed words of weighted queries [B, queries]: [B, buckets], None where the net hears none."""
        if not self.hears or not asked.shape[1]:
            return None
        return sparse.csr_matrix(asked @ token_weights(texts, self.config.query_buckets))

    def score_similar(self, rows_B: Ints) -> Floats:
        return self._scores([rows_B[at : at + 1] for at in range(len(rows_B))], None)

    def _scores(
        self, sessions: Sequence[Ints], pauses: Sequence[Ints] | None, words: Csr | None = None
    ) -> Floats:
        """Scores [B, N] after each session and its searches; without times its events follow each other at
        once. words: [B, buckets], of the searches.
        """
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
            wish = None
            if words is not None:
                wish = self.net.wish(Bags.from_rows(words))
                # whoever has only searched so far is answered by the search alone
                alone = np.flatnonzero((lengths == 0) & (np.diff(words.indptr) > 0))
                scores[alone] = (wish[alone] @ self.net.table.T + self.net.level).numpy()
            for begin in range(0, len(order), SCORED_ROWS):
                block = order[begin : begin + SCORED_ROWS]
                items = padded([rows[place] for place in block], n_items)
                paused = padded([waits[place] for place in block], 0) if self.net.pauses is not None else None
                wished = None if wish is None else wish[torch.from_numpy(block)]
                scores[block] = self.net(items, torch.from_numpy(lengths[block]), paused, wished).numpy()
        scores[:, ~self.trained] = -np.inf
        return scores

    def items_of(self, row: int) -> Ints:
        own = self.tails.items[self.tails.start[row] : self.tails.start[row + 1]][::-1]
        _, first = np.unique(own, return_index=True)
        return own[np.sort(first)][::-1]

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        own = _by_shopper(sequences_of(dataset, self.config.repeats, anonymous=False), len(dataset.users))
        return replace(
            self,
            history=history,
            tails=own.tails(self.config.max_length),
            heard=_heard(own, dataset, self.config, self.net),
            metrics=dict(self.metrics),
        )

    # -- folder

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        net = {f"net.{name}": value.numpy() for name, value in self.net.state_dict().items()}
        return (
            (self.heard.to_arrays() if self.hears else {})
            | net
            | {
                "trained": self.trained,
                "until": np.array([self.until]),
                "tail.items": self.tails.items,
                "tail.time": self.tails.time,
                "tail.start": self.tails.start,
            }
        )

    def to_texts(self) -> dict[str, Any]:
        return {"queries": list(self.heard.texts)} if self.hears else {}

    @classmethod
    def from_parts(
        cls, config: SequenceConfigT, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        net = cls.net_of(len(history.items), config)
        heard = Heard.nothing(len(history.users))
        if "net.asked" in arrays:
            net.listen(config.query_buckets)
            heard = Heard.from_parts(arrays, texts["queries"], len(history.users))
        net.load_state_dict({name: torch.from_numpy(arrays[f"net.{name}"]) for name in net.state_dict()})
        items = arrays["tail.items"]
        owner = np.arange(len(history.users))
        strength = np.ones(len(items), dtype=np.float32)
        tails = Sequences(items, arrays["tail.time"], strength, arrays["tail.start"], owner)
        return cls(config, history, net.eval(), tails, arrays["trained"], float(arrays["until"][0]), heard)


def words_before(found: Sequences, words: Csr) -> Csr:
    """Hashed words of what was asked before each event: [T, buckets]. words: [queries, buckets]."""
    asked = no_pairs(len(found.items), words.shape[0]) if found.asked is None else found.asked
    return sparse.csr_matrix(asked @ words)


def _heard(own: Sequences, dataset: Dataset, config: SequenceConfig, net: SequenceNet) -> Heard:
    """What the shoppers of these histories, one per row, searched for last."""
    if net.asked is None:
        return Heard.nothing(len(dataset.users))
    return Heard.of(dataset.searches, own.row_of, own.time, len(dataset.users), dataset.end, config)


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

    def __init__(
        self, held: Sequences, words: Csr | None, config: SequenceConfig, device: torch.device
    ) -> None:
        self.fresh_only = config.repeats in ("first", "last")
        self.rows = [held.items[held.start[row] : held.start[row + 1]] for row in range(len(held))]
        self.times = [held.time[held.start[row] : held.start[row + 1]] for row in range(len(held))]
        self.order = np.argsort(held.lengths, kind="stable")
        self.buckets, self.device = config.time_buckets, device
        self.words = None if words is None else words_before(held, words)[held.start[1:] - 1]

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
            wish = None
            if self.words is not None:
                wish = net.wish(Bags.from_rows(self.words[places]).to(self.device))
            scores = net(items, lengths, waits, wish)
            targets = torch.tensor([int(self.rows[place][-1]) for place in places], device=self.device)
            wanted = scores.gather(1, targets[:, None])
            if self.fresh_only:
                scores = torch.cat([scores, scores.new_zeros(len(scores), 1)], dim=1)
                scores.scatter_(1, items, -torch.inf)
                scores = scores[:, :-1]
            rank = (scores > wanted).sum(dim=1) + 1
            total += float((1.0 / torch.log2(rank + 1.0)).masked_fill(rank > 10, 0.0).sum())
        return total / len(self.rows)
