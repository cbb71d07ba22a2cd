"""How a training run went, epoch by epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from apps.portal.charts.chart import Chart, Column

# What a history row may carry beside its measures.
NOT_MEASURES = frozenset({"epoch", "epochs", "fraction", "stage", "message", "seconds", "at"})


def learning_curve(*, history: Sequence[Mapping[str, Any]]) -> Chart:
    """Every number of the run's history by epoch; the first measure on the left axis, the rest right."""
    rows = [row for row in history if isinstance(row.get("epoch"), int | float)]
    names = sorted(
        {name for row in rows for name in row if name not in NOT_MEASURES and _is_number(row[name])}
    )
    epochs = [row["epoch"] for row in rows]
    traces = [
        {
            "x": epochs,
            "y": [row.get(name) for row in rows],
            "name": name,
            "mode": "lines+markers" if len(rows) <= 40 else "lines",
            "yaxis": "y" if place == 0 else "y2",
            "hovertemplate": "%{y:.5g}",
        }
        for place, name in enumerate(names)
    ]
    best = _("The run's measures after each epoch; a flat end means that more epochs would bring little.")
    return Chart(
        key="learning-curve",
        title=_("Learning curve"),
        sentence=best,
        columns=[Column(_("Epoch"), "number"), *(Column(name, "decimal") for name in names)],
        rows=[(row["epoch"], *(row.get(name) for name in names)) for row in rows],
        traces=traces,
        layout={
            "xaxis": {"title": {"text": _("Epoch")}, "tickformat": "d"},
            "yaxis": {"rangemode": "normal", "title": {"text": names[0] if names else ""}},
            "yaxis2": {
                "overlaying": "y",
                "side": "right",
                "showgrid": False,
                "rangemode": "normal",
                "automargin": True,
                "title": {"text": ", ".join(names[1:])},
            },
            "showlegend": len(names) > 1,
        },
        height=280,
    )


def _is_number(value: object) -> bool:
    """Whether a history value can be drawn."""
    return isinstance(value, int | float) and not isinstance(value, bool)
