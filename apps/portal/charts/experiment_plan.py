"""Before the start: how small a change each number of days could show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.portal import formats
from apps.portal.charts.chart import Cell, Chart, Column
from apps.portal.charts.template import ACCENT, QUIET


@dataclass(frozen=True, slots=True)
class Reach:
    """A run of so many days: the units that take part, and the least relative change they show."""

    days: int
    units: float
    least: float | None


def reach_chart(*, reach: Sequence[Reach], wanted: float, planned: int, metric: str) -> Chart:
    """Days against the smallest change seen; `wanted` is the change worth having, `planned` the days."""
    seen = [one for one in reach if one.least is not None]
    enough = next((one.days for one in seen if one.least is not None and one.least <= wanted), None)
    here = next((one for one in seen if one.days == planned), None)
    percent = 100 * wanted
    traces: list[dict[str, Any]] = [
        {
            "x": [one.days for one in seen],
            "y": [100 * one.least for one in seen if one.least is not None],
            "mode": "lines",
            "name": _("Smallest change seen"),
            "line": {"color": ACCENT, "width": 3},
            "hovertemplate": _("%(x)s days: %(y)s %%") % {"x": "%{x}", "y": "%{y:.2f}"} + "<extra></extra>",
        }
    ]
    if here is not None and here.least is not None:
        traces.append(
            {
                "x": [here.days],
                "y": [100 * here.least],
                "mode": "markers",
                "name": _("As planned"),
                "marker": {"color": ACCENT, "size": 12, "line": {"width": 2, "color": QUIET}},
                "hoverinfo": "skip",
            }
        )
    shapes: list[dict[str, Any]] = [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": percent,
            "y1": percent,
            "line": {"dash": "dot"},
        }
    ]
    notes: list[dict[str, Any]] = [
        {
            "xref": "paper",
            "x": 1,
            "xanchor": "right",
            "y": percent,
            "yanchor": "top",  # below the line: the curve comes down to it from above
            "showarrow": False,
            "text": _("worth having: %(change)s") % {"change": formats.percent(wanted, 1)},
        }
    ]
    if enough is not None:
        shapes.append(
            {
                "type": "line",
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "x0": enough,
                "x1": enough,
                "line": {"dash": "dot"},
            }
        )
        notes.append(
            {
                "x": enough,
                "yref": "paper",
                "y": 1,
                "yanchor": "top",
                "xanchor": "left",
                "showarrow": False,
                "text": " " + formats.days(enough),
            }
        )
    # The first days say little and would flatten the rest.
    top = 100 * max([one.least for one in seen if one.least is not None and one.days >= 3] or [wanted])
    rows: list[list[Cell]] = [[one.days, round(one.units), one.least] for one in reach]
    return Chart(
        key="days-and-change",
        title=_("Days against the smallest change"),
        sentence=_("The longer it runs, the smaller a change of “%(metric)s” it can show.")
        % {"metric": metric},
        columns=[
            Column(_("Days"), "number"),
            Column(_("Shoppers"), "number"),
            Column(_("Smallest change seen"), "percent"),
        ],
        rows=rows,
        traces=traces if seen else [],
        layout={
            "hovermode": "closest",
            "showlegend": False,
            "shapes": shapes,
            "annotations": notes,
            "xaxis": {"title": {"text": _("Days")}, "rangemode": "tozero"},
            "yaxis": {"ticksuffix": "%", "range": [0, 1.1 * max(top, percent)]},
        },
        height=300,
    )
