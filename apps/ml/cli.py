"""The library from a shell: `python -m apps.ml.cli train …` and `… evaluate …`; the last line is one JSON
object.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from apps.ml.artifacts import manifest_hash
from apps.ml.base import DEVICES, Progress, TrainOptions
from apps.ml.comparison import compare
from apps.ml.configs import PRESETS
from apps.ml.dataset import Dataset
from apps.ml.errors import MLError
from apps.ml.registry import FAMILIES, STANDARD
from apps.ml.train import train


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; 0 when it worked, 1 with a message on stderr when it did not."""
    given = _parser().parse_args(arguments)
    options = TrainOptions(device=given.device, seed=given.seed, threads=given.threads, on_progress=_show)
    try:
        dataset = Dataset.from_snapshot(given.snapshot)
        answer = (
            _train(given, dataset, options)
            if given.command == "train"
            else _evaluate(given, dataset, options)
        )
    except MLError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(answer, sort_keys=True))
    return 0


def _train(given: argparse.Namespace, dataset: Dataset, options: TrainOptions) -> dict[str, Any]:
    model = train(given.family, {"preset": given.preset, **json.loads(given.config)}, dataset, options)
    model.save(given.out)
    return {"family": given.family, "out": given.out, "manifest": manifest_hash(given.out), **model.metrics}


def _evaluate(given: argparse.Namespace, dataset: Dataset, options: TrainOptions) -> dict[str, Any]:
    families = given.family or list(STANDARD)
    found = compare(
        dataset,
        test_days=given.days,
        validation_days=given.days,
        configs={name: {"preset": given.preset} for name in families},
        families=families,
        options=options,
    )
    return found.to_dict()


def _show(progress: Progress) -> None:
    figure = "" if progress.metric is None else f" {progress.message} {progress.metric:.5f}"
    print(
        f"{progress.fraction:4.0%} {progress.stage} {'' if figure else progress.message}{figure}",
        file=sys.stderr,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m apps.ml.cli", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("train", help="fit one family on a snapshot and write its artifact folder")
    one.add_argument("--family", required=True, choices=sorted(FAMILIES))
    one.add_argument("--config", default="{}", help="settings over the preset, as a JSON object")
    one.add_argument("--out", required=True, help="folder to write")
    several = commands.add_parser(
        "evaluate", help="compare families and their hybrid on the last days of a snapshot"
    )
    several.add_argument(
        "--family", action="append", choices=sorted(FAMILIES), help="repeatable; default: the standard ones"
    )
    several.add_argument(
        "--days", type=float, default=30, help="length of the test and of the validation window"
    )
    for command in (one, several):
        command.add_argument("--snapshot", required=True, help="snapshot folder")
        command.add_argument("--preset", default="full", choices=PRESETS)
        command.add_argument("--device", default="auto", choices=DEVICES)
        command.add_argument("--seed", type=int, default=0)
        command.add_argument("--threads", type=int, default=1)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
