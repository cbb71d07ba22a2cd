"""apps/experiments/PEEKING.md from the figures of the ASOS benchmark."""

from __future__ import annotations

import textwrap
from typing import Any

COMMAND = "python -m tests.benchmarks.experiments.asos"
WAYS = {
    "fixed": "usual test, p < .05",
    "default": "sequence, tuned to 5,000 units",
    "planned": "sequence, tuned to the planned units",
}
BAR = 2
"""Characters a percent in the chart."""


def page_text(found: dict[str, Any], date: str) -> str:
    """The page. found: what the benchmark measured; date: of the run."""
    parts = [
        "# What peeking does, on real experiments",
        _filled(f"Made by `{COMMAND}`; do not edit. Run on {date}; the same figures each time."),
        _data(found),
        "## No difference at all: how often is one declared?",
        *_made(found["aa"]),
        "## The real differences: what was declared, and did it last?",
        *_real(found["real"], found["aa"]),
        "## How to read this",
        *_rest(found["srm"]),
    ]
    return "\n\n".join(parts) + "\n"


def _filled(text: str) -> str:
    """A paragraph, or a point of a list, in lines of 110 characters."""
    indent = "  " if text.lstrip().startswith("- ") else ""
    return textwrap.fill(" ".join(text.split()), 110, subsequent_indent=indent, break_on_hyphens=False)


def _data(found: dict[str, Any]) -> str:
    return _filled(f"""
        Data: ASOS Digital Experiments Dataset (Liu, Cardoso, Couturier & McCoy 2021, "Datasets for Online
        Controlled Experiments", NeurIPS Datasets and Benchmarks). {found["experiments"]} experiments,
        {found["rows"]:,} rows of counts, means and variances to date, up to four metrics each.
        {found["real"]["series"]} series (experiment, treatment, metric) have two or more snapshots with a
        spread in both arms; half of them have {found["looks_median"]} snapshots or more (at most
        {found["looks_most"]}) and {found["units_median"] / 1e6:.1f} million units or more at the end.""")


def _made(aa: dict[str, Any]) -> list[str]:
    rates, worst = aa["false_alarms"], aa["worst_series"]
    once = (
        f"| usual test, once, at the last snapshot | {_percent(rates['once'])} | {_percent(worst['once'])} |"
    )
    return [
        _filled(f"""
            Which of the real experiments changed nothing is not known, so this part is made from their
            moments: for each series, A/A experiments with its counts and variances at each snapshot, in which
            totals grow by independent normal amounts ({aa["runs"]:,} experiments, {aa["runs_each"]} a series;
            alpha .05; standard error of a series' rate about {100 * aa["monte_carlo_error"]:.1f} points, of a
            mean a twentieth of that)."""),
        "\n".join(
            [
                "| way of looking | mean of all series | worst series |",
                "|---|--:|--:|",
                once,
                *(
                    f"| {name}, at every snapshot | **{_percent(rates[way])}** | {_percent(worst[way])} |"
                    for way, name in WAYS.items()
                ),
            ]
        ),
        _filled(f"""
            False alarms by how often one has looked, over the {aa["long_series"]} series with 60 snapshots or
            more; # is the usual test, = the sequence tuned to the plan, and 5 % is allowed:"""),
        "\n".join(["```", *_chart(aa["by_looks"]), "```"]),
    ]


def _chart(by_looks: dict[str, dict[str, float]]) -> list[str]:
    lines = ["looks"]
    for looks, rate in by_looks["fixed"].items():
        planned = by_looks["planned"][looks]
        lines.append(f"{looks:>5}  {_bar('#', rate)}")
        lines.append(f"       {_bar('=', planned)}")
    return lines


def _bar(sign: str, share: float) -> str:
    return f"{sign * round(100 * share * BAR)} {_percent(share)}".strip()


def _real(real: dict[str, Any], aa: dict[str, Any]) -> list[str]:
    ways, last = real["ways"], real["significant_at_last"]
    fixed, planned = ways["fixed"], ways["planned"]
    flat = real["series"] - last
    return [
        _filled(f"""
            At the last snapshot {last} of {real["series"]} series differ by the usual test, {flat} do not.
            Who looks at each snapshot and stops at the first p < .05 would have declared:"""),
        "\n".join(
            [
                "| way of looking | declared | not held by the last | of the flat | of different | turned |",
                "|---|--:|--:|--:|--:|--:|",
                *(
                    f"| {name} | {ways[way]['declared']} | {ways[way]['not_held']} "
                    f"({_percent(ways[way]['not_held_share'], 0)}) | {_percent(ways[way]['of_flat'])} | "
                    f"{_percent(ways[way]['of_held'])} | {ways[way]['turned']} |"
                    for way, name in WAYS.items()
                ),
            ]
        ),
        _filled("""
            Not held by the last: declared at some snapshot, though the last one is not significant. Of the
            flat, of the different: the share declared of the series that the last snapshot finds flat, or
            different. Turned: the difference first declared points the other way at the last
            snapshot."""),
        _filled(f"""
            So {_percent(fixed["not_held_share"], 0)} of what peeking with the usual test declares is gone
            at the end. The sequence tuned to the plan finds {_percent(planned["of_held"], 0)} of what the
            last snapshot holds: the price of being allowed to look. What it declares beyond that
            ({planned["not_held"]}) is mostly no false alarm: it is {_percent(planned["of_flat"])} of the
            flat series, against {_percent(aa["false_alarms"]["planned"])} in A/A. Effects that fade
            (novelty, or early visitors who differ from later ones) look like this."""),
    ]


def _rest(srm: dict[str, int]) -> list[str]:
    points = [
        """- The sequence is `stats/sequential.py` as experiments use it, with its burn-in and widening. Its
        plan here is the number of units at the last snapshot; one twice too large or too small widens it by
        two percent.""",
        """- The metrics of an experiment, and treatments that share a control, are not independent: fewer
        experiments are behind the counts than there are series.""",
        """- The real part measures agreement with the last snapshot, not truth: that has false alarms and
        misses of its own. The A/A part measures truth, if totals grow independently. Where what a unit does
        early goes together with what it does late, looks are more alike, which lowers all rates but that of
        the single look.""",
        f"""- Sample ratio: of {srm["comparisons"]} comparisons {srm["halves"]} look
        like halves by plan. Of these {srm["blocked"]} fail the check at p < .001, so that a verdict would
        have been withheld, and {srm["warning"]} more at p < .01. They are in all figures above.""",
    ]
    return ["\n".join(_filled(point) for point in points)]


def _percent(share: float, digits: int = 1) -> str:
    return f"{100 * share:.{digits}f} %"
