"""Our families on the windows, in a process of their own like every peer's script.

    python -m tests.benchmarks.models.own_lists --family ease --data FOLDER --jobs JSON --out DIR

--jobs: a list of [window, [settings, …]]. Writes DIR/<window>/<place>.npz with served lists (`<variant>_ids`,
`<variant>_scores`) and <place>.json as the peers do.
"""

from __future__ import annotations

import argparse
import json
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from apps.ml.base import TrainOptions
from apps.ml.comparison import EXCLUDE
from apps.ml.dataset import Dataset
from apps.ml.evaluate import VARIANTS
from apps.ml.train import train
from tests.benchmarks.models.peers.exchange import peak_mb
from tests.benchmarks.models.windows import Window, rolling


def dataset_write(dataset: Dataset, folder: Path) -> None:
    """Keeps a netted data set as Parquet files, so that each process need not parse the invoices."""
    folder.mkdir(parents=True, exist_ok=True)
    parts = [(dataset, np.full(len(dataset), np.inf))]
    if dataset.withdrawn is not None:
        parts.append((dataset.withdrawn.events, dataset.withdrawn.undone_at))
    frames = [
        pd.DataFrame(
            {
                "user_id": events.user_ids,
                "item_id": events.item_ids,
                "kind": np.array(events.kinds, dtype=object)[events.kind],
                "weight": events.weight,
                "timestamp": events.timestamp,
                "quantity": events.quantity,
                "price": events.price,
                "basket": [f"b{code}" for code in events.basket.tolist()],
                "undone_at": undone_at,
            }
        )
        for events, undone_at in parts
    ]
    pd.concat(frames, ignore_index=True).to_parquet(folder / "interactions.parquet")
    dataset.catalogue.reset_index().to_parquet(folder / "items.parquet")
    dataset.shoppers.reset_index().to_parquet(folder / "shoppers.parquet")


def dataset_read(folder: Path) -> Dataset:
    """The inverse of `dataset_write`."""
    names = ("interactions", "items", "shoppers")
    interactions, items, shoppers = (pd.read_parquet(folder / f"{name}.parquet") for name in names)
    return Dataset.from_frames(interactions, items=items, shoppers=shoppers)


def family_lists(window: Window, family: str, setting: dict[str, Any], file: Path) -> None:
    """Fits one setting, lists for every user of the window, and writes both files."""
    report: dict[str, Any] = {"setting": setting}
    try:
        wall, cpu = time.perf_counter(), time.process_time()
        model = train(family, setting, window.split.train, TrainOptions())
        report["fit_seconds"] = time.perf_counter() - wall
        report["fit_cpu_seconds"] = time.process_time() - cpu
        wall = time.perf_counter()
        arrays: dict[str, Any] = {}
        for variant in VARIANTS:
            top = model.served_lists(window.truth["all"].users, EXCLUDE[variant])
            arrays[f"{variant}_ids"], arrays[f"{variant}_scores"] = top.ids, top.scores
        report["list_seconds"] = time.perf_counter() - wall
        np.savez_compressed(file.with_suffix(".npz"), users=window.truth["all"].users, **arrays)
    except Exception as error:
        traceback.print_exc()
        report["error"] = f"{type(error).__name__}: {error}"
    report["peak_mb"] = peak_mb()
    file.with_suffix(".json").write_text(json.dumps(report))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--family", required=True)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--jobs", required=True)
    parser.add_argument("--out", required=True, type=Path)
    given = parser.parse_args()
    windows = {window.name: window for window in rolling(dataset_read(given.data))}
    for name, settings in json.loads(given.jobs):
        folder = given.out / name
        folder.mkdir(parents=True, exist_ok=True)
        for place, setting in enumerate(settings):
            family_lists(windows[name], given.family, setting, folder / str(place))


if __name__ == "__main__":
    main()
