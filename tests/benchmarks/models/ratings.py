"""Predicted stars on MovieLens-100k beside Surprise's.

    python -m tests.benchmarks.models.ratings [--file ml-100k.inter]

Random folds of 90/10, the same for everyone. Settings are the defaults; ours and those of the tuned peer were
chosen on fold 0, which is not reported. The file (tab-separated user, item, stars, time with one header line)
is the one in RecBole's wheel unless another is named; it is never copied. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from apps.ml.dataset import Dataset
from apps.ml.models.rating_model import RatingModel
from apps.ml.prediction_metrics import rating_metrics
from apps.ml.train import train
from tests.benchmarks.models.environments import (
    HERE,
    environment_make,
    environment_of_a_peer,
    environment_python,
)
from tests.benchmarks.models.ml100k import ratings_file

OURS = ("biased_mf", "rating_knn")
FOLDS, SEED, PEER_TIMEOUT = 10, 0, 300.0


def ratings_bench(file: Path, folds: int = 2) -> dict[str, Any]:
    """rmse, mae and CPU seconds per model: means over folds 1 to `folds` of ten; a peer's error as text."""
    frame = pd.read_csv(file, sep="\t")
    frame.columns = pd.Index(["user_id", "item_id", "value", "timestamp"])
    fold = np.random.default_rng(SEED).permutation(len(frame)) % FOLDS
    problem = environment_make("surprise")
    rows: dict[str, list[dict[str, float]]] = {}
    for number in range(1, folds + 1):
        learned, held = frame[fold != number], frame[fold == number]
        for family in OURS:
            started = time.process_time()
            events = learned.assign(kind="rating", timestamp=learned["timestamp"].astype(float))
            model = train(family, {}, Dataset.from_frames(events))
            assert isinstance(model, RatingModel)
            told = model.predict(held["user_id"].to_numpy(), held["item_id"].to_numpy())
            seconds = time.process_time() - started
            error = rating_metrics(told, held["value"].to_numpy(), model.scale)
            rows.setdefault(family, []).append(
                {"rmse": error["rmse"], "mae": error["mae"], "cpu_seconds": seconds}
            )
        if not problem:
            found = _peers(learned, held)
            problem = found if isinstance(found, str) else ""
            for name, figures in found.items() if isinstance(found, dict) else ():
                rows.setdefault(name, []).append(figures)
    table: dict[str, Any] = {
        name: {key: round(float(np.mean([one[key] for one in many])), 4) for key in many[0]}
        for name, many in rows.items()
    }
    if problem:
        table["Surprise"] = {"error": problem}
    return {"data": "MovieLens-100k", "protocol": f"random 90/10, folds 1 to {folds} of 10", "models": table}


def ratings_part(found: dict[str, Any]) -> dict[str, Any]:
    """The same as a part of the benchmark answers it: our best RMSE against the best peer's."""
    models: dict[str, Any] = found["models"]
    rows = [
        {"model": name, **{key: row.get(key) for key in ("rmse", "mae", "cpu_seconds", "error")}}
        for name, row in models.items()
    ]
    goals = []
    peers = [row["rmse"] for name, row in models.items() if name not in OURS and "error" not in row]
    if peers:
        ratio = min(models[name]["rmse"] for name in OURS) / min(peers)
        goals.append(
            {
                "goal": "our lowest RMSE against the lowest peer's",
                "figure": round(ratio, 4),
                "target": 1.0,
                "met": ratio <= 1.0,
            }
        )
    return {"rows": rows, "goals": goals, "notes": [f"{found['data']}, {found['protocol']}."]}


def _peers(learned: pd.DataFrame, held: pd.DataFrame) -> dict[str, dict[str, float]] | str:
    """Figures by peer, or what went wrong."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, part in (("train", learned), ("test", held)):
            files.append(str(Path(folder) / name))
            part.assign(timestamp=0).to_csv(files[-1], sep=" ", header=False, index=False)
        script = str(HERE / "peers" / "surprise_ratings.py")
        command = [str(environment_python("surprise")), script, *files]
        try:
            done = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=PEER_TIMEOUT,
                env=environment_of_a_peer(),
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"not done within {PEER_TIMEOUT:.0f} s"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["no message"])[-1]
    figures: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--folds", type=int, default=2)
    given = parser.parse_args()
    if given.file is None and (problem := environment_make("recbole")):
        parser.error(f"RecBole, whose wheel has the file, was not installed ({problem}); name one by --file")
    print(json.dumps(ratings_part(ratings_bench(given.file or ratings_file(), given.folds))))


if __name__ == "__main__":
    main()
