"""The one look of every chart, in light and in dark: quiet grid, unified hover, no logo."""

from typing import Any

# A source's `color` is its index here; the same as --source-0 to --source-8 in portal.css.
SOURCE_COLORS_LIGHT = (
    "#5e5158", "#782b00", "#0c7c25", "#a19132", "#d5608c",
    "#439cca", "#8f58ca", "#0d437b", "#1f2937",
)  # fmt: skip
SOURCE_COLORS_DARK = (
    "#a09a9b", "#e67528", "#b4eda8", "#f5ae16", "#af4d8c",
    "#69cefe", "#7162d8", "#6996e4", "#f1f5f9",
)  # fmt: skip

# Readable on either paper: the draft and brand accent, and the grey of what is only compared with.
ACCENT = "#6a6ff0"
QUIET = "#8a94a6"

FONT = "Inter, 'Noto Sans CJK SC', 'PingFang SC', 'Microsoft YaHei', sans-serif"


def _template(*, text: str, quiet: str, grid: str, hover: str, colors: tuple[str, ...]) -> dict[str, Any]:
    """A Plotly template for one paper colour; the paper itself stays see-through."""
    axis = {
        "gridcolor": grid,
        "linecolor": grid,
        "zerolinecolor": grid,
        "tickfont": {"color": quiet, "size": 12},
        "title": {"font": {"color": quiet, "size": 12}},
        "automargin": True,
        "ticks": "",
    }
    return {
        "layout": {
            "font": {"family": FONT, "size": 13, "color": text},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(colors),
            "hovermode": "x unified",
            "hoverlabel": {
                "bgcolor": hover,
                "bordercolor": grid,
                "font": {"family": FONT, "color": text, "size": 13},
            },
            "margin": {"l": 8, "r": 16, "t": 16, "b": 8},
            "xaxis": {**axis, "showgrid": False, "ticklabelstandoff": 6, "showspikes": False},
            "yaxis": {**axis, "rangemode": "tozero", "nticks": 5, "ticklabelstandoff": 6},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "font": {"color": text}},
            "annotationdefaults": {
                "font": {"color": quiet, "size": 11},
                "arrowcolor": quiet,
            },
            "shapedefaults": {"line": {"color": quiet, "width": 1}},
            "dragmode": "zoom",
        }
    }


TEMPLATES: dict[str, dict[str, Any]] = {
    "light": _template(
        text="#374151",
        quiet="#6b7280",
        grid="#e5e7eb",
        hover="#ffffff",
        colors=SOURCE_COLORS_LIGHT,
    ),
    "dark": _template(
        text="#d1d5db",
        quiet="#9ca3af",
        grid="#374151",
        hover="#1f2937",
        colors=SOURCE_COLORS_DARK,
    ),
}

# Double click resets, the toolbar comes only on hover and keeps what a merchandiser uses.
CONFIG: dict[str, Any] = {
    "displaylogo": False,
    "responsive": True,
    "displayModeBar": "hover",
    "doubleClick": "reset",
    "modeBarButtonsToRemove": [
        "select2d",
        "lasso2d",
        "autoScale2d",
        "zoomIn2d",
        "zoomOut2d",
    ],
}
