"""Full retrain, warm start and fold-in over the last 30 days of Online Retail: quality, seconds, forgetting.

    python -m tests.benchmarks.incremental [--family als] [--days 30] [--preset full]

Prints one JSON object as its last line. Needs the shared data (see tests.benchmarks.models.windows).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from apps.ml.base import Progress, TrainOptions
from apps.ml.incremental import month_simulate
from apps.ml.registry import FAMILIES
from tests.benchmarks.models.windows import RETAIL_FILE, online_retail, shared_data

DEFAULT = ("als", "ease", "item_knn", "personal")
WARM: dict[str, dict[str, Any]] = {"als": {"epochs": 2}, "sasrec": {"epochs": 2}, "gru4rec": {"epochs": 2}}


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the month for each family."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.incremental", description=__doc__)
    parser.add_argument("--family", action="append", choices=sorted(FAMILIES))
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--preset", default="full")
    parser.add_argument("--variant", default="all", choices=("new", "all"))
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    dataset = online_retail(shared_data() / RETAIL_FILE)
    found = {}
    for family in given.family or DEFAULT:
        month = month_simulate(
            dataset,
            family,
            {"preset": given.preset},
            days=given.days,
            variant=given.variant,
            warm_settings=WARM.get(family),
            options=TrainOptions(seed=given.seed, on_progress=_show),
        )
        found[family] = month.to_dict()
        print(_table(family, found[family]), file=sys.stderr)
    print(json.dumps({"preset": given.preset, "families": found}, allow_nan=False))
    return 0


def _show(progress: Progress) -> None:
    print(f"{progress.message or progress.stage} {progress.fraction:4.0%}", file=sys.stderr)


def _table(family: str, month: dict[str, Any]) -> str:
    lines = [f"{family}: {month['judged']} shoppers and days", "| way | NDCG@10 | CPU s | forgotten |"]
    lines.append("|---|---|---|---|")
    for way, one in month["ways"].items():
        low, high = one["intervals"]["ndcg10"]
        lost = one["forgetting"]["lost"][0] if one["forgetting"] else None
        lines.append(
            f"| {way} | {one['ndcg10']:.4f} ({low:.4f} to {high:.4f}) | {one['cpu_seconds']:.1f} | {lost} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
