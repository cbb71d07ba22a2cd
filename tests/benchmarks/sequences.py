"""Plain files through `apps.ml.cli`; the last line is one JSON object for `make bench-models`.

    python -m tests.benchmarks.sequences [--budget 60]

Files: MovieLens-100k by time (of RecBole's wheel); customers of Online Retail by time, each item once and
every list thinned to about ten events, so that it resembles review data; random lists around a ring.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from apps.ml.base import TrainOptions
from apps.ml.errors import MLError
from apps.ml.file_protocols import leave_one_out
from apps.ml.text_files import event_lists_read
from tests.benchmarks.models.ml100k import ratings_file
from tests.benchmarks.models.windows import RETAIL_FILE, online_retail, shared_data

Lines = Callable[[], Sequence[Sequence[object]]]
COLUMNS = ("hr10", "ndcg10", "recall20")
MEAN_EVENTS = 10


def movielens() -> list[list[object]]:
    """Every rating is an event."""
    frame = pd.read_csv(ratings_file(), sep="\t").iloc[:, [0, 1, 3]]
    frame.columns = pd.Index(["user", "item", "time"])
    frame = frame.sort_values(["user", "time"], kind="stable")
    return [[user, *group.tolist()] for user, group in frame.groupby("user")["item"]]


def thinned_retail() -> list[list[object]]:
    """At least five events a customer, exponentially many more."""
    bought = online_retail(shared_data() / RETAIL_FILE).purchases().identified()
    frame = pd.DataFrame({"user": bought.user_ids, "item": bought.item_ids}).drop_duplicates()
    rng = np.random.default_rng(0)
    rows: list[list[object]] = []
    for user, group in frame.groupby("user")["item"]:
        items = group.to_numpy()
        size = min(len(items), 5 + int(rng.exponential(MEAN_EVENTS - 5)))
        kept = np.sort(rng.choice(len(items), size, replace=False))
        if size >= 3:
            rows.append([user, *items[kept].tolist()])
    return rows


def rings(users: int = 4_000, items: int = 1_500) -> list[list[object]]:
    """Half of the steps go to the next item of a ring, the others anywhere near."""
    rng = np.random.default_rng(0)
    rows: list[list[object]] = []
    for user in range(users):
        at = int(rng.integers(items))
        row: list[object] = [f"u{user}", at]
        for _ in range(4 + int(rng.exponential(4))):
            at = (at + (1 if rng.random() < 0.5 else int(rng.normal(0, 20)))) % items
            if at not in row:
                row.append(at)
        rows.append(row)
    return rows


FILES: dict[str, Lines] = {
    "MovieLens-100k": movielens,
    "Online Retail, thinned": thinned_retail,
    "rings": rings,
}


def measured(budget: float) -> dict[str, Any]:
    """Rows per file and model, goals, notes; a file that cannot be had is a note."""
    rows: list[dict[str, Any]] = []
    goals: list[dict[str, Any]] = []
    notes = []
    for name, lines in FILES.items():
        try:
            found = one_file(lines(), budget)
        except (OSError, MLError) as error:
            notes.append(f"{name}: not measured ({error}).")
            continue
        for model, figures in found["by_model"].items():
            rows.append(
                {
                    "file": name,
                    "model": model,
                    **{column: figures.get(column) for column in COLUMNS},
                    "validation_ndcg": figures.get("validation_ndcg"),
                    "fit_seconds": figures.get("fit_seconds"),
                }
            )
        notes.append(f"{name}: {found['words']} {found['seconds']} s. {found['protocol']}")
        over = found["ndcg10"] / max(found["by_model"]["popularity"]["ndcg10"], 1e-9)
        goals.append(
            {
                "goal": f"{name}: chosen over popularity, NDCG@10",
                "figure": over,
                "target": 2,
                "met": over >= 2,
            }
        )
    return {"rows": rows, "goals": goals, "notes": notes}


def one_file(rows: Sequence[Sequence[object]], budget: float) -> dict[str, Any]:
    """The answer of `evaluate --sequences`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sequences.txt"
        path.write_text("\n".join(" ".join(map(str, row)) for row in rows), encoding="utf-8")
        return leave_one_out(event_lists_read(path), budget, TrainOptions(threads=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--budget", type=float, default=60.0, help="seconds per file")
    print(json.dumps(measured(parser.parse_args().budget), allow_nan=False))
