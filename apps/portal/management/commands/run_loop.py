"""`manage.py run_loop --dataset NAME --path PATH`: the whole loop on real data, and what comes out of it."""

import json
import sys
from io import StringIO
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.errors import RecoPortalError
from apps.datasets.services import ADAPTERS
from apps.portal.loop import Loop
from recoportal.client import ApiError


class Command(BaseCommand):
    """Import, snapshot, train, list, publish, serve, measure: in a shop named after the data set."""

    help = (
        "Runs the loop once on a public data set in a shop (database) of its own, and prints counts, figures "
        "of every model and the hybrid, slate latency and seconds by step."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """What to read, where to, what to write."""
        parser.add_argument("--dataset", required=True, choices=sorted(ADAPTERS), help="Which data set.")
        parser.add_argument("--path", required=True, type=Path, help="The data set's file.")
        parser.add_argument(
            "--database", default="", help="Database of the shop. Default: named after the data set."
        )
        parser.add_argument(
            "--lists", type=Path, help="CSV file for each test customer's best 20 by model and protocol."
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object as the last line.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Go through the steps; the first that fails ends the command with its reason."""
        lists: Path | None = options["lists"].expanduser().absolute() if options["lists"] else None
        try:
            outcome = self.run(
                options["dataset"], options["path"].expanduser().absolute(), options["database"], lists
            )
        except RecoPortalError as error:
            raise CommandError(error.message) from error
        except ApiError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(outcome))
        else:
            self.table(outcome)

    def run(self, dataset: str, path: Path, database: str, lists: Path | None) -> dict[str, Any]:
        """The steps in order."""
        loop = Loop(say=self.say)
        with loop.step("import"):
            imported = self.imported(dataset, path, database)
        snapshot = loop.snapshot()
        compared = loop.compare(snapshot, lists)
        loop.publish(compared["hybrid"]["weights"])
        served = loop.serve()
        return {
            "imported": imported,
            **{key: compared[key] for key in ("models", "hybrid", "test_users", "catalogue")},
            **served,
            "seconds": loop.seconds,
        }

    def imported(self, dataset: str, path: Path, database: str) -> dict[str, Any]:
        """What `import_dataset` answers; it makes the shop's database and turns this process to it."""
        answer = StringIO()
        call_command(
            "import_dataset",
            dataset,
            str(path),
            database=database,
            json=True,
            stdout=answer,
            stderr=self.stderr,
        )
        counts: dict[str, Any] = json.loads(answer.getvalue().splitlines()[-1])
        return counts

    def table(self, outcome: dict[str, Any]) -> None:
        """The figures for people."""
        self.stdout.write(f"{'model':10} {'NDCG@10 new':>12} {'all':>8} {'Recall@20 new':>14} {'all':>8}")
        rows = {**outcome["models"], "hybrid": outcome["hybrid"]}
        for name, figures in rows.items():
            new, all_ = figures["new"], figures["all"]
            self.stdout.write(
                f"{name:10} {new['ndcg10']:12.4f} {all_['ndcg10']:8.4f}"
                f" {new['recall20']:14.4f} {all_['recall20']:8.4f}"
            )
        slate = outcome["slate"]
        self.stdout.write(f"slate over HTTP: p50 {slate['p50_ms']} ms, p99 {slate['p99_ms']} ms")

    def say(self, line: str) -> None:
        """Progress goes to stderr: stdout's last line is the answer."""
        self.stderr.write(line, style_func=str)
        sys.stderr.flush()
