from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from apps.ml.configs.sequences import SasRecConfig, SequenceConfig
from apps.ml.dataset import Dataset
from apps.ml.errors import InvalidValue
from apps.ml.sequences import SequenceBatch, SequenceBatches, Sequences, pause_buckets, sequences_of

PADDING, HIDDEN = 100, 101
PLAIN = SequenceConfig(shuffle_ties=False, max_length=4, repeats="keep")


def dataset() -> Dataset:
    """Shopper 1 chooses 5 5 6 5 7 7, shopper 2 one item, and somebody unknown two in one basket."""
    rows = [
        (1, 5, 10.0, "view", 1.0, "a"),
        (2, 6, 11.0, "view", 1.0, "b"),
        (1, 5, 20.0, "purchase", 4.0, "a"),
        (1, 6, 30.0, "view", 1.0, "a"),
        (-1, 7, 31.0, "view", 1.0, "c"),
        (1, 5, 40.0, "view", 1.0, "d"),
        (1, 8, 45.0, "dislike", -1.0, "d"),
        (-1, 6, 46.0, "view", 1.0, "c"),
        (1, 7, 50.0, "view", 1.0, "d"),
        (1, 7, 60.0, "view", 1.0, "d"),
        (-1, 6, 61.0, "view", 1.0, ""),
    ]
    names = ["user_id", "item_id", "timestamp", "kind", "weight", "basket"]
    return Dataset.from_frames(pd.DataFrame(rows, columns=names))


def told(found: Sequences) -> list[list[int]]:
    """Each history as raw ids."""
    return [(5 + found.items[found.start[i] : found.start[i + 1]]).tolist() for i in range(len(found))]


@pytest.mark.parametrize(
    ("repeats", "first"),
    [
        ("keep", [5, 5, 6, 5, 7, 7]),
        ("collapse", [5, 6, 5, 7]),
        ("first", [5, 6, 7]),
        ("last", [6, 5, 7]),
    ],
)
def test_histories_in_order_and_what_becomes_of_repeats(repeats: Any, first: list[int]) -> None:
    found = sequences_of(dataset(), repeats)
    assert told(found) == [first, [6], [7, 6]]
    assert found.owner.tolist() == [0, 1, -1]
    assert told(sequences_of(dataset(), repeats, anonymous=False)) == [first, [6]]


def test_a_run_is_as_strong_as_its_strongest_event() -> None:
    found = sequences_of(dataset(), "collapse")
    assert found.strength[:4].tolist() == [1.0, 0.25, 0.25, 0.25]
    assert told(found.tails(2)) == [[5, 7], [6], [7, 6]]


def histories(*lengths: int) -> Sequences:
    """Items count up through all histories, an hour between events."""
    total = sum(lengths)
    return Sequences(
        np.arange(total),
        3600.0 * np.arange(total, dtype=np.float64),
        np.ones(total, dtype=np.float32),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        np.arange(len(lengths)),
    )


def epoch(source: Sequences, config: SequenceConfig, size: int = 2, seed: int = 0) -> list[SequenceBatch]:
    batches = SequenceBatches(source, config, size, PADDING, HIDDEN, torch.device("cpu"))
    found = list(batches.epoch(np.random.default_rng(seed)))
    assert abs(len(found) - len(batches)) <= 1
    return found


def pairs(batches: list[SequenceBatch]) -> list[tuple[int, int]]:
    """Each input with its target."""
    return [
        (int(item), int(target))
        for batch in batches
        for item, target in zip(batch.items.reshape(-1)[batch.picked], batch.targets, strict=True)
    ]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_event_is_once_the_input_of_the_next(seed: int) -> None:
    source = histories(1, 7, 4, 2, 0, 13, 5)
    expected = [
        (at, at + 1)
        for start, stop in zip(source.start, source.start[1:], strict=False)
        for at in range(start, stop - 1)
    ]
    assert sorted(pairs(epoch(source, PLAIN, seed=seed))) == expected


def test_long_histories_are_cut_at_another_place_each_epoch() -> None:
    starts = {
        tuple(sorted(int(row[0]) for batch in epoch(histories(15), PLAIN, seed=seed) for row in batch.items))
        for seed in range(8)
    }
    assert len(starts) > 1
    assert all(len(rows) == 4 for rows in starts)


def test_rows_of_a_batch_are_of_like_length() -> None:
    config = replace(PLAIN, max_length=50)
    source = histories(*np.random.default_rng(0).integers(2, 50, 300).tolist())
    cells = sum(batch.items.numel() for batch in epoch(source, config, size=16))
    used = sum(batch.picked.numel() for batch in epoch(source, config, size=16))
    assert used / cells > 0.9


def test_hidden_items_are_inputs_only() -> None:
    batches = epoch(histories(40, 40), replace(PLAIN, mask=0.5, max_length=50))
    given = [item for item, _ in pairs(batches)]
    assert 20 < given.count(HIDDEN) < 60
    assert sorted(target for _, target in pairs(batches)) == [*range(1, 40), *range(41, 80)]


def test_crops_are_whole_pieces_of_a_history() -> None:
    whole = replace(PLAIN, max_length=50)
    cropped = pairs(epoch(histories(40, 40), replace(whole, crop=1.0)))
    assert 30 <= len(cropped) < 78
    assert all(target == item + 1 for item, target in cropped)


def test_reordering_moves_a_stretch_and_loses_nothing() -> None:
    config = replace(PLAIN, reorder=1.0, max_length=50)
    (batch,) = epoch(histories(40), config)
    row = [*batch.items[0].tolist(), int(batch.targets[-1])]
    assert sorted(row) == list(range(40))
    moved = [place for place, item in enumerate(row) if place != item]
    assert 2 <= len(moved) <= 12
    assert moved[-1] - moved[0] < 12


def test_a_horizon_looks_further_but_not_past_the_end() -> None:
    found = pairs(epoch(histories(30), replace(PLAIN, horizon=5, max_length=50)))
    ahead = [target - item for item, target in found]
    assert set(ahead) == {1, 2, 3, 4, 5}
    assert max(target for _, target in found) == 29


def test_events_of_one_moment_have_no_order_of_their_own() -> None:
    source = replace(histories(6, 3), time=np.array([0.0, 1, 1, 1, 1, 2, 0, 1, 2]))
    orders = {tuple(source.shuffled_ties(np.random.default_rng(seed)).items.tolist()) for seed in range(20)}
    assert len(orders) > 5
    assert all(
        order[0] == 0 and set(order[1:5]) == {1, 2, 3, 4} and order[5:] == (5, 6, 7, 8) for order in orders
    )


def test_pauses_double_from_bucket_to_bucket() -> None:
    minutes = np.cumsum([0.0, 0.0, 1.0, 3.0, 7.0, 1e6])
    assert pause_buckets(60.0 * minutes[None], 5).tolist() == [[0, 1, 2, 3, 4, 5]]


def test_targets_count_by_the_strength_of_their_event() -> None:
    source = replace(histories(3), strength=np.array([1.0, 0.5, 0.25], dtype=np.float32))
    (batch,) = epoch(source, PLAIN)
    assert batch.weights.tolist() == [0.5, 0.25]
    (batch,) = epoch(source, replace(PLAIN, strength=False))
    assert batch.weights.tolist() == [1.0, 1.0]


def test_shares_end_at_one() -> None:
    with pytest.raises(InvalidValue, match="crop"):
        SasRecConfig(crop=1.5)
