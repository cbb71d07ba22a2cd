"""Analyse a file: guesses, what is refused at its field, results as of an experiment, nothing kept."""

import base64
import io
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.accounts.models import User
from apps.experiments.file_preview import columns_look, guess, is_summary

pytestmark = pytest.mark.django_db
COLUMNS, RESULTS = "/experiments/files/columns/", "/experiments/files/results/"
HTMX = {"HX-Request": "true"}


def units(count: int = 4_000) -> pd.DataFrame:
    """Units of two variants, of which `bold` converts far more."""
    random = np.random.default_rng(5)
    bold = random.random(count) < 0.5
    bought = random.random(count) < np.where(bold, 0.30, 0.20)
    return pd.DataFrame(
        {
            "user_id": [f"u{n}" for n in range(count)],
            "variant": np.where(bold, "bold", "control"),
            "day": pd.to_datetime("2026-03-01") + pd.to_timedelta(random.integers(0, 9, count), "D"),
            "bought": bought.astype(int),
            "revenue": np.where(bought, random.gamma(2, 20, count), 0).round(2),
            "pre_revenue": np.where(bought, random.gamma(2, 20, count), random.gamma(2, 5, count)).round(2),
            "clicks": random.poisson(2, count),
            "region": random.choice(["North", "South"], count),
        }
    )


def upload(frame: pd.DataFrame, *, parquet: bool = False) -> SimpleUploadedFile:
    """The frame as a browser sends it."""
    out = io.BytesIO()
    if parquet:
        frame.to_parquet(out)
        return SimpleUploadedFile("units.parquet", out.getvalue())
    frame.to_csv(out, index=False)
    return SimpleUploadedFile("units.csv", out.getvalue())


CHOSEN: dict[str, Any] = {
    "unit": "user_id",
    "variant": "variant",
    "control": "control",
    "date": "day",
    "expected": "",
    "view": "sequential",
    "correction": "holm",
    "alpha": "0.05",
    "min_days": "7",
    "min_units": "150",
    "mde": "",
    "segments": ["region"],
    "m0-name": "bought",
    "m0-column": "bought",
    "m0-kind": "proportion",
    "m1-name": "",
    "m1-column": "revenue",
    "m1-kind": "revenue",
    "m1-covariate": "pre_revenue",
    "m1-role": "guardrail",
    "m1-margin": "2",
    "m2-name": "",
    "m2-column": "",
    "m2-kind": "",
}


@pytest.fixture
def browser(ana: User, client_of: Callable[[User], Client]) -> Client:
    """Analysts change nothing, but they may analyse."""
    return client_of(ana)


def test_columns_are_guessed_from_names_and_values(tmp_path: Path) -> None:
    path = tmp_path / "units.csv"
    units().to_csv(path, index=False)
    columns = columns_look(path)
    found = guess(columns)
    assert (found.unit, found.variant, found.control, found.date) == ("user_id", "variant", "control", "day")
    assert found.segments == ("region",)
    kinds = {one.name: (one.kind, one.covariate) for one in found.metrics}
    assert kinds == {
        "bought": ("proportion", None),
        "revenue": ("revenue", "pre_revenue"),
        "clicks": ("mean", None),
    }
    assert not is_summary(columns)


def test_the_guess_fills_the_form_and_choices_stay(browser: Client) -> None:
    page = browser.get("/experiments/files/").content.decode()
    assert "Nothing of it is stored" in page
    answer = browser.post(COLUMNS, {"file": upload(units())}, headers=HTMX).content.decode()
    assert re.search(r'<option value="user_id" selected>', answer)
    assert re.search(r'<option value="revenue" selected>', answer)
    again = {**CHOSEN, "file": upload(units()), "more": "1", "expected": "control=0.6,bold=0.4"}
    kept = browser.post(COLUMNS, again, headers=HTMX).content.decode()
    assert "control=0.6,bold=0.4" in kept
    assert "m3-kind" in kept


@pytest.mark.parametrize("parquet", [False, True])
def test_a_file_is_judged_as_an_experiment_is(browser: Client, parquet: bool) -> None:
    answer = browser.post(RESULTS, {**CHOSEN, "file": upload(units(), parquet=parquet)}, headers=HTMX)
    text = answer.content.decode()
    assert "bought is better with bold" in text
    assert "What would change our mind" in text
    assert "CUPED took" in text
    assert "Region" in text
    assert "The split is as planned" in text
    assert "figure-so-far" in text
    whole = re.search(r'href="data:application/json;base64,([^"]+)" download="analysis.json"', text)
    assert whole is not None
    assert json.loads(base64.b64decode(whole[1]))["verdict"]["action"] == "ship"
    table = re.search(r'href="data:application/vnd.apache.parquet;base64,([^"]+)"', text)
    assert table is not None
    stored = pq.read_table(io.BytesIO(base64.b64decode(table[1]))).to_pylist()
    assert [row["metric"] for row in stored] == ["bought", "revenue"]


def test_nothing_is_kept(browser: Client, tmp_path: Path, settings: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    settings.MEDIA_ROOT = str(tmp_path / "media")
    with CaptureQueriesContext(connection) as asked:
        assert browser.post(RESULTS, {**CHOSEN, "file": upload(units())}, headers=HTMX).status_code == 200
    assert not [one["sql"] for one in asked if re.match(r"INSERT|UPDATE|DELETE|COPY", one["sql"])]
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"unit": ""}, "This field is required."),
        ({"expected": "control=0.5,bold=0.9"}, "make them sum to 1"),
        ({"expected": "bold=1.0"}, "Name the control too"),
        ({"m0-kind": "ratio"}, "A ratio needs a second column."),
        ({"m0-column": "clicks"}, "a proportion takes 0 and 1"),
        ({"control": "nobody"}, "Select a valid choice"),
        ({"m0-kind": "", "m1-kind": ""}, "Name at least one metric"),
        ({"unit": "variant"}, "need two columns"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(browser: Client, change: dict[str, str], words: str) -> None:
    answer = browser.post(RESULTS, {**CHOSEN, **change, "file": upload(units(200))}, headers=HTMX)
    assert answer.status_code == 200
    assert answer["HX-Retarget"] == "#file-mapping"
    assert words in answer.content.decode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "The file is empty."),
        (b"user_id,variant\n", "no rows below its header"),
        (b"\x00\x01\x02\x03\n", "Save it as CSV in UTF-8"),
        (b"a,a\n1,2\n", "several columns of this name"),
    ],
)
def test_files_that_are_none_are_refused(browser: Client, content: bytes, words: str) -> None:
    file = SimpleUploadedFile("units.csv", content)
    assert words in browser.post(COLUMNS, {"file": file}, headers=HTMX).content.decode()


def test_summaries_are_known_by_their_columns(browser: Client) -> None:
    row = {"count_c": 5000, "count_t": 5000, "mean_c": 0.2, "mean_t": 0.25}
    row |= {"variance_c": 0.16, "variance_t": 0.1875}
    frame = pd.DataFrame([{"experiment_id": one, "metric_id": "m", **row} for one in ("e1", "e2")])
    answer = browser.post(COLUMNS, {"file": upload(frame)}, headers=HTMX).content.decode()
    assert "not single units" in answer
    assert "Which experiment" in answer
    chosen = {name: value for name, value in CHOSEN.items() if not name.startswith("m0") and name[0] != "m"}
    chosen |= {"experiment": "e2", "control": "control", "min_days": "0", "min_units": "0"}
    answer = browser.post(RESULTS, {**chosen, "file": upload(frame)}, headers=HTMX).content.decode()
    assert "is better with treatment" in answer


def test_a_visit_without_a_file_leads_to_the_page(browser: Client) -> None:
    assert browser.get(RESULTS).status_code == 302
    assert "Choose a file first." in browser.post(COLUMNS, {}, headers=HTMX).content.decode()
