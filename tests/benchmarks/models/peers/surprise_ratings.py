"""Surprise on one fold: python surprise_ratings.py TRAIN TEST, lines `user item stars 0`. Prints one JSON
object.

Runs in the environment of requirements/surprise.txt and imports nothing of this project.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def main(train_file: str, test_file: str) -> None:
    import surprise

    reader = surprise.Reader(line_format="user item rating timestamp", sep=" ", rating_scale=(1, 5))
    trainset = surprise.Dataset.load_from_file(train_file, reader).build_full_trainset()
    with open(test_file, encoding="utf-8") as lines:
        rows = [line.split() for line in lines]
    test = [(user, item, float(stars)) for user, item, stars, _ in rows]
    quiet = {"verbose": False}
    likeness = {"name": "pearson_baseline", "user_based": False}
    entrants: dict[str, Any] = {
        "Surprise SVD": surprise.SVD(random_state=0),
        "Surprise SVD, tuned": surprise.SVD(n_factors=20, n_epochs=50, reg_all=0.08, random_state=0),
        "Surprise KNNBaseline": surprise.KNNBaseline(sim_options=likeness, bsl_options=quiet, verbose=False),
    }
    found = {}
    for name, model in entrants.items():
        started = time.process_time()
        predictions = model.fit(trainset).test(test)
        found[name] = {
            "rmse": surprise.accuracy.rmse(predictions, verbose=False),
            "mae": surprise.accuracy.mae(predictions, verbose=False),
            "cpu_seconds": time.process_time() - started,
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:3])
