"""`make bench-models`: every part in turn, RESULTS.md, and one JSON object as the last line.

A part that is not run keeps what it had: its section is stored beside the lists and put together again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from tests.benchmarks.models import growth, retail
from tests.benchmarks.models.entrants import PEERS
from tests.benchmarks.models.environments import cache_folder
from tests.benchmarks.models.parts import PARTS, Part, part_run
from tests.benchmarks.models.results import (
    RESULTS,
    growth_text,
    machine,
    part_text,
    retail_object,
    retail_text,
)

Answer = tuple[str, dict[str, Any]]
SECONDS = 3_480.0
"""For everything; environments that are not there yet take some of it."""
SHARE = {"retail": 1_800.0, "growth": 480.0}
"""Seconds of the parts run here; the others state theirs in parts.py."""
INTRODUCTION = """# Results of `make bench-models`

Made by the benchmark; do not edit. `README.md` beside this file states protocol and format. Seconds depend
on the machine and on what else it does; ratios hardly."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.models", description=__doc__)
    names = ["retail", "growth", *(part.name for part in PARTS)]
    parser.add_argument("--part", action="append", choices=names, help="repeatable; default: all")
    parser.add_argument("--peer", action="append", choices=[peer.name for peer in PEERS], help="repeatable")
    parser.add_argument(
        "--keep", action="store_true", help="run only what has no lists of these settings yet"
    )
    parser.add_argument("--choice-seconds", type=float, default=retail.CHOICE_BUDGET)
    parser.add_argument("--growth-family", action="append", choices=growth.FAMILIES)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for all parts together")
    given = parser.parse_args()
    wanted = given.part or names
    began = time.perf_counter()
    end = time.monotonic() + given.seconds

    def until(name: str) -> float:
        return min(end, time.monotonic() + SHARE[name]) if len(wanted) > 1 else end

    works: dict[str, Callable[[], Answer]] = {
        "retail": lambda: _retail(given.peer or (), given.keep, given.choice_seconds, until("retail")),
        "growth": lambda: _growth(given.growth_family or growth.FAMILIES, until("growth")),
    }
    for part in PARTS:
        works[part.name] = partial(_part, part, end)
    answers: dict[str, Any] = {}
    folder = cache_folder() / "sections"
    folder.mkdir(parents=True, exist_ok=True)
    # Last what takes whatever time is left: learning from many windows goes on until it is done.
    for name in sorted(wanted, key=lambda name: name == "retail"):
        started = time.perf_counter()
        try:
            text, answers[name] = works[name]()
        except (OSError, ValueError, KeyError) as error:
            answers[name] = {"error": f"{type(error).__name__}: {error}"}
            text = part_text(name, answers[name])
        seconds = time.perf_counter() - started
        stamp = f"*{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {seconds:.0f} s, {machine()}.*"
        (folder / f"{name}.md").write_text(f"{text}\n\n{stamp}\n", "utf-8")
        print(f"bench-models: {name} took {seconds:.0f} s", file=sys.stderr, flush=True)
    sections = [folder / f"{name}.md" for name in names]
    texts = [INTRODUCTION, *(file.read_text("utf-8").strip() for file in sections if file.is_file())]
    RESULTS.write_text("\n\n".join(texts) + "\n", "utf-8")
    print(
        json.dumps({**answers, "seconds": round(time.perf_counter() - began, 1), "table": str(RESULTS.name)})
    )
    return int(any("error" in answer for answer in answers.values()))


def _retail(only: Sequence[str], keep: bool, budget: float, deadline: float) -> Answer:
    found = retail.run(only, keep, budget, deadline)
    return retail_text(found), retail_object(found)


def _growth(families: Sequence[str], deadline: float) -> Answer:
    rows = growth.table(families, deadline=deadline)
    return growth_text(rows), {"rows": rows}


def _part(part: Part, deadline: float) -> Answer:
    answer = part_run(part, deadline)
    return part_text(part.title, answer), answer


if __name__ == "__main__":
    sys.exit(main())
