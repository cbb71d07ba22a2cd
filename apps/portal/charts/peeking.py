"""What looking every day does to false alarms: the figures of apps/experiments/PEEKING.md, drawn.

A test holds the figures to that page, which the benchmark on the ASOS data writes.
"""

from django.utils.translation import gettext as _

from apps.portal.charts.chart import Chart, Column
from apps.portal.charts.experiment_effects import BAD
from apps.portal.charts.template import ACCENT, QUIET

# Looks, false alarms of the usual test, of the always-valid one, in percent.
BY_LOOKS = (
    (1, 5.1, 0.1),
    (2, 7.7, 0.1),
    (5, 12.1, 0.2),
    (10, 16.6, 0.4),
    (20, 22.1, 0.8),
    (30, 25.4, 1.1),
    (40, 27.8, 1.4),
    (60, 31.3, 1.7),
)
ONCE, EVERY, VALID = 0.05, 0.295, 0.018
"""False alarms: the usual test once at the end, at every look, the always-valid one at every look."""
GONE, FOUND = 0.53, 0.70
"""Of what the usual test declares at some look, gone at the end; of what holds at the end, found."""
EXPERIMENTS, SERIES = 78, 381
ALLOWED = 0.05


def peeking_chart() -> Chart:
    """False alarms by how often one has looked, where nothing differs."""
    looks = [row[0] for row in BY_LOOKS]
    usual, valid = [row[1] / 100 for row in BY_LOOKS], [row[2] / 100 for row in BY_LOOKS]
    names = (_("Usual test, deciding at the first good look"), _("Always-valid interval"))
    lines = [
        {
            "x": looks,
            "y": values,
            "name": name,
            "mode": "lines+markers",
            "line": {"color": colour, "width": 2.5, "dash": dash},
            "marker": {"color": colour, "size": 7, "symbol": symbol},
            "hovertemplate": "%{y:.1%}",
        }
        for name, values, colour, dash, symbol in (
            (names[0], usual, BAD, "dash", "diamond"),
            (names[1], valid, ACCENT, "solid", "circle"),
        )
    ]
    return Chart(
        key="peeking",
        title=_("Differences found where there are none"),
        sentence=_(
            "Share of experiments without any difference in which one was declared, by how often somebody "
            "looked. Five percent (dotted) is what both promise; only one of them keeps it."
        ),
        columns=[Column(_("Looks"), "number"), Column(names[0], "percent"), Column(names[1], "percent")],
        rows=[list(row) for row in zip(looks, usual, valid, strict=True)],
        traces=lines,
        layout={
            "xaxis": {"title": {"text": _("Looks")}, "tickformat": "d"},
            "yaxis": {"tickformat": ".0%"},
            "showlegend": True,
            "shapes": [
                {
                    "type": "line",
                    "xref": "paper",
                    "x0": 0,
                    "x1": 1,
                    "y0": ALLOWED,
                    "y1": ALLOWED,
                    "line": {"dash": "dot", "width": 1.5, "color": QUIET},
                }
            ],
        },
        height=340,
    )
