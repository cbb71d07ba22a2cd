"""The three servers of a data folder, together."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from recoportal.embedded import postgres
from recoportal.embedded.place import FALLBACK_PARENT, PLACE_FILE, Place
from recoportal.embedded.postgres import Postgres
from recoportal.embedded.valkey import PROFILES, Valkey

BROKER, CACHE = "valkey-broker", "valkey-cache"
SERVICE_NAMES = (postgres.NAME, *PROFILES)
DATABASE = "recoportal"


def services_ensure(
    data_dir: Path,
    *,
    names: Iterable[str] = SERVICE_NAMES,
    database: str = DATABASE,
    durable: bool = True,
    on_start: Callable[[str], None] | None = None,
) -> dict[str, str]:
    """Start the named servers unless they run, create the database, and return their addresses.

    Keys: DATABASE_URL, REDIS_URL (broker and inbox), CACHE_URL; only those of `names`. Several processes
    may call at once: a file lock lets one start while the others wait. `on_start` is told the name of a
    server that has to be started. Raises ServicesError with the remedy.
    """
    place = Place.of(data_dir)
    servers = servers_of(place, durable=durable)
    wanted = {name: servers[name] for name in names}
    if not all(server.alive() for server in wanted.values()):
        with place.locked():
            for name, server in wanted.items():
                if not server.alive():
                    if on_start:
                        on_start(name)
                    server.start()
    urls: dict[str, str] = {}
    for server in wanted.values():
        if isinstance(server, Postgres):
            server.database_create(database)
            urls["DATABASE_URL"] = server.url(database)
        else:
            urls["REDIS_URL" if server.name == BROKER else "CACHE_URL"] = server.url()
    return urls


def services_status(data_dir: Path) -> dict[str, bool]:
    """Return which servers of a data folder answer; starts and makes nothing."""
    if not data_dir.is_dir():
        return dict.fromkeys(SERVICE_NAMES, False)
    return {name: server.alive() for name, server in servers_of(Place.of(data_dir)).items()}


def services_stop(data_dir: Path) -> None:
    """Stop the servers of a data folder and wait for them."""
    if not data_dir.is_dir():
        return
    place = Place.of(data_dir)
    with place.locked():
        for server in servers_of(place).values():
            server.stop()


def services_destroy(data_dir: Path) -> None:
    """Stop the servers and delete everything they kept; the rest of the data folder stays."""
    if not data_dir.is_dir():
        return
    services_stop(data_dir)
    place = Place.of(data_dir)
    if place.root.parent == FALLBACK_PARENT and place.root != place.data_dir:
        shutil.rmtree(place.root)
        (place.data_dir / PLACE_FILE).unlink(missing_ok=True)
    for name in SERVICE_NAMES:
        shutil.rmtree(place.data_dir / name, ignore_errors=True)


def servers_of(place: Place, *, durable: bool = True) -> dict[str, Postgres | Valkey]:
    """Return the three servers by name, in the order they are started."""
    return {
        postgres.NAME: Postgres(place, durable=durable),
        BROKER: Valkey(place, BROKER, durable=durable),
        CACHE: Valkey(place, CACHE, durable=durable),
    }
