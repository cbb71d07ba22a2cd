"""An automatic choice in charts: the trade-off between the parts of its objective, and the models tried."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from apps.portal.charts.chart import Cell, Chart, Column
from apps.portal.charts.template import ACCENT, QUIET

AXES = ("coverage", "novelty", "revenue", "margin")


def part_title(part: str) -> str:
    """A part of the objective in words."""
    return {
        "ndcg": _("Accuracy (NDCG@10)"),
        "revenue": _("Revenue"),
        "margin": _("Margin"),
        "coverage": _("Coverage@10"),
        "novelty": _("Novelty"),
    }[part]


def _part(point: Mapping[str, Any], part: str) -> float | None:
    value = point.get(part, point.get(f"{part}10"))
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def traded(pareto: Sequence[Mapping[str, Any]]) -> str:
    """The part that accuracy is traded for: the first that differs along the front."""
    for part in AXES:
        if len({_part(point, part) for point in pareto} - {None}) > 1:
            return part
    return "coverage"


def pareto_chart(*, pareto: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> Chart:
    """Each point is a set of weights that nothing else beats in everything."""
    part = traded(pareto)
    # A mix without accuracy has a front of other parts; the first of them then stands upright.
    upright = next((one for one in ("ndcg", *AXES) if any(_part(p, one) is not None for p in pareto)), "ndcg")
    points = sorted(
        (point for point in pareto if _part(point, part) is not None), key=lambda one: _part(one, part) or 0.0
    )
    chosen = [point for point in points if point.get("chosen")]
    traces: list[dict[str, Any]] = [
        {
            "x": [_part(point, part) for point in points],
            "y": [_part(point, upright) for point in points],
            "text": [_weights_told(point.get("weights", {}), names) for point in points],
            "mode": "lines+markers",
            "name": _("Best mixtures"),
            "line": {"color": QUIET, "width": 2},
            "marker": {"color": ACCENT, "size": 9},
            "hovertemplate": "%{y:.4f} · %{x:.3f}<br>%{text}<extra></extra>",
        }
    ]
    if chosen:
        traces.append(
            {
                "x": [_part(point, part) for point in chosen],
                "y": [_part(point, upright) for point in chosen],
                "mode": "markers",
                "name": _("Chosen"),
                "marker": {"color": "#e67528", "size": 15, "symbol": "star"},
                "hovertemplate": _("Chosen") + "<extra></extra>",
            }
        )
    rows: list[list[Cell]] = [
        [
            _part(point, "ndcg"),
            *(_part(point, one) for one in AXES),
            _weights_told(point.get("weights", {}), names),
        ]
        for point in points
    ]
    return Chart(
        key="choice-front",
        title=_("What is gained and what it costs"),
        sentence=_(
            "Each point is a mixture that no other one beats in everything; along the line one thing is "
            "traded for the other."
        ),
        columns=[
            Column(part_title("ndcg"), "decimal"),
            *(Column(part_title(one), "decimal") for one in AXES),
            Column(_("Weights")),
        ],
        rows=rows,
        traces=traces if points else [],
        layout={
            "hovermode": "closest",
            "xaxis": {"title": {"text": part_title(part)}, "showgrid": True, "rangemode": "normal"},
            "yaxis": {"title": {"text": part_title(upright)}, "rangemode": "normal", "tickformat": ".3f"},
            "showlegend": bool(chosen),
        },
        height=340,
    )


def _weights_told(weights: Mapping[str, float], names: Mapping[str, str]) -> str:
    ordered = sorted(weights.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{names.get(code, code)} {100 * weight:.0f}%" for code, weight in ordered if weight > 0)
