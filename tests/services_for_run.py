"""Throw-away PostgreSQL and Valkey of one pytest run, started before Django's settings load."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path
from types import FrameType
from typing import NoReturn

from recoportal.embedded import services_destroy, services_ensure

PREFIX = "recoportal-test-"
PARENT = Path(tempfile.gettempdir())


def services_start_for_run() -> Path:
    """Start the servers in a fresh folder, put their addresses into os.environ, return the folder.

    They are stopped and deleted when the run ends, however it ends: at exit, on SIGTERM, and, after a
    kill -9, by the next run.
    """
    leftovers_remove()
    data_dir = Path(tempfile.mkdtemp(prefix=PREFIX, dir=PARENT))
    data_dir.chmod(0o755)
    (data_dir / "owner").write_text(str(os.getpid()), encoding="ascii")
    atexit.register(run_end, data_dir, os.getpid())
    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, terminate)
    for name in [name for name in os.environ if name.startswith("RECOPORTAL_")]:
        del os.environ[name]
    os.environ["RECOPORTAL_DATA_DIR"] = str(data_dir)
    os.environ["RECOPORTAL_DB_POOL_MAX"] = "0"
    os.environ.update(services_ensure(data_dir, durable=False))
    return data_dir


def terminate(number: int, frame: FrameType | None) -> NoReturn:
    """Turn SIGTERM into an ordinary exit, which runs what is registered."""
    raise SystemExit(128 + number)


def run_end(data_dir: Path, owner: int) -> None:
    """Stop and delete a run's servers; a forked child that exits must not."""
    if os.getpid() == owner:
        with contextlib.suppress(OSError):
            services_destroy(data_dir)
        shutil.rmtree(data_dir, ignore_errors=True)


def leftovers_remove() -> None:
    """Remove the servers of earlier runs whose process is gone."""
    for data_dir in PARENT.glob(f"{PREFIX}*"):
        try:
            owner = int((data_dir / "owner").read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
        if not Path(f"/proc/{owner}").exists() and data_dir.stat().st_uid == os.geteuid():
            run_end_of_dead(data_dir)


def run_end_of_dead(data_dir: Path) -> None:
    """Stop and delete what a killed run left."""
    with contextlib.suppress(OSError, RuntimeError):
        services_destroy(data_dir)
    shutil.rmtree(data_dir, ignore_errors=True)
