"""`manage.py import_dataset NAME PATH`: a public data set into a shop of its own."""

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.errors import RecoPortalError
from apps.datasets.services import ADAPTERS, DatasetImport, dataset_import
from apps.jobs.running import job_running
from apps.jobs.services import job_create
from apps.portal.shops import shop_database_use


class Command(BaseCommand):
    """Load a data set into the database named after it; the demo's shop is never touched."""

    help = (
        "Load a public data set into a shop (database) of its own, named after it unless --database says "
        "otherwise. Loading it again adds nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Name, path and where to."""
        parser.add_argument("name", choices=sorted(ADAPTERS), help="Which data set the file is.")
        parser.add_argument("path", type=Path, help="The data set's file.")
        parser.add_argument(
            "--database", default="", help="Database of the shop. Default: named after the data set."
        )
        parser.add_argument("--json", action="store_true", help="Print one JSON object as the last line.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Switch to the shop, import as a job, print what came in."""
        path: Path = options["path"].expanduser().absolute()
        try:
            database = shop_database_use(options["database"] or options["name"], on_progress=self.say)
            outcome = self.load(options["name"], path)
        except RecoPortalError as error:
            raise CommandError(error.message) from error
        if options["json"]:
            self.stdout.write(json.dumps(outcome.as_json()))
            return
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in outcome.skipped.items()) or "nothing"
        self.stdout.write(
            f"{database}: {outcome.interactions:,} interactions, {outcome.products:,} products and "
            f"{outcome.shoppers:,} shoppers added from {outcome.rows:,} lines in {outcome.seconds:.1f} s; "
            f"left out: {left_out}."
        )
        if outcome.report_path:
            self.stdout.write(f"Every left-out line: {outcome.report_path}")

    def load(self, name: str, path: Path) -> DatasetImport:
        """Import inside a job, so that the portal shows its progress and outcome."""
        job = job_create(
            kind="dataset_import", title=f"Import {name}", params={"name": name, "path": str(path)}
        )
        outcome: DatasetImport | None = None
        with job_running(job_id=job.pk) as running:
            if running is not None:

                def on_progress(stage: str, fraction: float, message: str) -> None:
                    self.say(f"{fraction:4.0%} {stage} {message}")
                    running.progress(stage, fraction, message)

                outcome = dataset_import(name=name, path=path, on_progress=on_progress)
                running.finish(outcome.as_json())
        if outcome is None:
            raise CommandError("The import was cancelled.")
        return outcome

    def say(self, line: str) -> None:
        """Progress goes to stderr: stdout's last line is the answer."""
        self.stderr.write(line, style_func=str)
        sys.stderr.flush()
