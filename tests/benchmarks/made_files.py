"""Files of the sizes people bring, made up: users with a few tastes, items of a power law, steps that follow
each other. Nothing here is anybody's data.

    python -m tests.benchmarks.made_files beauty FOLDER [--scale 1.0]

Kinds: `beauty` one file of short histories in order; `gowalla`, `books` a train and a test file, the order of
no meaning; `sessions`, `clicks` a train and a test file of sessions with repeats.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
SUCCESSORS = 12
MEMORY = 5
"""A step may follow from any of this many items before it."""


@dataclass(frozen=True)
class World:
    """How lists come about.

    lists, items: how many. mean, least: events of a list; tail: spread of their logarithm. tastes: groups of
    items; own: tastes of a list. skew: power of the item popularity. follow: share of steps that follow from
    an item before; wander: share drawn from all items; the rest is of the list's tastes. back: share of steps
    that return to an item of the list (0: no item twice). sharp: how unlike the chances of successors are.
    test: share of each list (or of the sessions, the last ones) that goes to the test file.
    """

    lists: int
    items: int
    mean: float
    least: int
    tail: float
    tastes: int
    own: int
    skew: float
    follow: float
    wander: float
    back: float = 0.0
    sharp: float = 0.6
    test: float = 0.0


WORLDS = {
    "beauty": World(22_000, 12_000, 9, 5, 0.8, 600, 3, 0.75, 0.22, 0.35),
    "gowalla": World(30_000, 41_000, 34, 10, 0.9, 900, 4, 0.85, 0.25, 0.3, test=0.2),
    "books": World(53_000, 92_000, 56, 12, 1.0, 2_500, 8, 0.8, 0.1, 0.5, test=0.2),
    "sessions": World(200_000, 43_000, 5, 2, 0.6, 4_000, 1, 0.7, 0.45, 0.12, 0.12, test=0.07),
    "clicks": World(400_000, 17_000, 4, 2, 0.7, 1_200, 1, 0.9, 0.6, 0.05, 0.2, 0.45, test=0.03),
}


def lists_made(world: World, seed: int = 0) -> list[Ints]:
    """The lists, items 0 to n - 1 by descending popularity: int64 each."""
    rng = np.random.default_rng(seed)
    chance = (np.arange(world.items) + 10.0) ** -world.skew
    taste_of = rng.integers(0, world.tastes, world.items)
    # items by taste, and where each taste ends on the sum of its chances
    order = np.lexsort((np.arange(world.items), taste_of))
    ends = np.cumsum(chance[order])
    stops = np.searchsorted(taste_of[order], np.arange(world.tastes), side="right")
    starts = np.searchsorted(taste_of[order], np.arange(world.tastes))
    high = np.append(0.0, ends)[stops]
    low = np.append(0.0, ends)[starts]
    everything = np.cumsum(chance)

    def of_taste(tastes: Ints) -> Ints:
        empty = high[tastes] <= low[tastes]
        drawn = low[tastes] + rng.random(len(tastes)) * (high[tastes] - low[tastes])
        found = order[np.minimum(np.searchsorted(ends, drawn, side="right"), world.items - 1)]
        return np.where(empty, anything(len(tastes)), found)

    def anything(count: int) -> Ints:
        drawn = rng.random(count) * everything[-1]
        return np.minimum(np.searchsorted(everything, drawn, side="right"), world.items - 1)

    # successors: mostly of the same taste, some of the next one, some anything
    successors = np.empty((world.items, SUCCESSORS), dtype=np.int64)
    for rank in range(SUCCESSORS):
        near = of_taste((taste_of + (rng.random(world.items) < 0.2)) % world.tastes)
        successors[:, rank] = np.where(rng.random(world.items) < 0.15, anything(world.items), near)

    spread = rng.lognormal(-(world.tail**2) / 2, world.tail, world.lists)
    length = (world.least + (world.mean - world.least) * spread).round().astype(np.int64)
    length = np.clip(length, world.least, 40 * int(world.mean))
    weight = (np.arange(world.tastes) + 3.0) ** -0.5
    tastes = rng.choice(world.tastes, (world.lists, world.own), p=weight / weight.sum())
    # rows ascend by length, so that those still growing are a tail of them
    rows = np.argsort(length, kind="stable")
    grown = np.full((world.lists, int(length.max())), -1, dtype=np.int64)
    for step in range(grown.shape[1]):
        live = rows[np.searchsorted(length[rows], step, side="right") :]
        dice = rng.random(len(live))
        # the first tastes of a list are its strongest
        picked = np.minimum(rng.geometric(0.45, len(live)) - 1, world.own - 1)
        item = of_taste(tastes[live, picked])
        item = np.where(dice < world.wander, anything(len(live)), item)
        if step:
            before = np.maximum(step - rng.geometric(0.6, len(live)).clip(1, MEMORY), 0)
            place = np.minimum(rng.geometric(1 - world.sharp, len(live)) - 1, SUCCESSORS - 1)
            following = successors[grown[live, before], place]
            item = np.where((dice >= world.wander) & (dice < world.wander + world.follow), following, item)
            if world.back:
                older = grown[live, rng.integers(0, step, len(live))]
                item = np.where(dice > 1 - world.back, older, item)
        grown[live, step] = item
    found = [grown[row, : length[row]] for row in range(world.lists)]
    if world.back:
        return found
    return [one[np.sort(np.unique(one, return_index=True)[1])] for one in found]


def written(kind: str, folder: Path, scale: float = 1.0, seed: int = 0) -> list[Path]:
    """Writes the file, or the train and the test file, of this kind; scale: of the number of lists."""
    world = WORLDS[kind]
    world = replace(world, lists=max(50, int(scale * world.lists)))
    made = lists_made(world, seed)
    rng = np.random.default_rng((seed, 1))
    folder.mkdir(parents=True, exist_ok=True)
    named = world.back == 0
    if not world.test:
        return [_file(folder / f"{kind}.txt", made, named)]
    if not named:
        cut = int((1 - world.test) * len(made))
        return [
            _file(folder / f"{kind}-train.txt", made[:cut], named),
            _file(folder / f"{kind}-test.txt", made[cut:], named),
        ]
    train, test = [], []
    for one in made:
        mixed = rng.permutation(one)
        cut = max(1, int((1 - world.test) * len(mixed)))
        train.append(mixed[:cut])
        test.append(mixed[cut:])
    return [
        _file(folder / f"{kind}-train.txt", train, named),
        _file(folder / f"{kind}-test.txt", test, named),
    ]


def _file(path: Path, lists: list[Ints], named: bool) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for row, items in enumerate(lists):
            head = [str(row)] if named else []
            file.write(" ".join([*head, *map(str, items.tolist())]) + "\n")
    return path


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=sorted(WORLDS))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for path in written(given.kind, given.folder, given.scale, given.seed):
        print(path)
