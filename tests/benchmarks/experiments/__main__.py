"""python -m tests.benchmarks.experiments: prints its figures, the last line as one JSON object.

readout     a million exposed units, five million events since, ten metrics, on a throw-away Postgres
assignment  what experiments cost a slate

It needs two cores, 2 GB on the disk, and up to ten minutes on a busy machine.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from recoportal.embedded import services_destroy, services_ensure
from recoportal.env import BASE_DIR

BEGAN = time.monotonic()
# What is left for the readout; the assignment's own servers and the end take the rest of ten minutes.
READOUT_UNTIL_SECONDS = 440.0
ASSIGNMENT_SECONDS = 120.0


def say(text: str) -> None:
    """A line for people."""
    print(f"[{time.monotonic() - BEGAN:5.0f} s] {text}", flush=True)


def main() -> None:
    """Start the servers, measure, clean up."""
    figures: dict[str, Any] = {"readout": readout()}
    say(f"readout: {figures['readout']}")
    figures["assignment"] = assignment()
    print(json.dumps(figures))


def readout() -> dict[str, Any]:
    """The figures of `readout.measure`, in a process of its own: its memory is a figure, too."""
    data_dir = Path(tempfile.mkdtemp(prefix="recoportal-bench-readout-", dir="/var/tmp"))
    data_dir.chmod(0o755)
    try:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("RECOPORTAL_")}
        environment = {
            **clean,
            **services_ensure(data_dir),
            "RECOPORTAL_DATA_DIR": str(data_dir),
            "RECOPORTAL_DEBUG": "0",
            "RECOPORTAL_LOG_LEVEL": "WARNING",
            "RECOPORTAL_DB_POOL_MAX": "0",
            "DJANGO_SETTINGS_MODULE": "recoportal.settings.dev",
            "READOUT_BENCH_SECONDS": str(READOUT_UNTIL_SECONDS),
        }
        lines = _run("tests.benchmarks.experiments.readout", environment)
        return dict(json.loads(lines[-1]))
    finally:
        services_destroy(data_dir)
        shutil.rmtree(data_dir, ignore_errors=True)


def assignment() -> dict[str, Any]:
    """The figures of `assignment`; what it said when it failed or took too long."""
    try:
        return dict(
            json.loads(
                _run("tests.benchmarks.experiments.assignment", dict(os.environ), ASSIGNMENT_SECONDS)[-1]
            )
        )
    except (subprocess.SubprocessError, ValueError, IndexError) as error:
        return {"error": str(error)}


def _run(module: str, environment: dict[str, str], seconds: float | None = None) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-m", module],
        cwd=BASE_DIR,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=seconds,
    )
    return done.stdout.splitlines()


if __name__ == "__main__":
    main()
