"""Effects of variants against control: relative change with its interval, a line for each metric."""

import html
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.portal.charts.chart import Cell, Chart, Column
from apps.portal.charts.template import QUIET
from apps.portal.formats import change

# Readable on either paper; the sign beside the line says the same without colour.
GOOD, BAD = "#2c9a5b", "#d9534f"
LOOKS = {
    "better": (GOOD, "triangle-up"),
    "worse": (BAD, "triangle-down"),
    "flat": (QUIET, "square"),
    "unclear": (QUIET, "circle"),
}
LABEL = 22
"""Letters of a label before it wraps: a phone has no room for more beside the lines."""
ROW = 46


@dataclass(frozen=True, slots=True)
class EffectLine:
    """One comparison: relative change and interval, None where there is none. margin: a guardrail's accepted
    loss (0.02: two percent). state: better, worse, flat, unclear or no_data."""

    metric: str
    variant: str
    role: str
    value: float | None
    low: float | None
    high: float | None
    state: str
    higher_is_better: bool = True
    margin: float | None = None


def effects_chart(*, key: str, title: str, lines: Sequence[EffectLine], sentence: str) -> Chart:
    """The first line stands on top; `sentence` says what the intervals are."""
    drawn = [line for line in lines if line.value is not None]
    several = len({line.variant for line in drawn}) > 1
    places = list(range(len(drawn), 0, -1))
    traces: list[dict[str, Any]] = []
    for line, place in zip(drawn, places, strict=True):
        colour, symbol = LOOKS.get(line.state, LOOKS["unclear"])
        traces.append(_trace(line, place, colour, symbol))
    marks = [_margin(line, place) for line, place in zip(drawn, places, strict=True) if line.margin]
    zero = {"type": "line", "x0": 0, "x1": 0, "yref": "paper", "y0": 0, "y1": 1, "line": {"width": 1.5}}
    return Chart(
        key=key,
        title=title,
        sentence=sentence,
        columns=[
            Column(_("Metric")),
            Column(_("Variant")),
            Column(_("Relative change"), "percent"),
            Column(_("Low"), "percent"),
            Column(_("High"), "percent"),
            Column(_("Accepted loss"), "percent"),
        ],
        rows=[_row(line) for line in lines],
        traces=traces,
        layout={
            "xaxis": {"tickformat": "+.1~%", "showgrid": True, "zeroline": False, "nticks": 6},
            "yaxis": {
                "tickmode": "array",
                "tickvals": places,
                "ticktext": [_label(line, several) for line in drawn],
                "range": [0.4, len(drawn) + 0.6],
                "showgrid": False,
                "fixedrange": True,
            },
            "hovermode": "closest",
            "showlegend": False,
            "shapes": [zero, *marks],
            "margin": {"l": 8, "r": 24, "t": 12, "b": 8},
        },
        height=max(140, 62 + ROW * len(drawn)),
    )


def _row(line: EffectLine) -> list[Cell]:
    return [line.metric, line.variant, line.value, line.low, line.high, line.margin]


def _label(line: EffectLine, several: bool) -> str:
    text = f"{line.metric} · {line.variant}" if several else line.metric
    return "<br>".join(html.escape(part) for part in textwrap.wrap(text, LABEL) or [""])


def _trace(line: EffectLine, place: int, colour: str, symbol: str) -> dict[str, Any]:
    known = line.low is not None and line.high is not None
    told = f"{html.escape(line.metric)}<br>{html.escape(line.variant)}<br>{change(line.value)}"
    if known:
        told += f" ({change(line.low)} … {change(line.high)})"
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers+text",
        "orientation": "h",
        "x": [line.value],
        "y": [place],
        "text": [change(line.value)],
        "textposition": "top center",
        "textfont": {"size": 12},
        "cliponaxis": False,
        "marker": {"color": colour, "symbol": symbol, "size": 11},
        "hovertemplate": f"{told}<extra></extra>",
    }
    if known:
        value = line.value or 0.0
        trace["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": [(line.high or 0.0) - value],
            "arrayminus": [value - (line.low or 0.0)],
            "thickness": 3,
            "width": 5,
            "color": colour,
        }
    return trace


def _margin(line: EffectLine, place: int) -> dict[str, Any]:
    """Where a guardrail's accepted loss ends: a short dotted line across its row."""
    end = -(line.margin or 0.0) if line.higher_is_better else (line.margin or 0.0)
    return {
        "type": "line",
        "x0": end,
        "x1": end,
        "y0": place - 0.38,
        "y1": place + 0.38,
        "line": {"dash": "dot", "width": 2, "color": BAD},
    }
