"""Parts of the benchmark that live in modules of their own and are run as processes."""

from __future__ import annotations

import json
import math
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from tests.benchmarks.models.environments import cache_folder
from tests.benchmarks.models.running import bounded


@dataclass(frozen=True)
class Part:
    """One module that prints its answer as its last line (README.md says what). timeout: seconds."""

    name: str
    title: str
    module: str
    timeout: float
    arguments: tuple[str, ...] = ()


PARTS = (
    Part("speed-als", "Speed: iALS beside implicit", "tests.benchmarks.speed.als", 270.0),
    Part("speed-ease", "Speed: EASE beside its peers", "tests.benchmarks.speed.ease", 150.0),
    Part(
        "speed-item-knn", "Speed: item neighbours beside implicit", "tests.benchmarks.speed.item_knn", 270.0
    ),
    Part(
        "sasrec",
        "SASRec and blends on MovieLens-100k",
        "tests.benchmarks.models.ml100k",
        540.0,
        ("--recbole-seconds", "200"),
    ),
    Part("ratings", "Predicted stars beside Surprise", "tests.benchmarks.models.ratings", 150.0),
)


def part_run(part: Part, deadline: float = math.inf) -> dict[str, Any]:
    """The part's answer; {"error": …} when it is absent, failed, took too long or answered no JSON."""
    try:
        spec = find_spec(part.module)
    except ModuleNotFoundError:
        spec = None
    if spec is None:
        return {"error": f"{part.module} is not there"}
    log = cache_folder() / "parts" / f"{part.name}.log"
    command = [sys.executable, "-m", part.module, *part.arguments]
    problem = bounded(command, min(part.timeout, deadline - time.monotonic()), log)
    return {"error": problem} if problem else last_object(log.read_text("utf-8", errors="replace"))


def last_object(text: str) -> dict[str, Any]:
    """The JSON object of the last line that is one."""
    for line in reversed(text.splitlines()):
        if line.startswith("{"):
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                return found
    return {"error": "the last line is no JSON object"}
