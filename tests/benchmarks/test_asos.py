"""The ASOS benchmark: what it reads, what it makes up, and that its page tells what it measures."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from tests.benchmarks.experiments import asos
from tests.benchmarks.experiments.asos_page import page_text
from tests.factories.datasets import shared_file


def frame(looks: int = 30, experiment: str = "e1", effect: float = 0.0) -> pd.DataFrame:
    """A conversion metric whose units and rate grow."""
    step = np.arange(1, looks + 1)
    rate = 0.1 + 0.002 * step
    return pd.DataFrame(
        {
            "experiment_id": experiment,
            "variant_id": 1,
            "metric_id": 1,
            "time_since_start": step / 2,
            "count_c": 5_000 * step,
            "count_t": 5_100 * step,
            "mean_c": rate,
            "mean_t": rate + effect,
            "variance_c": rate * (1 - rate),
            "variance_t": rate * (1 - rate),
        }
    )


def test_snapshots_without_units_or_spread_and_lone_ones_are_left_out() -> None:
    whole = frame(6)
    whole.loc[0, "count_t"] = 0
    whole.loc[1, "variance_c"] = np.nan
    whole.loc[2, "variance_t"] = 0.0
    (one,) = asos.series_of(pd.concat([whole.iloc[::-1], frame(1, "e2")]))

    assert one.key == ("e1", 1, 1)
    assert one.n[0].tolist() == [20_000, 25_000, 30_000]
    assert one.units[-1] == 60_600


def test_made_experiments_have_the_files_errors_and_totals_that_grow_independently() -> None:
    (one,) = asos.series_of(frame())
    paths = asos.null_paths(one, np.random.default_rng(1), 20_000)
    totals = paths * one.n[0]

    assert paths.std(axis=0) == pytest.approx(one.error, rel=0.03)
    assert np.corrcoef(totals[:, 5], totals[:, 20] - totals[:, 5])[0, 1] == pytest.approx(0, abs=0.03)


def test_a_clear_effect_is_declared_by_all_ways_and_nothing_by_none() -> None:
    (same,), (apart,) = asos.series_of(frame()), asos.series_of(frame(effect=0.05))
    judgements = [asos.judged(one, one.mean[1] - one.mean[0], one.error) for one in (same, apart)]
    found = asos.real([same, apart], judgements)

    assert found["significant_at_last"] == 1
    assert {way: row["declared"] for way, row in found["ways"].items()} == {
        "fixed": 1,
        "default": 1,
        "planned": 1,
    }


@pytest.mark.real_data
def test_the_page_holds_what_is_measured() -> None:
    """Also the claim itself: peeking inflates the usual test, and the sequence holds."""
    found = asos.measured(shared_file("asos-experiments", "experiments.csv.gz"))
    rates = found["aa"]["false_alarms"]
    written = asos.PAGE.read_text(encoding="utf-8")
    date = re.search(r"Run on\s(\d{4}-\d\d-\d\d);", written)
    assert date is not None

    assert rates["once"] == pytest.approx(0.05, abs=0.004)
    assert rates["fixed"] > 0.2
    assert max(rates["default"], rates["planned"]) <= asos.ALPHA
    assert page_text(found, date[1]) == written
