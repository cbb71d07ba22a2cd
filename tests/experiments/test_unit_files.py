"""Files of units: what is read is what SciPy gets from the same rows, and what can't be read is said."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

from apps.core.errors import InvalidInput
from apps.experiments.file_tables import table_read
from apps.experiments.results import Comparison, note_text
from apps.experiments.unit_files import FileAnalysis, FileOptions, analyse_file, metric_parse, shares_parse
from tests.experiments.made_units import simpson, units

OPTIONS = FileOptions(
    unit="user",
    variant="group",
    control="A",
    metrics=tuple(
        metric_parse(text)
        for text in (
            "bought:proportion",
            "spent:revenue",
            "value:mean",
            "ctr:ratio=clicks/views",
            "seconds:quantile=0.9",
        )
    ),
    expected={"A": 0.5, "B": 0.5},
)
ONE = replace(OPTIONS, metrics=(metric_parse("bought:proportion"),))


def found(done: FileAnalysis, code: str) -> Comparison:
    """The first comparison of a metric."""
    metric = done.analysis.metric(code)
    assert metric is not None
    return metric.comparisons[0]


def codes(done: FileAnalysis) -> set[str]:
    """The codes of the file's warnings."""
    return {note.code for note in done.analysis.warnings}


def told(frame: pd.DataFrame, options: FileOptions) -> str:
    """The error that a file is refused with."""
    with pytest.raises(InvalidInput) as caught:
        analyse_file(frame, options)
    return str(caught.value)


def test_each_kind_is_what_scipy_and_numpy_say() -> None:
    frame = units(lift=0.3)
    a, b = (frame[frame.group == name] for name in "AB")

    done = analyse_file(frame, OPTIONS)

    positive = np.sort(frame.spent[frame.spent > 0])
    cap = positive[math.ceil(0.99 * positive.size) - 1]
    for code, left, right in (
        ("bought", a.bought, b.bought),
        ("spent", a.spent.clip(upper=cap), b.spent.clip(upper=cap)),
        ("value", a.value, b.value),
    ):
        welch = stats.ttest_ind(right, left, equal_var=False)
        one = found(done, code)
        assert one.difference is not None
        assert one.difference.p == pytest.approx(welch.pvalue)
        assert one.difference.difference == pytest.approx(right.mean() - left.mean())
        interval = welch.confidence_interval()
        assert (one.difference.low, one.difference.high) == pytest.approx((interval.low, interval.high))
    ratio = found(done, "ctr")
    assert ratio.control == pytest.approx(a.clicks.sum() / a.views.sum())
    assert ratio.difference is not None
    errors = [
        np.var(one.clicks - one.clicks.sum() / one.views.sum() * one.views, ddof=1)
        / len(one)
        / one.views.mean() ** 2
        for one in (a, b)
    ]
    gap = b.clicks.sum() / b.views.sum() - a.clicks.sum() / a.views.sum()
    assert ratio.difference.p == pytest.approx(2 * stats.norm.sf(abs(gap) / sum(errors) ** 0.5), rel=0.01)
    assert found(done, "seconds").control == pytest.approx(np.quantile(a.seconds, 0.9))
    assert done.analysis.srm.p == pytest.approx(stats.chisquare([len(a), len(b)]).pvalue)
    assert done.summary.winsorised["spent"]["at"] == pytest.approx(cap)
    assert "winsorised" in codes(done)


@pytest.mark.parametrize("name", ["units.csv", "units.csv.gz", "units.parquet", "semicolons.csv"])
def test_the_same_units_give_the_same_result_from_any_file(tmp_path: Path, name: str) -> None:
    frame = units(2000)
    path = tmp_path / name
    if name.endswith("parquet"):
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False, sep=";" if name == "semicolons.csv" else ",")
    options = replace(OPTIONS, segments=("device",), date="day")

    assert analyse_file(path, options).analysis == analyse_file(frame, options).analysis


def test_rows_of_one_unit_are_added_up() -> None:
    frame = units(3000, lift=0.2)
    halves = pd.concat(
        [frame.assign(spent=frame.spent / 2, clicks=frame.clicks / 2, views=frame.views / 2)] * 2
    )
    halves = halves.sample(frac=1, random_state=1)
    whole = tuple(metric for metric in OPTIONS.metrics if metric.name in {"bought", "spent", "ctr"})

    once = analyse_file(frame, replace(OPTIONS, metrics=whole))
    twice = analyse_file(halves, replace(OPTIONS, metrics=whole))

    for code in ("bought", "spent", "ctr"):
        one, other = found(once, code), found(twice, code)
        assert one.difference is not None
        assert other.difference is not None
        assert other.difference.p == pytest.approx(one.difference.p)
    assert "file_rows_joined" in codes(twice)
    assert twice.analysis.units == once.analysis.units


def test_units_under_two_variants_are_left_out_counted_and_warned_of() -> None:
    frame = units(3000)
    twice = frame.head(60).assign(group=frame.group.head(60).map({"A": "B", "B": "A"}))

    done = analyse_file(pd.concat([frame, twice]), ONE)

    assert done.analysis.excluded == {"multiple_exposure": 60}
    assert done.analysis.multiple_exposed == pytest.approx(60 / 3000)
    assert sum(done.analysis.units.values()) == 2940
    assert "multiple_exposure_high" in codes(done)
    kept = frame.iloc[60:]
    assert found(done, "bought").control == pytest.approx(kept[kept.group == "A"].bought.mean())


def test_days_lead_to_the_same_end_as_the_whole() -> None:
    frame = units(4000, lift=0.2)
    events = pd.concat([frame, frame.sample(2000, random_state=2).assign(day="2026-03-10")])
    metrics = tuple(metric for metric in OPTIONS.metrics if metric.name != "seconds")
    metrics = tuple(replace(one, covariate="before") if one.name == "value" else one for one in metrics)

    done = analyse_file(events, replace(OPTIONS, metrics=metrics, date="day"))

    assert done.analysis.elapsed_days == 14
    for metric in metrics:
        path, one = done.analysis.days[metric.name], found(done, metric.name)
        assert [point.day for point in path] == list(range(1, 15))
        assert one.relative is not None
        assert path[-1].value == pytest.approx(one.relative.value)
        assert path[-1].low == pytest.approx(one.relative.low)
        assert path[-1].p == pytest.approx(one.difference.p if one.difference else None)
        assert path[-1].n_control == one.n_control
    early = events[events.day <= "2026-03-05"]
    then = analyse_file(early, replace(OPTIONS, metrics=metrics[:1]))
    assert done.analysis.days["bought"][4].value == pytest.approx(
        getattr(found(then, "bought").relative, "value", None)
    )


@pytest.mark.parametrize(
    "write",
    [
        lambda days: days.astype(str),
        lambda days: days,
        lambda days: days.dt.tz_localize("UTC"),
        lambda days: days.dt.strftime("%Y%m%d"),
        lambda days: days.dt.strftime("%Y-%m-%dT23:59:00+01:00"),
        lambda days: days.dt.day,
        lambda days: (days - pd.Timestamp("1970-01-01")).dt.total_seconds() + 3600,
    ],
)
def test_days_are_read_in_many_spellings(write: Callable[[Any], Any]) -> None:
    frame = units(500)

    done = analyse_file(frame.assign(day=write(pd.to_datetime(frame.day))), replace(ONE, date="day"))

    assert done.analysis.elapsed_days == 14
    assert [point.day for point in done.analysis.days["bought"]] == list(range(1, 15))


def test_a_covariate_narrows_the_interval() -> None:
    frame = units()
    value = replace(metric_parse("value:mean"), covariate="before")

    one = found(analyse_file(frame, replace(OPTIONS, metrics=(value,))), "value")

    assert one.cuped
    assert one.variance_cut == pytest.approx(np.corrcoef(frame.value, frame.before)[0, 1] ** 2, abs=0.02)
    assert one.unadjusted is not None
    a, b = (frame[frame.group == name].value for name in "AB")
    assert one.unadjusted.difference.p == pytest.approx(stats.ttest_ind(b, a, equal_var=False).pvalue)


def test_simpsons_paradox_is_named() -> None:
    done = analyse_file(simpson(), replace(ONE, segments=("device",), expected=None))

    one = found(done, "bought")
    assert one.difference is not None
    assert one.difference.high < 0 < one.stratified[0].difference.low
    assert {"simpson", "srm_segment"} <= codes(done)
    assert done.analysis.verdict.action == "blocked"


def test_a_broken_split_blocks_the_verdict() -> None:
    done = analyse_file(units(share=0.45), ONE)

    assert done.analysis.srm.alarm == "blocked"
    assert done.analysis.verdict.action == "blocked"
    assert (
        analyse_file(units(share=0.45), replace(ONE, expected={"A": 0.55, "B": 0.45})).analysis.srm.alarm
        == "none"
    )


def test_segments_beyond_twenty_are_one() -> None:
    frame = units(4000)
    frame["town"] = [f"t{at % 40}" for at in range(len(frame))]

    done = analyse_file(frame, replace(ONE, segments=("town",)))

    assert len(done.analysis.segments) == 21
    assert "town:other" in done.analysis.segments
    assert sum(sum(one.observed.values()) for one in done.analysis.srm.segments) == 4000


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        (
            {},
            {"unit": "person"},
            "unit: 'person' is not valid. The file has no such column. It has: user, group",
        ),
        ({}, {"variant": "arm"}, "variant: 'arm'"),
        ({}, {"control": "C"}, "It holds: A, B."),
        ({}, {"date": "when"}, "date: 'when'"),
        ({}, {"segments": ("town",)}, "segment: 'town'"),
        ({}, {"metrics": (metric_parse("gone:mean"),)}, "metric: 'gone'"),
        ({}, {"metrics": (metric_parse("x:ratio=clicks/gone"),)}, "metric: 'gone'"),
        ({}, {"metrics": ()}, "Name at least one metric"),
        ({}, {"variant": "user", "control": "u1"}, "two columns"),
        ({}, {"alpha": 1.5}, "alpha: '1.5'"),
        ({}, {"expected": {"A": 0.5, "C": 0.5}}, "B"),
        ({}, {"expected": {"A": 0.4, "B": 0.3, "C": 0.3}}, "no such variant"),
        ({}, {"expected": {"B": 1.0}}, "Name the control too"),
        ({"group": "A"}, {}, "this one value only"),
        ({"user": None}, {}, "No row names both"),
        ({"bought": 3}, {}, "bought = 3"),
        ({"bought": "often"}, {}, "bought = often"),
        ({"bought": float("inf")}, {}, "bought = inf"),
        ({"day": "someday"}, {"date": "day"}, "2026-03-01"),
        ({"views": -1}, {"metrics": (metric_parse("ctr:ratio=clicks/views"),)}, "views = -1"),
        (
            {"before": None},
            {"metrics": (replace(metric_parse("value:mean"), covariate="before"),)},
            "is empty",
        ),
    ],
)
def test_what_cannot_be_analysed_says_why(
    change: dict[str, Any], options: dict[str, Any], words: str
) -> None:
    frame = units(300).assign(**change)

    assert words in told(frame, replace(ONE, **{"expected": None, **options}))


def test_a_bad_cell_is_found_by_its_row() -> None:
    frame = units(300).astype({"spent": object})
    frame.loc[41, "spent"] = "12,50 EUR"

    words = told(frame, replace(OPTIONS, metrics=(metric_parse("spent:revenue"),)))

    assert "12,50 EUR" in words
    assert "Row 42" in words


def test_what_is_odd_but_usable_is_remarked_on() -> None:
    frame = units(3000).astype({"bought": object, "spent": float, "views": float, "seconds": float})
    frame.loc[:19, "bought"] = None
    frame.loc[20:29, "spent"] = -5.0
    frame.loc[:49, "views"] = 0.0
    frame.loc[:9, "seconds"] = np.nan
    frame.loc[:4, "user"] = " "
    frame.loc[5:6, "group"] = None
    frame.loc[:9, "day"] = "?"
    frame.loc[:9, "device"] = None
    frame.loc[7:9, "before"] = np.nan
    metrics = tuple(
        replace(one, covariate="before") if one.name == "value" else one for one in OPTIONS.metrics
    )

    done = analyse_file(
        frame, replace(OPTIONS, metrics=metrics, segments=("device",), date="day", expected=None)
    )

    assert {
        "file_blank_units",
        "file_blank_variants",
        "file_blank_values",
        "file_negative",
        "file_zero_denominator",
        "file_blank_quantile",
        "file_dates_bad",
        "file_blank_segments",
        "file_blank_covariate",
        "file_shares_equal",
    } <= codes(done)
    assert all(note_text(note) for note in done.analysis.warnings)
    assert "device:unknown" in done.analysis.segments
    assert found(done, "bought").n_control + found(done, "bought").n_treatment == 2993


def test_a_metric_that_is_always_zero_is_no_data() -> None:
    one = found(analyse_file(units(500).assign(bought=0), ONE), "bought")

    assert [note.code for note in one.warnings] == ["all_zero"]
    assert one.state == "no_data"


def test_yes_and_no_are_conversions() -> None:
    frame = units(500)

    words = analyse_file(frame.assign(bought=frame.bought.map({1: "Yes", 0: "no"})), ONE)
    flags = analyse_file(frame.assign(bought=frame.bought == 1), ONE)

    assert words.analysis.metrics == flags.analysis.metrics == analyse_file(frame, ONE).analysis.metrics


def test_whole_numbers_are_the_same_variant_however_written() -> None:
    frame = units(500)
    numbered = frame.assign(group=frame.group.map({"A": 0.0, "B": 1.0}))

    done = analyse_file(numbered, replace(ONE, control="0", expected=None))

    assert set(done.analysis.units) == {"0", "1"}


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"user,group,bought\n", b"PAR1nonsense", b"\x1f\x8bnonsense", b"a\xff\xfe,b\n"]
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(content)

    with pytest.raises(InvalidInput) as caught:
        analyse_file(path, ONE)

    assert caught.value.field in {"csv", "unit"}


@pytest.mark.parametrize("name", ["zeros.csv.gz", "zeros.parquet", "zeros.csv"])
def test_a_small_file_that_unpacks_to_a_large_one_is_refused(tmp_path: Path, name: str) -> None:
    frame = pd.DataFrame({"user": 0, "group": "A"}, index=range(200_000))
    path = tmp_path / name
    if name.endswith("parquet"):
        pq.write_table(pa.Table.from_pandas(frame), path, compression="gzip", use_dictionary=False)
    else:
        frame.to_csv(path, index=False)

    with pytest.raises(InvalidInput, match="larger than"):
        table_read(path, ["user"], bytes_at_most=500_000)

    assert table_read(path, ["user"], bytes_at_most=50_000_000).num_rows == 200_000


@pytest.mark.parametrize(
    "text",
    [
        "bought",
        ":mean",
        "x:median",
        "x:quantile=1.5",
        "x:quantile=0",
        "x:quantile=",
        "x:ratio=a",
        "x:ratio=/b",
        "x:proportions",
    ],
)
def test_a_metric_written_wrongly_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        metric_parse(text)

    assert caught.value.field == "metric"
    assert caught.value.value == text


@pytest.mark.parametrize(
    "text", ["A=50,B=50", "A=0.5", "A=0.5,B=x", "A=0.5,A=0.5", "A", "A=1.5,B=-0.5", "A=nan,B=1"]
)
def test_shares_written_wrongly_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        shares_parse(text)

    assert caught.value.field == "expected"


def test_thirds_are_near_enough() -> None:
    assert shares_parse("A=0.33,B=0.33,C=0.33") == pytest.approx(dict.fromkeys("ABC", 1 / 3))
