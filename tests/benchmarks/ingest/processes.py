"""The web server and the consumer of the benchmark, and the CPU they have used."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from recoportal.env import BASE_DIR
from tests.processes import die_with_parent

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Running:
    """A process with its children. url and key: of the site only."""

    pid: int
    url: str = ""
    key: str = ""

    def cpu_seconds(self) -> float:
        """User and system time of the process and its children so far."""
        return sum(_cpu(pid) for pid in (self.pid, *_children(self.pid)))

    def post(self, body: bytes) -> bytes:
        """Post to the events endpoint."""
        request = urllib.request.Request(
            f"{self.url}/api/v1/events",
            data=body,
            headers={"Authorization": f"Api-Key {self.key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            read: bytes = answer.read()
        return read


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _cpu(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def _process(arguments: list[str], **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    popen = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=BASE_DIR,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )
    try:
        yield popen
    finally:
        popen.terminate()
        try:
            popen.wait(timeout=15)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()


@contextmanager
def site(key: str) -> Iterator[Running]:
    """The site with its yardstick behind one granian worker."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = [
        *("-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--blocking-threads", "2", "--no-ws", "--log-level", "warning"),
        "tests.benchmarks.ingest.site:application",
    ]
    with _process(arguments, RECOPORTAL_DB_POOL_MAX="4") as popen:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 90
        while True:
            try:
                urllib.request.urlopen(f"{url}/api/v1/events", timeout=5)
            except urllib.error.HTTPError:
                break
            except OSError:
                if popen.poll() is not None or time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield Running(popen.pid, url, key)


@contextmanager
def consumer() -> Iterator[Running]:
    """A consumer of the inbox."""
    with _process(["manage.py", "consume_events"]) as popen:
        yield Running(popen.pid)
