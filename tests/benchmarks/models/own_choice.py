"""The automatic choice on one window and variant, in a process of its own, given only what precedes it.

    python -m tests.benchmarks.models.own_choice --data FOLDER --window NAME --variant new --budget 90 …

Writes DIR/<window>-<variant>.npz (ids, scores) and .json (what was chosen, in words, and its seconds).
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from apps.ml.choice import choose
from apps.ml.evaluate import VARIANTS
from tests.benchmarks.models.own_lists import dataset_read
from tests.benchmarks.models.peers.exchange import peak_mb
from tests.benchmarks.models.windows import DAYS, rolling


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--window", required=True)
    parser.add_argument("--variant", required=True, choices=VARIANTS)
    parser.add_argument("--budget", required=True, type=float)
    parser.add_argument("--out", required=True, type=Path)
    given = parser.parse_args()
    window = next(one for one in rolling(dataset_read(given.data)) if one.name == given.window)
    known = window.split.train
    started, cpu = time.perf_counter(), time.process_time()
    choice = choose(
        known, protocol="window", budget_seconds=given.budget, variant=given.variant, days=float(DAYS)
    )
    top = choice.fit(known).recommend(window.truth["all"].users)
    report = {
        **choice.to_dict(),
        "fit_seconds": time.perf_counter() - started,
        "fit_cpu_seconds": time.process_time() - cpu,
        "peak_mb": peak_mb(),
    }
    given.out.mkdir(parents=True, exist_ok=True)
    file = given.out / f"{given.window}-{given.variant}"
    np.savez_compressed(file.with_suffix(".npz"), ids=top.ids, scores=top.scores)
    file.with_suffix(".json").write_text(json.dumps(report))


if __name__ == "__main__":
    main()
