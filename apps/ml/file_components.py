"""The rankers that the commands on files choose from: starting points and the settings worth moving.

Starting points are compromises between MovieLens-100k (long histories whose order tells much) and Online
Retail cut into short lists (baskets in a row), not the best of either.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
from scipy import sparse

from apps.ml.base import TrainOptions
from apps.ml.file_choice import Component, Settings
from apps.ml.least_squares import Ridge
from apps.ml.list_scorers import (
    FactorScorer,
    ItemWeightsScorer,
    LowRankScorer,
    ModelScorer,
    NeighbourLists,
    NeighbourScorer,
    OwnItemsScorer,
    PopularScorer,
    Scorer,
    dataset_of,
    popularity,
)
from apps.ml.local_regression import LocalHow, local_regression
from apps.ml.ordered_items import (
    Regression,
    Weights,
    discounted,
    follows,
    moments,
    profiles,
    regression,
    ridge_of,
    together,
)
from apps.ml.text_files import EventLists
from apps.ml.train import train

LEAST_EPOCHS, MOST_EPOCHS = 3, 40
WHOLE_EPOCHS = 12
"""With at least so many epochs the softmax is taken whole; with fewer it is sampled, twice as fast."""
DENSE_ITEMS = 2_000
"""Up to here a regression is solved for all items at once."""


def popular_component() -> Component:
    return Component(
        "popularity", "popularity", {}, (), lambda lists, *_: PopularScorer(popularity(lists)), always=True
    )


def own_items_component() -> Component:
    """For data in which what was chosen is chosen again."""

    def fit(lists: EventLists, settings: Settings, options: TrainOptions) -> Scorer:
        return OwnItemsScorer(settings["decay"], popularity(lists))

    moves = (("decay", (0.98, 0.7, 1.0)),)
    return Component("own_items", "own items again", {"decay": 0.9}, moves, fit, read=("decay",))


def item_knn_component(ordered: bool) -> Component:
    """Neighbours by shared lists; without an order the whole profile counts alike. With length_exponent 1 and
    halves it is the one-hop part of a graph filter, with larger powers a random walk (RP3beta: Paudel et al.
    2017).
    """

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
        "length_exponent": 0.5 if ordered else 0.75,
        "own": 0.5,
        "other": 0.4,
        "shrink": 0.0,
        "neighbours": 200 if ordered else 400,
        "decay": 0.7 if ordered else 1.0,
    }
    moves: list[tuple[str, tuple[float, ...]]] = [
        ("other", (0.3, 0.5, 0.6)),
        ("length_exponent", (0.25, 0.75, 0.0) if ordered else (1.0, 0.4)),
        ("own", (0.3, 0.7, 0.9)),
        ("neighbours", (50, 500) if ordered else (100, 1_000)),
        ("shrink", (1.0, 5.0)),
    ]
    if ordered:
        moves.insert(0, ("decay", (0.85, 0.5, 0.95, 0.3)))
    return Component("item_knn", "items chosen together", start, moves, fit, ("decay",), _pairs_cost, True)


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
    return Component(
        "co_visit", "what follows what", start, moves, fit, ("decay",), lambda lists, _: len(lists.item) / 2e5
    )


def _regression_fit(lists: EventLists, settings: Settings, options: TrainOptions) -> Scorer:
    how = Regression(**{name: value for name, value in settings.items() if name not in ("decay", "lift")})
    if lists.n_items <= DENSE_ITEMS:
        weights: Weights = regression(lists, how, options.threads)
    else:
        gram, cross = moments(lists, how)
        weights = local_regression(
            gram, cross, ridge_of(gram, how), LocalHow(), options.threads, options.check
        )
    return ItemWeightsScorer(weights, settings["decay"], popularity(lists), settings["lift"])


def regression_component() -> Component:
    """Ridge regression of the next item on the earlier ones."""
    start: Settings = {
        "ridge": 100.0,
        "dropout": 0.0,
        "whole": 0.3,
        "forward": 1.0,
        "backward": 1.0,
        "input_decay": 0.5,
        "target_decay": 0.3,
        "decay": 0.7,
        "lift": 0.0,
    }
    moves = (
        ("decay", (0.85, 0.5, 0.95, 0.3)),
        ("lift", (0.3, -0.3)),
        ("ridge", (30.0, 300.0, 10.0)),
        ("backward", (0.3,)),
        ("input_decay", (0.75,)),
        ("whole", (1.0, 0.0)),
        ("dropout", (0.3,)),
    )
    read = ("decay", "lift")
    title = "regression of the next item"
    return Component("ordered_ease", title, start, moves, _regression_fit, read, _regression_cost)


def ease_component() -> Component:
    """EASE for lists without an order."""
    start: Settings = {
        "ridge": 100.0,
        "dropout": 0.3,
        "length_exponent": 0.0,
        "forward": 0.0,
        "backward": 0.0,
        "decay": 1.0,
        "lift": 0.0,
    }
    moves = (
        ("lift", (0.3, 0.6, -0.3)),
        ("length_exponent", (0.5,)),
        ("ridge", (30.0, 300.0, 10.0, 1_000.0)),
        ("dropout", (1.0, 0.0)),
    )
    read = ("decay", "lift")
    return Component(
        "ease", "regression of each item on the others", start, moves, _regression_fit, read, _regression_cost
    )


def _regression_cost(lists: EventLists, settings: Settings) -> float:
    """Seconds: counting pairs, then an inverse per few items."""
    return 1.5 * _pairs_cost(lists, settings) + lists.n_items / 1_500


def neighbours_component(title: str, recent: bool = False, ordered: bool = True) -> Component:
    """Lists alike; without an order all items in common and all spoken for count alike."""

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
    if not ordered:
        start |= {"decay": 1.0, "near": 1.0, "length": 0.6, "popular_discount": 0.2}
        moves = [
            ("neighbours", (500, 100)),
            ("popular_discount", (0.4, 0.0)),
            ("length", (0.4, 0.8)),
            ("idf", (1.5, 0.5)),
        ]
    return Component("session_knn" if ordered else "user_knn", title, start, moves, fit)


def factors_component() -> Component:
    """iALS with wide factors (Rendle et al. 2021: what it takes is width and a tuned ridge)."""

    def fit(lists: EventLists, settings: Settings, options: TrainOptions) -> Scorer:
        config = {**settings, "half_life_days": None}
        model = train("als", config, dataset_of(lists), replace(options, seconds=None))
        factors = np.zeros((lists.n_items, settings["factors"]), dtype=np.float32)
        factors[model.history.items.ids] = model.to_arrays()["item_factors"]
        ridge = Ridge(settings["regularisation"], settings["frequency_exponent"])
        # the family takes the logarithm of 1 + one choice
        extra = float(np.log(2.0)) * settings["alpha"]
        return FactorScorer(factors, ridge, extra, popularity(lists))

    start: Settings = {
        "factors": 128,
        "alpha": 10.0,
        "regularisation": 1.0,
        "frequency_exponent": 0.8,
        "epochs": 10,
    }
    moves = (
        ("regularisation", (0.3, 3.0, 0.1)),
        ("alpha", (30.0, 4.0)),
        ("factors", (256,)),
        ("frequency_exponent", (1.0, 0.5)),
    )

    def cost(lists: EventLists, settings: Settings) -> float:
        return 2.0 + 2.5e-7 * len(lists.item) * settings["factors"] * settings["epochs"] / 8

    return Component("als", "tastes by least squares", start, moves, fit, (), cost)


def low_rank_component() -> Component:
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

    return Component("low_rank", "leading directions of the lists", start, moves, fit, (), cost)


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
    """SASRec or GRU4Rec; loss, epochs and threads follow from the seconds they may take."""

    def fit(lists: EventLists, settings: Settings, options: TrainOptions) -> Scorer:
        config = {"repeats": "keep", **settings}
        options = replace(options, threads=config.pop("threads"))
        return ModelScorer.fit(family, config, lists.take(np.flatnonzero(lists.lengths > 1)), options)

    start: Settings = {
        "epochs": 1,
        "width": 64,
        "max_length": 50,
        "dropout": 0.3,
        "batch_size": 128,
        "patience": 5,
        "holdout": 0.05,
        "threads": 1,
    }

    def prepare(lists: EventLists, seconds: float, options: TrainOptions) -> Settings | None:
        telling = np.flatnonzero(lists.lengths > 1)
        if not len(telling):
            return None
        size = min(len(telling), max(256, min(len(telling) // 20, 4_000)))
        some = lists.take(np.sort(np.random.default_rng(options.seed).choice(telling, size, replace=False)))
        quiet = replace(options, on_progress=None)
        length = int(np.clip(2 * np.percentile(lists.lengths[telling], 80), 10, 100))
        # long lists are cut into rows of at most this many, short ones are trained many at a time
        batch = int(np.clip(128 * 10 / max(lists.lengths[telling].mean(), 1.0), 32, 512))
        given = {**start, "max_length": length, "batch_size": batch, "patience": None}

        def epoch(loss: str, threads: int) -> float:
            begun = time.monotonic()
            fit(some, {**given, "loss": loss, "threads": threads}, quiet)
            return max(time.monotonic() - begun, 1e-3) * len(telling) / size

        # what is paid once (imports, first kernels) is not counted
        fit(some.last(4), {**given, "loss": "sampled_softmax"}, quiet)
        # beside busy neighbours two threads are slower than one
        by_threads = {threads: epoch("sampled_softmax", threads) for threads in {1, options.threads}}
        threads = min(by_threads, key=lambda count: by_threads[count])
        loss, longest = "sampled_softmax", by_threads[threads]
        if 0.5 * seconds > longest:
            whole = epoch("softmax", threads)
            if 0.9 * seconds > WHOLE_EPOCHS * whole or whole < 1.3 * longest:
                loss, longest = "softmax", whole
        epochs = int(min(MOST_EPOCHS, 0.9 * seconds / longest))
        if epochs < LEAST_EPOCHS:
            return None
        how = {"max_length": length, "batch_size": batch, "threads": threads, "loss": loss}
        return {**how, "epochs": epochs}

    titles = {"sasrec": "attention over the list (SASRec)", "gru4rec": "a recurrent network (GRU4Rec)"}
    return Component(family, titles[family], start, (), fit, prepare=prepare)


def _pairs_cost(lists: EventLists, settings: Settings) -> float:
    """Seconds of counting pairs."""
    lengths = lists.lengths.astype(np.float64)
    return 0.5 + float((lengths**2).sum()) / 2e7
