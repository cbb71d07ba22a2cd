"""Reports on a model and on the data in charts: bad data, updates day by day, what they cost and forget."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from apps.portal.charts.chart import Cell, Chart, Column
from apps.portal.charts.template import ACCENT, QUIET

# Told apart by their dashes and marks too, so that colour is not the only sign.
STYLES = (
    {"color": ACCENT, "dash": "solid", "symbol": "circle"},
    {"color": "#e67528", "dash": "dash", "symbol": "diamond"},
    {"color": "#2f9e6e", "dash": "dot", "symbol": "square"},
    {"color": QUIET, "dash": "dashdot", "symbol": "x"},
)
SIGNALS = ("burst", "agreement", "similarity", "length")
# A stored report has lost the order of its keys.
DAMAGES = ("noise", "missing", "fake")
WAYS = ("full", "warm", "fold_in", "frozen")


LABEL = 14
"""Letters of a product's title beside its bar."""


def damage_title(damage: str) -> str:
    """A kind of damage in words."""
    return {
        "noise": _("Wrong: moved to another product"),
        "missing": _("Missing: lost on the way"),
        "fake": _("Fake: added by bots"),
    }.get(damage, damage)


def way_title(way: str) -> str:
    """A way of keeping a model up to date in words."""
    return {
        "full": _("Trained anew every day"),
        "warm": _("Goes on from yesterday's model"),
        "fold_in": _("Only histories are refreshed"),
        "frozen": _("Left as it was"),
    }.get(way, way)


def signal_title(signal: str) -> str:
    """What gives a crowd away, in few words."""
    return {
        "burst": _("Too many newcomers at once"),
        "agreement": _("Products that don't go together"),
        "similarity": _("Histories alike"),
        "length": _("Histories equally long"),
    }.get(signal, signal)


def in_order(found: Mapping[str, Any], order: Sequence[str]) -> dict[str, Any]:
    """The same in the order people read it."""
    return {name: found[name] for name in order if name in found}


def _line(name: str, x: Sequence[Any], y: Sequence[Any], place: int) -> dict[str, Any]:
    style = STYLES[place % len(STYLES)]
    return {
        "x": list(x),
        "y": list(y),
        "name": name,
        "mode": "lines+markers",
        "line": {"color": style["color"], "dash": style["dash"], "width": 2.5},
        "marker": {"color": style["color"], "symbol": style["symbol"], "size": 8},
        "connectgaps": True,
        "cliponaxis": False,
        "hovertemplate": "%{y:.4f}",
    }


def robustness_chart(*, curves: Mapping[str, Sequence[Mapping[str, Any]]], variant: str) -> Chart:
    """NDCG@10 against the share of bad interactions, a line for each kind of damage."""
    traces = []
    for place, (damage, points) in enumerate(curves.items()):
        line = _line(damage_title(damage), [p["share"] for p in points], [p["ndcg10"] for p in points], place)
        line["error_y"] = {
            "type": "data",
            "symmetric": False,
            "array": [point["high"] - point["ndcg10"] for point in points],
            "arrayminus": [point["ndcg10"] - point["low"] for point in points],
            "thickness": 1,
            "width": 3,
            "color": QUIET,
        }
        traces.append(line)
    rows: list[list[Cell]] = [
        [damage_title(damage), p["share"], p["ndcg10"], p["low"], p["high"], p["kept"], p["exposure"]]
        for damage, points in curves.items()
        for p in points
    ]
    judged = _("first purchases") if variant == "new" else _("all purchases")
    return Chart(
        key="robustness",
        title=_("How it stands bad data"),
        sentence=_(
            "NDCG@10 on %(judged)s after training on data of which a share is wrong, missing or fake; what "
            "judges is untouched. A flat line is a robust model. Whiskers are 95%% intervals."
        )
        % {"judged": judged},
        columns=[
            Column(_("Damage")),
            Column(_("Share of interactions"), "percent"),
            Column("NDCG@10", "decimal"),
            Column(_("Low (95%)"), "decimal"),
            Column(_("High (95%)"), "decimal"),
            Column(_("Kept"), "percent"),
            Column(_("Shoppers shown a pushed product"), "percent"),
        ],
        rows=rows,
        traces=traces,
        layout={
            "xaxis": {"tickformat": ".0%", "title": {"text": _("Share of interactions")}, "showgrid": True},
            "yaxis": {"rangemode": "tozero", "tickformat": ".3f", "title": {"text": "NDCG@10"}},
            "showlegend": True,
        },
        height=340,
    )


def days_chart(*, days: Sequence[str], ways: Mapping[str, Mapping[str, Any]]) -> Chart:
    """NDCG@10 day by day, a line for each way."""
    by_day = {way: found["ndcg10_by_day"] for way, found in ways.items()}
    return Chart(
        key="updates-days",
        title=_("Quality day by day"),
        sentence=_(
            "NDCG@10 of each simulated day, judged by what shoppers bought that day, before the day taught "
            "anything. All ways begin from the same model."
        ),
        columns=[Column(_("Day")), *(Column(way_title(way), "decimal") for way in ways)],
        rows=[[day, *(values[place] for values in by_day.values())] for place, day in enumerate(days)],
        traces=[
            _line(way_title(way), days, values, place) for place, (way, values) in enumerate(by_day.items())
        ],
        layout={
            "yaxis": {"rangemode": "tozero", "tickformat": ".3f", "title": {"text": "NDCG@10"}},
            "showlegend": True,
        },
        height=320,
    )


def cost_chart(*, ways: Mapping[str, Mapping[str, Any]]) -> Chart:
    """Quality against core-seconds of all updates together."""
    rows: list[list[Cell]] = [
        [
            way_title(way),
            found["ndcg10"],
            *found["intervals"]["ndcg10"],
            found["recall20"],
            found["cpu_seconds"],
            found["seconds"],
            found["updates"],
        ]
        for way, found in ways.items()
    ]
    traces = []
    for place, (way, found) in enumerate(ways.items()):
        low, high = found["intervals"]["ndcg10"]
        style = STYLES[place % len(STYLES)]
        traces.append(
            {
                "x": [found["cpu_seconds"]],
                "y": [found["ndcg10"]],
                "name": way_title(way),
                "mode": "markers",
                "cliponaxis": False,
                "marker": {"size": 13, "color": style["color"], "symbol": style["symbol"]},
                "error_y": {
                    "type": "data",
                    "symmetric": False,
                    "array": [high - found["ndcg10"]],
                    "arrayminus": [found["ndcg10"] - low],
                    "thickness": 2,
                    "width": 5,
                    "color": QUIET,
                },
                "hovertemplate": "%{y:.4f} · %{x:.1f} s",
            }
        )
    return Chart(
        key="updates-cost",
        title=_("Quality and seconds"),
        sentence=_(
            "NDCG@10 over all days against the core-seconds of all updates together; up and to the left is "
            "better. Whiskers are 95% intervals."
        ),
        columns=[
            Column(_("Way")),
            Column("NDCG@10", "decimal"),
            Column(_("Low (95%)"), "decimal"),
            Column(_("High (95%)"), "decimal"),
            Column("Recall@20", "decimal"),
            Column(_("Core-seconds"), "decimal"),
            Column(_("Seconds"), "decimal"),
            Column(_("Updates"), "number"),
        ],
        rows=rows,
        traces=traces,
        layout={
            "hovermode": "closest",
            "xaxis": {"title": {"text": _("Core-seconds")}, "showgrid": True, "rangemode": "tozero"},
            "yaxis": {"tickformat": ".3f", "title": {"text": "NDCG@10"}, "rangemode": "tozero"},
            "showlegend": True,
        },
        height=320,
    )


def forgetting_chart(*, ways: Mapping[str, Mapping[str, Any]]) -> Chart:
    """NDCG@10 lost on old purchases that were hidden from all training."""
    told = [
        (way_title(way), found["forgetting"])
        for way, found in ways.items()
        if found["forgetting"] and way != "frozen"
    ]
    rows: list[list[Cell]] = [
        [
            name,
            f["before"],
            f["after"],
            *f["lost"],
            f["quiet_lost"][0] if f["quiet_lost"] else None,
            f["shoppers"],
        ]
        for name, f in told
    ]
    return Chart(
        key="updates-forgetting",
        title=_("What it forgets"),
        sentence=_(
            "NDCG@10 lost over the days on one old purchase of each shopper that was hidden from all "
            "training; below 0 is gained. Whiskers are 95% intervals: one that crosses 0 shows no loss."
        ),
        columns=[
            Column(_("Way")),
            Column(_("Before"), "decimal"),
            Column(_("After"), "decimal"),
            Column(_("Lost"), "decimal"),
            Column(_("Low (95%)"), "decimal"),
            Column(_("High (95%)"), "decimal"),
            Column(_("Lost, shoppers who did nothing since"), "decimal"),
            Column(_("Shoppers"), "number"),
        ],
        rows=rows,
        traces=[
            {
                "type": "bar",
                "orientation": "h",
                "x": [found["lost"][0] for _name, found in told],
                "y": [name for name, _found in told],
                "marker": {"color": ACCENT},
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [found["lost"][2] - found["lost"][0] for _name, found in told],
                    "arrayminus": [found["lost"][0] - found["lost"][1] for _name, found in told],
                    "thickness": 2,
                    "width": 5,
                    "color": QUIET,
                },
                "hovertemplate": "%{x:+.4f}<extra></extra>",
            }
        ],
        layout={
            "hovermode": "closest",
            "xaxis": {"tickformat": "+.3f", "showgrid": True, "zeroline": True, "rangemode": "normal"},
            "yaxis": {"type": "category", "autorange": "reversed"},
            "showlegend": False,
        },
        height=max(180, 90 + 44 * len(told)),
    )


def crowds_chart(*, crowds: Sequence[tuple[str, int, Mapping[str, float]]]) -> Chart:
    """How strongly each crowd stands out, by signal: title of the product, members, evidence."""
    # The full title would leave a phone no room for the bars; it is in the table.
    names = [
        f"{place}. {title[:LABEL]}{'…' if len(title) > LABEL else ''}"
        for place, (title, _members, _found) in enumerate(crowds, 1)
    ]
    return Chart(
        key="crowds",
        title=_("Why they stand out"),
        sentence=_(
            "Powers of ten against chance: 3 means that one in a thousand honest crowds would look like it. "
            "Nine or more together make a crowd suspicious."
        ),
        columns=[
            Column(_("Product pushed")),
            Column(_("Shoppers"), "number"),
            *(Column(signal_title(signal), "decimal") for signal in SIGNALS),
        ],
        rows=[
            [title, members, *(found.get(signal) for signal in SIGNALS)] for title, members, found in crowds
        ],
        traces=[
            {
                "type": "bar",
                "orientation": "h",
                "x": [found.get(signal, 0.0) for _title, _members, found in crowds],
                "y": names,
                "name": signal_title(signal),
                "marker": {
                    "color": STYLES[place]["color"],
                    "pattern": {"shape": ("", "/", ".", "x")[place], "solidity": 0.4},
                },
                "hovertemplate": "%{x:.1f}",
            }
            for place, signal in enumerate(SIGNALS)
        ]
        if crowds
        else [],
        layout={
            "barmode": "stack",
            "hovermode": "closest",
            "xaxis": {"title": {"text": _("Powers of ten")}, "showgrid": True},
            "yaxis": {"type": "category", "autorange": "reversed"},
            "showlegend": True,
        },
        height=max(220, 130 + 36 * len(crowds)),
    )
