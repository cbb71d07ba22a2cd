"""Results survive JSON, and every note has words."""

from __future__ import annotations

import ast
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from apps.experiments import results
from apps.experiments.results import (
    NOTE_TEXTS,
    Analysis,
    Bayes,
    BiasCheck,
    Comparison,
    DayEffect,
    Effect,
    Family,
    Guardrail,
    Interaction,
    MetricResult,
    Note,
    Relative,
    SegmentSrm,
    Sequential,
    Srm,
    Stratified,
    Unadjusted,
    Verdict,
    analysis_read,
    as_json,
    note_text,
)

EFFECT = Effect(0.01, -0.005, 0.025, 0.19)
FULL = Comparison(
    variant="b",
    n_control=1000,
    n_treatment=1010,
    control=0.1,
    treatment=0.11,
    difference=EFFECT,
    relative=Relative(0.1, -0.05, 0.25),
    sequential=Sequential(-0.01, 0.03, 0.6, -0.1, 0.3),
    bayes=Bayes(0.9, 0.002, -0.05, 0.25),
    p_adjusted=0.38,
    cuped=True,
    variance_cut=0.4,
    state="unclear",
    warnings=(Note("small_sample", {"metric": "conversion", "variant": "b", "units": 10, "needed": 150}),),
    unadjusted=Unadjusted(0.1, 0.11, EFFECT, None, None),
    stratified=(Stratified("region", EFFECT, None),),
    guardrail=Guardrail(0.02, -0.03, 0.05, "open"),
)
EMPTY = Comparison("c", 1000, 0, 0.1, None, None, None, None, None)
METRIC = MetricResult("conversion", "proportion", "primary", True, None, (FULL, EMPTY))


def whole() -> Analysis:
    """An analysis with every part filled."""
    return Analysis(
        control="a",
        alpha=0.05,
        view="sequential",
        correction="holm",
        started=datetime(2026, 1, 1, tzinfo=UTC),
        through=None,
        elapsed_days=4.5,
        units={"a": 1000, "b": 1010, "c": 0},
        metrics=(METRIC,),
        srm=Srm(
            0.4,
            "none",
            None,
            {"a": 1000, "b": 1010},
            {"a": 0.5, "b": 0.5},
            (SegmentSrm("region:N", 0.2, 0.4, {"a": 1}, "none"),),
        ),
        verdict=Verdict("keep_running", "b", (Note("reason_no_primary"),), ()),
        warnings=(Note("no_data", {"metric": "conversion", "variant": "c"}),),
        segments={"region:N": (METRIC,)},
        interactions=(Interaction("conversion", "b", "region", 3.0, 0.08, 0.16),),
        pre_exposure=(BiasCheck("conversion", "b", 0.01, 0.5, False),),
        multiple_exposed=0.002,
        excluded={"bots": 3},
        families=(Family("primary", 2, "holm"),),
        days={"conversion": (DayEffect(1.0, "b", 10, 11, 0.1, None, None, None, None),)},
    )


def test_an_analysis_survives_json() -> None:
    analysis = whole()

    assert analysis_read(json.loads(json.dumps(analysis.as_json(), allow_nan=False))) == analysis


def test_json_holds_no_nan_and_no_numpy() -> None:
    told = as_json({"a": float("nan"), "b": (np.float64("inf"), np.int64(3), np.float32(0.5)), "c": None})

    assert told == {"a": None, "b": [None, 3, 0.5], "c": None}
    json.dumps(told, allow_nan=False)


def test_a_stored_analysis_of_an_older_version_is_read_with_defaults() -> None:
    data = whole().as_json()
    del data["days"], data["interactions"]
    data["from_the_future"] = 1

    assert analysis_read(data).days == {}


def test_a_field_that_is_missing_is_named() -> None:
    data = whole().as_json()
    del data["verdict"]

    with pytest.raises(ValueError, match="Analysis: .*verdict"):
        analysis_read(data)


def test_metrics_and_comparisons_are_found_by_name() -> None:
    analysis = whole()

    assert analysis.primary is analysis.metric("conversion")
    assert METRIC.comparison("c") is EMPTY
    assert METRIC.comparison("d") is None
    assert analysis.metric("none") is None


def codes_of(node: ast.expr) -> set[str]:
    """The codes an expression can be: text, or one of two texts."""
    if isinstance(node, ast.IfExp):
        return codes_of(node.body) | codes_of(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def test_every_note_that_the_code_makes_has_a_text_and_no_text_is_idle() -> None:
    made, written = set(), set()
    for path in Path(results.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] == "Note" and node.args:
                made |= codes_of(node.args[0])
            if path.name != "notes.py" and isinstance(node, ast.expr):
                written |= codes_of(node)

    assert made <= set(NOTE_TEXTS) <= written


def test_texts_name_their_values() -> None:
    for code, text in NOTE_TEXTS.items():
        names = set(re.findall(r"%\((\w+)\)s", text))
        assert "%" not in re.sub(r"%\(\w+\)s", "", text), code
        assert note_text(Note(code, dict.fromkeys(names, 0.5))), code


def test_texts_read_well_with_one_of_a_thing() -> None:
    for code, text in NOTE_TEXTS.items():
        names = dict.fromkeys(re.findall(r"%\((\w+)\)s", text), 1)
        said = note_text(Note(code, {**names, "needed": 2}))
        assert not re.search(r"\b1 (more |earlier )?(units|rows|times|conversions)\b", said), said


def test_values_are_written_by_their_names() -> None:
    params = {"count": 12345, "share": 0.0123, "p": 0.00001, "value": 0.031, "observed": {"a": 10, "b": 2000}}

    assert results.note_values(Note("x", params)) == {
        "count": "12,345",
        "share": "1.23 %",
        "p": "1e-05",
        "value": "+3.10 %",
        "observed": "a 10, b 2,000",
    }


def test_a_text_without_its_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        note_text(Note("no_data", {"metric": "conversion"}))
