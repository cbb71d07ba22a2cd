"""Commands on plain text files: sequences, train and test lists, sessions, baskets."""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace
from typing import Any

from apps.ml.association_rules import Rule, rules
from apps.ml.base import TrainOptions
from apps.ml.cli.snapshots import options_of, run_arguments
from apps.ml.file_protocols import default_threads, given_split, leave_one_out, session_split
from apps.ml.text_files import baskets_read, event_lists_read, sessions_read

ORDERS = ("lift", "confidence", "support")


def evaluate_sequences(given: argparse.Namespace) -> dict[str, Any]:
    """Leave-one-out on a file of sequences."""
    begun = time.monotonic()
    lists = event_lists_read(given.sequences, "sequences")
    return leave_one_out(lists, given.budget_seconds, _options(given), begun)


def evaluate_given(given: argparse.Namespace) -> dict[str, Any]:
    """A train file judged by a test file."""
    begun = time.monotonic()
    train, test = event_lists_read(given.train, "train"), event_lists_read(given.test, "test")
    return given_split(train, test, given.budget_seconds, _options(given), begun)


def sessions(given: argparse.Namespace) -> dict[str, Any]:
    """Next items of sessions."""
    begun = time.monotonic()
    train, test = sessions_read(given.train, "train"), sessions_read(given.test, "test")
    return session_split(train, test, given.budget_seconds, _options(given), begun)


def evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `evaluate` on files."""
    parser.add_argument("--sequences", metavar="FILE", help="lines `user item item …`: leave-one-out")
    parser.add_argument("--train", metavar="FILE", help="lines `user item item …`, in any order")
    parser.add_argument("--test", metavar="FILE", help="what the same users chose later or elsewhere")
    file_arguments(parser)


def sessions_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `sessions`."""
    parser.add_argument("--train", metavar="FILE", required=True, help="one session a line, items in order")
    parser.add_argument("--test", metavar="FILE", required=True, help="one session a line, items in order")
    run_arguments(parser)
    file_arguments(parser)
    parser.set_defaults(run=sessions)


def file_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of every command that chooses within a budget."""
    parser.add_argument(
        "--budget-seconds",
        type=_seconds,
        help="seconds for all of it; default: 600 (sequences 900) to 1,800, by the events of the file",
    )
    parser.add_argument("--json", action="store_true", help="the answer as one JSON line (always so)")


def rules_of(given: argparse.Namespace) -> dict[str, Any]:
    """Association rules of a file of baskets."""
    baskets, names, warnings = baskets_read(given.baskets, "baskets")
    found = rules(
        baskets,
        min_support=given.min_support,
        min_confidence=given.min_confidence,
        min_length=given.min_length,
        longest=given.max_length,
    )
    ordered = sorted(found, key=lambda rule: -getattr(rule, given.sort))
    said = [*warnings]
    if not found:
        said.append("No rule reaches the thresholds; lower --min-support or --min-confidence.")
    return {
        "rules": len(found),
        "top": [_rule_shown(rule, names) for rule in ordered[: given.top]],
        "baskets": baskets.shape[0],
        "items": baskets.shape[1],
        "sorted_by": given.sort,
        "warnings": said,
    }


def rules_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `rules`; thresholds stay text, so that 0.1 is a tenth and not its binary neighbour."""
    parser.add_argument("--baskets", metavar="FILE", required=True, help="one basket a line, items by commas")
    parser.add_argument("--min-support", required=True, help="share of all baskets, 0 to 1, inclusive")
    parser.add_argument("--min-confidence", required=True, help="0 to 1, inclusive")
    parser.add_argument("--min-length", type=int, default=2, help="fewest items of both sides; default 2")
    parser.add_argument("--max-length", type=int, default=10, help="most items of both sides; default 10")
    parser.add_argument("--top", type=int, default=20, help="how many rules to show; default 20")
    parser.add_argument("--sort", choices=ORDERS, default="lift", help="order of the rules shown")
    parser.add_argument("--json", action="store_true", help="the answer as one JSON line (always so)")
    parser.set_defaults(run=rules_of)


def _rule_shown(rule: Rule, names: list[str]) -> dict[str, Any]:
    return {
        "antecedent": [names[item] for item in rule.antecedent],
        "consequent": names[rule.consequent],
        "support": rule.support,
        "confidence": rule.confidence,
        "lift": rule.lift,
        "count": rule.count,
    }


def _options(given: argparse.Namespace) -> TrainOptions:
    """As given; all processors unless told otherwise."""
    return replace(options_of(given), threads=given.threads or default_threads())


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 < value < math.inf):
        raise argparse.ArgumentTypeError(f"{text!r}: give a number of seconds above 0")
    return value
