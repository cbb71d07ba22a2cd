"""Training of one network in several processes, each with its share of a snapshot's shoppers.

    torchrun --nproc-per-node 2 -m apps.ml.distributed --snapshot DIR --family sasrec --out DIR

Every process streams the Parquet files row group by row group and keeps the events of its own shoppers (row
number modulo processes; sessions of nobody by a checksum), so memory falls with the number of processes;
ids are collected on the way, so rows of shoppers and items mean the same everywhere. Gradients are averaged
by DistributedDataParallel: gloo between CPUs, nccl between GPUs. The first process writes the artifact; its
last line of output is one JSON object. Without torchrun it is training in one process.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from apps.ml.artifacts import manifest_hash
from apps.ml.base import DEVICES, Model, Progress, TrainOptions
from apps.ml.configs import PRESETS
from apps.ml.dataset import Dataset, IdMap
from apps.ml.errors import DataMissing, InvalidValue, MLError
from apps.ml.history import History
from apps.ml.optimise import process_count, process_rank, summed_over_processes
from apps.ml.registry import FAMILIES, Family, family_get
from apps.ml.searches import searches_read
from apps.ml.train import train


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains and writes; 0 when it worked, 1 with a message on stderr when it did not."""
    given = _parser().parse_args(arguments)
    options = TrainOptions(device=given.device, seed=given.seed, threads=given.threads, on_progress=_show)
    config = {"preset": given.preset, **json.loads(given.config)}
    try:
        with processes(given.device):
            model = train_distributed(given.family, config, given.snapshot, options)
            if process_rank() == 0:
                model.save(given.out)
                answer = {"family": given.family, "out": given.out, "manifest": manifest_hash(given.out)}
                print(json.dumps(answer | model.metrics, sort_keys=True))
    except MLError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def train_distributed(
    family: str, config: dict[str, Any], snapshot: str | Path, options: TrainOptions
) -> Model[Any]:
    """Trains on this process's share; in the first process the model knows every shopper of the snapshot.

    Raises InvalidValue for a family that is not trained by gradient.
    """
    if not data_parallel(family_get(family)):
        able = ", ".join(name for name, other in FAMILIES.items() if data_parallel(other))
        raise InvalidValue("family", family, f"It is not trained in several processes; use one of {able}.")
    share = share_read(snapshot, process_rank(), process_count())
    model = train(family, config, share, options)
    # what one process measured speaks for itself only
    spent = torch.tensor([model.metrics["core_seconds"]], dtype=torch.float64)
    model.metrics.update(
        core_seconds=round(float(summed_over_processes(spent)[0]), 3), processes=process_count()
    )
    if process_rank() != 0 or process_count() == 1:
        return model
    everyone = Dataset.from_snapshot(snapshot)
    if model.folds_in:
        return model.fold_in(everyone)
    return replace(model, history=History.from_dataset(everyone), metrics=model.metrics)


def data_parallel(family: Family) -> bool:
    """Whether the family's class says `data_parallel`: its `fit` may run with a share of the data in each
    process.
    """
    return family.load().data_parallel


def share_read(snapshot: str | Path, rank: int, count: int) -> Dataset:
    """The events of every count-th shopper, with the id maps and the end of the whole snapshot.

    Raises DataMissing when the folder holds no interactions or this share is empty.
    """
    folder = Path(snapshot)
    parts = sorted((folder / "interactions").glob("*.parquet"))
    if not parts:
        raise DataMissing(f"{folder}: no interactions/*.parquet; make the snapshot again")
    kept, users, items, end = [], [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0.0
    for part in parts:
        with pq.ParquetFile(part) as file:
            for group in range(file.num_row_groups):
                frame = file.read_row_group(group).to_pandas()
                users.append(frame["user_id"].unique().astype(np.int64))
                items.append(frame["item_id"].unique().astype(np.int64))
                end = max(end, float(frame["timestamp"].max()))
                kept.append(frame[share_of(frame, count) == rank])
    shoppers = _with_ids(folder / "shoppers.parquet", "user_id", IdMap.from_ids(*users))
    catalogue = _with_ids(folder / "items.parquet", "item_id", IdMap.from_ids(*items))
    asked = searches_read(folder)
    if asked is not None:
        asked = asked[share_of(asked, count) == rank]
    share = Dataset.from_frames(pd.concat(kept, ignore_index=True), catalogue, shoppers, searches=asked)
    if not len(share):
        raise DataMissing(f"process {rank} of {count} has no events; use fewer processes")
    return replace(share, end=end)


def share_of(frame: pd.DataFrame, count: int) -> NDArray[np.int64]:
    """Which process reads each event: a history or a session is never torn apart. int64 [n]."""
    users = frame["user_id"].to_numpy(np.int64)
    if "basket" not in frame:
        return np.maximum(users, 0) % count
    codes, names = pd.factorize(frame["basket"].astype("string").fillna(""))
    sums = np.array([zlib.crc32(str(name).encode()) % count for name in names], dtype=np.int64)
    return np.where(users >= 0, users % count, sums[codes])


def _with_ids(file: Path, key: str, ids: IdMap) -> pd.DataFrame:
    """The table of this file, and a row for each id it lacks."""
    bare = pd.DataFrame({key: ids.ids})
    if not file.exists():
        return bare
    found = pd.read_parquet(file)
    return pd.concat([found, bare[~bare[key].isin(found[key])]], ignore_index=True)


@contextmanager
def processes(device: str) -> Iterator[None]:
    """Joins the other processes of torchrun for the time of the block; does nothing outside torchrun."""
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    gpu = device != "cpu" and torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    torch.distributed.init_process_group("nccl" if gpu else "gloo")
    try:
        yield
        torch.distributed.barrier()
    finally:
        torch.distributed.destroy_process_group()


def _show(progress: Progress) -> None:
    if process_rank() == 0:
        figure = "" if progress.metric is None else f" {progress.message} {progress.metric:.5f}"
        print(f"{progress.fraction:4.0%} {progress.stage}{figure}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m apps.ml.distributed", description=__doc__)
    parser.add_argument("--snapshot", required=True, help="snapshot folder")
    parser.add_argument("--family", required=True, choices=sorted(FAMILIES))
    parser.add_argument("--out", required=True, help="folder to write")
    parser.add_argument("--preset", default="full", choices=PRESETS)
    parser.add_argument("--config", default="{}", help="settings over the preset, as a JSON object")
    parser.add_argument("--device", default="auto", choices=DEVICES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
