"""`manage.py seed_experiments`: the demo shop's experiments, once."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.errors import RecoPortalError
from apps.portal.demo.experiments import SESSIONS_A_DAY, experiments_seed
from apps.portal.demo.seeding import pack_stored


class Command(BaseCommand):
    """Idempotent: an experiment that is there is left as it is."""

    help = "Plays two weeks of the demo shop's experiments: one harmed and ended, one that runs, one draft."

    def add_arguments(self, parser: CommandParser) -> None:
        """How much is played."""
        parser.add_argument("--sessions", type=int, default=SESSIONS_A_DAY, help="Sessions a day.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Play, unless the pack has no shoppers to play."""
        if not pack_stored().simulated:
            self.stdout.write("seed_experiments: this pack's people are not simulated")
            return
        try:
            count = experiments_seed(
                say=lambda text: self.stdout.write(f"seed_experiments: {text}"),
                sessions_a_day=options["sessions"],
            )
        except RecoPortalError as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"seed_experiments: {count} experiments made")
