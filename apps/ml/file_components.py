"""The rankers that the commands on files choose from: starting points and the settings worth moving.

Starting points are compromises between MovieLens-100k (long histories whose order tells much) and Online
Retail cut into short lists (baskets in a row), not the best of either.
"""

from __future__ import annotations

import time
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from scipy import sparse

from apps.ml.base import TrainOptions
from apps.ml.file_choice import Component, Settings
from apps.ml.list_scorers import (
    ItemWeightsScorer,
    LowRankScorer,
    ModelScorer,
    NeighbourLists,
    NeighbourScorer,
    OwnItemsScorer,
    PopularScorer,
    Scorer,
    popularity,
)
from apps.ml.ordered_items import (
    Regression,
    busiest,
    discounted,
    follows,
    profiles,
    regression,
    together,
)
from apps.ml.text_files import EventLists

PROBE = 1_500
LEAST_EPOCHS, MOST_EPOCHS = 4, 30
DENSE_BYTES = 6e9
"""Most that the matrices of a regression may take together (four of N x N)."""


def popular_component() -> Component:
    return Component("popularity", {}, (), lambda lists, *_: PopularScorer(popularity(lists)), always=True)


def own_items_component() -> Component:
    """For data in which what was chosen is chosen again."""

    def fit(lists: EventLists, settings: Settings, options: TrainOptions) -> Scorer:
        return OwnItemsScorer(settings["decay"], popularity(lists))

    return Component("own_items", {"decay": 0.9}, (("decay", (0.98, 0.7, 1.0)),), fit, read=("decay",))


def item_knn_component(ordered: bool, share: float = 0.25) -> Component:
    """Neighbours by shared lists; without an order the whole profile counts alike."""

    def fit(lists: EventLists, settings: Settings, options: TrainOptions) -> Scorer:
        weights = together(
            lists,
            length_exponent=settings["length_exponent"],
            own=settings["own"],
            other=settings["other"],
            shrink=settings["shrink"],
            neighbours=settings["neighbours"],
            check=options.check,
        )
        return ItemWeightsScorer(weights, settings["decay"], popularity(lists))

    start: Settings = {
        "length_exponent": 0.5,
        "own": 0.5,
        "other": 0.4,
        "shrink": 0.0,
        "neighbours": 200,
        "decay": 0.7 if ordered else 1.0,
    }
    moves: list[tuple[str, tuple[float, ...]]] = [
        ("other", (0.3, 0.5, 0.6)),
        ("length_exponent", (0.25, 0.75, 0.0)),
        ("own", (0.3, 0.7)),
        ("neighbours", (50, 500)),
        ("shrink", (1.0, 5.0)),
    ]
    if ordered:
        moves.insert(0, ("decay", (0.85, 0.5, 0.95, 0.3)))
    return Component("item_knn", start, moves, fit, ("decay",), _pairs_cost, share, always=True)


def follows_component() -> Component:
    """Who follows whom within a few places (sequential rules)."""

    def fit(lists: EventLists, settings: Settings, options: TrainOptions) -> Scorer:
        counts = follows(
            lists,
            reach=settings["reach"],
            power=settings["power"],
            backward=settings["backward"],
            length_exponent=settings["length_exponent"],
        )
        weights = discounted(
            counts, own=settings["own"], other=settings["other"], shrink=settings["shrink"], neighbours=500
        )
        return ItemWeightsScorer(weights, settings["decay"], popularity(lists))

    start: Settings = {
        "reach": 20,
        "power": 0.75,
        "backward": 0.7,
        "length_exponent": 0.0,
        "own": 0.5,
        "other": 0.15,
        "shrink": 0.0,
        "decay": 0.7,
    }
    moves = (
        ("decay", (0.85, 0.5, 0.95, 0.3)),
        ("other", (0.0, 0.3, 0.5)),
        ("backward", (1.0, 0.3, 0.0)),
        ("power", (0.4, 1.2, 2.0)),
        ("own", (0.3, 0.8)),
        ("length_exponent", (0.4,)),
    )
    return Component("co_visit", start, moves, fit, ("decay",), lambda *_: 1.0, 0.2)


def regression_component(options: TrainOptions, share: float = 0.4) -> Component:
    """Ridge regression of the next item on the earlier ones; the busiest items where all are too many."""

    def fit(lists: EventLists, settings: Settings, options: TrainOptions) -> Scorer:
        how = Regression(
            settings["ridge"],
            settings["input_decay"],
            settings["target_decay"],
            settings["whole"],
            settings["forward"],
            settings["backward"],
        )
        kept = busiest(lists, most_items())
        found = regression(lists, how, options.threads, kept)
        return ItemWeightsScorer(found, settings["decay"], popularity(lists), kept)

    def cost(lists: EventLists, settings: Settings) -> float:
        n = min(lists.n_items, most_items())
        return 1.0 + n**3 * seconds_per_flop(options.threads)

    start: Settings = {
        "ridge": 150.0,
        "whole": 0.3,
        "forward": 1.0,
        "backward": 1.0,
        "input_decay": 0.5,
        "target_decay": 0.3,
        "decay": 0.7,
    }
    moves = (
        ("decay", (0.85, 0.5, 0.95, 0.3)),
        ("ridge", (50.0, 400.0, 15.0)),
        ("backward", (0.3,)),
        ("input_decay", (0.75,)),
        ("whole", (1.0, 0.0)),
    )
    return Component("ordered_ease", start, moves, fit, ("decay",), cost, share)


@cache
def seconds_per_flop(threads: int) -> float:
    """Seconds of one n^3-th of inverting an n x n matrix on this machine as busy as it is, with a margin."""
    torch.set_num_threads(threads)
    system = torch.eye(PROBE) * PROBE + 1.0
    torch.cholesky_inverse(torch.linalg.cholesky(system[:64, :64]))
    begun = time.monotonic()
    torch.cholesky_inverse(torch.linalg.cholesky(system))
    return 1.3 * (time.monotonic() - begun) / PROBE**3


def most_items() -> int:
    """Items whose regression fits into DENSE_BYTES."""
    return int((DENSE_BYTES / 16) ** 0.5)


def ease_component(options: TrainOptions, share: float = 0.4) -> Component:
    """EASE for lists without an order."""
    ordered = regression_component(options, share)
    start = {**ordered.start, "whole": 1.0, "forward": 0.0, "backward": 0.0, "decay": 1.0, "ridge": 200.0}
    return Component("ease", start, (("ridge", (600.0, 60.0)),), ordered.fit, (), ordered.cost, share)


def neighbours_component(name: str, share: float = 0.25, recent: bool = False) -> Component:
    """Lists alike."""

    def fit(lists: EventLists, settings: Settings, options: TrainOptions) -> Scorer:
        return NeighbourScorer.fit(NeighbourLists(**settings), lists)

    start: Settings = {
        "neighbours": 200,
        "decay": 0.7,
        "near": 0.7,
        "idf": 1.0,
        "length": 0.3,
        "popular_discount": 0.0,
        "recent": 0.0,
    }
    moves: list[tuple[str, tuple[float, ...]]] = [
        ("near", (0.85, 0.5, 1.0)),
        ("decay", (0.85, 0.5)),
        ("length", (0.0, 0.6)),
        ("popular_discount", (0.2,)),
        ("neighbours", (500, 80)),
        ("idf", (2.0, 0.5)),
    ]
    if recent:
        moves.insert(0, ("recent", (2.0, 8.0)))
    return Component(name, start, moves, fit, (), lambda *_: 1.0, share)


def low_rank_component(share: float = 0.3) -> Component:
    """The leading directions of the normalised lists (GF-CF: Shen et al. 2021, its low-pass part)."""

    def fit(lists: EventLists, settings: Settings, options: TrainOptions) -> Scorer:
        rows = profiles(lists, 1.0).astype(np.float64)
        count = np.maximum(np.bincount(rows.indices, minlength=lists.n_items), 1.0)
        sizes = np.maximum(np.diff(rows.indptr), 1.0)
        before = count ** -settings["before"]
        scaled = sparse.csr_matrix(
            sparse.diags_array(sizes ** -settings["rows"]) @ rows @ sparse.diags_array(count**-0.5)
        )
        directions = leading(scaled, settings["rank"], options.seed)
        after = count ** settings["after"]
        return LowRankScorer(
            directions, before.astype(np.float32), after.astype(np.float32), popularity(lists)
        )

    start: Settings = {"rank": 256, "before": 0.5, "after": 0.5, "rows": 0.5}
    moves = (("rank", (64, 512)), ("after", (0.3, 0.7)), ("before", (0.3, 0.7)))

    def cost(lists: EventLists, settings: Settings) -> float:
        return (
            2.0
            + 12.0 * len(lists.item) * settings["rank"] / 1e9
            + lists.n_items * settings["rank"] ** 2 / 1e9
        )

    return Component("low_rank", start, moves, fit, (), cost, share)


def leading(matrix: sparse.csr_matrix, rank: int, seed: int) -> np.ndarray:
    """Right singular vectors of the largest singular values by randomised subspace iteration (Halko et al.
    2011): float32 [columns, rank or fewer].
    """
    rows, columns = matrix.shape
    wide = min(rank + 16, rows, columns)
    rng = np.random.default_rng(seed)
    compact = matrix.astype(np.float32)
    turned = sparse.csr_matrix(compact.T)
    basis = rng.standard_normal((columns, wide)).astype(np.float32)
    for _ in range(5):
        basis = np.linalg.qr(turned @ (compact @ basis))[0]
    small = compact @ basis
    _, values, right = np.linalg.svd(small.T @ small)
    kept = min(rank, int((values > values.max(initial=0.0) * 1e-7).sum())) or 1
    return np.ascontiguousarray((basis @ right[:kept].T).astype(np.float32))


def sequence_model_component(family: str) -> Component:
    """SASRec or GRU4Rec; how many epochs it gets follows from the seconds it may take."""

    def fit(lists: EventLists, settings: Settings, options: TrainOptions) -> Scorer:
        config = {**settings, "patience": None, "repeats": "keep"}
        return ModelScorer.fit(family, config, lists.take(np.flatnonzero(lists.lengths > 1)), options)

    start: Settings = {"epochs": 1, "width": 64, "max_length": 50, "dropout": 0.3, "batch_size": 128}

    def prepare(lists: EventLists, seconds: float, options: TrainOptions) -> Settings | None:
        telling = np.flatnonzero(lists.lengths > 1)
        if not len(telling):
            return None
        size = min(len(telling), max(256, len(telling) // 20))
        some = lists.take(np.sort(np.random.default_rng(options.seed).choice(telling, size, replace=False)))
        quiet = replace(options, on_progress=None)
        length = int(np.clip(2 * np.percentile(lists.lengths[telling], 80), 10, 100))
        settings = {**start, "max_length": length}
        fit(some.last(4), settings, quiet)  # what is paid once (imports, first kernels) is not counted
        begun = time.monotonic()
        fit(some, settings, quiet)
        epoch = max(time.monotonic() - begun, 1e-3) * len(telling) / size
        epochs = int(min(MOST_EPOCHS, 0.9 * seconds / epoch))
        return {"max_length": length, "epochs": epochs} if epochs >= LEAST_EPOCHS else None

    return Component(family, start, (), fit, prepare=prepare, share=1.0)


def _pairs_cost(lists: EventLists, settings: Settings) -> float:
    """Seconds of counting pairs."""
    lengths = lists.lengths.astype(np.float64)
    return 0.5 + float((lengths**2).sum()) / 2e7
