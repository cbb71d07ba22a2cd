"""How far bad data move lists, and how many shoppers are flagged, on Online Retail.

    python -m tests.benchmarks.robustness [--family ease] [--share 0.1] [--preset full] [--no-curves]

Prints one JSON object as its last line: "honest" (real customers flagged), "attacks" (recall and precision by
kind and size, means over two seeds) and "curves" (NDCG@10 by family, damage and share, last 30 days as the
test). Needs the shared data (see tests.benchmarks.models.windows).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from apps.ml.attacks import ATTACK_KINDS, Attack, attack_plant
from apps.ml.base import Progress, TrainOptions
from apps.ml.dataset import Dataset
from apps.ml.protocols import split_last_days
from apps.ml.registry import FAMILIES
from apps.ml.robustness import robustness_curves
from apps.ml.shilling import shilling_flags
from tests.benchmarks.models.windows import RETAIL_FILE, online_retail, shared_data

DEFAULT = ("popular", "personal", "item_knn", "als", "ease")
SIZES = ((8, 7.0, 0.0), (15, 7.0, 0.0), (40, 30.0, 0.0), (40, 7.0, 30.0))
"""Bots, days they take to appear, days they lie asleep before."""
SEEDS = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Flags first, then the curves."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.robustness", description=__doc__)
    parser.add_argument("--family", action="append", choices=sorted(FAMILIES))
    parser.add_argument("--share", action="append", type=float)
    parser.add_argument("--preset", default="full")
    parser.add_argument("--no-curves", action="store_true")
    given = parser.parse_args(arguments)
    dataset = online_retail(shared_data() / RETAIL_FILE)
    found: dict[str, Any] = {"honest": honest(dataset), "attacks": attacks(dataset)}
    if not given.no_curves:
        families = given.family or DEFAULT
        found["curves"] = robustness_curves(
            split_last_days(dataset, 30),
            families,
            shares=given.share or (0.1, 0.3),
            configs={family: {"preset": given.preset} for family in families},
            options=TrainOptions(on_progress=_show),
        ).to_dict()
    print(json.dumps(found, allow_nan=False))
    return 0


def honest(dataset: Dataset) -> dict[str, Any]:
    """Real customers under suspicion; seconds are CPU seconds."""
    started = time.process_time()
    flags = shilling_flags(dataset)
    return flags.to_dict() | {"cpu_seconds": round(time.process_time() - started, 2)}


def attacks(dataset: Dataset) -> list[dict[str, Any]]:
    """Bots of each kind among the real customers."""
    rows = []
    for kind in ATTACK_KINDS:
        for bots, days, asleep in SIZES:
            recalls, precisions = [], []
            for seed in range(SEEDS):
                planted = attack_plant(dataset, Attack(kind, bots, 12, days, asleep_days=asleep), seed)
                users = shilling_flags(planted.dataset).users
                hits = len(np.intersect1d(users, planted.bots))
                recalls.append(hits / bots)
                precisions.append(hits / len(users) if len(users) else None)
            told = [value for value in precisions if value is not None]
            rows.append(
                {
                    "kind": kind,
                    "bots": bots,
                    "days": days,
                    "asleep_days": asleep,
                    "recall": round(float(np.mean(recalls)), 4),
                    "precision": round(float(np.mean(told)), 4) if told else None,
                }
            )
            print(rows[-1], file=sys.stderr)
    return rows


def _show(progress: Progress) -> None:
    print(f"{progress.fraction:4.0%} {progress.stage} {progress.message}", file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
