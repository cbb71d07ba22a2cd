"""`manage.py services start|status|stop`: the embedded PostgreSQL and Valkey of this data folder."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from recoportal.embedded import ServicesError, services_ensure, services_status, services_stop


class Command(BaseCommand):
    """Start, stop or show the embedded services."""

    help = "Start, stop or show the embedded PostgreSQL and Valkey servers of this data folder."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """One word: what to do."""
        parser.add_argument("action", choices=["status", "start", "stop"], nargs="?", default="status")

    def handle(self, *args: Any, **options: Any) -> None:
        """Do it, then say which servers answer."""
        try:
            if options["action"] == "start":
                services_ensure(
                    settings.DATA_DIR, on_start=lambda name: self.stdout.write(f"starting {name}")
                )
            elif options["action"] == "stop":
                services_stop(settings.DATA_DIR)
        except ServicesError as error:
            raise CommandError(str(error)) from error
        for name, alive in services_status(settings.DATA_DIR).items():
            self.stdout.write(f"{name}: {'running' if alive else 'stopped'}")
