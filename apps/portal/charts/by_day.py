"""One measure by day, with its interval, the period before it, and the history's events."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.utils.translation import gettext as _

from apps.portal.charts.chart import Chart, Column, Mark, marks_layout
from apps.portal.charts.template import ACCENT, QUIET


@dataclass(frozen=True, slots=True)
class DayPoint:
    """A day's value with its 95 % interval (None where it can't be had) and its sample size."""

    day: date
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None


# How values are told, and in fewer figures how the axis is marked (d3-format).
TICKS = {"percent": ".2%", "money": ",.2f", "number": ",d", "decimal": ".4f"}
AXIS = {"percent": ".2~%", "money": ",.2~f", "number": ",d", "decimal": ".3~f"}


def by_day(
    *,
    key: str,
    title: str,
    measure: str,
    kind: str,
    points: Sequence[DayPoint],
    previous: Sequence[DayPoint] = (),
    marks: Sequence[Mark] = (),
    currency: str = "",
    unfinished: bool = False,
) -> Chart:
    """`measure` by day. `previous` is the period before, day for day, drawn behind as a quiet line;
    `unfinished` when the last day still goes on.
    """
    days = [point.day.isoformat() for point in points]
    shifted = [point.value for point in previous][: len(days)]
    shifted += [None] * (len(days) - len(shifted))
    hover = f"%{{y:{TICKS[kind]}}}" + (f" {currency}" if kind == "money" else "")
    traces = []
    if any(point.low is not None for point in points):
        lows, highs = [point.low for point in points], [point.high for point in points]
        band = {"x": days, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
        traces += [
            {**band, "y": lows, "meta": "band"},
            {**band, "y": highs, "fill": "tonexty", "meta": "band", "fillcolor": "rgba(106, 111, 240, 0.16)"},
        ]
    if any(value is not None for value in shifted):
        line = {"dash": "dot", "width": 1.5, "color": QUIET}
        name = _("Period before")
        traces.append(
            {"x": days, "y": shifted, "mode": "lines", "name": name, "line": line, "hovertemplate": hover}
        )
    traces.append(
        {
            "x": days,
            "y": [point.value for point in points],
            "mode": "lines+markers" if len(points) <= 31 else "lines",
            "name": measure,
            "line": {"width": 2.5, "color": ACCENT},
            "marker": {"size": 5, "color": ACCENT},
            "hovertemplate": hover,
        }
    )
    layout = {
        "xaxis": {
            "type": "date",
            "hoverformat": "%a %-d %b %Y",
            "tickformat": "%-d %b",
            "range": _range(days),
        },
        "yaxis": {"tickformat": AXIS[kind], "ticksuffix": f" {currency}" if kind == "money" else ""},
        "showlegend": sum("name" in trace for trace in traces) > 1,
    }
    return Chart(
        key=key,
        title=title,
        sentence=_day_sentence(measure, points, previous, marks, unfinished),
        columns=[
            Column(_("Day"), "date"),
            Column(measure, kind),
            Column(_("Low (95%)"), kind),
            Column(_("High (95%)"), kind),
            Column(_("Sample"), "number"),
            Column(_("Period before"), kind),
        ],
        rows=[
            (point.day, point.value, point.low, point.high, point.n, before)
            for point, before in zip(points, shifted, strict=True)
        ],
        traces=traces,
        layout={**layout, **marks_layout(marks, [point.day for point in points])},
        currency=currency,
    )


def _range(days: Sequence[str]) -> list[str]:
    """The axis' ends: half a day beyond the first and last point, so that no mark sits on the frame."""
    return [f"{date.fromisoformat(days[0]) - timedelta(days=1)}T12:00", f"{days[-1]}T12:00"] if days else []


def _day_sentence(
    measure: str,
    points: Sequence[DayPoint],
    previous: Sequence[DayPoint],
    marks: Sequence[Mark],
    unfinished: bool,
) -> str:
    """What the reader sees, in one sentence built from the parts that are there."""
    parts = [_("%(measure)s of each day") % {"measure": measure}]
    if any(point.low is not None for point in points):
        parts.append(_("the band is its 95% interval"))
    if any(point.value is not None for point in previous):
        parts.append(_("the dotted line is the period before"))
    if marks:
        parts.append(_("upright lines are publications"))
    if unfinished:
        parts.append(_("the last day is not over yet"))
    return _("; ").join(parts) + _(".")
