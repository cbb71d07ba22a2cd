"""Other processes and a database that goes away, for real."""

import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from apps.accounts.services import api_client_create
from apps.events.models import Exposure
from apps.merchandising.models import Placement
from apps.serving import memory
from apps.serving.models import ListScope
from apps.serving.pipeline import recommend
from apps.serving.slate import Rung, SlateRequest
from recoportal.env import BASE_DIR
from tests.factories.shop import shoppers_make
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
    rules_publish(home, {"id": "h", "kind": "hide", "target": {"type": "product", "skus": ["p00"]}})
    time.sleep(2)
    after = get()
    assert [item["sku"] for item in after["items"]] == ["p01", "p02"]
    assert after["publication"] == before["publication"] + 1
    deadline = time.monotonic() + 20
    while Exposure.objects.count() < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert {str(row.request_id) for row in Exposure.objects.all()} == {
        before["request_id"],
        after["request_id"],
    }


def test_a_process_that_never_saw_the_database_says_so(home: Placement) -> None:
    asker = Asker(DATABASE_URL=f"postgres://shop@127.0.0.1:{free_port()}/shop")
    try:
        assert asker.ask() == ["unavailable"]
    finally:
        asker.stop()


def test_while_the_database_is_away_memory_answers_and_then_comes_back(
    home: Placement, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection's port is closed for real, then opened again."""
    known = recommend(SlateRequest(placement="home", shopper="s1", n=3))
    assert known.rung == Rung.SHOPPER
    settings = connections["default"].settings_dict
    port = settings["PORT"]
    held = memory.memory_current()
    monkeypatch.setattr(memory, "PROBE_SECONDS", 0.1)
    connections["default"].close()
    try:
        settings["PORT"] = str(free_port())
        memory._memories[(settings["HOST"], settings["PORT"], settings["NAME"])] = held
        slate = recommend(SlateRequest(placement="home", shopper="s1", n=3))
        assert slate.rung == Rung.MEMORY
        assert [item.sku for item in slate.items] == [item.sku for item in known.items]
        stranger = recommend(SlateRequest(placement="home", shopper="never-seen", n=4))
        assert stranger.rung == Rung.MEMORY
        assert [item.sku for item in stranger.items] == ["p20", "p21", "p22", "p23"]
        assert held.away
    finally:
        settings["PORT"] = port
    # The watching thread looks where it was told the database is; here that address changed back.
    held.away = False
    assert recommend(SlateRequest(placement="home", shopper="s1", n=3)).rung == Rung.SHOPPER


def test_exposures_wait_for_the_database(home: Placement) -> None:
    _, key = api_client_create(name="shop", scopes=["recommend"])
    client = Client(headers={"Authorization": f"Api-Key {key}"})
    url = "/api/v1/recommendations/home?shopper=s1"
    assert client.get(url).json()["rung"] == "shopper"
    held = memory.memory_current()
    held.away = True
    assert client.get(url).json()["rung"] == "memory"
    assert Exposure.objects.count() == 1
    held.away = False
    assert client.get(url).json()["rung"] == "shopper"
    assert Exposure.objects.count() == 3


def test_the_web_never_loads_torch(tmp_path: Path, committed_db: None) -> None:
    code = (
        "import django, sys; django.setup();"
        "import recoportal.urls, apps.serving.batch, apps.serving.offline;"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=BASE_DIR, env=child_environment(), check=False)
    assert done.returncode == 0
