"""System checks of the configuration. `manage.py` runs them before a command; web and workers at start.

| id | what is wrong |
|---|---|
| recoportal.E001 | a setting's value can't be read |
| recoportal.E002 | a line of `.env` can't be read |
| recoportal.E003 | the file named by `<NAME>_FILE` can't be read |
| recoportal.E004 | a `RECOPORTAL_*` name that is no setting |
| recoportal.E005 | a setting that production needs is missing |
| recoportal.E006 | the data folder can't be written |
| recoportal.E007 | broker and cache are one server database: eviction would lose tasks and events |
| recoportal.E008 | a process is started without its services' addresses |
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured

from recoportal.env import Env


@register()
def environment_check(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report every setting that could not be read as it was written."""
    env: Env = settings.ENV
    return [Error(problem.message, hint=problem.hint, id=problem.id) for problem in env.problems]


@register()
def data_dir_check(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report a data folder that can't be written: nothing could be trained, imported or kept."""
    folder = Path(settings.DATA_DIR)
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK):
        return []
    return [
        Error(
            f"RECOPORTAL_DATA_DIR={folder} can't be written: {nearest} is not a folder this user may write.",
            hint="Name a folder of your own in RECOPORTAL_DATA_DIR, or change the owner of this one.",
            id="recoportal.E006",
        )
    ]


@register()
def broker_apart_check(app_configs: Sequence[AppConfig] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Report one server playing both cache and broker."""
    if not settings.REDIS_URL or settings.REDIS_URL != settings.CACHE_URL:
        return []
    return [
        Error(
            "REDIS_URL and CACHE_URL name one database: a full cache would throw away tasks.",
            hint="Run two Valkey servers: REDIS_URL append-only with noeviction, CACHE_URL with allkeys-lru.",
            id="recoportal.E007",
        )
    ]


def services_check() -> list[CheckMessage]:
    """Report missing service addresses; for processes that serve, which start nothing themselves."""
    return [
        Error(
            f"{name} is not set.",
            hint=f"Start by `make demo` or manage.py, which start embedded services, or set {name}.",
            id="recoportal.E008",
        )
        for name in ("DATABASE_URL", "REDIS_URL", "CACHE_URL")
        if not getattr(settings, name)
    ]


def start_or_stop() -> None:
    """Raise ImproperlyConfigured with every problem and its remedy; for web and worker processes."""
    errors = [*environment_check(), *data_dir_check(), *broker_apart_check(), *services_check()]
    if errors:
        raise ImproperlyConfigured(
            "\n".join(["The settings can't be used:", *(str(error) for error in errors)])
        )
