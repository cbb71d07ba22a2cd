"""One measure by placement as bars with intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from apps.portal.charts.by_day import AXIS, TICKS
from apps.portal.charts.chart import Chart, Column
from apps.portal.charts.template import ACCENT, QUIET
from apps.portal.formats import size


@dataclass(frozen=True, slots=True)
class PlacementBar:
    """A placement's value with its 95 % interval and sample size."""

    code: str
    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int | None


def by_placement(
    *,
    key: str,
    title: str,
    measure: str,
    kind: str,
    bars: Sequence[PlacementBar],
    sentence: str,
    currency: str = "",
) -> Chart:
    """Placements from best to worst, those without data last; labels sit at the bars, no legend."""
    ordered = sorted(bars, key=lambda bar: (bar.value is None, -(bar.value or 0.0), bar.code))
    drawn = [bar for bar in reversed(ordered) if bar.value is not None]
    hover = f"%{{x:{TICKS[kind]}}}" + (f" {currency}" if kind == "money" else "")
    trace = {
        "type": "bar",
        "orientation": "h",
        "name": measure,
        "y": [bar.name for bar in drawn],
        "x": [bar.value for bar in drawn],
        "customdata": [size(bar.n) for bar in drawn],
        "hovertemplate": hover + "<br>%{customdata}<extra></extra>",
        "marker": {"color": ACCENT, "opacity": 0.5},
        "width": 0.5,
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [_gap(bar.high, bar.value) for bar in drawn],
            "arrayminus": [_gap(bar.value, bar.low) for bar in drawn],
            "thickness": 1.5,
            "width": 4,
            "color": QUIET,
        },
    }
    return Chart(
        key=key,
        title=title,
        sentence=sentence,
        columns=[
            Column(_("Placement")),
            Column(measure, kind),
            Column(_("Low (95%)"), kind),
            Column(_("High (95%)"), kind),
            Column(_("Sample"), "number"),
        ],
        rows=[(bar.name, bar.value, bar.low, bar.high, bar.n) for bar in ordered],
        traces=[trace],
        layout={
            "hovermode": "closest",
            "xaxis": {"tickformat": AXIS[kind], "rangemode": "tozero", "showgrid": True, "nticks": 5},
            "yaxis": {"type": "category", "ticklabelstandoff": 8, "tickmode": "linear", "dtick": 1},
            "bargap": 0.4,
            "showlegend": False,
        },
        height=max(170, 50 + 42 * len(drawn)),
        currency=currency,
    )


def _gap(high: float | None, low: float | None) -> float:
    """The length of one side of an interval; 0 where it is unknown."""
    return 0.0 if high is None or low is None else max(0.0, high - low)
