"""The report: Markdown for people, one JSON object for programs."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from apps.ml.evaluate import VARIANTS, Variant
from tests.benchmarks.models.goals import coverage_goal, goals_of
from tests.benchmarks.models.retail import Retail
from tests.benchmarks.models.standings import Standing

COSTS = """Seconds and core-seconds: one fit with the chosen setting; of combinations the learning and
ranking on top of their sources, of the automatic choice everything. MB: peak of the process, in ours with
torch."""
RESULTS = Path(__file__).with_name("RESULTS.md")
COLUMNS = {
    "ndcg10": "NDCG@10",
    "recall20": "Recall@20",
    "mrr10": "MRR@10",
    "hit10": "Hit@10",
    "coverage10": "coverage@10",
}


def table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; figures to the right, bars in texts escaped."""
    cells = [[_cell(value) for value in row] for row in rows]
    right = [
        bool(rows) and all(isinstance(row[place], int | float) or row[place] is None for row in rows)
        for place in range(len(header))
    ]
    lines = ["| " + " | ".join(header) + " |", "|" + "|".join("--:" if r else "---" for r in right) + "|"]
    lines += ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) >= 100 else f"{value:.4f}".rstrip("0").rstrip(".") or "0"
    return str(value).replace("|", "\\|").replace("\n", " ")


def retail_text(retail: Retail) -> str:
    """The section on Online Retail."""
    windows, validation = retail.windows[:-1], retail.windows[1:]
    parts = [
        "## Online Retail, three rolling 30-day test windows",
        table(
            ("test window (UTC)", "settings chosen on", "train lines", "catalogue", "users new", "users all"),
            [
                (
                    test["dates"],
                    before["dates"],
                    test["train_events"],
                    test["catalogue"],
                    test["users"]["new"],
                    test["users"]["all"],
                )
                for test, before in zip(windows, validation, strict=True)
            ],
        ),
        "### Ratios\n\nMeans of the windows; intervals by paired bootstrap over the users of all windows.",
        _goals(retail),
    ]
    for variant in VARIANTS:
        parts += [f"### *{variant}*: means of the three windows", _standings(retail.standings, variant)]
    parts += [
        COSTS,
        "### Coverage for NDCG\n\nThe knob of the stacked ranker on *new*, test windows.",
        table(tuple(retail.curve[0]), [tuple(point.values()) for point in retail.curve])
        if retail.curve
        else "",
        "### Settings chosen",
        _settings(retail.standings),
    ]
    if retail.words:
        parts += ["### The automatic choice in words"]
        parts += [f"- {name}: " + " ".join(words) for name, words in retail.words.items()]
    return "\n\n".join(part for part in parts if part)


def _goals(retail: Retail) -> str:
    rows: list[tuple[Any, ...]] = []
    for goal in goals_of(retail.standings):
        found = goal.ratio
        interval = f"{found.pooled:.3f} [{found.low:.3f}, {found.high:.3f}]"
        by_window = ", ".join(f"{value:.3f}" for value in found.by_window)
        what = f"{COLUMNS[goal.metric]} on *{goal.variant}*"
        rows.append(
            (
                what,
                goal.a,
                goal.b,
                found.windows,
                by_window,
                interval,
                goal.target,
                goal.aim or None,
                goal.met,
            )
        )
    done = coverage_goal(retail.standings)
    name = done["goal"].split(": ")[1]
    rows.append(("coverage@10 on *new*", name, "", done["figure"], "", "", done["target"], None, done["met"]))
    header = (
        "what", "ours", "relative to", "ratio", "by window", "pooled, 95 %", "target", "aim", "reached",
    )  # fmt: skip
    return table(header, rows)


def _standings(standings: Sequence[Standing], variant: Variant) -> str:
    able = [one for one in standings if not one.error]
    able.sort(key=lambda one: -one.mean(variant, "ndcg10"))
    rows: list[tuple[Any, ...]] = [
        (
            one.name,
            "ours" if one.ours else "peer",
            *(round(one.mean(variant, metric), 4) for metric in COLUMNS),
            ", ".join(f"{done.mean('ndcg10'):.4f}" for done in one.evaluations[variant]),
            round(one.seconds, 2),
            round(one.cpu_seconds, 2) or None,
            round(one.peak_mb) or None,
        )
        for one in able
    ]
    text = table(("model", "", *COLUMNS.values(), "NDCG@10 by window", "seconds", "core-seconds", "MB"), rows)
    failed = [f"- {one.name}: {one.error}" for one in standings if one.error]
    return text + ("\n\nCould not run:\n\n" + "\n".join(failed) if failed else "")


def _settings(standings: Sequence[Standing]) -> str:
    rows = []
    for one in standings:
        for variant, chosen in one.settings.items():
            texts = [json.dumps(setting, sort_keys=True) if setting else "defaults" for setting in chosen]
            rows.append((one.name, variant, "; ".join(texts)))
    return table(("model", "variant", "by window, latest first"), rows)


def growth_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The section on growth."""
    header = (
        "family",
        "events",
        "users",
        "items",
        "fit s",
        "fit core-s",
        "top-100 for all s",
        "core-s",
        "peak GB",
    )
    keys = ("fit_seconds", "fit_cpu_seconds", "list_seconds", "list_cpu_seconds", "peak_gb")
    cells = [
        (
            row["family"], f"{row['events']:.0e}", row["users"], row["items"],
            *((row["error"], "", "", "", "") if "error" in row else (round(row[key], 2) for key in keys)),
        )
        for row in rows
    ]  # fmt: skip
    note = (
        "Synthetic events by a power law, one process each, one thread; memory includes the data and torch."
    )
    return "\n\n".join(["## Growth", note, table(header, cells)])


def part_text(title: str, answer: Mapping[str, Any]) -> str:
    """The section of a part that answered by itself."""
    parts = [f"## {title}"]
    if answer.get("error"):
        parts.append(f"Did not run: {answer['error']}.")
    parts += [str(note) for note in answer.get("notes", ())]
    told = {"rows", "goals", "notes", "error"}
    # what a part says besides its rows is for programs
    rest = [] if answer.get("rows") else flat({n: value for n, value in answer.items() if n not in told})
    for rows in (answer.get("rows", ()), answer.get("goals", ()), rest):
        if rows:
            header = list(dict.fromkeys(name for row in rows for name in row))
            parts.append(table(header, [[_plain(row.get(name)) for name in header] for row in rows]))
    return "\n\n".join(parts)


def flat(answer: Mapping[str, Any], path: str = "") -> list[dict[str, Any]]:
    """Nested objects as rows: one for each that holds plain values, named by the way to it under "what"."""
    nested = {name: value for name, value in answer.items() if isinstance(value, dict)}
    lists = {
        name: value
        for name, value in answer.items()
        if isinstance(value, list) and any(isinstance(one, dict) for one in value)
    }
    plain = {name: value for name, value in answer.items() if name not in nested and name not in lists}
    rows = [{"what": path, **plain}] if plain else []
    for name, value in nested.items():
        rows += flat(value, f"{path} {name}".strip())
    for name, values in lists.items():
        for number, value in enumerate(values, 1):
            rows += flat(value, f"{path} {name} {number}".strip()) if isinstance(value, dict) else []
    return rows


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, dict | list) else value


def machine() -> str:
    """What the figures were measured on."""
    model = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), ""
    )
    memory = next((int(line.split()[1]) for line in _lines("/proc/meminfo") if "MemTotal" in line), 0)
    cores = len([line for line in _lines("/proc/cpuinfo") if line.startswith("processor")])
    python = platform.python_version()
    return f"{cores} cores ({model or 'unknown'}), {memory / 2**20:.0f} GB, Python {python}"


def _lines(file: str) -> list[str]:
    path = Path(file)
    return path.read_text("utf-8", errors="replace").splitlines() if path.is_file() else []


def retail_object(retail: Retail) -> dict[str, Any]:
    """Plain JSON of the section on Online Retail."""
    return {
        "windows": retail.windows,
        "goals": [goal.to_dict() for goal in goals_of(retail.standings)] + [coverage_goal(retail.standings)],
        "standings": {
            one.name: {"error": one.error}
            if one.error
            else {
                "ours": one.ours,
                **{v: {m: round(one.mean(v, m), 5) for m in COLUMNS} for v in VARIANTS},
                "seconds": round(one.seconds, 2),
                "core_seconds": round(one.cpu_seconds, 2),
                "peak_mb": round(one.peak_mb),
            }
            for one in retail.standings
        },
        "curve": retail.curve,
    }
