"""What manage.py does before Django loads: give the process its services' addresses."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field

from recoportal import env
from recoportal.embedded.place import ServicesError
from recoportal.embedded.services import BROKER, CACHE, services_ensure

__all__ = ["EMBEDDED", "ServicesError", "addresses_ensure", "services_for_command"]

SERVICE_OF = {"DATABASE_URL": "postgres", "REDIS_URL": BROKER, "CACHE_URL": CACHE}
# These read or write files only. `demo` is not here: it starts everything, the services too.
WITHOUT_SERVICES = frozenset(
    {
        "analyze_experiment",
        "check",
        "collectstatic",
        "compilemessages",
        "diffsettings",
        "findstatic",
        "help",
        "sendtestemail",
        "services",
        "spectacular",
        "startapp",
        "startproject",
        "version",
    }
)


@dataclass(slots=True)
class Embedded:
    """What this process has of embedded servers: the addresses it uses, and the servers it had to start."""

    used: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)


EMBEDDED = Embedded()


def addresses_ensure(environ: MutableMapping[str, str]) -> None:
    """Put into `environ` the addresses that are set nowhere, starting the embedded servers they need."""
    settings = env.load(environ)
    missing = [name for name in SERVICE_OF if not settings.text(name)]
    if not missing:
        return

    def tell(name: str) -> None:
        EMBEDDED.started.append(name)
        print(f"starting {name} …", file=sys.stderr, flush=True)

    urls = services_ensure(
        settings.get_path("RECOPORTAL_DATA_DIR"), names=[SERVICE_OF[name] for name in missing], on_start=tell
    )
    environ.update(urls)
    EMBEDDED.used.extend(urls)


def services_for_command(argv: Sequence[str]) -> None:
    """Start what the command line needs; in production nothing (the checks complain), nor in tests."""
    command = argv[1] if len(argv) > 1 else "help"
    asks_for_help = command.startswith("-") or "--help" in argv or "-h" in argv[1:]
    starts_none = os.environ.get("DJANGO_SETTINGS_MODULE", "").endswith((".prod", ".test"))
    if not (command in WITHOUT_SERVICES or asks_for_help or starts_none):
        addresses_ensure(os.environ)
