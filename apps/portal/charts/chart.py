"""What a chart is: a figure, the table behind it, and one sentence that says what it shows."""

import csv
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.utils.translation import gettext as _

from apps.core.spreadsheets import cell_safe
from apps.portal.charts.template import CONFIG, TEMPLATES

Cell = str | int | float | date | datetime | None


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a chart's table; `kind` is text, date, number, decimal, percent or money."""

    name: str
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Mark:
    """An event of the history drawn into a time chart, such as a publication."""

    day: date
    label: str
    detail: str = ""


@dataclass(frozen=True)
class Chart:
    """A chart ready to draw. `rows` hold raw values (the CSV); `columns` say how people read them."""

    key: str
    title: str
    sentence: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    traces: Sequence[dict[str, Any]]
    layout: dict[str, Any] = field(default_factory=dict)
    height: int = 320
    currency: str = ""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw; the page then says so in words."""
        along = [trace["x"] if trace.get("orientation") == "h" else trace["y"] for trace in self.traces]
        return not any(value is not None for values in along for value in values)

    @property
    def script_id(self) -> str:
        """Where the page keeps this chart's figure."""
        return f"figure-{self.key}"

    def figure(self) -> dict[str, Any]:
        """Plotly's data, layout and config, with both templates so that the browser can follow its theme."""
        return {
            "data": list(self.traces),
            "layout": {"height": self.height, **self.layout},
            "config": {
                **CONFIG,
                "toImageButtonOptions": {"filename": self.key, "scale": 2},
            },
            "templates": TEMPLATES,
        }

    def csv(self) -> str:
        """The table as CSV: header, then raw values (ISO dates, plain numbers, empty for no data)."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow([_raw(column.name) for column in self.columns])
        writer.writerows([["" if cell is None else _raw(cell) for cell in row] for row in self.rows])
        return out.getvalue()

    def table(self) -> list[list[tuple[Cell, str]]]:
        """Rows of (value, kind) for the template to format in the reader's language."""
        kinds = [column.kind for column in self.columns]
        return [list(zip(row, kinds, strict=True)) for row in self.rows]


def _raw(cell: Cell) -> str:
    """A cell as a program reads it; text that a spreadsheet would run as a formula is defused."""
    if isinstance(cell, date | datetime):
        return cell.isoformat()
    if isinstance(cell, float):
        return f"{cell:.12g}"  # without the noise of binary fractions
    return str(cell_safe(cell))


def marks_layout(marks: Sequence[Mark], days: Sequence[date] = ()) -> dict[str, Any]:
    """Shapes and annotations of history events: a dotted line on the day, its label on top. `days`: the axis.

    Events of one day share a line; the label then counts them and the hover text names each.
    """
    by_day: dict[date, list[Mark]] = {}
    for mark in marks:
        by_day.setdefault(mark.day, []).append(mark)
    shapes, annotations = [], []
    for day, found in sorted(by_day.items()):
        x = day.isoformat()
        shapes.append(
            {
                "type": "line",
                "x0": x,
                "x1": x,
                "yref": "paper",
                "y0": 0,
                "y1": 1,
                "line": {"dash": "dot"},
            }
        )
        label = html.escape(found[0].label)
        annotations.append(
            {
                "x": x,
                "yref": "paper",
                "y": 1,
                "yanchor": "bottom",
                "showarrow": False,
                # Towards its own side's middle, so that no label hangs over the frame.
                "xanchor": "right" if days and day > days[len(days) // 2] else "left",
                "text": label if len(found) == 1 else _("%(n)s publications") % {"n": len(found)},
                "hovertext": "<br>".join(html.escape(mark.detail or mark.label) for mark in found),
            }
        )
    return {
        "shapes": shapes,
        "annotations": annotations,
        "margin": {"l": 8, "r": 16, "t": 32, "b": 8},
    }
