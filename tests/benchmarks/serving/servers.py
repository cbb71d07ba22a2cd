"""The servers of the benchmark: throw-away Postgres and Valkey, one shop per database, granian in front.

Processes are started as `make demo` starts them, but with one web worker: the CPU of a request is then that
of one process.
"""

from __future__ import annotations

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

from recoportal.databases import database_url_with_name
from recoportal.embedded import services_ensure, services_stop
from recoportal.env import BASE_DIR
from tests.processes import die_with_parent

DATA_DIR = BASE_DIR / ".cache" / "bench-serving"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
MAKE = "import django; django.setup(); from tests.benchmarks.serving.shop import main; main({})"
TICKS = os.sysconf("SC_CLK_TCK")
READY_SECONDS = 120.0


@contextmanager
def services() -> Iterator[dict[str, str]]:
    """Give the addresses of the benchmark's own Postgres and Valkeys; they are stopped at the end."""
    DATA_DIR.mkdir(parents=True, exist_ok=True)
    try:
        yield services_ensure(DATA_DIR, durable=True)
    finally:
        services_stop(DATA_DIR)


@dataclass(frozen=True, slots=True)
class Shop:
    """One shop's environment and API key."""

    environment: dict[str, str]
    key: str


def shop_ensure(urls: dict[str, str], *, products: int, shoppers: int) -> Shop:
    """A shop of this size, made unless it is there. Raises CalledProcessError with what went wrong."""
    name = f"bench_{products}_{shoppers}"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RECOPORTAL_")},
        **ONE_THREAD,
        **urls,
        "DATABASE_URL": database_url_with_name(urls["DATABASE_URL"], name),
        "DJANGO_SETTINGS_MODULE": "recoportal.settings.dev",
        "RECOPORTAL_DATA_DIR": str(DATA_DIR),
        "RECOPORTAL_DEBUG": "false",
        "RECOPORTAL_LOG_LEVEL": "WARNING",
    }
    services_ensure(DATA_DIR, names=["postgres"], database=name)
    made = subprocess.run(
        [sys.executable, "-c", MAKE.format(f"products={products}, shoppers={shoppers}")],
        cwd=BASE_DIR,
        env={**environment, "RECOPORTAL_DB_POOL_MAX": "0"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return Shop(environment, made.stdout.split()[-1])


@dataclass(slots=True)
class Site:
    """The site behind granian. start_seconds: from the start to the first slate."""

    url: str
    key: str
    worker: int
    start_seconds: float

    def cpu_seconds(self) -> float:
        """User and system time of the worker so far."""
        fields = Path(f"/proc/{self.worker}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory_mb(self) -> float:
        """Resident memory of the worker."""
        lines = Path(f"/proc/{self.worker}/status").read_text(encoding="ascii").splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("VmRSS:"))
        return round(int(kilobytes) / 1024, 1)

    def get(self, path: str) -> bytes:
        """The answer's bytes; raises URLError or HTTPError."""
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Api-Key {self.key}"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            body: bytes = answer.read()
        return body


@contextmanager
def site(shop: Shop, application: str, first: str, **more: str) -> Iterator[Site]:
    """Start `application` with one worker and give it once it has answered the path `first`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    began = time.perf_counter()
    popen = subprocess.Popen(
        [
            sys.executable,
            *("-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port)),
            *("--workers", "1", "--blocking-threads", "2", "--workers-kill-timeout", "3"),
            *("--no-ws", "--log-level", "warning", application),
        ],
        cwd=BASE_DIR,
        env={**shop.environment, "RECOPORTAL_DB_POOL_MAX": "4", **more},
        stdin=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )
    try:
        running = Site(f"http://127.0.0.1:{port}", shop.key, 0, 0.0)
        while True:
            try:
                running.get(first)
                break
            except OSError:
                if popen.poll() is not None or time.perf_counter() - began > READY_SECONDS:
                    raise
                time.sleep(0.02)
        running.start_seconds = round(time.perf_counter() - began, 2)
        running.worker = _busiest_child(popen.pid)
        yield running
    finally:
        popen.terminate()
        try:
            popen.wait(timeout=15)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()


def _busiest_child(pid: int) -> int:
    """granian's worker: of its children the one that has worked (another may only track resources)."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return max((int(child) for child in children), key=lambda child: Site("", "", child, 0.0).cpu_seconds())
