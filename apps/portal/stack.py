"""The processes of one machine: web, workers, beat and whatever else, started, watched and stopped together.

A supervisor for `make demo`. Children run in sessions of their own, so that Ctrl-C reaches the supervisor
alone, which then ends them in order; on Linux they end with it even when it is killed, and what outlives
that is found in a list of process ids at the next start.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

PR_SET_PDEATHSIG = 1
READY_SECONDS = 90.0
STOP_KINDLY_SECONDS = 6.0
STOP_FIRMLY_SECONDS = 4.0
RESTART_FIRST_SECONDS = 1.0
RESTART_MOST_SECONDS = 30.0
STEADY_SECONDS = 60.0
LOG_LIMIT_BYTES = 20_000_000


class StackError(RuntimeError):
    """The processes can't be started; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Program:
    """One child: what to run, and how to tell from its log that it is ready ("" when there is no sign)."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready_sign: str = ""


@dataclass(slots=True)
class Running:
    """A started program, and when and how it is started again should it end by itself."""

    program: Program
    popen: subprocess.Popen[bytes]
    log_path: Path
    log_start: int
    started: float
    patience: float = RESTART_FIRST_SECONDS
    restart_at: float | None = None

    def log_since_start(self) -> str:
        """Return what the current process has printed."""
        with self.log_path.open("rb") as file:
            file.seek(self.log_start)
            return file.read().decode(errors="replace")

    def signal_group(self, number: int) -> None:
        """Send a signal to the process and its own children."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.popen.pid, number)


class Stack:
    """All children of one data folder. `say` prints a line for people."""

    def __init__(self, *, data_dir: Path, root: Path, say: Callable[[str], None]) -> None:
        self.root = root
        self.say = say
        self.logs = data_dir / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self.list_path = data_dir / "processes.json"
        self.running: list[Running] = []

    def leftovers_end(self) -> int:
        """End the processes that a killed supervisor left behind; returns how many there were."""
        ended = 0
        for pid, started in processes_read(self.list_path):
            if process_started(pid) == started:
                ended += 1
                group_end(pid, started)
        self.list_path.unlink(missing_ok=True)
        return ended

    def start(self, program: Program) -> Running:
        """Start a program; its output goes to logs/<name>.log."""
        running = self._spawn(program)
        self.running.append(running)
        self._list_write()
        return running

    def wait_ready(self, running: Running, ready: Callable[[], bool] | None = None) -> None:
        """Wait until a program is ready; StackError with the end of its log if it ends or takes too long."""
        sign = running.program.ready_sign

        def settled() -> bool:
            found = ready() if ready else sign in running.log_since_start()
            return running.popen.poll() is not None or found

        in_time = wait_for(settled, READY_SECONDS)
        if not in_time or running.popen.poll() is not None:
            tail = "\n".join(running.log_since_start().splitlines()[-15:])
            raise StackError(f"{running.program.name} did not start: {running.log_path}, which ends:\n{tail}")

    def end(self, running: Running) -> None:
        """End one program for good."""
        self.running.remove(running)
        group_end(running.popen.pid, process_started(running.popen.pid))
        running.popen.wait()
        self._list_write()

    def watch(self, seconds: float) -> None:
        """Start again what has ended by itself (1 s, 2 s … 30 s later), then rest for `seconds`."""
        now = time.monotonic()
        for running in self.running:
            if running.popen.poll() is None:
                if now - running.started > STEADY_SECONDS:
                    running.patience = RESTART_FIRST_SECONDS
            elif running.restart_at is None:
                running.restart_at = now + running.patience
                self.say(
                    f"{running.program.name} ended, code {running.popen.returncode} ({running.log_path}); "
                    f"starting it again in {running.patience:.0f} s"
                )
                # What it leaves behind in its process group would work on beside its successor.
                running.signal_group(signal.SIGKILL)
                running.patience = min(running.patience * 2, RESTART_MOST_SECONDS)
            elif now >= running.restart_at:
                fresh = self._spawn(running.program)
                running.popen, running.log_start = fresh.popen, fresh.log_start
                running.started, running.restart_at = now, None
                self._list_write()
        time.sleep(seconds)

    def stop(self) -> None:
        """End all children: kindly, then firmly (unfinished tasks return to their queue), then by force."""
        for number, patience in (
            (signal.SIGTERM, STOP_KINDLY_SECONDS),
            (signal.SIGQUIT, STOP_FIRMLY_SECONDS),
        ):
            for running in reversed(self.running):
                if running.popen.poll() is None:
                    running.popen.send_signal(number)
            if wait_for(self._all_ended, patience):
                break
        for running in self.running:
            running.signal_group(signal.SIGKILL)
            running.popen.wait()
        self.running.clear()
        self.list_path.unlink(missing_ok=True)

    def _all_ended(self) -> bool:
        return not any(running.popen.poll() is None for running in self.running)

    def _spawn(self, program: Program) -> Running:
        log_path = self.logs / f"{program.name}.log"
        if log_path.exists() and log_path.stat().st_size > LOG_LIMIT_BYTES:
            log_path.replace(log_path.with_suffix(".log.1"))
        log: IO[bytes]
        with log_path.open("ab") as log:
            start = log.tell()
            popen = subprocess.Popen(
                [sys.executable, *program.arguments],
                cwd=self.root,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **program.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent if sys.platform == "linux" else None,
            )
        return Running(program, popen, log_path, start, time.monotonic())

    def _list_write(self) -> None:
        rows = [(running.popen.pid, process_started(running.popen.pid)) for running in self.running]
        fresh = self.list_path.with_suffix(".new")
        fresh.write_text(json.dumps(rows), encoding="ascii")
        fresh.replace(self.list_path)


def group_end(pid: int, started: str) -> None:
    """End a process group by its leader, kindly and then by force."""

    def gone() -> bool:
        return process_started(pid) != started

    for number, patience in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 2.0)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)
        wait_for(gone, patience)


def die_with_parent() -> None:
    """Ask Linux to end this process when its parent is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def processes_read(path: Path) -> Sequence[tuple[int, str]]:
    """Return the process ids and start times a supervisor wrote down."""
    try:
        return [(int(pid), str(started)) for pid, started in json.loads(path.read_text(encoding="ascii"))]
    except (OSError, ValueError, TypeError):
        return []


def process_started(pid: int) -> str:
    """Return a mark of when a process started, "" if it is gone or a zombie: an id alone may be another's."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2]
    except OSError:
        return ""
    parts = fields.split()
    return "" if parts[0] == "Z" else parts[19]


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until a condition holds; tells whether it did in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


class OnlyOne:
    """A lock file: one supervisor per data folder. The file holds a note for those who come second."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.open("a+", encoding="utf-8")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.file.seek(0)
            note = self.file.read().strip() or "it is still starting"
            raise StackError(f"already running: {note}") from None
        self.note("it is still starting")

    def note(self, text: str) -> None:
        """Write what a second supervisor shall say."""
        self.file.seek(0)
        self.file.truncate()
        self.file.write(f"{text}\n")
        self.file.flush()
