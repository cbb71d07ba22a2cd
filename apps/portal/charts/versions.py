"""Model versions side by side: one measure with its interval for each."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.portal.charts.chart import Chart, Column
from apps.portal.charts.template import QUIET


@dataclass(frozen=True, slots=True)
class VersionPoint:
    """One version's measure; `color` is its source's colour, `texture` tells sources of one colour apart (by
    the shape of the mark).
    """

    label: str
    color: int
    live: bool
    value: float | None
    low: float | None
    high: float | None
    texture: int = 0


SHAPES = ("circle", "diamond", "square", "triangle-up", "pentagon", "star")


def versions_chart(
    *, key: str, title: str, measure: str, points: Sequence[VersionPoint], sentence: str
) -> Chart:
    """A dot with whiskers per version, best on top. The browser puts in each source's colour by `meta`."""
    ordered = sorted(points, key=lambda point: (point.value is None, -(point.value or 0.0)))
    traces = []
    for point in reversed(ordered):
        if point.value is None:
            continue
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [point.value],
                "y": [point.label],
                "meta": {"source": point.color},
                "marker": {
                    "size": 12,
                    "symbol": SHAPES[point.texture] + ("" if point.live else "-open"),
                    "line": {"width": 2},
                },
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [(point.high or point.value) - point.value],
                    "arrayminus": [point.value - (point.low or point.value)],
                    "thickness": 2,
                    "width": 5,
                    "color": QUIET,
                },
                "name": point.label,
                "hovertemplate": "%{x:.4f}<extra>%{y}</extra>",
            }
        )
    return Chart(
        key=key,
        title=title,
        sentence=sentence,
        columns=[
            Column(_("Version")),
            Column(measure, "decimal"),
            Column(_("Low (95%)"), "decimal"),
            Column(_("High (95%)"), "decimal"),
            Column(_("Live")),
        ],
        rows=[
            (point.label, point.value, point.low, point.high, _("live") if point.live else "")
            for point in ordered
        ],
        traces=traces,
        layout={
            "hovermode": "closest",
            "xaxis": {
                "rangemode": "tozero",
                "showgrid": True,
                "tickformat": ".3f",
                "title": {"text": measure},
            },
            "yaxis": {"type": "category", "ticklabelstandoff": 8, "tickmode": "linear", "dtick": 1},
            "showlegend": False,
        },
        height=max(200, 90 + 32 * len(traces)),
    )
