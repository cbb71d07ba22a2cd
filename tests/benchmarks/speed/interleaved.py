"""Starts the sides of a comparison, lets them run in turn, and says how they compare."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

from tests.benchmarks.models.environments import (
    ROOT,
    environment_make,
    environment_of_a_peer,
    environment_python,
)

WORKERS = Path(__file__).resolve().parent / "workers"
OWN = "own"


@dataclass(frozen=True)
class Side:
    """One process. environment: "own" or a library of tests.benchmarks.models.requirements. model: its name
    in the worker's script.
    """

    name: str
    environment: str
    model: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass
class Running:
    """A started side. runs: what each of its turns reported. error: "" while it works."""

    side: Side
    lists_file: Path
    runs: list[dict[str, float]] = field(default_factory=list)
    error: str = ""
    process: subprocess.Popen[str] | None = None
    log: IO[str] | None = None

    @classmethod
    def start(cls, side: Side, data: Path, threads: int, folder: Path) -> Self:
        running = cls(side, folder / f"{side.name}.npy")
        if side.environment != OWN:
            running.error = environment_make(side.environment)
            if running.error:
                return running
        given = [
            "--data", str(data), "--model", side.model, "--settings", json.dumps(side.settings),
            "--threads", str(threads), "--lists", str(running.lists_file),
        ]  # fmt: skip
        environ = environment_of_a_peer()
        if side.environment == OWN:
            command = [sys.executable, "-m", "tests.benchmarks.speed.workers.own_side", *given]
        else:
            # implicit has its own threads and asks that BLAS has one; the others have BLAS only
            blas = "1" if side.environment == "implicit" else str(threads)
            for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
                environ[name] = blas
            script = WORKERS / f"{side.environment}_side.py"
            command = [str(environment_python(side.environment)), str(script), *given]
        running.log = (folder / f"{side.name}.log").open("w+", encoding="utf-8")
        running.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=running.log, text=True,
            cwd=ROOT, env={**environ, "PYTHONPATH": str(ROOT) if side.environment == OWN else ""},
        )  # fmt: skip
        running._answer()
        return running

    def turn(self) -> None:
        """One run; after an error the side stays out."""
        if self.process is None or self.process.stdin is None or self.error:
            return
        try:
            self.process.stdin.write("run\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        found = self._answer()
        if found:
            self.runs.append(found)

    def stop(self) -> None:
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
            self.process.wait()
        if self.log is not None:
            self.log.close()

    def _answer(self) -> dict[str, float]:
        line = self.process.stdout.readline() if self.process and self.process.stdout else ""
        try:
            found: dict[str, float] = json.loads(line)
        except ValueError:
            text = Path(self.log.name).read_text("utf-8").strip() if self.log else ""
            self.error = text.splitlines()[-1] if text else line.strip() or "it ended without a word"
            return {}
        return found

    def medians(self) -> dict[str, float]:
        names = self.runs[0] if self.runs else {}
        return {name: round(statistics.median(run[name] for run in self.runs), 3) for name in names}


@dataclass(frozen=True)
class Compared:
    """sides: medians per side, or its error. ratios: ours over the fastest peer's, per measure. lists: the
    last lists of each side, where it makes any: int64 [users, k], -1 for nothing.
    """

    sides: dict[str, dict[str, Any]]
    ratios: dict[str, float]
    lists: dict[str, NDArray[np.int64]]


def compare(sides: Sequence[Side], arrays: dict[str, NDArray[Any]], threads: int, rounds: int) -> Compared:
    """Lets the sides run in turn, once to warm up and `rounds` times for the figures; the first is ours."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = folder / "data.npz"
        np.savez(data, **dict[str, Any](arrays))
        running = [Running.start(side, data, threads, folder) for side in sides]
        for _ in range(rounds + 1):
            for one in running:
                one.turn()
        for one in running:
            del one.runs[:1]  # the first wakes libraries and threads
        for one in running:
            one.stop()
        lists = {
            one.side.name: np.load(one.lists_file).astype(np.int64)
            for one in running
            if one.lists_file.is_file()
        }
    own, *peers = (one.medians() for one in running)
    ratios = {}
    for measure in own:
        others = [peer[measure] for peer in peers if measure in peer]
        if others and measure != "peak_mb":
            ratios[measure] = round(own[measure] / max(min(others), 1e-9), 3)
    found = {one.side.name: one.medians() | ({"error": one.error} if one.error else {}) for one in running}
    return Compared(found, ratios, lists)


def threads_default() -> int:
    return os.cpu_count() or 1
