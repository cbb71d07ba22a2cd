"""`manage.py analyze_experiment`: one JSON object in the promised shape, from units, summaries and ASOS."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from scipy import stats

from recoportal.env import BASE_DIR
from tests.experiments.made_units import summary_of, units
from tests.factories.datasets import shared_file

COLUMNS = ("--unit", "user", "--variant", "group", "--control", "A")
BOUGHT = ("--metric", "bought:proportion")


def run(path: Path, *arguments: str) -> Any:
    """The JSON of one run, which must hold no NaN."""
    out = StringIO()
    call_command("analyze_experiment", "--csv", str(path), *arguments, "--json", stdout=out)

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} in the JSON")

    return json.loads(out.getvalue().splitlines()[-1], parse_constant=refuse)


def refused(path: Path, *arguments: str) -> str:
    """The message of a run that can't be."""
    with pytest.raises(CommandError) as caught:
        call_command("analyze_experiment", "--csv", str(path), *arguments, stdout=StringIO())
    return str(caught.value)


@pytest.fixture
def made(tmp_path: Path) -> tuple[pd.DataFrame, Path]:
    """A file of units with a true lift."""
    frame = units(8000, lift=0.3)
    path = tmp_path / "units.csv"
    frame.to_csv(path, index=False)
    return frame, path


def test_the_json_has_the_promised_keys(made: tuple[pd.DataFrame, Path]) -> None:
    frame, path = made

    told = run(
        path, *COLUMNS, *BOUGHT, "--metric", "spent:revenue", "--metric", "value:mean", "--metric",
        "ctr:ratio=clicks/views", "--metric", "seconds:quantile=0.5", "--expected", "A=0.5,B=0.5",
        "--segment", "device", "--date", "day", "--covariate", "value=before",
    )  # fmt: skip

    assert {"srm", "metrics", "verdict", "warnings"} <= set(told)
    assert {"p", "alarm"} <= set(told["srm"])
    assert told["srm"]["alarm"] == "none"
    assert list(told["metrics"]) == ["bought", "spent", "value", "ctr", "seconds"]
    for metric in told["metrics"].values():
        assert {
            "control", "treatment", "difference", "interval", "relative", "p", "sequential", "bayes"
        } <= set(metric)  # fmt: skip
        assert {"low", "high", "p"} <= set(metric["sequential"])
        assert {"chance_to_win", "expected_loss", "low", "high"} <= set(metric["bayes"])
        assert metric["interval"][0] < metric["difference"] < metric["interval"][1]
    a, b = (frame[frame.group == name] for name in "AB")
    bought = told["metrics"]["bought"]
    welch = stats.ttest_ind(b.bought, a.bought, equal_var=False)
    assert bought["p"] == pytest.approx(welch.pvalue)
    assert bought["control"] == pytest.approx(a.bought.mean())
    assert bought["relative"] == pytest.approx(b.bought.mean() / a.bought.mean() - 1)
    assert bought["sequential"]["first_clear_day"] <= 14
    assert told["verdict"] == "ship"
    assert told["variant"] == "B"
    assert told["metrics"]["spent"]["winsorised"]["percentile"] == 0.99
    assert told["metrics"]["value"]["cuped"]
    assert told["metrics"]["value"]["unadjusted"]["difference"]["p"] == pytest.approx(
        stats.ttest_ind(b.value, a.value, equal_var=False).pvalue
    )
    assert all(isinstance(text, str) for text in told["warnings"])
    assert set(told["segments"]) == {"device:phone", "device:desk"}


def test_no_difference_is_kept_running_and_an_a_a_is_no_alarm(tmp_path: Path) -> None:
    path = tmp_path / "aa.csv"
    units(8000, seed=4).to_csv(path, index=False)

    told = run(path, *COLUMNS, *BOUGHT)

    assert told["verdict"] == "keep_running"
    assert told["metrics"]["bought"]["state"] == "unclear"
    assert run(path, *COLUMNS, *BOUGHT, "--mde", "0.5")["verdict"] == "keep_control"


def test_several_treatments_stand_side_by_side(tmp_path: Path) -> None:
    frame = units(9000, lift=0.4)
    frame.loc[frame.index % 3 == 0, "group"] = "C"
    path = tmp_path / "three.parquet"
    frame.to_parquet(path)

    told = run(path, *COLUMNS, *BOUGHT, "--expected", "A=0.33,B=0.33,C=0.33")

    bought = told["metrics"]["bought"]
    assert set(bought["arms"]) == {"B", "C"}
    assert bought["arms"][told["variant"]]["difference"] == bought["difference"]
    assert sum(bought["chance_to_be_best"].values()) == pytest.approx(1)


def test_guardrails_and_metrics_where_less_is_better(made: tuple[pd.DataFrame, Path]) -> None:
    _frame, path = made
    more = ("--metric", "seconds:mean", "--guardrail", "seconds=0.5", "--lower-is-better", "seconds")

    told = run(path, *COLUMNS, *BOUGHT, *more)

    assert told["metrics"]["seconds"]["role"] == "guardrail"
    assert told["metrics"]["seconds"]["guardrail"]["state"] == "passed"
    worse = run(path, *COLUMNS, *BOUGHT, "--lower-is-better", "bought")
    assert worse["verdict"] == "roll_back"


def test_without_json_it_is_readable(made: tuple[pd.DataFrame, Path]) -> None:
    _frame, path = made
    out = StringIO()

    call_command("analyze_experiment", "--csv", str(path), *COLUMNS, *BOUGHT, stdout=out)

    assert "Verdict: ship B" in out.getvalue()
    assert "bought (primary), B: " in out.getvalue()


def test_a_summary_says_what_its_units_say(made: tuple[pd.DataFrame, Path], tmp_path: Path) -> None:
    frame, path = made
    summary = tmp_path / "summary.csv"
    summary_of(frame, "bought", "value").to_csv(summary, index=False)
    metrics = (*BOUGHT, "--metric", "value:mean")

    whole = run(path, *COLUMNS, *metrics)
    told = run(summary, "--variant", "group", "--control", "A", *metrics, "--summary")

    for name in ("bought", "value"):
        for key in ("control", "treatment", "difference", "p", "relative", "n_control"):
            assert told["metrics"][name][key] == pytest.approx(whole["metrics"][name][key]), (name, key)
    assert told["srm"]["p"] == pytest.approx(whole["srm"]["p"])
    assert told["verdict"] == whole["verdict"]
    every = run(summary, "--variant", "group", "--control", "A", "--summary")
    assert {name: one["kind"] for name, one in every["metrics"].items()} == {
        "bought": "proportion",
        "value": "mean",
    }


def test_a_summary_may_be_written_in_other_words(tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    path.write_text("arm,n,sum\nold,1000,100\nnew,1000,130\n", encoding="utf-8")

    told = run(path, "--variant", "arm", "--control", "old", "--metric", "won:proportion", "--summary")

    welch = stats.ttest_ind_from_stats(
        0.13,
        math.sqrt(0.13 * 0.87 * 1000 / 999),
        1000,
        0.1,
        math.sqrt(0.09 * 1000 / 999),
        1000,
        equal_var=False,
    )
    assert told["metrics"]["won"]["p"] == pytest.approx(welch.pvalue)


@pytest.mark.parametrize("spread", ["sd", "sum_squares"])
def test_a_summary_may_tell_the_spread_otherwise(
    made: tuple[pd.DataFrame, Path], tmp_path: Path, spread: str
) -> None:
    frame, path = made
    groups = frame.groupby("group").value
    told = groups.std() if spread == "sd" else groups.apply(lambda values: (values**2).sum())
    summary = tmp_path / "summary.csv"
    pd.DataFrame({"n": groups.size(), "total": groups.sum(), spread: told}).reset_index().to_csv(
        summary, index=False
    )
    metric = ("--metric", "value:mean")

    found = run(summary, "--variant", "group", "--control", "A", *metric, "--summary")["metrics"]["value"]

    assert found["p"] == pytest.approx(run(path, *COLUMNS, *metric)["metrics"]["value"]["p"], rel=1e-6)


def test_a_ratio_can_come_from_a_summary(made: tuple[pd.DataFrame, Path], tmp_path: Path) -> None:
    frame, path = made
    rows = [
        {
            "group": name,
            "metric": "ctr",
            "count": len(one),
            "mean": one.clicks.mean(),
            "variance": one.clicks.var(),
            "mean_denominator": one.views.mean(),
            "variance_denominator": one.views.var(),
            "covariance": np.cov(one.clicks, one.views)[0, 1],
        }
        for name, one in frame.groupby("group")
    ]
    summary = tmp_path / "ratio.csv"
    pd.DataFrame(rows).to_csv(summary, index=False)
    metric = ("--metric", "ctr:ratio=clicks/views")

    told = run(summary, "--variant", "group", "--control", "A", *metric, "--summary")

    assert told["metrics"]["ctr"]["p"] == pytest.approx(run(path, *COLUMNS, *metric)["metrics"]["ctr"]["p"])


def test_cumulative_summaries_give_a_path(tmp_path: Path) -> None:
    frame = units(8000, lift=0.3)
    parts = [
        summary_of(frame[frame.day <= day], "bought").assign(day=day) for day in sorted(frame.day.unique())
    ]
    path = tmp_path / "days.csv"
    pd.concat(parts).to_csv(path, index=False)

    told = run(path, "--variant", "group", "--control", "A", *BOUGHT, "--summary", "--path")

    assert told["days"] == 14
    assert [one["day"] for one in told["path"]["bought"]] == list(range(1, 15))
    assert told["path"]["bought"][-1]["value"] == pytest.approx(told["metrics"]["bought"]["relative"])
    assert told["metrics"]["bought"]["n_control"] == (frame.group == "A").sum()


def asos(*rows: tuple[str, int, int, float, int, int, float, float]) -> pd.DataFrame:
    """Side by side summaries of proportions: experiment, variant, metric, time, counts, means."""
    names = [
        "experiment_id",
        "variant_id",
        "metric_id",
        "time_since_start",
        "count_c",
        "count_t",
        "mean_c",
        "mean_t",
    ]
    frame = pd.DataFrame(rows, columns=names)
    for arm in "ct":
        frame[f"variance_{arm}"] = frame[f"mean_{arm}"] * (1 - frame[f"mean_{arm}"])
    return frame


def test_side_by_side_summaries_are_read_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "asos.csv.gz"
    asos(
        ("x", 1, 1, 5.0, 5000, 5000, 0.10, 0.12),
        ("x", 1, 1, 10.0, 10_000, 10_000, 0.10, 0.12),
        ("x", 2, 1, 10.0, 10_000, 10_000, 0.10, 0.10),
        ("y", 1, 1, 10.0, 10_000, 11_500, 0.10, 0.10),
    ).to_csv(path, index=False)

    told = run(path, "--summary", "--experiment", "x")
    both = run(path, "--summary")

    metric = told["metrics"]["1"]
    assert (metric["kind"], metric["variant"], metric["n_control"]) == ("proportion", "1", 10_000)
    assert set(metric["arms"]) == {"1", "2"}
    assert told["verdict"] == "ship"
    assert told["days"] == 10
    assert set(both["experiments"]) == {"x", "y"}
    assert both["experiments"]["x"] == told
    assert both["experiments"]["y"]["verdict"] == "blocked"
    assert both["srm"]["alarm"] == "blocked"
    assert "no such experiment" in refused(path, "--summary", "--experiment", "z")


@pytest.mark.real_data
def test_the_asos_experiments_are_analysed() -> None:
    path = shared_file("asos-experiments", "experiments.csv.gz")
    frame = pd.read_csv(path)
    one = (
        frame[(frame.experiment_id == "036afc") & (frame.metric_id == 1)]
        .sort_values("time_since_start")
        .iloc[-1]
    )

    told = run(path, "--summary", "--experiment", "036afc", "--metric", "1:proportion")

    metric = told["metrics"]["1"]
    z = (one.mean_t - one.mean_c) / math.sqrt(one.variance_t / one.count_t + one.variance_c / one.count_c)
    assert metric["p"] == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-4)
    assert metric["control"] == pytest.approx(one.mean_c)
    assert told["days"] == pytest.approx(one.time_since_start)
    assert told["srm"]["p"] == pytest.approx(stats.chisquare([one.count_c, one.count_t]).pvalue)


@pytest.mark.parametrize(
    ("text", "arguments", "words"),
    [
        ("group,metric,count,mean\nA,x,10,0.1\nB,x,10,0.2\n", ("--metric", "x:mean"), "without a variance"),
        (
            "group,metric,count,mean,variance\nA,x,10,0.1,1\nB,x,10,0.2,1\n",
            ("--metric", "y:mean"),
            "It has: x.",
        ),
        (
            "group,metric,count,mean,variance\nA,x,10,0.1,1\nA,x,10,0.2,1\n",
            ("--metric", "x:mean"),
            "Two rows",
        ),
        ("group,metric,count,mean,variance\nA,x,10,0.1,1\n", ("--metric", "x:mean"), "this one variant only"),
        (
            "group,metric,count,mean,variance\nA,x,10,0.1,-1\nB,x,10,0.2,1\n",
            ("--metric", "x:mean"),
            "variance = -1",
        ),
        (
            "group,metric,count,mean,variance\nA,x,1.5,0.1,1\nB,x,10,0.2,1\n",
            ("--metric", "x:mean"),
            "count = 1.5",
        ),
        (
            "group,metric,count,mean,variance\nA,x,9,3,1\nB,x,10,0.2,1\n",
            ("--metric", "x:proportion"),
            "mean = 3",
        ),
        (
            "group,metric,count,mean,variance\nA,x,,3,1\nB,x,10,0.2,1\n",
            ("--metric", "x:mean"),
            "cell is empty",
        ),
        (
            "group,metric,count,mean,variance\nC,x,9,3,1\nB,x,10,0.2,1\n",
            ("--metric", "x:mean"),
            "It has: B, C",
        ),
        ("group,count\nA,1\n", ("--metric", "x:mean"), "needs a column 'mean'"),
        ("arm,count\nA,1\n", ("--metric", "x:mean"), "no such column"),
        ("group,count,mean,variance\nA,9,1,1\nB,9,1,1\n", ("--metric", "x:quantile=0.5"), "file of units"),
        ("group,count,mean,variance\nA,9,1,1\nB,9,1,1\n", ("--metric", "x:ratio=a/b"), "mean_denominator"),
    ],
)
def test_a_summary_that_cannot_be_used_says_why(
    tmp_path: Path, text: str, arguments: tuple[str, ...], words: str
) -> None:
    path = tmp_path / "summary.csv"
    path.write_text(text, encoding="utf-8")

    assert words in refused(path, "--variant", "group", "--control", "A", "--summary", *arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--metric", "bought:proportions"), "--metric: bought:proportions: 'proportions' is no kind"),
        (("--metric", "seconds:quantile=1.5"), "--metric: seconds:quantile=1.5: Q lies between 0 and 1"),
        ((*BOUGHT, *BOUGHT), "a name of its own"),
        ((*BOUGHT, "--expected", "A=0.6,B=0.6"), "--expected: A=0.6,B=0.6: The shares sum to 1.2"),
        ((*BOUGHT, "--expected", "A=0.5,Z=0.5"), "--expected: "),
        ((*BOUGHT, "--control", "Z"), "--control: Z: The column group holds no such value. It holds: A, B."),
        ((*BOUGHT, "--alpha", "five"), "--alpha: five: Write a number"),
        ((*BOUGHT, "--alpha", "0"), "--alpha: 0.0:"),
        (
            (*BOUGHT, "--covariate", "spent=before"),
            "--covariate: spent: There is no such --metric. There is: bought.",
        ),
        ((*BOUGHT, "--covariate", "before"), "NAME=VALUE"),
        ((*BOUGHT, "--guardrail", "bought=2"), "--guardrail: bought=2: A margin"),
        ((*BOUGHT, "--winsorise", "2"), "--winsorise: 2.0"),
        ((*BOUGHT, "--lower-is-better", "x"), "--lower-is-better: x"),
        ((*BOUGHT, "--mde", "0"), "--mde: 0.0"),
        (
            ("--metric", "seconds:quantile=0.5", "--covariate", "seconds=before"),
            "CUPED does not work on quantiles",
        ),
    ],
)
def test_an_option_that_cannot_be_used_says_why(
    made: tuple[pd.DataFrame, Path], arguments: tuple[str, ...], words: str
) -> None:
    assert words in refused(made[1], *COLUMNS, *arguments)


def test_units_need_their_columns(made: tuple[pd.DataFrame, Path]) -> None:
    assert "--unit: missing" in refused(made[1], "--variant", "group", "--control", "A", *BOUGHT)


def test_it_runs_without_any_server(made: tuple[pd.DataFrame, Path], tmp_path: Path) -> None:
    environ = {
        name: value
        for name, value in os.environ.items()
        if name not in {"DATABASE_URL", "REDIS_URL", "CACHE_URL", "DJANGO_SETTINGS_MODULE"}
    } | {"RECOPORTAL_DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "manage.py", "analyze_experiment", "--csv", str(made[1]), *COLUMNS, "--json"]

    good = subprocess.run(
        [*command, *BOUGHT], cwd=BASE_DIR, env=environ, capture_output=True, text=True, check=False
    )
    bad = subprocess.run(
        [*command, "--metric", "gone:mean"],
        cwd=BASE_DIR,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert good.returncode == 0, good.stderr
    assert json.loads(good.stdout.splitlines()[-1])["verdict"] == "ship"
    assert not any(
        (tmp_path / "data" / name).exists() for name in ("postgres", "valkey-cache", "valkey-broker")
    )
    assert bad.returncode == 1
    assert "Traceback" not in bad.stderr
    assert "--metric: gone" in bad.stderr
    assert json.loads(bad.stdout.splitlines()[-1])["error"]["field"] == "metric"
