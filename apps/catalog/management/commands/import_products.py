"""`manage.py import_products PATH`: a product feed into the shop."""

import json
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.catalog.feeds import FORMATS
from apps.catalog.imports import feed_counts, feed_import_create, feed_import_run
from apps.core.errors import RecoPortalError


class Command(BaseCommand):
    """Import CSV, JSON lines or Parquet; good rows land, bad ones are named in a report."""

    help = "Import a product feed (CSV, JSON lines, Parquet). Importing it again changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        """What to read and how to answer."""
        parser.add_argument("path", type=Path, help="The feed's file.")
        parser.add_argument("--format", choices=FORMATS, default="", help="Default: by the file's name.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object as the last line.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Import as a job, so that the portal shows it, and print the figures."""
        began = time.perf_counter()
        path: Path = options["path"].expanduser().absolute()
        try:
            _feed, job = feed_import_create(file_name=path.name, path=path, format=options["format"])
            feed = feed_import_run(job_id=job.pk)
        except RecoPortalError as error:
            raise CommandError(error.message) from error
        if feed is None:
            raise CommandError("The import was cancelled.")
        answer = feed_counts(feed) | {
            "report": feed.report_path,
            "seconds": round(time.perf_counter() - began, 2),
        }
        if options["json"]:
            self.stdout.write(json.dumps(answer))
            return
        self.stdout.write(
            f"{feed.rows:,} rows: {feed.inserted:,} new, {feed.updated:,} changed, "
            f"{feed.unchanged:,} as before, {feed.rejected:,} refused."
        )
        if feed.report_path:
            self.stdout.write(f"Every refused row: {feed.report_path}")
