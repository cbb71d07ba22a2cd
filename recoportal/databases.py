"""Database and shop names from URLs. No Django: manage.py and the settings both need it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

from recoportal.patience import PatientConnection


def database_name(url: str) -> str:
    """Return the database named by a postgresql:// URL ("" when the URL is empty)."""
    return unquote(urlsplit(url).path.strip("/"))


def database_url_with_name(url: str, name: str) -> str:
    """Return the same server's URL for another database."""
    return urlunsplit(urlsplit(url)._replace(path="/" + quote(name, safe="")))


def database_settings(url: str, *, pool_max: int, pool_timeout: int) -> dict[str, Any]:
    """Return Django's settings for one postgresql:// URL.

    With `pool_max` > 0 connections come from psycopg's pool (web processes: many threads, few
    connections); with 0 a process keeps one connection for a minute (workers, commands). The pool's
    own defaults would wait 30 s for a server that is gone, and try it ever more seldom.
    """
    parts = urlsplit(url)
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    options.setdefault("connect_timeout", pool_timeout)
    if pool_max:
        options["pool"] = {
            "min_size": 1,
            "max_size": pool_max,
            "timeout": pool_timeout,
            # Who asks after this finds the server as soon as it is back.
            "reconnect_timeout": pool_timeout,
            "connection_class": PatientConnection,
        }
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": database_name(url) or "recoportal",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "CONN_MAX_AGE": 0 if pool_max else 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }
