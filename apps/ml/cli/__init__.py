"""The library from a shell: `python -m apps.ml.cli train | evaluate | classify-images …`.

Progress and warnings go to stderr; the last line of stdout is one JSON object. Exit code 1, with a message on
stderr, where something cannot be done.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from apps.ml.cli import files, images, snapshots
from apps.ml.errors import InvalidValue, MLError

Command = Callable[[argparse.Namespace], dict[str, Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; 0 when it worked, 1 with a message on stderr when it did not."""
    given = _parser().parse_args(arguments)
    try:
        answer = _command(given)(given)
    except MLError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for warning in answer.get("warnings", ()):
        print(f"warning: {warning}", file=sys.stderr)
    print(json.dumps(answer, sort_keys=True, allow_nan=False, ensure_ascii=False))
    return 0


def _command(given: argparse.Namespace) -> Command:
    """What to run; "evaluate" depends on which data was named."""
    if given.command != "evaluate":
        command: Command = given.run
        return command
    named = [name for name in ("snapshot", "sequences", "train") if getattr(given, name)]
    if len(named) != 1:
        raise InvalidValue(
            "evaluate",
            " ".join(named),
            "Give one of --snapshot DIR, --sequences FILE, --train FILE --test FILE.",
        )
    if (given.test is None) != (given.train is None):
        raise InvalidValue("test", given.test, "--train FILE and --test FILE go together.")
    return {
        "snapshot": snapshots.evaluate,
        "sequences": files.evaluate_sequences,
        "train": files.evaluate_given,
    }[named[0]]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m apps.ml.cli", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train", help="fit one family on a snapshot and write its artifact folder")
    snapshots.train_arguments(train)
    evaluate = commands.add_parser(
        "evaluate",
        help="choose, tune and judge on a snapshot, a file of sequences, or a train and a test file",
    )
    snapshots.evaluate_arguments(evaluate)
    files.evaluate_arguments(evaluate)
    files.sessions_arguments(
        commands.add_parser("sessions", help="predict the next item of every prefix of every test session")
    )
    files.rules_arguments(commands.add_parser("rules", help="association rules of a file of baskets"))
    images.classify_arguments(
        commands.add_parser("classify-images", help="class of product pictures, from folders of examples")
    )
    return parser
