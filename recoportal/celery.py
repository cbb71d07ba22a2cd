"""The Celery application. Workers start as `celery -A recoportal worker -Q <queue>`."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recoportal.settings.dev")
# Takes effect only where this module comes before the settings, that is in workers and beat: a worker
# child does one thing at a time, and a pool opened before the fork would be shared by accident.
os.environ.setdefault("RECOPORTAL_DB_POOL_MAX", "0")

app = Celery("recoportal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@worker_init.connect
def settings_refuse_wrong(**kwargs: Any) -> None:
    """Stop a worker whose settings are wrong before it takes a task."""
    from recoportal.checks import start_or_stop

    start_or_stop()
