"""How a training run went, epoch by epoch."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from apps.portal.charts.chart import Chart, Column
from apps.portal.charts.template import ACCENT, QUIET


def step_title(step: str) -> str:
    """A run's step in words."""
    titles = {
        "snapshot": _("Taking the snapshot"),
        "fit": _("Training for the test"),
        "evaluate": _("Judging"),
        "refit": _("Training on everything"),
        "register": _("Registering"),
    }
    return titles.get(step, step)


def learning_curve(*, history: Sequence[Mapping[str, Any]]) -> Chart:
    """The figure that training watches against the epoch, one line for each step that trains.

    `history`: rows with step, epoch and metric as the run keeps them; rows without a number are left out.
    """
    rows = [row for row in history if _is_number(row.get("metric")) and _is_number(row.get("epoch"))]
    steps = list(dict.fromkeys(str(row.get("step", "")) for row in rows))
    epochs = sorted({int(row["epoch"]) for row in rows})
    by_step = {
        step: {int(row["epoch"]): row["metric"] for row in rows if str(row.get("step", "")) == step}
        for step in steps
    }
    traces = [
        {
            "x": epochs,
            "y": [by_step[step].get(epoch) for epoch in epochs],
            "name": step_title(step),
            "mode": "lines+markers" if len(epochs) <= 40 else "lines",
            # Not a source's colour: both lines belong to one model.
            "line": {"width": 2.5, "color": (ACCENT, QUIET)[place % 2]},
            "marker": {"color": (ACCENT, QUIET)[place % 2]},
            "hovertemplate": "%{y:.5g}",
        }
        for place, step in enumerate(steps)
    ]
    return Chart(
        key="learning-curve",
        title=_("Learning curve"),
        sentence=_("What training watches, after each epoch; a flat end means that more would bring little."),
        columns=[Column(_("Epoch"), "number"), *(Column(step_title(step), "decimal") for step in steps)],
        rows=[(epoch, *(by_step[step].get(epoch) for step in steps)) for epoch in epochs],
        traces=traces,
        layout={
            "xaxis": {"title": {"text": _("Epoch")}, "tickformat": "d"},
            "yaxis": {"rangemode": "normal"},
            "showlegend": len(steps) > 1,
        },
        height=300,
    )


def _is_number(value: object) -> bool:
    """Whether a history value can be drawn."""
    return isinstance(value, int | float) and not isinstance(value, bool)
