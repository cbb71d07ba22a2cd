"""Charts are pure: rows in; figure, table, CSV and sentence out."""

import csv
import io
import json
import re
from datetime import date, timedelta
from pathlib import Path

from django.conf import settings

from apps.portal.charts.by_day import DayPoint, by_day
from apps.portal.charts.by_placement import PlacementBar, by_placement
from apps.portal.charts.chart import Chart, Column, Mark
from apps.portal.charts.learning_curve import learning_curve
from apps.portal.charts.template import SOURCE_COLORS_DARK, SOURCE_COLORS_LIGHT, TEMPLATES
from apps.portal.charts.versions import VersionPoint, versions_chart

MONDAY = date(2026, 3, 2)


def day_points(values: list[float | None]) -> list[DayPoint]:
    return [
        DayPoint(MONDAY + timedelta(days=n), value, value and value - 0.01, value and value + 0.01, 100 + n)
        for n, value in enumerate(values)
    ]


def ctr_chart(marks: list[Mark] | None = None) -> Chart:
    return by_day(
        key="ctr-by-day",
        title="CTR by day",
        measure="CTR",
        kind="percent",
        points=day_points([0.10, None, 0.12]),
        previous=day_points([0.08, 0.09]),
        marks=marks or [],
    )


def rows_of(chart: Chart) -> list[list[str]]:
    return list(csv.reader(io.StringIO(chart.csv())))


def test_by_day_draws_the_value_the_band_and_the_period_before() -> None:
    figure = json.loads(json.dumps(ctr_chart().figure()))
    main = figure["data"][-1]
    assert main["x"] == ["2026-03-02", "2026-03-03", "2026-03-04"]
    assert main["y"] == [0.10, None, 0.12]
    assert [trace["name"] for trace in figure["data"] if trace.get("name")] == ["Period before", "CTR"]
    assert figure["data"][2]["y"] == [0.08, 0.09, None]
    assert sum(trace.get("meta") == "band" for trace in figure["data"]) == 2


def test_by_day_has_no_band_without_intervals() -> None:
    points = [DayPoint(MONDAY, 5.0, n=5), DayPoint(MONDAY + timedelta(days=1), 7.0, n=7)]
    chart = by_day(key="sessions", title="Sessions", measure="Sessions", kind="number", points=points)
    assert len(chart.traces) == 1
    assert "interval" not in chart.sentence


def test_publications_of_one_day_share_a_line_and_are_escaped() -> None:
    marks = [Mark(MONDAY, "home #2", "home #2: <b>bold</b>"), Mark(MONDAY, "cart #5")]
    layout = ctr_chart(marks).figure()["layout"]
    assert len(layout["shapes"]) == 1
    assert layout["annotations"][0]["text"] == "2 publications"
    assert layout["annotations"][0]["hovertext"] == "home #2: &lt;b&gt;bold&lt;/b&gt;<br>cart #5"


def test_csv_holds_raw_values_and_leaves_missing_ones_empty() -> None:
    header, first, second, _ = rows_of(ctr_chart())
    assert header == ["Day", "CTR", "Low (95%)", "High (95%)", "Sample", "Period before"]
    assert first == ["2026-03-02", "0.1", "0.09", "0.11", "100", "0.08"]
    assert second[:2] == ["2026-03-03", ""]


def test_csv_defuses_what_a_spreadsheet_would_run() -> None:
    chart = Chart(
        key="k", title="t", sentence="s", columns=[Column("a")], rows=[("=1+1",), ("fine",)], traces=[]
    )
    assert rows_of(chart) == [["a"], ["'=1+1"], ["fine"]]


def test_placements_are_ranked_and_those_without_data_are_kept_in_the_table() -> None:
    bars = [
        PlacementBar("cart", "Cart", 0.02, 0.01, 0.03, 900),
        PlacementBar("new", "New", None, None, None, 0),
        PlacementBar("home", "Home", 0.05, 0.04, 0.06, 1000),
    ]
    chart = by_placement(key="p", title="t", measure="CTR", kind="percent", bars=bars, sentence="s")
    assert [row[0] for row in chart.rows] == ["Home", "Cart", "New"]
    assert chart.traces[0]["y"] == ["Cart", "Home"]
    assert round(chart.traces[0]["error_x"]["array"][1], 6) == 0.01


def test_a_chart_without_any_value_is_empty() -> None:
    empty = by_day(key="k", title="t", measure="m", kind="percent", points=[DayPoint(MONDAY, None)])
    assert empty.empty
    assert not ctr_chart().empty


def test_learning_curve_draws_each_training_step() -> None:
    history = [
        {"step": "fit", "epoch": 1, "metric": 0.9},
        {"step": "fit", "epoch": 2, "metric": 0.5},
        {"step": "refit", "epoch": 1, "metric": 0.8},
        {"step": "refit", "epoch": 2, "metric": None},
    ]
    chart = learning_curve(history=history)
    assert [column.name for column in chart.columns] == [
        "Epoch",
        "Training for the test",
        "Training on everything",
    ]
    assert chart.rows == [(1, 0.9, 0.8), (2, 0.5, None)]
    assert learning_curve(history=[]).empty


def test_versions_are_ranked_and_carry_their_source_colour() -> None:
    points = [
        VersionPoint("als v1", 5, False, 0.10, 0.09, 0.11),
        VersionPoint("ease v2", 6, True, 0.13, 0.12, 0.14),
        VersionPoint("new", 1, False, None, None, None),
    ]
    chart = versions_chart(key="v", title="t", measure="NDCG@10", points=points, sentence="s")
    assert [row[0] for row in chart.rows] == ["ease v2", "als v1", "new"]
    assert [trace["meta"]["source"] for trace in chart.traces] == [5, 6]


def _luminance(color: str) -> float:
    parts = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_source_colours_are_those_of_the_pages() -> None:
    sheet = (Path(settings.BASE_DIR) / "static/portal/portal.css").read_text()
    found = re.findall(r"--source-(\d): (#[0-9a-f]{6});", sheet)
    assert [color for _, color in found[:9]] == list(SOURCE_COLORS_LIGHT)
    assert [color for _, color in found[9:]] == list(SOURCE_COLORS_DARK)


def test_source_colours_and_text_can_be_seen_on_their_paper() -> None:
    for color in SOURCE_COLORS_LIGHT:
        assert _contrast(color, "#ffffff") >= 3.0, color
    for color in SOURCE_COLORS_DARK:
        assert _contrast(color, "#111827") >= 3.0, color
    assert _contrast(TEMPLATES["light"]["layout"]["font"]["color"], "#ffffff") >= 4.5
    assert _contrast(TEMPLATES["dark"]["layout"]["font"]["color"], "#111827") >= 4.5
