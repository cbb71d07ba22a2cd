"""Turning this process to another shop: one database is one shop (apps/adr/0002)."""

from __future__ import annotations

import os

from celery import current_app
from django.conf import settings
from django.core.cache import caches
from django.db import connections
from django.db.backends.postgresql.base import DatabaseWrapper

from recoportal.databases import database_url_with_name


def shop_switch(name: str) -> None:
    """Make this process and its children work on the shop in database `name` of this server.

    Database, files, cache keys and task queues change together: a task sent here must not reach the workers
    of the shop we came from, whose rows have the same ids. For commands, before their first task.
    """
    connection = connections["default"]
    connection.close()
    if isinstance(connection, DatabaseWrapper):
        connection.close_pool()
    connection.settings_dict["NAME"] = name
    settings.DATABASES["default"]["NAME"] = name
    settings.DATABASE_URL = os.environ["DATABASE_URL"] = database_url_with_name(settings.DATABASE_URL, name)
    settings.SHOP_NAME = name
    settings.SHOP_DIR = settings.DATA_DIR / "shops" / name
    settings.MEDIA_ROOT = settings.SHOP_DIR / "media"
    settings.CACHES["default"]["KEY_PREFIX"] = name
    caches["default"].key_prefix = name
    for options in (
        settings.CELERY_BROKER_TRANSPORT_OPTIONS,
        settings.CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS,
    ):
        options["global_keyprefix"] = f"{name}:"
    current_app.conf.broker_transport_options = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    current_app.conf.result_backend_transport_options = settings.CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS
