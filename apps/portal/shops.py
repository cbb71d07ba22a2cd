"""Several shops on one server: each has a database of its own (apps/adr/0002-one-database-is-one-shop.md)."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from io import StringIO

import psycopg
from django.conf import settings
from django.core.management import call_command
from psycopg import sql

from apps.accounts.roles import roles_sync
from apps.core.errors import InvalidInput
from recoportal.databases import database_url_with_name
from recoportal.shop import shop_switch

NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
RESERVED = frozenset({"postgres", "template0", "template1"})


def shop_database_name(text: str) -> str:
    """Return the database name for a data set or shop ("online-retail" gives "online_retail")."""
    name = text.strip().lower().replace("-", "_")
    if not NAME.fullmatch(name) or name in RESERVED:
        raise InvalidInput(
            field="database",
            value=text,
            remedy="Use a letter followed by at most 62 letters, digits or underscores.",
        )
    return name


def shop_database_use(name: str, *, on_progress: Callable[[str], None] | None = None) -> str:
    """Create (if needed), migrate and switch this process to the shop in database `name`; returns its name.

    For commands, before their first query. Everything after works on that shop alone: its database, its
    folder below `settings.DATA_DIR/shops`, its cache keys and its task queues.
    """
    wanted = shop_database_name(name)
    if on_progress:
        on_progress(f"shop database {wanted}")
    shop_database_create(wanted)
    if wanted != settings.SHOP_NAME:
        shop_switch(wanted)
    call_command("migrate", verbosity=0, interactive=False, stdout=StringIO())
    roles_sync()
    return wanted


def shop_database_create(name: str) -> bool:
    """Create the database on the configured server unless it exists; tells whether it was created."""
    maintenance = database_url_with_name(settings.DATABASE_URL, "postgres")
    with psycopg.connect(maintenance, autocommit=True, connect_timeout=5) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return False
        # Another process may have created it meanwhile, which is as good.
        with suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            return True
    return False
