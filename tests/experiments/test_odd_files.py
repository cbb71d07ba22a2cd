"""Whatever a file holds, the answer is a result without NaN or an error that says what to do."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from apps.core.errors import InvalidInput
from apps.experiments.file_reports import report_json, report_text
from apps.experiments.results import analysis_read
from apps.experiments.unit_files import FileOptions, analyse_file, metric_parse

VALUES = (0, 1, -1, 0.5, 1e99, -1e99, 1e-308, 1e50, np.nan, 3, 1000, 1e15)
METRICS = (
    "bought:proportion",
    "value:mean",
    "spent:revenue",
    "ctr:ratio=value/views",
    "seconds:quantile=0.5",
)


def odd(rng: np.random.Generator) -> tuple[pd.DataFrame, FileOptions]:
    """A small file of few, huge, tiny, missing and equal values, and options at random."""
    n = int(rng.choice([2, 3, 5, 10, 40, 300]))
    pool = rng.choice(VALUES, size=int(rng.integers(1, 5)))
    frame = pd.DataFrame(
        {
            "user": rng.integers(0, n * int(rng.choice([1, 10, 100])), n),
            "group": rng.choice(list("ABC")[: int(rng.integers(2, 4))], n),
            "bought": rng.integers(0, 2, n) * int(rng.integers(0, 2)),
            "value": rng.choice(pool, n),
            "spent": rng.choice(pool, n),
            "views": np.abs(rng.choice(pool, n)),
            "before": rng.choice(pool, n),
            "seconds": rng.choice(pool, n),
            "device": rng.choice(["phone", "desk"], n),
            "day": rng.integers(1, int(rng.integers(2, 20)), n),
        }
    )
    metrics = [metric_parse(text) for text in METRICS]
    metrics[1] = replace(metrics[1], covariate="before")
    metrics[2] = replace(metrics[2], margin=0.05 if rng.random() < 0.5 else None)
    metrics[0] = replace(metrics[0], higher_is_better=bool(rng.random() < 0.7))
    view = ("sequential", "fixed", "bayes")[int(rng.integers(3))]
    options = FileOptions(
        unit="user",
        variant="group",
        control="A",
        metrics=tuple(metrics),
        segments=("device",) if rng.random() < 0.6 else (),
        date="day" if rng.random() < 0.6 else "",
        min_units=int(rng.choice([0, 150])),
        min_days=0,
        mde=0.1 if rng.random() < 0.5 else None,
        planned_days=3 if rng.random() < 0.5 else None,
        prior_sd=0.3 if rng.random() < 0.5 else None,
    )
    return frame, replace(
        options, view="fixed" if view == "fixed" else "bayes" if view == "bayes" else "sequential"
    )


@pytest.mark.parametrize("seed", range(6))
def test_no_file_ends_in_nan_or_a_traceback(seed: int) -> None:
    rng = np.random.default_rng(seed)
    judged, refused = 0, set()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _round in range(20):
            frame, options = odd(rng)
            try:
                done = analyse_file(frame, options)
            except InvalidInput as error:
                refused.add(error.field)
                continue
            json.dumps(report_json(done, path=True), allow_nan=False)
            assert report_text("", done)
            stored = json.loads(json.dumps(done.analysis.as_json(), allow_nan=False))
            assert analysis_read(stored).as_json() == done.analysis.as_json()
            judged += 1

    assert judged >= 8
    assert refused <= {"variant", "control", "covariate", "unit"}
