"""`manage.py simulate_traffic`: shoppers with hidden tastes against the REST API."""

import json
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from apps.accounts.models import ApiClient
from apps.accounts.services import api_client_create, api_client_rotate
from apps.core.errors import InvalidInput, RecoPortalError
from apps.portal.demo.comparison import policies_compare
from apps.portal.demo.traffic import POLICIES, Crowd, Tally, crowd_run
from apps.portal.demo.truth import stage_load
from recoportal.client import ApiError, RecoPortal

CLIENT_NAME = "traffic simulator"
# Seconds: a shop that restarts is waited for.
TIMEOUT, PATIENCE = 30.0, 60.0


class Command(BaseCommand):
    """Play shoppers over HTTP, or compare the API's slates with true taste, best-sellers and chance."""

    help = (
        "Plays the demo shop's shoppers against a running site: they ask for slates, look from the top, "
        "click and buy by hidden taste, and report it all. Without --sessions or --minutes it goes on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Where, who, how many, how fast."""
        parser.add_argument("--base-url", "--url", dest="base_url", default="http://127.0.0.1:8000")
        parser.add_argument(
            "--api-key", default="", help="Default: a key of its own, renewed at every start."
        )
        parser.add_argument("--shoppers", type=int, help="Only the first so many shoppers come.")
        parser.add_argument("--sessions", type=int, help="Stop after so many sessions.")
        parser.add_argument("--minutes", type=float, help="Stop after so many minutes.")
        parser.add_argument("--forever", action="store_true", help="Go on until stopped (the default).")
        parser.add_argument(
            "--rate", type=float, default=0.2, help="Sessions a second; 0: as fast as it goes."
        )
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument("--policy", choices=POLICIES, default="api", help="Who ranks the slates.")
        parser.add_argument("--anonymous", type=float, default=0.6, help="Share of unknown visitors.")
        parser.add_argument(
            "--compare", type=int, metavar="SLATES", help="Compare policies on so many slates."
        )
        parser.add_argument("--placement", default="home", help="The placement to compare.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object as the last line.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Play or compare; Ctrl-C ends it in order."""
        try:
            stage = stage_load(shoppers=options["shoppers"])
            client = site_client(options["base_url"], options["api_key"])
            if options["compare"]:
                report = policies_compare(
                    stage,
                    client,
                    slates=options["compare"],
                    seed=options["seed"],
                    placement=options["placement"],
                )
                self.stdout.write(json.dumps(report))
                return
            crowd = Crowd(
                stage,
                client,
                seed=options["seed"],
                policy=options["policy"],
                anonymous_share=options["anonymous"],
            )
            minutes = options["minutes"]
            tally = crowd_run(
                crowd,
                sessions=None if options["forever"] else options["sessions"],
                rate=options["rate"],
                until=time.monotonic() + 60 * minutes if minutes and not options["forever"] else None,
                on_progress=self.say,
            )
        except RecoPortalError as error:
            raise CommandError(error.message) from error
        except ApiError as error:
            raise CommandError(str(error)) from error
        except KeyboardInterrupt:
            self.stdout.write("simulate_traffic: stopped")
            return
        self.say(tally)
        if options["json"]:
            self.stdout.write(json.dumps(tally.as_json()))

    def say(self, tally: Tally) -> None:
        """One line of progress."""
        self.stdout.write(
            f"simulate_traffic: {tally.sessions:,} sessions, {tally.slates:,} slates, "
            f"{tally.clicks:,} clicks, {tally.purchases:,} purchases, {tally.events:,} events"
        )
        self.stdout.flush()


def site_client(address: str, key: str) -> RecoPortal:
    """A client of the site at `address`; without a key, with one of its own."""
    try:
        return RecoPortal(address, key or own_key(), timeout=TIMEOUT, patience=PATIENCE)
    except ValueError as error:
        raise InvalidInput(
            field="base-url", value=address, remedy="Write it like http://127.0.0.1:8000."
        ) from error


def own_key() -> str:
    """A fresh key for the simulator's own API client."""
    client = ApiClient.objects.filter(name=CLIENT_NAME).first()
    if client is not None:
        return api_client_rotate(client_id=client.pk)[1]
    return api_client_create(name=CLIENT_NAME, scopes=("recommend", "events"))[1]
