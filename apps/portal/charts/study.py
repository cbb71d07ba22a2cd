"""A study in three charts: how it went, which settings matter, and what good settings have in common."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext as _

from apps.portal.charts.chart import Cell, Chart, Column
from apps.portal.charts.template import ACCENT, QUIET
from apps.portal.words.model_settings import setting_words, value_text
from apps.training.models import StudyTrial, TrialState
from apps.training.spaces import Range
from apps.training.study_figures import best_so_far

# From poor to good; the lines of the best are drawn last and widest, so that colour is not the only sign.
SCALE = ("#94a3b8", "#8b9be0", "#7c83f0", "#6a6ff0", "#e67528")


def state_title(state: str) -> str:
    """A trial's state in words."""
    return {
        TrialState.RUNNING.value: _("Running"),
        TrialState.COMPLETE.value: _("Complete"),
        TrialState.PRUNED.value: _("Stopped early"),
        TrialState.FAILED.value: _("Failed"),
    }.get(state, state)


def shown(value: Any) -> str:
    """A setting's value in words; a number to four digits."""
    if isinstance(value, float):
        value = float(f"{value:.4g}")
    return value_text(value)


def _table(trials: Sequence[StudyTrial], space: Sequence[Range]) -> tuple[list[Column], list[list[Cell]]]:
    columns = [
        Column(_("Trial"), "number"),
        Column(_("State")),
        Column("NDCG@10", "decimal"),
        Column(_("Seconds"), "decimal"),
        *(Column(setting_words(one.name)[0], "text") for one in space),
    ]
    rows: list[list[Cell]] = [
        [
            one.number,
            state_title(one.state),
            one.value,
            one.seconds,
            *(_raw(one.params.get(found.name)) for found in space),
        ]
        for one in trials
    ]
    return columns, rows


def _raw(value: Any) -> Cell:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else shown(value)


def study_history(*, trials: Sequence[StudyTrial], space: Sequence[Range]) -> Chart:
    """The value of each trial and the best until then; its table holds every trial with its settings."""
    columns, rows = _table(trials, space)
    done = [one for one in trials if one.state == TrialState.COMPLETE]
    pruned = [one for one in trials if one.state == TrialState.PRUNED and one.steps]
    floor = min((one.value for one in done if one.value is not None), default=0.0)
    traces: list[dict[str, Any]] = [
        {
            "x": [one.number for one in trials],
            "y": best_so_far(trials),
            "name": _("Best so far"),
            "mode": "lines",
            "line": {"shape": "hv", "width": 2.5, "color": ACCENT},
            "hovertemplate": "%{y:.4f}",
        },
        {
            "x": [one.number for one in done],
            "y": [one.value for one in done],
            "name": _("Trial"),
            "mode": "markers",
            "marker": {"size": 9, "color": ACCENT, "symbol": "circle-open", "line": {"width": 2}},
            "hovertemplate": "%{y:.4f}",
        },
    ]
    if pruned:
        traces.append(
            {
                "x": [one.number for one in pruned],
                # Judged on a quarter of the shoppers: no height to compare, so they lie on the floor.
                "y": [floor] * len(pruned),
                "name": _("Stopped early"),
                "mode": "markers",
                "marker": {"size": 8, "color": QUIET, "symbol": "x-thin-open", "line": {"width": 2}},
                "hovertemplate": _("Stopped early"),
            }
        )
    return Chart(
        key="study-history",
        title=_("How the search went"),
        sentence=_(
            "NDCG@10 of each trial on the days before the test days; trial 0 has the settings it began with."
        ),
        columns=columns,
        rows=rows,
        traces=traces,
        layout={
            "xaxis": {"title": {"text": _("Trial")}, "tickformat": "d"},
            "yaxis": {"rangemode": "normal", "tickformat": ".3f", "title": {"text": "NDCG@10"}},
            "showlegend": True,
        },
        height=300,
    )


def study_importance(*, importances: Mapping[str, float]) -> Chart:
    """How much of the differences between trials each setting explains."""
    ordered = sorted(importances.items(), key=lambda pair: pair[1])
    return Chart(
        key="study-importance",
        title=_("Which settings matter"),
        sentence=_(
            "The share of the differences between trials that each setting explains (fANOVA), as far as the "
            "trials tell."
        ),
        columns=[Column(_("Setting")), Column(_("Share"), "percent")],
        rows=[(setting_words(name)[0], share) for name, share in reversed(ordered)],
        traces=[
            {
                "type": "bar",
                "orientation": "h",
                "x": [share for _name, share in ordered],
                "y": [setting_words(name)[0] for name, _share in ordered],
                "marker": {"color": ACCENT},
                "hovertemplate": "%{x:.0%}<extra></extra>",
            }
        ],
        layout={
            "xaxis": {"tickformat": ".0%", "rangemode": "tozero", "showgrid": True},
            "yaxis": {"type": "category"},
            "hovermode": "closest",
            "showlegend": False,
        },
        height=max(180, 70 + 34 * len(ordered)),
    )


def _place(found: Range, value: Any) -> float | None:
    """Where a value lies on its axis, 0 to 1; None where it is not on it."""
    if not found.holds(value):
        return None
    if found.kind == "choice":
        return found.choices.index(value) / max(1, len(found.choices) - 1)
    if found.log:
        low, high, at = (math.log(number) for number in (found.low, found.high, value))
        return (at - low) / (high - low)
    return float((value - found.low) / (found.high - found.low))


def study_parallel(*, trials: Sequence[StudyTrial], space: Sequence[Range]) -> Chart:
    """Parallel coordinates: a line for each finished trial through its settings and its value."""
    done = [one for one in trials if one.state == TrialState.COMPLETE and one.value is not None]
    values = [one.value or 0.0 for one in done]
    low, high = (min(values), max(values)) if values else (0.0, 0.0)
    ordered = sorted(done, key=lambda one: one.value or 0.0)
    axes = [setting_words(one.name)[0] for one in space] + ["NDCG@10"]
    traces = []
    for one in ordered:
        quality = ((one.value or 0.0) - low) / (high - low) if high > low else 1.0
        level = min(len(SCALE) - 1, int(quality * len(SCALE)))
        best = one is ordered[-1]
        traces.append(
            {
                "x": axes,
                "y": [*(_place(found, one.params.get(found.name)) for found in space), quality],
                "mode": "lines+markers",
                "connectgaps": True,
                "opacity": 1.0 if best else 0.35 + 0.45 * quality,
                "line": {"color": SCALE[level], "width": 4 if best else 1.5},
                "marker": {"color": SCALE[level], "size": 7 if best else 4},
                "name": _("Trial %(n)s") % {"n": one.number},
                "text": [*(shown(one.params.get(found.name)) for found in space), f"{one.value:.4f}"],
                "hovertemplate": "%{x}: %{text}",
                "showlegend": False,
            }
        )
    ends = [(axes[place], _ends(found)) for place, found in enumerate(space)]
    ends.append(("NDCG@10", (f"{low:.4f}", f"{high:.4f}")))
    columns, rows = _table(done, space)
    return Chart(
        key="study-parallel",
        title=_("What good settings have in common"),
        sentence=_(
            "Each line is a trial, drawn through its settings to its NDCG@10 on the right; the best is the "
            "widest. Where the best lines meet, the setting is found."
        ),
        columns=columns,
        rows=rows,
        traces=traces,
        layout={
            "hovermode": "closest",
            "xaxis": {"type": "category", "showgrid": True, "automargin": True},
            "yaxis": {"visible": False, "range": [-0.14, 1.14]},
            "annotations": [
                {"x": axis, "y": y, "text": text, "showarrow": False, "yanchor": anchor}
                for axis, (bottom, top) in ends
                for y, text, anchor in ((-0.03, bottom, "top"), (1.03, top, "bottom"))
            ],
            "margin": {"l": 40, "r": 40, "t": 16, "b": 8},
        },
        height=380,
    )


def _ends(found: Range) -> tuple[str, str]:
    if found.kind == "choice":
        return shown(found.choices[0]), shown(found.choices[-1])
    return shown(found.low), shown(found.high)
