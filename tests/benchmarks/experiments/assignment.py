"""What experiments cost a slate; one JSON object as the last line.

    python -m tests.benchmarks.experiments.assignment

Figures are microseconds of CPU in one process (user and system), so they hardly depend on what else the
machine does: of one assignment, of many at once, and what a warm answer costs more with experiments than
without, the median over rounds that take turns. In "one" both variants show what is live; in the others the
second is a publication of its own. Nothing is read meanwhile: that assignment asks no query is a test.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from recoportal.env import BASE_DIR

if TYPE_CHECKING:
    from apps.serving.publications import PublicationState
    from apps.serving.trials import Trial

PRODUCTS, SHOPPERS = 1_000, 2_000
WARM, ROUNDS, SLATES = 8, 40, 150
EXPERIMENTS = 10
BENCH = "import django; django.setup(); from tests.benchmarks.experiments.assignment import slates; slates()"


def cpu_us(work: Callable[[], object], count: int) -> float:
    """CPU of one of `count` calls."""
    began = time.process_time()
    for _ in range(count):
        work()
    return (time.process_time() - began) / count * 1e6


def hashes() -> dict[str, float]:
    """Of one assignment that asks all three questions, and of one among a hundred thousand."""
    from apps.experiments.assignment import Allocation, assign, assign_many

    allocation = Allocation("salt" * 8, "layer" * 6, 0, 9_000, 0.9, (("control", 0.5), ("b", 0.5)))
    units = [f"s{number:06}" for number in range(100_000)]
    one = statistics.median(cpu_us(lambda: assign(allocation, "s000042"), 20_000) for _ in range(5))
    many = cpu_us(lambda: assign_many(allocation, units), 1) / len(units)
    return {"assign_us": round(one, 2), "assign_many_us": round(many, 2)}


def slates() -> None:
    """Print what a warm answer costs without and with experiments; runs in a process of its own."""
    from apps.experiments.models import Experiment
    from apps.serving import memory
    from apps.serving.answers import answer_of
    from apps.serving.decide import decide
    from apps.serving.live import LiveState, live_read
    from apps.serving.slate import SlateRequest
    from tests.serving.experimenting import experiment_make

    for lifetime in ("REFRESH_SECONDS", "LISTS_SECONDS", "NO_LIST_SECONDS", "SHOPPER_SECONDS"):
        setattr(memory, lifetime, 1e9)
    same: dict[str, Any] = {"control": {"home": {}}, "b": {"home": {}}}
    arms: dict[str, Any] = {"control": {"home": {}}, "b": {"home": {"page_size": 20}}}
    kinds: Mapping[str, list[dict[str, Any]]] = {
        "none": [],
        "one": [{}],
        "own": [{}],
        "audience": [{"audience": {"known": True, "languages": ["en"]}, "traffic": 0.9}],
        "different": [{"triggered": "different"}],
        "interleaving": [{"kind": "interleaving"}],
        "ten": [{"layer_from": n * 1_000, "layer_to": (n + 1) * 1_000} for n in range(EXPERIMENTS)],
    }
    states: dict[str, LiveState] = {}
    for name, experiments in kinds.items():
        Experiment.objects.all().delete()
        for number, fields in enumerate(experiments):
            experiment_make(f"bench-{number}", same if name == "one" else arms, **fields)
        states[name] = live_read(LiveState())
    Experiment.objects.all().delete()
    # What is live is one object in all, as it is in a process: its rules are as warm in each.
    first = states["none"].placements
    states = {name: replace(state, placements=first) for name, state in states.items()}
    states["one"] = replace(states["one"], trials=_showing(states["one"].trials, first["home"].publication))
    held = memory.memory_current()
    requests = [SlateRequest("home", f"s{number}", n=20, language="en") for number in range(1, WARM + 1)]
    turn = 0

    def answer() -> None:
        nonlocal turn
        turn += 1
        answer_of(decide(requests[turn % WARM]))

    costs: dict[str, list[float]] = {name: [] for name in states}
    for round_number in range(ROUNDS + 1):
        for name, state in states.items():
            held.live = state
            cost = cpu_us(answer, SLATES)
            if round_number:  # the first one warms
                costs[name].append(cost)
    plain = costs.pop("none")
    added = {
        name: round(statistics.median(b - a for a, b in zip(plain, found, strict=True)), 1)
        for name, found in costs.items()
    }
    print(json.dumps({"slate_us": round(statistics.median(plain), 1), "added_us": added}), flush=True)


def _showing(
    trials: Mapping[str, tuple[Trial, ...]], publication: PublicationState
) -> dict[str, tuple[Trial, ...]]:
    """These trials, with this publication in every variant."""
    return {
        code: tuple(replace(one, arms=dict.fromkeys(one.arms, publication)) for one in found)
        for code, found in trials.items()
    }


def report() -> dict[str, Any]:
    """Everything, as printed."""
    from tests.benchmarks.serving.servers import services, shop_ensure

    with services() as urls:
        shop = shop_ensure(urls, products=PRODUCTS, shoppers=SHOPPERS)
        measured = subprocess.run(
            [sys.executable, "-c", BENCH],
            cwd=BASE_DIR,
            env={**shop.environment, "RECOPORTAL_DB_POOL_MAX": "0"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return {**hashes(), **json.loads(measured.stdout.splitlines()[-1])}


if __name__ == "__main__":
    print(json.dumps(report()))
