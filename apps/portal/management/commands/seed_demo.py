"""`manage.py seed_demo`: the generated demo shop, once."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.core.errors import Conflict
from apps.portal.demo.packs import DEFAULT_PACK, PACKS
from apps.portal.demo.seeding import demo_seed

SIZES = {
    "seed": "What it grows from.",
    "products": "Products, or what the domain has for them.",
    "shoppers": "People.",
    "days": "Days of history.",
}


class Command(BaseCommand):
    """Fill an empty shop with generated products, shoppers, history, reviews and pictures."""

    help = "Builds the demo shop in this database. Running it again draws missing pictures and adds nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        """How large, until when, from which seed."""
        parser.add_argument("--pack", choices=sorted(PACKS), default=DEFAULT_PACK, help="Which domain.")
        for name, words in SIZES.items():
            parser.add_argument(f"--{name}", type=int, default=None, help=f"{words} Default: the pack's.")
        parser.add_argument("--end", default="", help="Last moment of history, ISO 8601 (default: now).")
        parser.add_argument("--json", action="store_true", help="Print one JSON object as the last line.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Seed and say what was done."""
        try:
            pack = PACKS[options["pack"]]
            given = {name: options[name] for name in SIZES if options[name] is not None}
            done = demo_seed(
                pack=pack, size=replace(pack.size, **given), end=moment_of(options["end"]), say=self.say
            )
        except Conflict as error:
            raise CommandError(error.message) from error
        if options["json"]:
            self.stdout.write(json.dumps(done.as_json()))
        elif done.fresh:
            self.stdout.write(
                f"{done.products:,} products, {done.shoppers:,} shoppers, {done.events:,} events and "
                f"{done.reviews:,} reviews in {sum(done.seconds.values()):.0f} s."
            )
        else:
            self.stdout.write(f"The demo shop is here already; {done.pictures:,} pictures were drawn again.")

    def say(self, text: str) -> None:
        """Progress, at once."""
        self.stdout.write(f"seed_demo: {text}")
        self.stdout.flush()


def moment_of(text: str) -> datetime | None:
    """An aware moment from --end, None when it was left out."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise CommandError(f"--end {text!r} is no ISO 8601 moment; write 2026-11-22T14:00:00Z.") from error
    if moment.tzinfo is None:
        raise CommandError(f"--end {text!r} has no offset from UTC; write 2026-11-22T14:00:00Z.")
    return moment
