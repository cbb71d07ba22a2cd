"""The project as a Django app: it registers the system checks and makes Celery's app the current one."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class RecoportalConfig(AppConfig):
    """Start-up of every process that loads Django."""

    name = "recoportal"
    verbose_name = "RecoPortal"

    def ready(self) -> None:
        """Register checks; make `@shared_task` of any app send to our broker."""
        import_module("recoportal.checks")
        import_module("recoportal.celery")
