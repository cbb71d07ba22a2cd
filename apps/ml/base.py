"""What every recommender is: fitted from a dataset, asked for ranked lists, saved to a folder and loaded
from it.

Shape suffixes: B users in a block, N items of the catalogue, K list length.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from apps.ml import signals
from apps.ml.artifacts import Parts, parts_read, parts_write
from apps.ml.configs import Config
from apps.ml.dataset import Dataset, Ints
from apps.ml.errors import ArtifactInvalid, Cancelled, InvalidValue
from apps.ml.explain import Contribution, left_out, shares
from apps.ml.history import History, csr_from_arrays, csr_to_arrays
from apps.ml.registry import FAMILIES
from apps.ml.scratch import reused
from apps.ml.searches import query_normalised
from apps.ml.topn import PADDING_ID, Floats, TopN, top_k

__all__ = [
    "BLOCK_CELLS",
    "DEVICES",
    "ConfigT",
    "Contribution",
    "Exclude",
    "History",
    "Model",
    "Progress",
    "Recommender",
    "TrainOptions",
    "csr_from_arrays",
    "csr_to_arrays",
    "positive_only",
]

Exclude = Literal["bought", "none"]
DEVICES = ("auto", "cpu", "cuda")
ConfigT = TypeVar("ConfigT", bound=Config)
BLOCK_CELLS = 4_000_000
"""Scores held at once (16 MB as float32); the users of a block follow from the size of the catalogue."""


@dataclass(frozen=True)
class Progress:
    """A sign of life. fraction: 0..1 of this stage. metric: the figure early stopping watches, where there
    is one.
    """

    stage: str
    fraction: float
    epoch: int = 0
    epochs: int = 0
    metric: float | None = None
    message: str = ""


@dataclass(frozen=True)
class TrainOptions:
    """How to run, as opposed to what to fit: nothing here belongs to the model's settings.

    start: a model of the same family to go on from; families without `warm_starts` ignore it. seconds: a
    network in one process stops learning after so many, its learning rate having come down by then.
    """

    device: str = "auto"
    seed: int = 0
    threads: int = 1
    on_progress: Callable[[Progress], None] | None = None
    should_stop: Callable[[], bool] | None = None
    start: Model[Any] | None = None
    seconds: float | None = None

    def report(self, progress: Progress) -> None:
        """Reports, then raises Cancelled if the caller wants to stop."""
        if self.on_progress is not None:
            self.on_progress(progress)
        self.check()

    def check(self) -> None:
        if self.should_stop is not None and self.should_stop():
            raise Cancelled("Training was cancelled; nothing was saved.")


class Recommender(Protocol):
    """What serving and evaluation ask of a fitted model; lists hold raw ids, unknown ids give empty rows or
    the model's answer for anyone."""

    def recommend(self, users: Sequence[int] | Ints, k: int, exclude: Exclude = "bought") -> TopN: ...

    def recommend_sessions(
        self, sessions: Sequence[Sequence[int]], k: int, queries: Sequence[Sequence[str]] | None = None
    ) -> TopN: ...

    def similar(self, items: Sequence[int] | Ints, k: int) -> TopN: ...

    def save(self, directory: str | Path) -> None: ...


@dataclass
class Model(ABC, Generic[ConfigT]):
    """Shared machinery; a family implements `fit`, the score methods and its arrays.

    Score methods return float32 [B, N] over the catalogue with -inf where the model has nothing to say.
    folds_in: `fold_in` works; a family with something learned per shopper then overrides `with_shoppers`.
    warm_starts: `fit` goes on from `options.start`. data_parallel: `fit` may run in several processes, each
    with its share of the data (`ml.distributed`). threads: blocks of lists ranked side by side; the lists
    depend on it by rounding only.
    """

    config: ConfigT
    history: History
    metrics: dict[str, Any] = field(default_factory=dict, kw_only=True)
    threads: int = field(default=1, kw_only=True)

    family: ClassVar[str]
    config_class: ClassVar[type[Config]]
    folds_in: ClassVar[bool] = False
    warm_starts: ClassVar[bool] = False
    data_parallel: ClassVar[bool] = False
    block_cells: ClassVar[int] = BLOCK_CELLS

    @classmethod
    @abstractmethod
    def fit(cls, dataset: Dataset, config: ConfigT, options: TrainOptions) -> Self:
        """Learns from the dataset; raises Cancelled, DataMissing or InvalidValue."""

    @abstractmethod
    def score_users(self, rows_B: Ints) -> Floats:
        """Scores for known users by row."""

    @abstractmethod
    def score_sessions(self, sessions: Sequence[Ints]) -> Floats:
        """Scores for anonymous item lists, each non-empty, as item rows in order of time."""

    @property
    def hears(self) -> bool:
        """Whether searches change this model's lists: then it has its own `score_asked`, `told_by` and
        `query_terms`.
        """
        return False

    def score_asked(self, sessions: Sequence[Ints], queries: Sequence[Sequence[str]]) -> Floats:
        """Scores for anonymous item lists, which may be empty, and what each searched for last, oldest first
        and without any item since.
        """
        return self.score_sessions(sessions)

    @abstractmethod
    def score_similar(self, rows_B: Ints) -> Floats:
        """Scores of all items as companions of each of these item rows."""

    def score_anyone(self) -> Floats | None:
        """Scores [N] for a stranger, None when the model knows nothing without history."""
        return None

    @abstractmethod
    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What was learned, as arrays for safetensors."""

    def to_texts(self) -> dict[str, Any]:
        """What was learned and is no array, as JSON values."""
        return {}

    @classmethod
    @abstractmethod
    def from_parts(
        cls, config: ConfigT, history: History, arrays: dict[str, NDArray[Any]], texts: dict[str, Any]
    ) -> Self:
        """The inverse of `to_arrays` and `to_texts`."""

    # -- reasons
    # -------------------------------------------------------------------------------------------------

    def explain(self, user: int, item: int, n: int = 5) -> list[Contribution]:
        """The n items of the shopper's history, and of their last searches, that speak most for `item`; raw
        ids. Empty for a shopper or item that is unknown, and where nothing of the history speaks for it.
        """
        row = int(self.history.users.rows([user])[0])
        column = int(self.history.items.rows([item])[0])
        if row < 0 or column < 0:
            return []
        items_L = self.items_of(row)
        return self._reasons(row, items_L, column, n)

    def explain_session(
        self, session: Sequence[int], item: int, n: int = 5, queries: Sequence[str] = ()
    ) -> list[Contribution]:
        """The same for a list of raw item ids, oldest first, and the searches since; an item that comes twice
        counts at its last place.
        """
        rows = self.history.items.rows(session)
        column = int(self.history.items.rows([item])[0])
        rows = rows[rows >= 0][::-1]
        _, last = np.unique(rows, return_index=True)
        return [] if column < 0 else self._reasons(None, rows[np.sort(last)][::-1], column, n, queries)

    def items_of(self, row: int) -> Ints:
        """Item rows of the shopper's history that the model listens to: distinct, int64 [L], oldest first
        where the order matters to it.
        """
        return self.history.bought[row].indices.astype(np.int64)

    def contributions(self, row: int | None, items_L: Ints, item: int) -> NDArray[np.float64]:
        """What each of these item rows adds to the score of `item`: float64 [L], 0 for nothing.

        row: the shopper whose history it is, None for an anonymous session. A family whose score is a sum
        over the history overrides this with its terms.
        """
        return left_out(self.score_sessions, items_L, item, self._block_size())

    def told_by(self, row: int | None, queries: Sequence[str]) -> list[tuple[str, float]]:
        """Searches that count, distinct, and their weights: the shopper's own last ones, or these queries of
        a session.
        """
        return []

    def query_terms(
        self, row: int | None, items_L: Ints, told: Sequence[tuple[str, float]], item: int
    ) -> NDArray[np.float64]:
        """What each of the weighted searches adds to the score of `item`, in the units of `contributions`:
        float64, as long as `told`.
        """
        return np.zeros(len(told))

    def _reasons(
        self, row: int | None, items_L: Ints, item: int, n: int, queries: Sequence[str] = ()
    ) -> list[Contribution]:
        told = self.told_by(row, queries) if self.hears else []
        if not len(items_L) and not told:
            return []
        amounts = self.contributions(row, items_L, item) if len(items_L) else np.zeros(0)
        said = self.query_terms(row, items_L, told, item).tolist() if told else []
        asked = [(text, amount) for (text, _), amount in zip(told, said, strict=True)]
        return shares(self.history.items.ids[items_L], amounts, n, asked)

    # -- new shoppers
    # --------------------------------------------------------------------------------------------

    def fold_in(self, dataset: Dataset) -> Self:
        """The same learned items for the shoppers and histories of `dataset`, without training.

        Items the model never saw stay unknown. Raises InvalidValue for a family that learns its shoppers
        one by one and cannot.
        """
        if not self.folds_in:
            raise InvalidValue("family", self.family, "It learns each shopper in training; train it again.")
        known = dataset.aligned(self.history.items, self.history.candidates)
        return self.with_shoppers(known, History.from_dataset(known))

    def with_shoppers(self, dataset: Dataset, history: History) -> Self:
        """A copy for these shoppers. dataset: on the model's own item rows. history: taken from it."""
        return replace(self, history=history, metrics=dict(self.metrics))

    # -- lists
    # ---------------------------------------------------------------------------------------------------

    def recommend(self, users: Sequence[int] | Ints, k: int = 100, exclude: Exclude = "bought") -> TopN:
        """One list per raw user id. "bought" leaves out what the shopper bought; what they rejected never
        appears.
        """
        rows = self.history.users.rows(np.asarray(users, dtype=np.int64))
        known = rows >= 0
        known[known] = self.history.active[rows[known]]

        def scored(inside: Ints) -> Floats:
            found = self.score_users(rows[inside])
            _hide(found, self.history.rejected, rows[inside])
            if exclude == "bought":
                _hide(found, self.history.bought, rows[inside])
            return found

        return self._ranked(known, scored, k)

    def served_lists(self, users: Sequence[int] | Ints, exclude: Exclude = "bought") -> TopN:
        """Lists as they are stored and served, at the family's own length: what offline evaluation must
        judge.

        A shared family has one stored list for everyone; what the shopper bought or rejected is taken out of
        it when it is read and nothing moves up from below its end.
        """
        family = FAMILIES[self.family]
        if not family.shared:
            return self.recommend(users, family.list_length, exclude)
        shared = self.shared_list()
        rows = self.history.users.rows(np.asarray(users, dtype=np.int64))
        ids, scores = shared.row(0)
        columns = self.history.items.rows(ids)
        hidden = np.zeros((len(rows), len(ids)), dtype=np.bool_)
        known = np.flatnonzero(rows >= 0)
        hidden[known] = self.history.rejected[rows[known]][:, columns].toarray()
        if exclude == "bought":
            hidden[known] |= self.history.bought[rows[known]][:, columns].toarray()
        order = np.argsort(hidden, axis=1, kind="stable")
        gone = np.take_along_axis(hidden, order, axis=1)
        top = TopN.empty(len(rows), family.list_length)
        top.ids[:, : len(ids)] = np.where(gone, PADDING_ID, ids[order])
        top.scores[:, : len(ids)] = np.where(gone, -np.inf, scores[order])
        return top

    def shared_list(self) -> TopN:
        """The one stored list of a shared family: a single row, its answer to a stranger."""
        return self._top(self._strangers(1), FAMILIES[self.family].list_length)

    def recommend_sessions(
        self, sessions: Sequence[Sequence[int]], k: int = 100, queries: Sequence[Sequence[str]] | None = None
    ) -> TopN:
        """One list per list of raw item ids (oldest first); the session's own items are left out.

        queries: what each session searched for since its last item, oldest first; models that hear nothing of
        searches ignore them, others then answer an empty session too.
        """
        rows = [self.history.items.rows(session) for session in sessions]
        rows = [known[known >= 0] for known in rows]
        asked: list[Sequence[str]] = [()] * len(rows)
        if queries is not None:
            if len(queries) != len(rows):
                raise InvalidValue("queries", len(queries), f"Give a list for each of {len(rows)} sessions.")
            asked = list(queries) if self.hears else asked

        def scored(inside: Ints) -> Floats:
            told = [rows[index] for index in inside]
            wanted = [asked[index] for index in inside]
            found = self.score_asked(told, wanted) if any(wanted) else self.score_sessions(told)
            for place, index in enumerate(inside):
                found[place, rows[index]] = -np.inf
            return found

        known = np.array([len(own) > 0 for own in rows], dtype=np.bool_)
        known |= np.array([any(map(query_normalised, words)) for words in asked], dtype=np.bool_)
        return self._ranked(known, scored, k)

    def similar(self, items: Sequence[int] | Ints, k: int = 100) -> TopN:
        """One list of companions per raw item id, without the item itself; empty for unknown items."""
        rows = self.history.items.rows(np.asarray(items, dtype=np.int64))

        def scored(inside: Ints) -> Floats:
            found = self.score_similar(rows[inside])
            found[np.arange(len(inside)), rows[inside]] = -np.inf
            return found

        return self._ranked(rows >= 0, scored, k, strangers=False)

    def _ranked(
        self, known: NDArray[np.bool_], scored: Callable[[Ints], Floats], k: int, strangers: bool = True
    ) -> TopN:
        """Lists of all rows, in blocks. known: which rows `scored` can answer; it takes their places.

        strangers: the others get the answer for anyone, else an empty list.
        """

        def ranked(block: Ints) -> TopN:
            inside = block[known[block]]
            if len(inside) == len(block):
                return self._top(scored(inside), k)
            # one answer stands for every stranger of the block
            top = TopN.empty(len(block), k)
            if strangers and self.score_anyone() is not None:
                anyone = self._top(self._strangers(1), k)
                top.ids[:], top.scores[:] = anyone.ids, anyone.scores
            if len(inside):
                found = self._top(scored(inside), k)
                top.ids[known[block]], top.scores[known[block]] = found.ids, found.scores
            return top

        blocks = list(self._blocks(len(known)))
        if self.threads <= 1 or len(blocks) < 2:
            return TopN.stack(_in_turn(ranked, blocks), k)
        # side by side: products and partitions let the interpreter go, and BLAS has one thread each
        parts = [blocks[at :: self.threads] for at in range(self.threads)]
        with threadpool_limits(1, "blas"), ThreadPoolExecutor(self.threads) as pool:
            found = list(pool.map(lambda part: _in_turn(ranked, part), parts))
        return TopN.stack([found[at % self.threads][at // self.threads] for at in range(len(blocks))], k)

    def _block_size(self) -> int:
        return max(1, self.block_cells // max(1, len(self.history.items)))

    def _blocks(self, n: int) -> Iterator[Ints]:
        size = self._block_size()
        for start in range(0, n, size):
            yield np.arange(start, min(n, start + size))

    def _strangers(self, n: int) -> Floats:
        anyone = self.score_anyone()
        scores = np.full((n, len(self.history.items)), -np.inf, dtype=np.float32)
        if anyone is not None:
            scores[:] = anyone
        return scores

    def _top(self, scores: Floats, k: int) -> TopN:
        gone = np.flatnonzero(~self.history.candidates)
        if len(gone):
            scores[:, gone] = -np.inf
        return top_k(scores, self.history.items.ids, k)

    # -- folder
    # --------------------------------------------------------------------------------------------------

    def save(self, directory: str | Path) -> None:
        """Writes the artifact folder (config, tensors, id maps, metrics, manifest of sha256)."""
        parts_write(
            directory,
            Parts(
                self.family,
                self.config.to_dict(),
                self.to_arrays(),
                self.history.to_arrays(),
                self.to_texts(),
                self.metrics,
            ),
        )

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Reads a folder written by `save`; ArtifactInvalid when a file is missing, altered or of another
        family.
        """
        return cls.from_artifact(parts_read(directory, family=cls.family))

    @classmethod
    def from_artifact(cls, parts: Parts) -> Self:
        """From what `parts_read` found; ArtifactInvalid when an older version of the code wrote it."""
        try:
            config: Any = cls.config_class(**parts.config)
            model = cls.from_parts(config, History.from_arrays(parts.history), parts.arrays, parts.texts)
        except (KeyError, TypeError, InvalidValue) as error:
            raise ArtifactInvalid(
                f"{cls.family}: the folder was written by another version of the code ({error}); "
                "retrain this recipe"
            ) from error
        model.metrics = parts.metrics
        return model


def _in_turn(ranked: Callable[[Ints], TopN], blocks: list[Ints]) -> list[TopN]:
    with reused():
        return [ranked(block) for block in blocks]


def _hide(scores: Floats, pairs: signals.Csr, rows_B: Ints) -> None:
    """Takes the pairs of these rows out of their scores, in place."""
    if pairs.nnz:
        own = pairs[rows_B]
        scores[np.repeat(np.arange(len(rows_B)), np.diff(own.indptr)), own.indices] = -np.inf


def positive_only(scores: NDArray[Any]) -> Floats:
    """Scores above 0 as float32, everything else -inf: for models whose 0 means "no evidence"."""
    return np.where(scores > 0, scores, -np.inf).astype(np.float32)
