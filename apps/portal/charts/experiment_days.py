"""An experiment by day: the effect so far with its band, the effect of each day, and who came in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from apps.portal.charts.chart import Cell, Chart, Column
from apps.portal.charts.reports import STYLES
from apps.portal.charts.template import QUIET

BANDS = ("rgba(106, 111, 240, 0.16)", "rgba(230, 117, 40, 0.14)", "rgba(47, 158, 110, 0.14)")
CONTROL = {"color": QUIET, "dash": "solid", "symbol": "circle"}


@dataclass(frozen=True, slots=True)
class DayEffect:
    """A variant's relative change against control through (or on) day `day`, 1 being the first."""

    day: float
    value: float | None
    low: float | None
    high: float | None
    n: int


def _axis() -> dict[str, Any]:
    return {
        "xaxis": {"title": {"text": _("Day of the experiment")}, "dtick": None, "tickformat": "d"},
        "yaxis": {"tickformat": "+.1~%", "rangemode": "normal", "zeroline": True},
        "hovermode": "x unified",
    }


def effect_by_day(
    *,
    key: str,
    title: str,
    sentence: str,
    effects: Mapping[str, Sequence[DayEffect]],
    interval: str,
    whiskers: bool = False,
) -> Chart:
    """`effects`: variant in words to its days. With `whiskers` each day stands alone, else a band runs on."""
    traces: list[dict[str, Any]] = []
    rows: list[list[Cell]] = []
    for place, (variant, days) in enumerate(effects.items()):
        style = STYLES[place % len(STYLES)]
        x, y = [one.day for one in days], [one.value for one in days]
        lows, highs = [one.low for one in days], [one.high for one in days]
        rows += [[variant, one.day, one.n, one.value, one.low, one.high] for one in days]
        if not whiskers:
            edge = {"x": x, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
            fill = {"fill": "tonexty", "fillcolor": BANDS[place % len(BANDS)]}
            traces += [{**edge, "y": lows, "meta": "band"}, {**edge, "y": highs, "meta": "band", **fill}]
        line: dict[str, Any] = {
            "x": x,
            "y": y,
            "name": variant,
            "mode": "markers" if whiskers else "lines+markers",
            "line": {"color": style["color"], "dash": style["dash"], "width": 2.5},
            "marker": {"color": style["color"], "symbol": style["symbol"], "size": 8 if whiskers else 6},
            "customdata": [[low, high] for low, high in zip(lows, highs, strict=True)],
            "hovertemplate": "%{y:+.2%} (%{customdata[0]:+.2%} … %{customdata[1]:+.2%})",
        }
        if whiskers:
            line["error_y"] = {
                "type": "data",
                "symmetric": False,
                "array": [_gap(one.high, one.value) for one in days],
                "arrayminus": [_gap(one.value, one.low) for one in days],
                "thickness": 1.5,
                "width": 3,
                "color": style["color"],
            }
        traces.append(line)
    return Chart(
        key=key,
        title=title,
        sentence=sentence,
        columns=[
            Column(_("Variant")),
            Column(_("Day")),
            Column(_("Sample"), "number"),
            Column(_("Relative change"), "percent"),
            Column(f"{_('Low')} ({interval})", "percent"),
            Column(f"{_('High')} ({interval})", "percent"),
        ],
        rows=rows,
        traces=traces,
        layout={**_axis(), "showlegend": len(effects) > 1, "shapes": [_zero()]},
        height=340,
    )


def _zero() -> dict[str, Any]:
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 0, "y1": 0, "line": {"dash": "dash"}}


def _gap(high: float | None, low: float | None) -> float | None:
    return None if high is None or low is None else high - low


def units_by_day(
    *, key: str, title: str, sentence: str, unit: str, units: Mapping[str, Sequence[tuple[int, int]]]
) -> Chart:
    """How many came in on each day, a bar for each variant; `units`: variant in words to (day, new units)."""
    traces = [
        {
            "type": "bar",
            "name": variant,
            "x": [day for day, _new in days],
            "y": [new for _day, new in days],
            "marker": {"color": (CONTROL, *STYLES)[place % (len(STYLES) + 1)]["color"]},
            "hovertemplate": "%{y:,d}",
        }
        for place, (variant, days) in enumerate(units.items())
    ]
    return Chart(
        key=key,
        title=title,
        sentence=sentence,
        columns=[Column(_("Variant")), Column(_("Day"), "number"), Column(unit, "number")],
        rows=[[variant, day, new] for variant, days in units.items() for day, new in days],
        traces=traces,
        layout={
            "xaxis": {"title": {"text": _("Day of the experiment")}, "tickformat": "d"},
            "yaxis": {"tickformat": ",d"},
            "barmode": "group",
            "showlegend": True,
        },
        height=300,
    )


def shares_by_time(*, key: str, shares: Sequence[tuple[str, Mapping[str, float]]]) -> Chart:
    """A bandit's shares, a step at each move; `shares`: moment (ISO) and share by variant in words."""
    names = list(dict.fromkeys(name for _at, found in shares for name in found))
    traces = []
    for place, name in enumerate(names):
        style = (CONTROL, *STYLES)[place % (len(STYLES) + 1)]
        traces.append(
            {
                "x": [at for at, _found in shares],
                "y": [found.get(name) for _at, found in shares],
                "name": name,
                "mode": "lines+markers",
                "line": {"shape": "hv", "color": style["color"], "dash": style["dash"], "width": 2.5},
                "marker": {"color": style["color"], "symbol": style["symbol"], "size": 7},
                "hovertemplate": "%{y:.1%}",
            }
        )
    return Chart(
        key=key,
        title=_("Shares over time"),
        sentence=_(
            "What share of the shoppers each variant was given. The bandit moves it towards what earns most "
            "and leaves none below its floor, so that every variant goes on being learned about."
        ),
        columns=[Column(_("Moment")), *(Column(name, "percent") for name in names)],
        rows=[[at, *(found.get(name) for name in names)] for at, found in shares],
        traces=traces,
        layout={
            "xaxis": {"type": "date"},
            "yaxis": {"tickformat": ".0%", "range": [0, 1]},
            "showlegend": True,
        },
        height=320,
    )
