"""`manage.py ensure_partitions`: months of interactions and exposures, ahead of their rows."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.events.partitions import MONTHS_AHEAD, partitions_ensure


class Command(BaseCommand):
    """Make missing monthly partitions."""

    help = "Make the monthly partitions of interactions and exposures for this month and the coming ones."

    def add_arguments(self, parser: CommandParser) -> None:
        """How far ahead."""
        parser.add_argument("--months-ahead", type=int, default=MONTHS_AHEAD)

    def handle(self, *args: Any, **options: Any) -> None:
        """Say how many were made."""
        made = partitions_ensure(months_ahead=options["months_ahead"])
        self.stdout.write(f"{made} partitions made")
