"""One virtual environment per library, made from requirements/<name>.txt and made again when that changes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
INSTALL_TIMEOUT = 900.0


def cache_folder() -> Path:
    """Where environments and lists are kept; git ignores it."""
    data = os.environ.get("RECOPORTAL_DATA_DIR", "")
    return Path(data) / "bench-models" if data else ROOT / ".cache" / "bench-models"


def environment_python(name: str) -> Path:
    return cache_folder() / "venvs" / name / "bin" / "python"


def environment_make(name: str) -> str:
    """Makes the environment if it is not there yet; "" when it is usable, else what went wrong."""
    wanted = (HERE / "requirements" / f"{name}.txt").read_text("utf-8")
    folder = cache_folder() / "venvs" / name
    stamp = folder / "made-from.txt"
    if stamp.is_file() and stamp.read_text("utf-8") == wanted:
        return ""
    print(f"bench-models: making the environment of {name}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    requirements = str(HERE / "requirements" / f"{name}.txt")
    steps = (
        [sys.executable, "-m", "venv", str(folder)],
        [str(environment_python(name)), "-m", "pip", "install", "-q", "--no-input", "-r", requirements],
    )
    for step in steps:
        try:
            done = subprocess.run(step, capture_output=True, text=True, timeout=INSTALL_TIMEOUT)
        except subprocess.TimeoutExpired:
            return f"not installed within {INSTALL_TIMEOUT:.0f} s"
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line and not line.startswith("WARNING")]
            return "not installed: " + (lines or ["no message"])[-1]
    stamp.write_text(wanted, "utf-8")
    return ""


def environment_of_a_peer() -> dict[str, str]:
    """Variables a peer's process starts with: one thread each, and nothing of this project on its path."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return {**kept, **threads, "TQDM_DISABLE": "1"}
