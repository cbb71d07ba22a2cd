"""Write files of slates for e-mail, here and now."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.errors import RecoPortalError
from apps.serving.exports import FORMATS, export_create, export_file, export_run


class Command(BaseCommand):
    """`manage.py export_slates email --first c-1 --last c-9`"""

    help = "Write the slates of a placement for a range of shoppers as CSV and JSON lines."

    def add_arguments(self, parser: CommandParser) -> None:
        """The placement, the range and the shape of a slate."""
        parser.add_argument("placement", help="Code of the placement.")
        parser.add_argument("--first", default="", help="External id of the first shopper.")
        parser.add_argument("--last", default="", help="External id of the last shopper, included.")
        parser.add_argument("--n", type=int, default=None, help="Items a slate; else the placement's.")
        parser.add_argument("--language", default="", help="Of the titles, such as zh-hans.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the export in this process and say where the files are."""
        names = ("placement", "first", "last", "n", "language")
        try:
            job = export_create(**{name: options[name] for name in names})
            done = export_run(job_id=job.pk)
        except RecoPortalError as error:
            raise CommandError(error.message) from error
        if done is None:
            raise CommandError("The export was cancelled.")
        facts = done.result
        self.stdout.write(
            f"{facts['shoppers']:,} shoppers, {facts['opted_out']:,} left out: nothing personal"
        )
        for format in FORMATS:
            self.stdout.write(str(export_file(job_id=job.pk, format=format)))
