"""Registers the app with Django."""

from django.apps import AppConfig


class DatasetsConfig(AppConfig):
    """Configuration of apps.datasets."""

    name = "apps.datasets"
    default_auto_field = "django.db.models.BigAutoField"
