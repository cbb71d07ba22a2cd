"""Factor models trained by sampled pairs on MovieLens-100k: quality and core-seconds.

    python -m tests.benchmarks.neural_cf [--families neumf,bpr] [--settings JSON] [--validation]

Leave-one-out by time, every rating an event, full ranking of the films not rated before, NDCG@10 over all
users; the file is the one in RecBole's wheel. `--validation` judges the event before the last by a model that
was given neither: settings are chosen there. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import pandas as pd

from apps.ml.base import TrainOptions
from apps.ml.dataset import Dataset
from apps.ml.evaluate import evaluate_lists, truth_of
from apps.ml.protocols import Split, leave_one_out
from apps.ml.train import train
from tests.benchmarks.models.ml100k import ratings_file


def ratings() -> Dataset:
    """The ratings as events, whatever their value."""
    frame = pd.read_csv(ratings_file(), sep="\t")
    frame.columns = pd.Index([name.split(":")[0] for name in frame.columns])
    return Dataset.from_frames(frame[["user_id", "item_id", "timestamp"]])


def measure(family: str, settings: dict[str, Any], split: Split) -> dict[str, Any]:
    """One fit: NDCG@10, Recall@20, and the core-seconds of the fit alone and of the lists."""
    truth = truth_of(split, "all")
    began = time.process_time()
    model = train(family, settings, split.train, TrainOptions())
    fitted = time.process_time()
    found = evaluate_lists(model.recommend(truth.users, 20), truth, len(split.train.items))
    return {
        "family": family,
        "settings": settings,
        "ndcg10": round(found.mean("ndcg10"), 4),
        "recall20": round(found.mean("recall20"), 4),
        "fit_cpu_seconds": round(fitted - began, 1),
        "list_cpu_seconds": round(time.process_time() - fitted, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.neural_cf", description=__doc__)
    parser.add_argument("--families", default="gmf,mlp,neumf,bpr")
    parser.add_argument("--settings", default="{}", help="over the defaults, as a JSON object")
    parser.add_argument("--validation", action="store_true")
    given = parser.parse_args()
    split = leave_one_out(ratings(), offset=int(given.validation))
    rows = []
    for family in given.families.split(","):
        rows.append(measure(family, json.loads(given.settings), split))
        print(json.dumps(rows[-1]), flush=True)
    print(json.dumps({"rows": rows, "judged": "validation" if given.validation else "test"}))


if __name__ == "__main__":
    main()
