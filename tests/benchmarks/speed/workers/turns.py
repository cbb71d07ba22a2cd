"""The loop of a timed process: loads its data, says so, then makes one run per line it reads.

Started as `script.py --data FILE.npz --model NAME --settings JSON --threads N --lists FILE`. Each run prints
a JSON object: wall and CPU seconds of `fit` and of `top` (lists for every user), peak memory.
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

Fit = Callable[[], Any]
Top = Callable[[Any], Any]


def matrix_of(data: Any) -> Any:
    """float32 CSR [users, items]: the values of pairs where they are given, else 1 for every pair."""
    shape = int(data["shape"][0]), int(data["shape"][1])
    if "pair_value" in data:
        return sparse.csr_matrix((data["pair_value"], (data["pair_user"], data["pair_item"])), shape=shape)
    found = sparse.csr_matrix((data["value"], (data["user"], data["item"])), shape=shape)
    found.data[:] = 1.0
    return found


def peak_mb() -> float:
    """The most memory this process has held. `getrusage` would count its parent's before the start too."""
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    [line] = [line for line in status.read_text("utf-8").splitlines() if line.startswith("VmHWM")]
    return float(line.split()[1]) / 1024


def clocked(work: Callable[..., Any], *given: Any) -> tuple[Any, float, float]:
    """The result, wall seconds and CPU seconds of this process with all its threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work(*given)
    return result, time.perf_counter() - wall, time.process_time() - cpu


def main(models: dict[str, Callable[[Any, dict[str, Any], int], tuple[Fit, Top | None]]]) -> None:
    """models: name to a function of (arrays, settings, threads) that gives `fit` and `top`, or no `top`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", required=True, choices=sorted(models))
    parser.add_argument("--settings", default="{}")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--lists", type=Path, required=True)
    given = parser.parse_args()
    with np.load(given.data) as data:
        fit, top = models[given.model](dict(data), json.loads(given.settings), given.threads)
    print(json.dumps({"ready": True}), flush=True)
    lists = None
    for _ in sys.stdin:
        model, wall, cpu = clocked(fit)
        found = {"fit_seconds": wall, "fit_cpu": cpu}
        if top is not None:
            lists, wall, cpu = clocked(top, model)
            found |= {"top_seconds": wall, "top_cpu": cpu}
        found["peak_mb"] = peak_mb()
        if lists is not None:
            np.save(given.lists, np.asarray(lists))
        print(json.dumps(found), flush=True)
