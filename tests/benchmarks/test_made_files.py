"""The made-up files are as they say: reproducible, of a power law, with steps that follow each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.made_files import WORLDS, lists_made, written


@pytest.mark.parametrize("kind", sorted(WORLDS))
def test_lists_are_reproducible_and_few_items_have_most_events(kind: str) -> None:
    world = replace(WORLDS[kind], lists=400, items=2_000, tastes=50)
    made = lists_made(world, seed=3)
    again = lists_made(world, seed=3)
    assert all(np.array_equal(one, other) for one, other in zip(made, again, strict=True))
    counts = np.sort(np.bincount(np.concatenate(made), minlength=2_000))[::-1]
    assert counts[:200].sum() > 0.2 * counts.sum()
    repeated = np.mean([len(np.unique(one)) < len(one) for one in made])
    assert repeated > 0.2 if world.back else repeated == 0


def test_a_train_and_a_test_file_have_nothing_in_common(tmp_path: Path) -> None:
    train, test = written("gowalla", tmp_path, scale=0.005)
    first, second = (
        {row.split()[0]: set(row.split()[1:]) for row in path.read_text().splitlines()}
        for path in (train, test)
    )
    assert first.keys() == second.keys()
    assert len(first) == 150
    assert not any(first[user] & second[user] for user in first)
    train, test = written("clicks", tmp_path, scale=0.001)
    assert len(train.read_text().splitlines()) == 388
    assert len(test.read_text().splitlines()) == 12
