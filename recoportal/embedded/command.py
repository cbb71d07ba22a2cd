"""What manage.py does before Django loads: give the process its services' addresses."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping, Sequence

from recoportal import env
from recoportal.embedded.place import ServicesError
from recoportal.embedded.services import BROKER, CACHE, services_ensure

__all__ = ["ServicesError", "addresses_ensure", "services_for_command"]

SERVICE_OF = {"DATABASE_URL": "postgres", "REDIS_URL": BROKER, "CACHE_URL": CACHE}
# These read or write files only. `demo` is not here: it starts everything, the services too.
WITHOUT_SERVICES = frozenset(
    {
        "check",
        "collectstatic",
        "compilemessages",
        "diffsettings",
        "findstatic",
        "help",
        "makemessages",
        "sendtestemail",
        "services",
        "spectacular",
        "startapp",
        "startproject",
        "version",
    }
)


def addresses_ensure(environ: MutableMapping[str, str]) -> None:
    """Put into `environ` the addresses that are set nowhere, starting the embedded servers they need."""
    settings = env.load(environ)
    missing = [name for name in SERVICE_OF if not settings.text(name)]
    if not missing:
        return

    def tell(name: str) -> None:
        print(f"starting {name} …", file=sys.stderr, flush=True)

    urls = services_ensure(
        settings.get_path("RECOPORTAL_DATA_DIR"), names=[SERVICE_OF[name] for name in missing], on_start=tell
    )
    environ.update(urls)


def services_for_command(argv: Sequence[str]) -> None:
    """Start what the command line needs. Production never starts servers: there the checks complain."""
    command = argv[1] if len(argv) > 1 else "help"
    asks_for_help = command.startswith("-") or "--help" in argv or "-h" in argv[1:]
    production = os.environ.get("DJANGO_SETTINGS_MODULE", "").endswith(".prod")
    if command in WITHOUT_SERVICES or asks_for_help or production:
        return
    addresses_ensure(os.environ)
