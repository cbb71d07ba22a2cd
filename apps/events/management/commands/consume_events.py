"""`manage.py consume_events`: from the event stream into Postgres, each event once."""

import signal
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from apps.events.consuming import BATCH_ROWS, Consumer


class Command(BaseCommand):
    """Drain the inbox until SIGTERM."""

    help = "Moves events (and served slates that waited) from the Valkey stream into Postgres; runs for ever."

    def add_arguments(self, parser: CommandParser) -> None:
        """How much at a time."""
        parser.add_argument(
            "--batch-rows", type=int, default=BATCH_ROWS, help="about how many rows a transaction"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Stop after the batch at hand when told to."""
        stopping = False

        def stop(number: int, frame: FrameType | None) -> None:
            nonlocal stopping
            stopping = True

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        consumer = Consumer(should_stop=lambda: stopping, batch_rows=options["batch_rows"])
        self.stdout.write(f"inbox: consumer {consumer.name} ready.")
        self.stdout.flush()
        consumer.run()
        self.stdout.write("inbox: stopped")
