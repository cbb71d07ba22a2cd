"""Runs the entrants' scripts, each bounded in time, two at once, and reads back what they wrote."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apps.ml.evaluate import VARIANTS, Variant
from apps.ml.topn import TopN
from tests.benchmarks.models.entrants import Entrant, Setting
from tests.benchmarks.models.environments import (
    HERE,
    ROOT,
    cache_folder,
    environment_of_a_peer,
    environment_python,
)

WORKERS = 2


@dataclass(frozen=True)
class Run:
    """One setting of one entrant on one window. error: "" when it has lists."""

    setting: Setting
    lists: dict[Variant, TopN]
    error: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    list_seconds: float = 0.0
    peak_mb: float = 0.0


def out_folder(entrant: Entrant) -> Path:
    return cache_folder() / "lists" / entrant.name.replace(" ", "-").replace(",", "")


def bounded(
    command: Sequence[str],
    timeout: float,
    log: Path,
    environ: dict[str, str] | None = None,
    folder: Path = ROOT,
) -> str:
    """Runs a command in `folder`, its children in a group of their own; "" or why it did not end well."""
    if timeout <= 0:
        return "not started: no time left"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, cwd=folder, env=environ, start_new_session=True
        )
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"stopped after {timeout:.0f} s"
    if not code:
        return ""
    lines = [line for line in log.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    return f"exit {code}: {lines[-1] if lines else 'no message'}"


def run_all(
    work: Sequence[tuple[Entrant, Sequence[tuple[str, Sequence[Setting]]]]],
    deadline: float = math.inf,
    keep: bool = False,
) -> None:
    """Runs every (entrant, [(window, settings)]) of this list, `WORKERS` at a time.

    deadline: of time.monotonic(); what has not ended by then is stopped and says so. keep: leave alone what
    has lists of exactly these settings.
    """
    tasks = []
    for entrant, every in work:
        jobs = [job for job in every if not (keep and _is_there(entrant, *job))]
        if not jobs:
            continue
        if entrant.ours:
            tasks.append((entrant, jobs))
        else:
            tasks.extend((entrant, [job]) for job in jobs)
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(lambda task: _run(task[0], task[1], deadline), tasks))


def _is_there(entrant: Entrant, window: str, settings: Sequence[Setting]) -> bool:
    return all(run.lists for run in runs_read(entrant, window, settings))


def _run(entrant: Entrant, jobs: Sequence[tuple[str, Sequence[Setting]]], deadline: float) -> None:
    folder = out_folder(entrant)
    began = time.perf_counter()
    names = "+".join(name for name, _ in jobs)
    for name, _ in jobs:
        for old in (folder / name).glob("*"):
            old.unlink()
    log = folder / f"{names}.log"
    if entrant.ours:
        command = [
            sys.executable, "-m", "tests.benchmarks.models.own_lists", "--family", entrant.model,
            "--data", str(cache_folder() / "data"), "--jobs", json.dumps(jobs), "--out", str(folder),
        ]  # fmt: skip
        environ = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    else:
        (name, settings), *_ = jobs
        script = HERE / "peers" / f"{entrant.environment}_lists.py"
        command = [
            str(environment_python(entrant.environment)), str(script),
            "--model", entrant.model, "--window", str(cache_folder() / "exchange" / f"{name}.npz"),
            "--settings", json.dumps(settings), "--out", str(folder / name),
        ]  # fmt: skip
        environ = environment_of_a_peer()
    # Some peers leave logs where they are run.
    place = ROOT if entrant.ours else folder
    timeout = min(entrant.timeout * len(jobs), deadline - time.monotonic())
    problem = bounded(command, timeout, log, environ, place)
    for name, _ in jobs:
        if problem:
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / "problem.txt").write_text(problem, "utf-8")
    print(
        f"bench-models: {entrant.name} {names} {problem or 'done'} ({time.perf_counter() - began:.0f} s)",
        file=sys.stderr,
        flush=True,
    )


def runs_read(entrant: Entrant, window: str, settings: Sequence[Setting]) -> list[Run]:
    """What became of each setting, in the order given."""
    folder = out_folder(entrant) / window
    found = []
    for place, setting in enumerate(settings):
        report_file, lists_file = folder / f"{place}.json", folder / f"{place}.npz"
        problem = folder / "problem.txt"
        if not report_file.is_file():
            why = problem.read_text("utf-8") if problem.is_file() else "nothing was written"
            found.append(Run(setting, {}, why))
            continue
        report: dict[str, Any] = json.loads(report_file.read_text("utf-8"))
        error = report.get("error", "" if report["setting"] == setting else "lists of another setting")
        found.append(
            Run(
                setting,
                {} if error else _lists(lists_file),
                error,
                report.get("fit_seconds", 0.0),
                report.get("fit_cpu_seconds", 0.0),
                report.get("list_seconds", 0.0),
                report["peak_mb"],
            )
        )
    return found


def _lists(file: Path) -> dict[Variant, TopN]:
    """Lists as written; a peer's, which carry no scores, get falling ones."""
    with np.load(file) as arrays:
        if "new_ids" in arrays:
            return {v: TopN(arrays[f"{v}_ids"], arrays[f"{v}_scores"]) for v in VARIANTS}
        lists: dict[Variant, TopN] = {}
        for variant in VARIANTS:
            ids = arrays[variant]
            falling = -np.arange(ids.shape[1], dtype=np.float32)
            scores = np.where(ids >= 0, falling, -np.inf).astype(np.float32)
            lists[variant] = TopN(ids, scores)
        return lists
