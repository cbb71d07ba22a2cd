"""Online Retail end to end: run everybody, choose settings on the window before, judge the test windows."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from apps.ml.evaluate import VARIANTS, Variant
from apps.ml.topn import TopN
from tests.benchmarks.models.ensembles import Material, combine
from tests.benchmarks.models.entrants import CHOICE, OURS, PEERS, Entrant, Setting
from tests.benchmarks.models.environments import cache_folder, environment_make
from tests.benchmarks.models.own_lists import dataset_read, dataset_write
from tests.benchmarks.models.running import WORKERS, Run, bounded, run_all, runs_read
from tests.benchmarks.models.standings import Standing, choose, standing
from tests.benchmarks.models.two_terms import bars
from tests.benchmarks.models.windows import (
    LESSONS,
    RETAIL_FILE,
    TEST_WINDOWS,
    Window,
    exchange_write,
    online_retail,
    rolling,
    shared_data,
)

CHOICE_BUDGET = 90.0


@dataclass
class Retail:
    """What came out. curve: what the coverage knob of the stacked ranker trades on *new*. words: of the
    automatic choices.
    """

    windows: list[dict[str, Any]]
    standings: list[Standing] = field(default_factory=list)
    curve: list[dict[str, float]] = field(default_factory=list)
    words: dict[str, list[str]] = field(default_factory=dict)

    def named(self, name: str) -> Standing:
        """The standing of this name; KeyError when it took no part."""
        found = {one.name: one for one in self.standings}
        return found[name]


@dataclass
class _Field:
    """One entrant's runs by window place and setting place, and the setting chosen for each test window."""

    entrant: Entrant
    runs: dict[int, dict[int, Run]] = field(default_factory=dict)
    chosen: dict[Variant, list[int]] = field(default_factory=dict)
    error: str = ""

    def lists(self, test: int, place: int, variant: Variant) -> TopN:
        """Lists on the window at `place` of the setting chosen for the test window `test`."""
        return self.runs[place][self.chosen[variant][test]].lists[variant]


def run(
    only: Sequence[str] = (),
    keep: bool = False,
    budget: float = CHOICE_BUDGET,
    deadline: float = math.inf,
) -> Retail:
    """only: names of peers that take part (default: all of them). keep: run only what has no
    lists of these settings yet. budget: seconds of each automatic choice. deadline: of time.monotonic().
    """
    data = cache_folder() / "data"
    if not keep:
        dataset_write(online_retail(shared_data() / RETAIL_FILE), data)
    windows = rolling(dataset_read(data))
    for window in windows:
        exchange_write(window, cache_folder() / "exchange")
    peers = [peer for peer in PEERS if not only or peer.name in only]
    problems = {name: environment_make(name) for name in dict.fromkeys(peer.environment for peer in peers)}
    fields = [_Field(entrant, error=problems.get(entrant.environment, "")) for entrant in (*peers, *OURS)]
    _trials(fields, windows, keep, deadline)
    tests = windows[:TEST_WINDOWS]
    done = Retail([window.facts() for window in windows[: TEST_WINDOWS + 1]])
    for one in fields:
        done.standings.append(_standing(one, tests))
    own = [one for one in fields if one.entrant.ours and not one.error]
    material = {test: _material(own, windows, test) for test in range(TEST_WINDOWS)}
    combined = combine(material)
    done.standings += combined.standings
    done.curve = combined.curve
    done.standings += bars(windows[: TEST_WINDOWS + 1])
    chosen, done.words = _choices(tests, budget, keep, deadline)
    done.standings.append(chosen)
    return done


def _trials(fields: Sequence[_Field], windows: Sequence[Window], keep: bool, deadline: float) -> None:
    """Every setting on the windows before a test window, then the chosen ones on the last window."""
    able = [one for one in fields if not one.error]
    last = {True: TEST_WINDOWS + LESSONS, False: TEST_WINDOWS + 1}
    places = {one.entrant.name: range(1, last[one.entrant.ours]) for one in able}
    jobs = [
        (one.entrant, [(windows[i].name, one.entrant.settings) for i in places[one.entrant.name]])
        for one in able
    ]
    run_all(jobs, deadline, keep)
    for one in able:
        for place in places[one.entrant.name]:
            runs = runs_read(one.entrant, windows[place].name, one.entrant.settings)
            one.runs[place] = dict(enumerate(runs))
        for variant in VARIANTS:
            found = [
                choose(list(one.runs[test + 1].values()), windows[test + 1], variant)
                for test in range(TEST_WINDOWS)
            ]
            one.chosen[variant] = [place for place in found if place is not None]
            if len(one.chosen[variant]) < TEST_WINDOWS:
                one.error = next((r.error for r in one.runs[1].values() if r.error), "no lists")
    able = [one for one in able if not one.error]
    wanted = {one.entrant.name: sorted({one.chosen[variant][0] for variant in VARIANTS}) for one in able}
    settings: dict[str, list[Setting]] = {
        one.entrant.name: [one.entrant.settings[place] for place in wanted[one.entrant.name]] for one in able
    }
    work = [(one.entrant, [(windows[0].name, settings[one.entrant.name])]) for one in able]
    run_all(work, deadline, keep)
    for one in able:
        name = one.entrant.name
        runs = runs_read(one.entrant, windows[0].name, settings[name])
        one.runs[0] = dict(zip(wanted[name], runs, strict=True))
        one.error = next((found.error for found in runs if found.error), "")


def _standing(one: _Field, tests: Sequence[Window]) -> Standing:
    entrant = one.entrant
    if not one.error:
        failed = [
            one.runs[test][one.chosen[variant][test]].error
            for test in range(TEST_WINDOWS)
            for variant in VARIANTS
        ]
        one.error = next((error for error in failed if error), "")
    if one.error:
        return Standing(entrant.name, entrant.ours, error=one.error)
    lists = [
        {variant: one.lists(test, test, variant) for variant in VARIANTS} for test in range(TEST_WINDOWS)
    ]
    settings = {variant: [entrant.settings[i] for i in one.chosen[variant]] for variant in VARIANTS}
    done = standing(entrant.name, entrant.ours, lists, tests, settings)
    used = [one.runs[test][one.chosen[variant][test]] for test in range(TEST_WINDOWS) for variant in VARIANTS]
    done.seconds = float(np.mean([found.seconds for found in used]))
    done.cpu_seconds = float(np.mean([found.cpu_seconds for found in used]))
    done.list_seconds = float(np.mean([found.list_seconds for found in used]))
    done.peak_mb = max(found.peak_mb for found in used)
    return done


def _material(own: Sequence[_Field], windows: Sequence[Window], test: int) -> list[Material]:
    return [
        Material.of(
            windows[place],
            {v: {one.entrant.name: one.lists(test, place, v) for one in own} for v in VARIANTS},
        )
        for place in range(test, test + LESSONS + 1)
    ]


def _choices(
    tests: Sequence[Window], budget: float, keep: bool, deadline: float
) -> tuple[Standing, dict[str, list[str]]]:
    """The automatic choice for each window and variant, judged like everybody."""
    out = cache_folder() / "lists" / "automatic-choice"
    data = cache_folder() / "data"
    jobs = [(window.name, variant) for window in tests for variant in VARIANTS]

    def one(job: tuple[str, Variant]) -> str:
        name, variant = job
        file = out / f"{name}-{variant}.json"
        if keep and file.is_file():
            return ""
        file.unlink(missing_ok=True)
        command = [
            sys.executable, "-m", "tests.benchmarks.models.own_choice", "--data", str(data),
            "--window", name, "--variant", variant, "--budget", str(budget), "--out", str(out),
        ]  # fmt: skip
        timeout = min(3 * budget + 120, deadline - time.monotonic())
        problem = bounded(command, timeout, out / f"{name}-{variant}.log", dict(os.environ))
        print(f"bench-models: {CHOICE} {name} {variant} {problem or 'done'}", file=sys.stderr, flush=True)
        return problem

    with ThreadPoolExecutor(WORKERS) as pool:
        problems = [problem for problem in pool.map(one, jobs) if problem]
    if problems:
        return Standing(CHOICE, True, error=problems[0]), {}
    reports = {job: json.loads((out / f"{job[0]}-{job[1]}.json").read_text("utf-8")) for job in jobs}
    lists = [
        {variant: _top(out / f"{window.name}-{variant}.npz") for variant in VARIANTS} for window in tests
    ]
    settings: dict[Variant, list[Any]] = {
        variant: [
            {"chosen": reports[(window.name, variant)]["chosen"]} | reports[(window.name, variant)]["weights"]
            for window in tests
        ]
        for variant in VARIANTS
    }
    done = standing(CHOICE, True, lists, tests, settings)
    done.seconds = float(np.mean([report["fit_seconds"] for report in reports.values()]))
    done.cpu_seconds = float(np.mean([report["fit_cpu_seconds"] for report in reports.values()]))
    done.peak_mb = max(report["peak_mb"] for report in reports.values())
    return done, {f"{name}, {variant}": reports[(name, variant)]["words"] for name, variant in jobs}


def _top(file: Path) -> TopN:
    with np.load(file) as arrays:
        return TopN(arrays["ids"], arrays["scores"])
