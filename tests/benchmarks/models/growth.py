"""Seconds and peak memory as data grows: synthetic events whose items follow a power law.

    python -m tests.benchmarks.models.growth --family als --events 100000

One family and size in a process of its own; the last line is one JSON object. `table` runs them all.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from apps.ml.base import Model, TrainOptions
from apps.ml.dataset import DAY, Dataset, IdMap
from apps.ml.train import train
from tests.benchmarks.models.environments import cache_folder
from tests.benchmarks.models.peers.exchange import peak_mb
from tests.benchmarks.models.running import bounded

FAMILIES = ("als", "item_knn", "ease", "popular", "personal", "user_knn")
LIST_LENGTH = 100
LIMIT_GB = 16.0
MARK = "GROWTH "


@dataclass(frozen=True)
class Size:
    """events: interactions, repeats among them."""

    events: int
    users: int
    items: int


SIZES = (
    Size(100_000, 5_000, 2_500),
    Size(1_000_000, 30_000, 15_000),
    Size(10_000_000, 100_000, 50_000),
)
SETTINGS: dict[str, dict[str, Any]] = {"als": {"factors": 64, "epochs": 10}}
"""Where the full preset is not what growth should be measured at: iALS as implicit's defaults have it."""


def synthetic(size: Size, seed: int = 0) -> Dataset:
    """Events of one year: items by a power law (exponent 1 with an offset), users by a milder one, both
    shuffled; four in ten events come from the item neighbourhood of their shopper, so that there is something
    to learn.
    """
    rng = np.random.default_rng(seed)
    user = _drawn(rng, size.users, 0.6, size.events)
    item = _drawn(rng, size.items, 1.0, size.events)
    groups = 50
    near = rng.random(size.events) < 0.4
    item[near] = item[near] - item[near] % groups + user[near] % groups
    item = np.minimum(item, size.items - 1)
    stamp = np.sort(rng.random(size.events) * 365 * DAY)
    n = size.events
    return Dataset(
        users=IdMap(np.arange(size.users)),
        items=IdMap(np.arange(size.items)),
        user=user,
        item=item,
        kind=np.zeros(n, np.int16),
        kinds=("purchase",),
        weight=np.ones(n, np.float32),
        timestamp=stamp,
        quantity=np.ones(n, np.float32),
        price=np.ones(n, np.float32),
        basket=np.full(n, -1, np.int64),
        value=np.zeros(n, np.float32),
        end=365 * DAY,
        catalogue=_nothing(size.items, "item_id"),
        shoppers=_nothing(size.users, "user_id"),
        candidates=np.ones(size.items, np.bool_),
    )


def measure(family: str, size: Size) -> dict[str, Any]:
    """Fits and lists in this process; memory includes the data and the libraries."""
    data = synthetic(size)
    before = _peak_gb()
    wall, cpu = time.perf_counter(), time.process_time()
    model: Model[Any] = train(family, SETTINGS.get(family), data, TrainOptions())
    fit, fit_cpu = time.perf_counter() - wall, time.process_time() - cpu
    fitted = _peak_gb()
    wall, cpu = time.perf_counter(), time.process_time()
    listed = 0
    for start in range(0, size.users, 10_000):
        users = np.arange(start, min(size.users, start + 10_000))
        listed += int((model.recommend(users, LIST_LENGTH).ids >= 0).sum())
    return {
        "family": family,
        "events": size.events,
        "users": size.users,
        "items": size.items,
        "fit_seconds": fit,
        "fit_cpu_seconds": fit_cpu,
        "list_seconds": time.perf_counter() - wall,
        "list_cpu_seconds": time.process_time() - cpu,
        "listed": listed,
        "data_gb": before,
        "fit_gb": fitted,
        "peak_gb": _peak_gb(),
    }


def table(
    families: Sequence[str] = FAMILIES, timeout: float = 300.0, deadline: float = math.inf
) -> list[dict[str, Any]]:
    """Every family at every size, one process at a time. A family that ran out of time at one size is not
    tried at larger ones; both are said in `error`. deadline: of time.monotonic().
    """
    found: list[dict[str, Any]] = []
    for family in families:
        stopped = ""
        for size in SIZES:
            row = {"family": family, "events": size.events, "users": size.users, "items": size.items}
            if stopped:
                found.append({**row, "error": f"not tried: {stopped} at a smaller size"})
                continue
            log = cache_folder() / "growth" / f"{family}-{size.events}.log"
            command = [
                sys.executable, "-m", "tests.benchmarks.models.growth", "--family", family,
                "--events", str(size.events),
            ]  # fmt: skip
            stopped = bounded(command, min(timeout, deadline - time.monotonic()), log)
            found.append({**row, "error": stopped} if stopped else _report(log))
            print(f"bench-models: growth {family} {size.events} {stopped or 'done'}", file=sys.stderr)
    return found


def _report(log: Path) -> dict[str, Any]:
    lines = log.read_text("utf-8").splitlines()
    report: dict[str, Any] = json.loads(next(line for line in lines if line.startswith(MARK))[len(MARK) :])
    return report


def _drawn(rng: np.random.Generator, n: int, exponent: float, count: int) -> Any:
    """`count` draws of 0..n-1 by a power law, ranks shuffled."""
    weight = (np.arange(n) + 10.0) ** -exponent
    places = np.searchsorted(np.cumsum(weight) / weight.sum(), rng.random(count))
    return rng.permutation(n)[np.minimum(places, n - 1)].astype(np.int64)


def _nothing(n: int, name: str) -> Any:
    return pd.DataFrame(index=pd.RangeIndex(n, name=name))


def _peak_gb() -> float:
    return peak_mb() / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--family", required=True)
    parser.add_argument("--events", required=True, type=int, choices=[size.events for size in SIZES])
    given = parser.parse_args()
    size = next(size for size in SIZES if size.events == given.events)
    print(MARK + json.dumps(measure(given.family, size)))


if __name__ == "__main__":
    main()
