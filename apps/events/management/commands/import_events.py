"""`manage.py import_events FILE`: events of any size and age from a file, each once."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.errors import InvalidInput
from apps.events.files import event_frames
from apps.events.services import event_record_many

SHOWN = 20


class Command(BaseCommand):
    """Store the file's events; the same file can simply be given again."""

    help = (
        "Stores the events of a CSV, JSON lines or Parquet file (columns as in the API), each exactly once."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """The file."""
        parser.add_argument("file", type=Path)

    def handle(self, *args: Any, **options: Any) -> None:
        """Say what became of the rows, and name the first refused ones."""
        path: Path = options["file"]
        accepted = duplicates = refused = 0
        try:
            for frame in event_frames(path):
                result = event_record_many(frame=frame, source=f"file:{path.name}"[:60])
                accepted, duplicates = accepted + result.accepted, duplicates + result.duplicates
                for error in result.rejected[: max(0, SHOWN - refused)]:
                    self.stderr.write(f"line {error.line}: {error.field}: {error.value!r}. {error.remedy}")
                refused += len(result.rejected)
        except InvalidInput as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"{accepted} stored, {duplicates} were there already, {refused} refused")
