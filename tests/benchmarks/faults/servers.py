"""The whole of RecoPortal on servers of its own, started as `make demo` starts it, and means to hurt it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import redis

from apps.portal.programs import inbox_program, web_port, web_program, worker_program
from apps.portal.stack import Running, Stack
from recoportal.databases import database_url_with_name
from recoportal.embedded import services_destroy, services_ensure
from recoportal.embedded.place import Place, pid_of, processes_in
from recoportal.env import BASE_DIR
from tests.gates import Gate

SHOP = "bench_faults"
MAKE = (
    "import django; django.setup(); from tests.benchmarks.serving.shop import main; "
    "main(products=1000, shoppers=400)"
)
CALL = "import django; django.setup(); from tests.benchmarks.faults import artifact; {}"
WORKERS = 2
INBOX_MB = 4


@dataclass(slots=True)
class Servers:
    """Everything that runs. database: past the gate, for the benchmark's own questions."""

    folder: Path
    gate: Gate
    database_url: str
    redis_url: str
    cache_url: str
    port: int
    key: str
    stack: Stack
    web: Running
    inbox: Running
    worker: Running

    def ask(self, query: str, values: Any = None) -> list[tuple[Any, ...]]:
        """Rows of a query of the benchmark itself."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def django(self, call: str) -> str:
        """What a function of `artifact` prints last, in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-c", CALL.format(call)],
            cwd=BASE_DIR,
            env={**os.environ, "RECOPORTAL_DB_POOL_MAX": "0"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def valkey(self) -> redis.Redis:
        """The inbox's server."""
        return redis.Redis.from_url(self.redis_url)

    def pids(self, service: str) -> list[int]:
        """The processes of one server."""
        place = Place.of(self.folder)
        if service == "postgres":
            return processes_in(place.root / service / "data")
        found = pid_of(place.root / service / "server.pid")
        return [found] if found else []

    def signal(self, service: str, number: int) -> None:
        """Send a signal to a server and its children, the parent first."""
        for pid in sorted(self.pids(service)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def restart(self, service: str) -> None:
        """Start a dead server again, as its supervisor would."""
        services_ensure(self.folder, names=[service], database=SHOP)

    def web_workers(self) -> list[int]:
        """granian's workers: its children that run its code, not the tracker of shared memory."""
        pid = self.web.popen.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        lines = {child: Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
        return [int(child) for child, line in lines.items() if b"resource_tracker" not in line]


@contextmanager
def servers() -> Iterator[Servers]:
    """Start all of it on a small shop in a temporary folder; everything is gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix="recoportal-faults-"))
    folder.chmod(0o755)
    for name in [name for name in os.environ if name.startswith("RECOPORTAL_")]:
        del os.environ[name]
    watching = threading.Event()
    stack = Stack(data_dir=folder, root=BASE_DIR, say=lambda line: print(line, file=sys.stderr, flush=True))
    watcher = threading.Thread(target=_watch, args=(stack, watching))
    try:
        urls = services_ensure(folder, database=SHOP)
        direct = database_url_with_name(urls["DATABASE_URL"], SHOP)
        parts = urlsplit(direct)
        with Gate("127.0.0.1", parts.port or 0) as gate:
            os.environ.update(urls)
            os.environ.update(
                DATABASE_URL=direct.replace(f":{parts.port}/", f":{gate.port}/"),
                DJANGO_SETTINGS_MODULE="recoportal.settings.dev",
                RECOPORTAL_DATA_DIR=str(folder),
                RECOPORTAL_DEBUG="false",
                RECOPORTAL_LOG_LEVEL="WARNING",
                RECOPORTAL_INBOX_MB=str(INBOX_MB),
            )
            made = subprocess.run(
                [sys.executable, "-c", MAKE],
                cwd=BASE_DIR,
                env={**os.environ, "DATABASE_URL": direct, "RECOPORTAL_DB_POOL_MAX": "0"},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            port = web_port("127.0.0.1", 0)
            started = [
                stack.start(program)
                for program in (
                    web_program(host="127.0.0.1", port=port, workers=WORKERS),
                    inbox_program(),
                    worker_program("score", concurrency=1),
                )
            ]
            stack.wait_ready(started[0], lambda: _answers(port))
            for running in started[1:]:
                stack.wait_ready(running)
            watcher.start()
            yield Servers(
                folder, gate, direct, urls["REDIS_URL"], urls["CACHE_URL"], port, made.stdout.split()[-1],
                stack, *started,
            )  # fmt: skip
    finally:
        watching.set()
        if watcher.ident is not None:
            watcher.join()
        stack.stop()
        for service in ("postgres", "valkey-broker", "valkey-cache"):
            for pid in sorted(_pids_left(folder, service)):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        services_destroy(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _pids_left(folder: Path, service: str) -> list[int]:
    root = Place.of(folder).root / service
    found = pid_of(root / "server.pid")
    return [*processes_in(root / "data"), *([found] if found else [])]


def _watch(stack: Stack, stop: threading.Event) -> None:
    while not stop.is_set():
        stack.watch(0.2)


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/health", timeout=5)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
