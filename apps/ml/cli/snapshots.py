"""Commands on snapshot folders: train one family, compare several."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from apps.ml.artifacts import manifest_hash
from apps.ml.base import DEVICES, Progress, TrainOptions
from apps.ml.comparison import compare
from apps.ml.configs import PRESETS
from apps.ml.dataset import Dataset
from apps.ml.errors import InvalidValue
from apps.ml.registry import FAMILIES, STANDARD
from apps.ml.train import train as train_family


def train(given: argparse.Namespace) -> dict[str, Any]:
    """Fits one family and writes its folder: its name, metrics and manifest hash."""
    try:
        config = json.loads(given.config)
    except json.JSONDecodeError:
        raise InvalidValue("config", given.config, "Give a JSON object of settings.") from None
    dataset = Dataset.from_snapshot(given.snapshot)
    model = train_family(given.family, {"preset": given.preset, **config}, dataset, options_of(given))
    model.save(given.out)
    return {"family": given.family, "out": given.out, "manifest": manifest_hash(given.out), **model.metrics}


def evaluate(given: argparse.Namespace) -> dict[str, Any]:
    """Families and their hybrid on the last days of a snapshot."""
    families = given.family or list(STANDARD)
    found = compare(
        Dataset.from_snapshot(given.snapshot),
        test_days=given.days,
        validation_days=given.days,
        configs={name: {"preset": given.preset} for name in families},
        families=families,
        options=options_of(given),
    )
    return found.to_dict()


def train_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `train`."""
    parser.add_argument("--snapshot", required=True, help="snapshot folder")
    parser.add_argument("--family", required=True, choices=sorted(FAMILIES))
    parser.add_argument("--config", default="{}", help="settings over the preset, as a JSON object")
    parser.add_argument("--out", required=True, help="folder to write")
    run_arguments(parser)
    parser.set_defaults(run=train)


def evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `evaluate` on a snapshot."""
    parser.add_argument("--snapshot", help="snapshot folder")
    parser.add_argument(
        "--family",
        action="append",
        choices=sorted(FAMILIES),
        help="snapshots: repeatable; default: the standard ones",
    )
    parser.add_argument(
        "--days", type=float, default=30, help="snapshots: length of the test and of the validation window"
    )
    run_arguments(parser)


def run_arguments(parser: argparse.ArgumentParser) -> None:
    """How to run, as opposed to what."""
    parser.add_argument("--preset", default="full", choices=PRESETS)
    parser.add_argument("--device", default="auto", choices=DEVICES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="default: 1; for files as many as there are")


def options_of(given: argparse.Namespace) -> TrainOptions:
    """Train options of the command line; progress goes to stderr."""
    return TrainOptions(device=given.device, seed=given.seed, threads=given.threads or 1, on_progress=_show)


def _show(progress: Progress) -> None:
    figure = "" if progress.metric is None else f" {progress.message} {progress.metric:.5f}"
    print(
        f"{progress.fraction:4.0%} {progress.stage} {'' if figure else progress.message}{figure}",
        file=sys.stderr,
    )
