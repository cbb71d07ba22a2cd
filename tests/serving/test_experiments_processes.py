"""Experiments in several real processes, and while the database is away."""

import json
import subprocess
import sys
import time
from typing import Any

import pytest
from django.db import connections

from apps.experiments.models import Experiment
from apps.merchandising.models import Placement
from apps.serving import memory
from apps.serving.models import ListScope
from apps.serving.pipeline import exposure_of, recommend
from apps.serving.slate import Rung, Slate, SlateRequest
from recoportal.env import BASE_DIR
from tests.factories.shop import shoppers_make
from tests.gates import Gate
from tests.processes import child_environment
from tests.serving.experimenting import experiment_make, hiding, units_of
from tests.serving.shop import SKUS, catalogue_make, home_make, version_make
from tests.serving.test_processes import come_back

ASK = """
import django, json, sys
django.setup()
from apps.serving.pipeline import recommend
from apps.serving.slate import SlateRequest
for line in sys.stdin:
    slates = [recommend(SlateRequest(placement="home", shopper=name, n=3)) for name in json.loads(line)]
    print(json.dumps([slate.variant for slate in slates]), flush=True)
"""
NAMES = [f"u{number}" for number in range(24)]


class Asker:
    """Another process, which says the variants of the shoppers it is sent."""

    def __init__(self) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-c", ASK],
            cwd=BASE_DIR,
            env=child_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self) -> list[str]:
        assert self.popen.stdin is not None
        assert self.popen.stdout is not None
        self.popen.stdin.write(json.dumps(NAMES) + "\n")
        self.popen.stdin.flush()
        answer: list[str] = json.loads(self.popen.stdout.readline())
        return answer

    def stop(self) -> None:
        if self.popen.stdin is not None:
            self.popen.stdin.close()
        self.popen.wait(timeout=20)


@pytest.fixture
def home(committed_db: None) -> Placement:
    catalogue_make()
    version_make("popular", {(ListScope.EVERYONE, 0): SKUS[:20]})
    return home_make({"popular": 1.0})


def hide(**fields: Any) -> Experiment:
    return experiment_make(
        "hide", {"control": {"home": {}}, "b": {"home": {"rules": hiding("p00")}}}, **fields
    )


def ask(shopper: str = "", session: str = "") -> Slate:
    return recommend(SlateRequest("home", shopper or None, session=session, n=3))


def test_every_process_follows_within_two_seconds_and_all_say_the_same(home: Placement) -> None:
    askers = [Asker(), Asker()]
    try:
        nothing = [""] * len(NAMES)
        assert [asker.ask() for asker in askers] == [nothing, nothing]
        experiment = hide(traffic=0.8)
        time.sleep(2)
        here = [ask(name).variant for name in NAMES]
        assert set(here) == {"control", "b", ""}
        assert [asker.ask() for asker in askers] == [here, here]
        for status in ("paused", "running"):
            Experiment.objects.filter(pk=experiment.pk).update(status=status)
            time.sleep(2)
            known = here if status == "running" else nothing
            assert [asker.ask() for asker in askers] == [known, known]
    finally:
        for asker in askers:
            asker.stop()


def test_while_the_database_is_away_who_is_known_keeps_the_variant_and_others_are_in_none(
    home: Placement, database_gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "PROBE_SECONDS", 0.1)
    experiment = hide()
    units = units_of(experiment, 3)
    first, second, unread = units["b"]
    known = shoppers_make(first)[first]
    assert {ask(name).variant for name in (first, second)} == {"b"}
    held = memory.memory_current()
    database_gate.shut()
    for name in (first, second):
        slate = ask(name)
        assert (slate.rung, slate.variant) == (Rung.MEMORY, "b")
    assert exposure_of(ask(first)).shopper_id == known.pk
    stranger = ask(unread)
    assert (stranger.rung, stranger.variant) == (Rung.MEMORY, "")
    assert [item.sku for item in stranger.items] == SKUS[:3], "what is live"
    assert {ask(session=f"v{number}").variant for number in range(20)} == {"control", "b"}
    database_gate.open()
    come_back(held)
    assert ask(unread).variant == "b"
    connections["default"].close()
