"""Other processes and a database that goes away, for real."""

import json
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections
from django.test import Client

from apps.accounts.services import api_client_create
from apps.events.consuming import Consumer
from apps.events.models import Exposure
from apps.merchandising.models import Placement
from apps.serving import memory
from apps.serving.models import ListScope
from apps.serving.pipeline import recommend
from apps.serving.remembering import exposures_flush
from apps.serving.slate import Rung, Slate, SlateRequest
from recoportal.env import BASE_DIR
from tests.factories.shop import shoppers_make
from tests.gates import Gate
from tests.processes import RealProcess, child_environment, free_port
from tests.serving.shop import catalogue_make, home_make, rules_publish, version_make

ASK = """
import django, json, sys
django.setup()
from apps.serving.pipeline import recommend
from apps.serving.slate import SlateRequest
from apps.core.errors import RecoPortalError
for line in sys.stdin:
    try:
        slate = recommend(SlateRequest(placement="home", shopper="s1", n=3))
        print(json.dumps([slate.rung, slate.publication_number, [i.sku for i in slate.items]]), flush=True)
    except RecoPortalError as error:
        print(json.dumps([error.code]), flush=True)
"""


class Asker:
    """Another process that answers one slate per line it is sent."""

    def __init__(self, **extra: str) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", ASK],
            cwd=BASE_DIR,
            env=child_environment(**extra),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self) -> list[Any]:
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        self.popen.stdin.write("\n")
        self.popen.stdin.flush()
        answer: list[Any] = json.loads(self.popen.stdout.readline())
        return answer

    def stop(self) -> None:
        if self.popen.stdin is not None:
            self.popen.stdin.close()
        self.popen.wait(timeout=20)


@pytest.fixture
def home(committed_db: None) -> Placement:
    ids = catalogue_make()
    shopper = shoppers_make("s1")["s1"]
    version_make("als", {(ListScope.SHOPPER_NEW, shopper.pk): list(ids)[:20]})
    version_make("popular", {(ListScope.EVERYONE, 0): list(ids)[20:]})
    return home_make({"als": 1.0})


def test_a_publication_is_live_in_another_process_within_two_seconds(home: Placement) -> None:
    asker = Asker()
    try:
        assert asker.ask() == ["shopper", 1, ["p00", "p01", "p02"]]
        rules_publish(home, {"id": "h", "kind": "hide", "target": {"type": "product", "skus": ["p00"]}})
        time.sleep(2)  # the promise: whatever the process looked at last, two seconds later it knows
        assert asker.ask() == ["shopper", 2, ["p01", "p02", "p03"]]
    finally:
        asker.stop()


def test_over_http_too_and_the_exposure_lands(home: Placement, live_site: RealProcess) -> None:
    _, key = api_client_create(name="shop", scopes=["recommend"])

    def get() -> dict[str, Any]:
        request = urllib.request.Request(
            f"{live_site.url}/api/v1/recommendations/home?shopper=s1&n=2",
            headers={"Authorization": f"Api-Key {key}"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            body: dict[str, Any] = json.load(answer)
        return body

    before = get()
    assert [item["sku"] for item in before["items"]] == ["p00", "p01"]
    exposures_wait({before["request_id"]})
    rules_publish(home, {"id": "h", "kind": "hide", "target": {"type": "product", "skus": ["p00"]}})
    time.sleep(2)
    after = get()
    assert [item["sku"] for item in after["items"]] == ["p01", "p02"]
    assert after["publication"] == before["publication"] + 1
    live_site.stop()  # at once: what waits is written before the process ends
    exposures_wait({before["request_id"], after["request_id"]})


def exposures_wait(request_ids: set[str]) -> None:
    """Wait until these slates, and no others, are stored."""
    deadline = time.monotonic() + 20
    stored: set[str] = set()
    while stored != request_ids and time.monotonic() < deadline:
        stored = {str(found) for found in Exposure.objects.values_list("request_id", flat=True)}
        time.sleep(0.05)
    assert stored == request_ids


def test_a_process_that_never_saw_the_database_says_so(home: Placement) -> None:
    asker = Asker(DATABASE_URL=f"postgres://shop@127.0.0.1:{free_port()}/shop")
    try:
        assert asker.ask() == ["unavailable"]
    finally:
        asker.stop()


def ask(shopper: str = "s1", n: int = 3) -> Slate:
    return recommend(SlateRequest(placement="home", shopper=shopper, n=n))


def come_back(held: memory.Memory) -> None:
    """Wait until the watching thread has found the database again."""
    deadline = time.monotonic() + 20
    while held.away and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not held.away


def test_while_the_database_is_away_memory_answers_until_it_is_seen_to_be_back(
    home: Placement, database_gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "PROBE_SECONDS", 0.1)
    known = ask()
    assert known.rung == Rung.SHOPPER
    held = memory.memory_current()
    database_gate.shut()
    slate = ask()
    assert held.away
    assert slate.rung == Rung.MEMORY
    assert [item.sku for item in slate.items] == [item.sku for item in known.items]
    stranger = ask("never-seen", 4)
    assert stranger.rung == Rung.MEMORY
    assert [item.sku for item in stranger.items] == ["p20", "p21", "p22", "p23"]
    knocks = database_gate.turned_away
    for _ in range(20):
        ask()
    assert database_gate.turned_away - knocks < 5, "the watching thread knocks, no slate does"
    database_gate.open()
    come_back(held)
    assert ask().rung == Rung.SHOPPER


def test_exposures_go_to_the_stream_while_the_database_is_away(
    home: Placement, database_gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "PROBE_SECONDS", 0.1)
    _, key = api_client_create(name="shop", scopes=["recommend"])
    client = Client(headers={"Authorization": f"Api-Key {key}"})
    url = "/api/v1/recommendations/home?shopper=s1"
    assert client.get(url).json()["rung"] == "shopper"
    held = memory.memory_current()
    database_gate.shut()
    assert client.get(url).json()["rung"] == "memory"
    knocks = database_gate.turned_away
    assert exposures_flush() == 2
    assert database_gate.turned_away - knocks < 2, "known to be away: the writer does not ask"
    connections["default"].close()
    database_gate.open()
    come_back(held)
    assert client.get(url).json()["rung"] == "shopper"
    assert exposures_flush() == 1
    assert Exposure.objects.count() == 1
    stopping = iter([False, True])
    Consumer(should_stop=lambda: next(stopping)).run()
    assert [rung for (rung,) in Exposure.objects.order_by("served_at").values_list("rung")] == [
        "shopper",
        "memory",
        "shopper",
    ]


def test_nobody_answers_from_stale_memory_while_another_thread_looks(home: Placement) -> None:
    """A process that slept for minutes gets two requests at once; the database takes its time."""
    ask()
    rules_publish(home, {"id": "h", "kind": "hide", "target": {"type": "product", "skus": ["p00"]}})
    memory.memory_current()._checked_at -= 600.0
    slates: list[Slate] = []

    def one() -> None:
        slates.append(ask())
        connections["default"].close()

    threads = [threading.Thread(target=one) for _ in range(3)]
    blocker = psycopg.connect(**{**connections["default"].get_connection_params(), "cursor_factory": None})
    with blocker:
        blocker.execute("LOCK TABLE merchandising_placement IN ACCESS EXCLUSIVE MODE")
        for thread in threads:
            thread.start()
        threads[1].join(timeout=0.5)
        assert slates == [], "all wait for the one that looks"
    for thread in threads:
        thread.join(timeout=20)
    assert [slate.publication_number for slate in slates] == [2, 2, 2]


def test_the_web_never_loads_torch(tmp_path: Path, committed_db: None) -> None:
    code = (
        "import django, sys; django.setup();"
        "import recoportal.urls, apps.serving.batch, apps.serving.offline;"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=BASE_DIR, env=child_environment(), check=False)
    assert done.returncode == 0
