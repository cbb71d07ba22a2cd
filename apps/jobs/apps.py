"""Registers the app with Django."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Configuration of apps.jobs."""

    name = "apps.jobs"
    default_auto_field = "django.db.models.BigAutoField"
