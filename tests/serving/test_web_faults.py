"""The site as real processes, with a pool: a worker that dies, a database that takes its time."""

import http.client
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest
from django.conf import settings
from django.db import connections

from apps.accounts.services import api_client_create
from apps.serving.models import ListScope
from recoportal.databases import database_url_with_name
from tests.gates import Gate
from tests.processes import RealProcess
from tests.serving.shop import SKUS, catalogue_make, home_make, version_make

Started = Callable[..., RealProcess]
DELAY = 2.0


@pytest.fixture
def key(committed_db: None) -> str:
    catalogue_make()
    version_make("popular", {(ListScope.EVERYONE, 0): SKUS})
    home_make({"popular": 1.0})
    return api_client_create(name="shop", scopes=["recommend"], requests_per_minute=1_000_000)[1]


def ask(site: RealProcess, key: str) -> tuple[int, str]:
    """Status and rung, by a connection of its own; asked once more where that broke."""
    for again in (False, True):
        caller = http.client.HTTPConnection(site.url.removeprefix("http://"), timeout=30)
        try:
            path = "/api/v1/recommendations/home?n=2&shopper=s1"
            caller.request("GET", path, headers={"Authorization": f"Api-Key {key}"})
            answer = caller.getresponse()
            return answer.status, orjson.loads(answer.read())["rung"]
        except (http.client.HTTPException, ConnectionError):
            if again:
                raise
            time.sleep(0.1)
        finally:
            caller.close()
    raise AssertionError


def workers(site: RealProcess) -> list[int]:
    children = Path(f"/proc/{site.pid}/task/{site.pid}/children").read_text(encoding="ascii").split()
    lines = {int(child): Path(f"/proc/{child}/cmdline").read_bytes() for child in children}
    return [child for child, line in lines.items() if line and b"resource_tracker" not in line]


def test_no_slate_fails_when_one_of_two_web_workers_is_killed(key: str, live_site_start: Started) -> None:
    site = live_site_start(workers=2)
    site.wait_until("both workers", lambda: len(workers(site)) == 2)
    stop = threading.Event()
    answers: list[tuple[int, str]] = []

    def load() -> None:
        while not stop.is_set():
            answers.append(ask(site, key))

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        site.wait_until("some slates", lambda: len(answers) > 20)
        killed = workers(site)[0]
        os.kill(killed, signal.SIGKILL)
        known = len(answers)
        site.wait_until("another worker", lambda: len(set(workers(site)) - {killed}) == 2)
        site.wait_until("more slates", lambda: len(answers) > known + 20)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert set(answers) == {(200, "popular")}


def test_slates_do_not_wait_for_a_slow_database(key: str, live_site_start: Started) -> None:
    database = connections["default"].settings_dict
    port = int(database["PORT"])
    with Gate(database["HOST"] or "127.0.0.1", port) as gate:
        url = database_url_with_name(os.environ["DATABASE_URL"], settings.SHOP_NAME)
        site = live_site_start(
            DATABASE_URL=url.replace(f":{port}/", f":{gate.port}/"), RECOPORTAL_DB_POOL_MAX="4"
        )
        assert ask(site, key) == (200, "popular")
        gate.delay = DELAY
        time.sleep(1.5)  # what the process knows is to be looked at again
        site.wait_until("the outage", lambda: ask(site, key) == (200, "memory"))
        began = time.monotonic()
        assert {ask(site, key) for _ in range(5)} == {(200, "memory")}
        assert time.monotonic() - began < DELAY, "five slates in less time than one answer of the database"
        gate.delay = 0.0
        site.wait_until("its end", lambda: ask(site, key) == (200, "popular"))
