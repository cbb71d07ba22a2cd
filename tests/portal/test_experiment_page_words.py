"""Results of experiments in words, figures and files, without a page around them."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from babel.messages.pofile import read_po
from django.utils.translation import override

from apps.experiments.notes import NOTE_TEXTS, Note
from apps.experiments.results import Srm
from apps.experiments.tables import TABLES, analysis_table, log_table
from apps.portal.charts.experiment_days import shares_by_time
from apps.portal.experiment_days import day_charts, multiplicity_words, segments_shown
from apps.portal.experiment_health import checks_of, exposures_chart, srm_shown
from apps.portal.experiment_results import Faces, effects_drawn, groups_of, verdict_shown, view_of
from apps.portal.words.experiments import (
    Names,
    excluded_words,
    kind_words,
    note_words,
    p_value,
    segment_words,
    state_words,
    status_words,
    verdict_meaning,
    verdict_words,
)
from tests.portal.experiment_samples import DAYS, STARTED, analysis_sample

PO = Path(__file__).parents[2] / "locale/zh_Hans/LC_MESSAGES/django.po"
NAMES = Names({"conversion": "Conversion"}, {"bold": "Bold blend", "control": "Live"})
FACES = Faces(NAMES, {"conversion": "percent", "revenue_per_shopper": "money"}, currency="EUR")


def test_every_remark_of_the_analysis_is_there_in_chinese() -> None:
    with PO.open("rb") as file:
        chinese = {message.id: message.string for message in read_po(file) if message.string}
    assert [code for code, text in NOTE_TEXTS.items() if text not in chinese] == []
    values = re.compile(r"%\((\w+)\)s")
    wrong = [
        code
        for code, text in NOTE_TEXTS.items()
        if set(values.findall(text)) != set(values.findall(str(chinese[text])))
    ]
    assert wrong == []


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_remark_can_be_said(language: str) -> None:
    with override(language):
        for code, text in NOTE_TEXTS.items():
            names = re.findall(r"%\((\w+)\)s", text)
            params = {name: "bold" if name == "variant" else 0.25 for name in names}
            said = note_words(Note(code, params), NAMES)
            assert "%(" not in said
            assert "variant" not in names or "Bold blend" in said


def test_values_are_written_by_their_names() -> None:
    note = Note(
        "reason_primary_better",
        {"metric": "conversion", "variant": "bold", "value": 0.0613, "low": 0.01, "high": None},
    )
    assert note_words(note, NAMES) == "Conversion is better with Bold blend: +6.1% (+1.0% to ?)."
    shares = {"control": 40, "bold": 60}
    srm = Note("srm_blocked", {"p": 0.00001, "observed": shares, "expected": {"control": 50, "bold": 50}})
    assert "p = < 0.0001; Live 40, Bold blend 60 instead of Live 50, Bold blend 50" in note_words(srm, NAMES)
    assert (p_value(None), p_value(0.0123), p_value(0.5)) == ("–", "0.012", "0.50")
    assert segment_words("region:North") == "Region: North"


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_every_state_has_words(language: str) -> None:
    with override(language):
        actions = ("ship", "roll_back", "keep_running", "keep_control", "blocked", "too_early")
        assert all(verdict_words(one, "B").words != one and verdict_meaning(one) for one in actions)
        assert all(state_words(one).words != one for one in ("better", "worse", "flat", "unclear", "no_data"))
        assert all(status_words(one).words != one for one in ("draft", "running", "paused", "ended"))
        kinds = ("ab", "bandit", "interleaving", "switchback", "holdout")
        assert all(kind_words(one) != one for one in kinds)


def test_rows_follow_the_view_and_say_what_cuped_did() -> None:
    analysis = analysis_sample()
    assert view_of("nonsense", analysis) == "sequential"
    found = {view: groups_of(analysis.metrics, FACES, view) for view in ("sequential", "fixed", "bayes")}
    assert [group.role for group in found["fixed"]] == ["primary", "secondary", "guardrail"]
    primary = {view: groups[0].rows[0] for view, groups in found.items()}
    assert primary["sequential"].relative_range == "+1.0% to +11.0%"
    assert primary["fixed"].relative_range == "+3.5% to +8.5%"
    assert primary["fixed"].difference == "+0.30 pp"
    assert primary["fixed"].difference_range == "+0.18 pp to +0.42 pp"
    assert (primary["sequential"].p, primary["fixed"].p, primary["bayes"].p) == ("0.012", "0.0004", "–")
    assert primary["bayes"].chance == "> 99.9%"
    assert primary["fixed"].cut == "31%"
    assert primary["fixed"].plain.startswith("+6.4%")
    guard = found["sequential"][2].rows[0]
    assert guard.guardrail is not None
    assert (guard.guardrail.words, guard.margin, guard.control) == ("Holds", "2%", "€31.50")
    assert "count as that value" in guard.remarks[0]


@pytest.mark.parametrize(("took", "told"), [(0.012, "1%"), (0.004, ""), (-0.02, "")])
def test_what_cuped_took_is_told_only_where_it_took_something(took: float, told: str) -> None:
    metric = analysis_sample().metrics[0]
    one = replace(metric.comparisons[0], variance_cut=took)
    row = groups_of([replace(metric, comparisons=(one,))], FACES, "fixed")[0].rows[0]
    assert row.cut == told
    assert bool(row.plain) == bool(told)


def test_verdict_is_told_with_reasons_and_doubts() -> None:
    shown = verdict_shown(analysis_sample(), FACES)
    assert shown.told.words == "Ship Bold blend"
    assert shown.reasons[1] == "All guardrails hold for Bold blend."
    assert shown.would_change == ["The interval of Conversion for Bold blend coming to include 0."]


def test_effects_are_drawn_with_their_intervals_and_margins() -> None:
    chart = effects_drawn(analysis_sample(), FACES, "sequential")
    figure = json.loads(json.dumps(chart.figure()))
    first = figure["data"][0]
    assert first["x"] == [0.06]
    assert first["error_x"]["array"][0] == pytest.approx(0.05)
    assert len(figure["data"]) == 3
    assert [shape["x0"] for shape in figure["layout"]["shapes"]] == [0, -0.02]
    assert "always-valid" in chart.sentence
    assert "not this one" in effects_drawn(analysis_sample(), FACES, "fixed").sentence
    assert len(list(csv.reader(io.StringIO(chart.csv())))) == 4


def test_days_and_shares_are_drawn() -> None:
    analysis = analysis_sample()
    metric = analysis.metrics[0]
    so_far, by_day = day_charts(analysis, metric, FACES, "sequential")
    assert sum(trace.get("meta") == "band" for trace in so_far.traces) == 2
    assert len(so_far.rows) == len(by_day.rows) == DAYS
    assert "error_y" in by_day.traces[0]
    moved = shares_by_time(key="s", shares=[("2026-03-02", {"A": 0.5, "B": 0.5}), ("2026-03-03", {"A": 1.0})])
    assert moved.rows[1] == ["2026-03-03", 1.0, None]
    assert [sum(trace["y"]) for trace in exposures_chart(analysis, FACES).traces] == [5_400, 5_310]


def test_segments_tell_how_many_comparisons_there_were() -> None:
    shown = segments_shown(analysis_sample(), "conversion", FACES, "sequential")
    assert [group.title for group in shown.groups] == ["Region: North", "Region: South"]
    assert "There are 2 comparisons here. Without a correction 0.1" in shown.multiplicity
    assert "corrected for all of them together (Holm)" in shown.multiplicity
    assert shown.interactions == [
        "Region: no sign that the effect of Bold blend differs between the segments (corrected p = 0.27)."
    ]
    bare = replace(analysis_sample(), correction="none")
    assert "ideas for the next experiment" in multiplicity_words(bare, "conversion")


def test_health_tells_the_split_and_what_was_left_out() -> None:
    shown = srm_shown(analysis_sample(), FACES)
    assert shown.told.words == "As planned"
    assert shown.rows[0].expected == 5_000
    assert "p = 0.81" in shown.sentence
    broken = replace(analysis_sample(), srm=Srm(None, "none", None, {}, {"control": 1, "bold": 1}))
    assert "too few shoppers" in srm_shown(broken, FACES).sentence
    multiple, bias, left_out = checks_of(analysis_sample(), FACES)
    assert "0.21% saw more than one variant" in multiple.sentence
    assert "were alike (comparisons: 1)" in bias.sentence
    assert left_out.sentence == "Bots: 12, Outliers: 3."


@pytest.mark.parametrize("name", [name for name in TABLES if name != "log"])
def test_tables_are_the_same_as_csv_and_parquet(name: str) -> None:
    table = analysis_table(name, analysis_sample())
    assert table.rows
    lines = list(csv.DictReader(io.StringIO(table.write("csv").decode("utf-8-sig"))))
    stored = pq.read_table(io.BytesIO(table.write("parquet")))
    assert len(lines) == stored.num_rows == len(table.rows)
    assert list(lines[0]) == stored.column_names == [column for column, _kind in table.columns]


def test_tables_hold_figures_for_programs() -> None:
    analysis = analysis_sample()
    results = pq.read_table(io.BytesIO(analysis_table("results", analysis).parquet())).to_pylist()
    assert results[0]["relative_low"] == pytest.approx(0.035)
    assert results[0]["sequential_relative_high"] == pytest.approx(0.11)
    assert results[2]["guardrail"] == "passed"
    assert "412.5" in results[2]["remarks"]
    exposures = pq.read_table(io.BytesIO(analysis_table("exposures", analysis).parquet())).to_pylist()
    assert (exposures[2]["units"], exposures[2]["new_units"], exposures[2]["expected_share"]) == (
        1200,
        600,
        0.5,
    )
    log = log_table([(STARTED, "launched", "maya", {"traffic": 0.1}), (STARTED, "=cmd", "", {})])
    assert log.csv().decode("utf-8-sig").splitlines()[2].split(",")[1] == "'=cmd"
    empty = pq.read_table(io.BytesIO(log_table([]).parquet()))
    assert (empty.num_rows, str(empty.schema.field("at").type)) == (0, "timestamp[us, tz=UTC]")


def test_segments_stand_dimension_by_dimension_whatever_order_they_were_stored_in() -> None:
    names = ("region:other", "language:en", "region:North", "language:unknown", "language:zh-hans")
    sample = analysis_sample()
    shown = segments_shown(
        replace(sample, segments=dict.fromkeys(names, sample.metrics)), "conversion", FACES, "sequential"
    )
    assert [group.role for group in shown.groups] == [
        "language:en",
        "language:zh-hans",
        "language:unknown",
        "region:North",
        "region:other",
    ]


def test_segments_and_what_was_left_out_are_named() -> None:
    assert segment_words("language:zh-hans") == "Language: Chinese (Simplified)"
    assert segment_words("language:klingon") == "Language: klingon"
    assert segment_words("region:") == "Region: unknown"
    assert (excluded_words("outlier"), excluded_words("bot")) == ("Outliers", "Bots")
    with override("zh-hans"):
        assert segment_words("language:en") == "语言：英语"
