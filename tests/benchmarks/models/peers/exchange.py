"""What a peer's script reads and writes. NumPy and SciPy only: it runs in every peer's environment.

A script calls `main({model name: fit})` with `fit(train, setting)` giving a function from user rows and a
variant to ranked lists. It is started as

    python peers/implicit_lists.py --model ALS --window FILE.npz --settings JSON --out DIR

and writes, for each setting in the order given, DIR/<place>.npz with int64 [n, 20] raw item ids of each
variant, and DIR/<place>.json with its seconds, core-seconds and peak memory, or with its error.
"""

import argparse
import json
import resource
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

LENGTH = 20
VARIANTS = ("new", "all")
BLOCK = 256

Ints = NDArray[np.int64]
Lists = Callable[[Ints, str], Ints]


@dataclass(frozen=True)
class Train:
    """Purchase lines before the cut in order of time, as rows of the ids known by then.

    user_ids / item_ids: raw ids, ascending. user, item: row of each line. users: rows of the users to serve.
    """

    user_ids: Ints
    item_ids: Ints
    user: Ints
    item: Ints
    timestamp: NDArray[np.float64]
    quantity: NDArray[np.float32]
    basket: Ints
    users: Ints

    @classmethod
    def read(cls, file: Path) -> "Train":
        with np.load(file) as found:
            user_ids, user = np.unique(found["user"], return_inverse=True)
            item_ids, item = np.unique(found["item"], return_inverse=True)
            users = np.searchsorted(user_ids, found["users"])
            return cls(
                user_ids, item_ids, user, item,
                found["timestamp"], found["quantity"], found["basket"], users,
            )  # fmt: skip

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.user_ids), len(self.item_ids)

    def matrix(self, values: str = "binary") -> Any:
        """float32 CSR [users, items]: "binary", "lines" (how often bought), "log" (log1p of that)."""
        found = sparse.csr_matrix(
            (np.ones(len(self.user), np.float32), (self.user, self.item)), shape=self.shape
        )
        found.sum_duplicates()
        if values == "binary":
            found.data[:] = 1.0
        elif values == "log":
            found.data = np.log1p(found.data)
        elif values != "lines":
            raise ValueError(f"no such values: {values}")
        return found

    def top(self, score: Callable[[Ints], NDArray[Any]]) -> Lists:
        """Lists by a function that scores all items for a block of user rows: [B, items]."""
        seen = self.matrix()

        def lists(rows: Ints, variant: str) -> Ints:
            parts = []
            for start in range(0, len(rows), BLOCK):
                block = rows[start : start + BLOCK]
                scores = np.array(score(block), dtype=np.float64)
                scores[np.isnan(scores)] = -np.inf
                if variant == "new":
                    mine = seen[block]
                    owner = np.repeat(np.arange(len(block)), np.diff(mine.indptr))
                    scores[owner, mine.indices] = -np.inf
                best = np.argsort(-scores, axis=1, kind="stable")[:, :LENGTH]
                worth = np.take_along_axis(scores, best, axis=1)
                parts.append(np.where(np.isneginf(worth), -1, best))
            return np.concatenate(parts)

        return lists


def peak_mb() -> float:
    """Largest resident memory of this program.

    Not getrusage's: that counts what the process had before it became this program, the size of its parent.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


Fit = Callable[[Train, dict[str, Any]], Lists]


def main(models: dict[str, Fit]) -> None:
    """Runs one model with several settings on one window; an error of one setting leaves the others."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, choices=sorted(models))
    parser.add_argument("--window", required=True, type=Path)
    parser.add_argument("--settings", required=True, help="a JSON list of objects")
    parser.add_argument("--out", required=True, type=Path)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    train = Train.read(given.window)
    for place, setting in enumerate(json.loads(given.settings)):
        np.random.seed(0)
        report: dict[str, Any] = {"setting": setting}
        try:
            wall, cpu = time.perf_counter(), time.process_time()
            lists = models[given.model](train, setting)
            report["fit_seconds"] = time.perf_counter() - wall
            report["fit_cpu_seconds"] = time.process_time() - cpu
            wall = time.perf_counter()
            found = {variant: lists(train.users, variant) for variant in VARIANTS}
            report["list_seconds"] = time.perf_counter() - wall
            raw: dict[str, Any] = {
                variant: np.where(rows >= 0, train.item_ids[np.maximum(rows, 0)], -1)
                for variant, rows in found.items()
            }
            np.savez_compressed(given.out / f"{place}.npz", users=train.user_ids[train.users], **raw)
        except Exception as error:
            traceback.print_exc()
            report["error"] = f"{type(error).__name__}: {error}"
        report["peak_mb"] = peak_mb()
        (given.out / f"{place}.json").write_text(json.dumps(report))
