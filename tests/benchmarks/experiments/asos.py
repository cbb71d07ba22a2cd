"""Peeking at 78 real experiments: the usual test at every snapshot against the always-valid sequence.

    python -m tests.benchmarks.experiments.asos [--data FILE] [--page FILE] [--date YYYY-MM-DD]

Reads the ASOS Digital Experiments file (Liu et al. 2021), writes apps/experiments/PEEKING.md and prints one
JSON object as its last line. Everything but the date is the same each time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from apps.experiments.stats import sequential
from apps.experiments.stats.srm import srm
from tests.benchmarks.experiments.asos_page import page_text

Floats = NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[3]
FILE = Path("asos-experiments") / "experiments.csv.gz"
PAGE = ROOT / "apps" / "experiments" / "PEEKING.md"
ALPHA = 0.05
RUNS = 400
"""A/A experiments made for each series."""
LOOKS = (1, 2, 5, 10, 20, 30, 40, 60)
"""After how many snapshots the chart counts false alarms."""
EVEN = 0.45
"""Comparisons with at least this share of units in the smaller arm are taken to be planned as halves."""


@dataclass(frozen=True)
class Series:
    """One metric of one treatment against control, at each snapshot that can be judged; arrays [looks].

    Figures are cumulative since the start. key: experiment, variant, metric.
    """

    key: tuple[str, int, int]
    n: tuple[Floats, Floats]
    mean: tuple[Floats, Floats]
    variance: tuple[Floats, Floats]

    @property
    def error(self) -> Floats:
        """Standard error of the difference."""
        return np.sqrt(self.variance[0] / self.n[0] + self.variance[1] / self.n[1])

    @property
    def units(self) -> Floats:
        """Units in both arms."""
        return self.n[0] + self.n[1]


@dataclass(frozen=True)
class Judged:
    """p-values at each look by the three ways of looking, arrays [..., looks]."""

    fixed: Floats
    default: Floats
    planned: Floats


def series_of(frame: pd.DataFrame) -> list[Series]:
    """The file's series with at least two snapshots in which both arms have units and a spread."""
    usable = frame[
        (frame[["variance_c", "variance_t"]].min(axis=1, skipna=False) > 0)
        & (frame[["count_c", "count_t"]].min(axis=1) >= 2)
    ].sort_values("time_since_start", kind="stable")
    found = []
    for key, rows in usable.groupby(["experiment_id", "variant_id", "metric_id"], sort=True):
        if len(rows) >= 2:
            c, t = (
                [rows[f"{name}_{arm}"].to_numpy(dtype=np.float64) for name in ("count", "mean", "variance")]
                for arm in ("c", "t")
            )
            experiment, variant, metric = key
            found.append(
                Series(
                    (str(experiment), int(str(variant)), int(str(metric))),
                    (c[0], t[0]),
                    (c[1], t[1]),
                    (c[2], t[2]),
                )
            )
    return found


def judged(one: Series, difference: Floats, error: Floats) -> Judged:
    """Every look judged. difference: [..., looks], of the file or made."""
    k_c, k_t = (
        sequential.effective_events(n, mean, variance)
        for n, mean, variance in zip(one.n, one.mean, one.variance, strict=True)
    )
    binary = one.key[2] == 1
    skew = sequential.assumed_skewness(
        k_c, k_t, one.variance[0] / one.n[0], one.variance[1] / one.n[1], 1.0 if binary else 3.0
    )
    settled = (np.minimum(k_c, k_t) >= sequential.EVENTS_AT_LEAST) & np.isfinite(skew)
    plan = sequential.tuned(float(one.units[-1]))
    p_default, p_planned = (
        sequential.sequence(difference, error, one.units, ALPHA, tuning, skew=skew, settled=settled).p
        for tuning in (sequential.TUNING_N, plan)
    )
    return Judged(2 * special.ndtr(-np.abs(difference) / error), p_default, p_planned)


def null_paths(one: Series, rng: np.random.Generator, runs: int) -> Floats:
    """Differences of A/A experiments with this series' counts and variances: [runs, looks].

    An arm's total to date grows by what its units bring between two snapshots. Its increments are drawn
    normal and independent, with the growth of n x variance as their variance (where that falls, none), so
    that each look has the file's standard error and looks are as dependent as totals are. With hundreds of
    thousands of units a snapshot, normal totals are no approximation to speak of.
    """
    arms = []
    for n, variance in zip(one.n, one.variance, strict=True):
        information = np.maximum.accumulate(n * variance)
        steps = np.sqrt(np.diff(information, prepend=0.0))
        walk = np.cumsum(rng.normal(size=(runs, n.size)) * steps, axis=1) / np.sqrt(information)
        arms.append(walk * np.sqrt(variance / n))
    return np.asarray(arms[1] - arms[0])


def real(all_series: Sequence[Series], judgements: Sequence[Judged]) -> dict[str, Any]:
    """What each way of looking said of the file's own differences."""
    last = np.array([found.fixed[-1] < ALPHA for found in judgements])
    signs = [np.sign(one.mean[1] - one.mean[0]) for one in all_series]
    rows = {}
    for way in ("fixed", "default", "planned"):
        declared, turned = [], 0
        for found, sign in zip(judgements, signs, strict=True):
            at = np.flatnonzero(getattr(found, way) < ALPHA)
            declared.append(at.size > 0)
            turned += bool(at.size and sign[at[0]] != sign[-1])
        ever = np.array(declared)
        rows[way] = {
            "declared": int(ever.sum()),
            "not_held": int((ever & ~last).sum()),
            "not_held_share": round(float((ever & ~last).sum() / max(ever.sum(), 1)), 4),
            "of_flat": round(float(ever[~last].mean()), 4),
            "of_held": round(float(ever[last].mean()), 4),
            "turned": turned,
        }
    return {"series": len(all_series), "significant_at_last": int(last.sum()), "ways": rows}


def made(all_series: Sequence[Series], runs: int) -> dict[str, Any]:
    """False alarms in A/A experiments of the same moments."""
    rng = np.random.default_rng(20_210)
    rates: dict[str, list[float]] = {name: [] for name in ("once", "fixed", "default", "planned")}
    by_looks: dict[str, dict[int, list[float]]] = {
        name: {looks: [] for looks in LOOKS} for name in ("fixed", "default", "planned")
    }
    for one in all_series:
        found = judged(one, null_paths(one, rng, runs), one.error)
        rates["once"].append(float((found.fixed[:, -1] < ALPHA).mean()))
        for way in ("fixed", "default", "planned"):
            away = np.logical_or.accumulate(getattr(found, way) < ALPHA, axis=1).mean(axis=0)
            rates[way].append(float(away[-1]))
            if away.size >= LOOKS[-1]:
                for looks in LOOKS:
                    by_looks[way][looks].append(float(away[looks - 1]))
    return {
        "runs": len(all_series) * runs,
        "runs_each": runs,
        "monte_carlo_error": round(math.sqrt(ALPHA * (1 - ALPHA) / runs), 5),
        "false_alarms": {way: round(float(np.mean(values)), 4) for way, values in rates.items()},
        "worst_series": {way: round(float(np.max(values)), 4) for way, values in rates.items()},
        "long_series": len(by_looks["fixed"][LOOKS[0]]),
        "by_looks": {
            way: {str(looks): round(float(np.mean(values)), 4) for looks, values in looked.items()}
            for way, looked in by_looks.items()
        },
    }


def uneven(frame: pd.DataFrame) -> dict[str, int]:
    """Sample ratios at the last snapshot of the first metric, against halves."""
    last = (
        frame[frame["metric_id"] == 1]
        .sort_values("time_since_start")
        .groupby(["experiment_id", "variant_id"])
    )
    counts = last[["count_c", "count_t"]].last().to_numpy()
    halves = [row for row in counts if min(row) / sum(row) >= EVEN]
    alarms = [srm({"c": int(c), "t": int(t)}, {"c": 0.5, "t": 0.5}).alarm for c, t in halves]
    return {
        "comparisons": len(counts),
        "halves": len(halves),
        "blocked": alarms.count("blocked"),
        "warning": alarms.count("warning"),
    }


def measured(path: Path, runs: int = RUNS) -> dict[str, Any]:
    """All figures of the page."""
    frame = pd.read_csv(path)
    all_series = series_of(frame)
    judgements = [judged(one, one.mean[1] - one.mean[0], one.error) for one in all_series]
    looks = [one.n[0].size for one in all_series]
    return {
        "experiments": int(frame["experiment_id"].nunique()),
        "rows": len(frame),
        "looks_median": int(np.median(looks)),
        "looks_most": int(max(looks)),
        "units_median": int(np.median([one.units[-1] for one in all_series])),
        "real": real(all_series, judgements),
        "aa": made(all_series, runs),
        "srm": uneven(frame),
    }


def data_file() -> Path:
    """Where the public file is on this machine."""
    return Path(os.environ.get("RECOPORTAL_SHARED_DATA", "") or ROOT.parent / "shared" / "data") / FILE


def main() -> None:
    """Measure, write the page, print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=data_file())
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--date", default=datetime.now(UTC).date().isoformat())
    options = parser.parse_args()
    if not options.data.is_file():
        parser.error(
            f"{options.data} is missing; name the data folder in RECOPORTAL_SHARED_DATA, or use --data."
        )
    found = measured(options.data)
    options.page.write_text(page_text(found, options.date), encoding="utf-8")
    print(f"wrote {options.page}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
