"""Commands on folders of pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from apps.ml.cli.snapshots import options_of, run_arguments
from apps.ml.image_classes import folders_classify


def classify(given: argparse.Namespace) -> dict[str, Any]:
    """Accuracy of a head trained on one folder of classes and judged on another."""
    return folders_classify(Path(given.train), Path(given.test), options_of(given))


def classify_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `classify-images`."""
    parser.add_argument("--train", required=True, metavar="DIR", help="folder with one folder per class")
    parser.add_argument("--test", required=True, metavar="DIR", help="the same, for judging")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line (always so)")
    run_arguments(parser)
    parser.set_defaults(run=classify)
