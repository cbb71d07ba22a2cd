"""Real processes beside a test: Celery workers, the web server, headless Chromium.

They work on the test's own database, cache and broker, so the test must commit what they shall see: each
fixture brings `committed_db`. All are stopped when the test ends, and die with pytest if it is killed.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
import redis
from django.conf import settings
from django.db import connections

from recoportal.databases import database_url_with_name
from recoportal.env import BASE_DIR

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

READY_SECONDS = 60.0
POLICY_BROKEN = "Content Security Policy"
PR_SET_PDEATHSIG = 1
CHROMIUM_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def die_with_parent() -> None:
    """Ask Linux to end this process when the thread that started it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass(slots=True)
class RealProcess:
    """A child process with its own process group and a log file."""

    popen: subprocess.Popen[bytes]
    log_path: Path
    url: str = ""

    @property
    def pid(self) -> int:
        """The process id."""
        return self.popen.pid

    @property
    def log(self) -> str:
        """Everything the process has printed so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def wait_until(self, what: str, ready: Callable[[], bool]) -> None:
        """Wait for a condition; fail with the log when the process ends or is not ready in a minute."""
        deadline = time.monotonic() + READY_SECONDS
        while not ready():
            if self.popen.poll() is not None or time.monotonic() > deadline:
                self.stop()
                pytest.fail(f"waited in vain for {what}; the process printed:\n{self.log}")
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill the whole process group at once, as a crash of the machine would."""
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()

    def stop(self) -> None:
        """End the process kindly, then by force."""
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(timeout=15)
            except subprocess.TimeoutExpired:
                self.kill()


def child_environment(**extra: str) -> dict[str, str]:
    """Return the environment in which a child works on the test's database, cache and broker."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "recoportal.settings.test",
        "DATABASE_URL": database_url_with_name(os.environ["DATABASE_URL"], settings.SHOP_NAME),
        "PYTHONUNBUFFERED": "1",
        **extra,
    }


def process_start(arguments: list[str], log_path: Path, **extra: str) -> RealProcess:
    """Start a Python child with its output in a file."""
    log: IO[bytes]
    with log_path.open("ab") as log:
        popen = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=BASE_DIR,
            env=child_environment(**extra),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
    return RealProcess(popen, log_path)


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def broker_clear() -> None:
    """Empty the broker, so that no task of one test is run in another."""
    with redis.Redis.from_url(settings.REDIS_URL) as broker:
        broker.flushall()


@pytest.fixture
def committed_db(django_db_serialized_rollback: None, transactional_db: None) -> Iterator[None]:
    """Give a database that other processes see, with the rows that migrations put there."""
    broker_clear()
    yield
    broker_clear()


@pytest.fixture
def celery_worker_process(committed_db: None, tmp_path: Path) -> Iterator[Callable[..., RealProcess]]:
    """Give `start(*queues, concurrency=1)`: a real worker, ready when the call returns."""
    started: list[RealProcess] = []

    def start(*queues: str, concurrency: int = 1, **extra: str) -> RealProcess:
        name = f"worker{len(started)}"
        worker = process_start(
            ["-m", "celery", "-A", "recoportal", "worker", "-n", f"{name}@test", "-l", "INFO",
             "-P", "prefork", "-Q", ",".join(queues or ("default",)), "-c", str(concurrency),
             "--without-mingle", "--without-gossip"],
            tmp_path / f"{name}.log",
            **extra,
        )  # fmt: skip
        started.append(worker)
        worker.wait_until("a Celery worker", lambda: f"{name}@test ready" in worker.log)
        return worker

    yield start
    for worker in started:
        worker.stop()


@pytest.fixture
def inbox_consumer(committed_db: None, tmp_path: Path) -> Iterator[RealProcess]:
    """Give the process that brings accepted events from the inbox into Postgres."""
    consumer = process_start(["manage.py", "consume_events"], tmp_path / "consumer.log")
    consumer.wait_until("the inbox's consumer", lambda: " ready." in consumer.log)
    yield consumer
    consumer.stop()


@pytest.fixture
def live_site_start(committed_db: None, tmp_path: Path) -> Iterator[Callable[..., RealProcess]]:
    """Give `start(port=0, workers=1, **environment)`: the site behind granian, answering on return."""
    started: list[RealProcess] = []

    def start(port: int = 0, workers: int = 1, **extra: str) -> RealProcess:
        port = port or free_port()
        site = process_start(
            ["-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
             "--workers", str(workers), "--blocking-threads", "2", "--respawn-failed-workers",
             "--workers-kill-timeout", "3", "--no-ws", "recoportal.wsgi:application"],
            tmp_path / f"web{len(started)}.log",
            **extra,
        )  # fmt: skip
        site.url = f"http://127.0.0.1:{port}"
        started.append(site)
        site.wait_until("the web server", lambda: answers(f"{site.url}/api/v1/health"))
        return site

    yield start
    for site in started:
        site.stop()


@pytest.fixture
def live_site(live_site_start: Callable[..., RealProcess]) -> RealProcess:
    """Give the site behind granian: `.url`, `.log`, `.pid`."""
    return live_site_start()


def answers(url: str) -> bool:
    """Tell whether a web server answers at all."""
    try:
        with urllib.request.urlopen(url, timeout=10):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


@pytest.fixture(scope="session")
def chromium(django_db_setup: None) -> Iterator[Browser]:
    """Give headless Chromium of the system's packages; the test is skipped where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip(
            "no Chromium on this machine: `apt-get install chromium fonts-noto-cjk` (as .ci/run does)"
        )
    from playwright.sync_api import sync_playwright

    # Playwright's synchronous interface keeps an event loop in this thread; Django would refuse the ORM.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    # Inside that loop Django keeps another connection object, which must know the rows to restore as well.
    rows_of_migrations = vars(connections["default"]).get("_test_serialized_contents")
    with sync_playwright() as playwright:
        if rows_of_migrations is not None:
            vars(connections["default"])["_test_serialized_contents"] = rows_of_migrations
        browser = playwright.chromium.launch(
            executable_path=path, headless=True, args=list(CHROMIUM_ARGUMENTS)
        )
        yield browser
        browser.close()


@pytest.fixture
def browser_context(chromium: Browser, live_site: RealProcess) -> Iterator[BrowserContext]:
    """Give a fresh browser profile on the live site, 1280 px wide, speaking English."""
    context = chromium.new_context(
        base_url=live_site.url, viewport={"width": 1280, "height": 800}, locale="en", reduced_motion="reduce"
    )
    context.set_default_timeout(15_000)
    yield context
    context.close()


@pytest.fixture
def page(browser_context: BrowserContext) -> Iterator[Page]:
    """Give a tab; the test fails if a script of the page did, or if the page broke its content policy."""
    tab = browser_context.new_page()
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda said: errors.append(said.text) if POLICY_BROKEN in said.text else None)
    yield tab
    assert errors == []
