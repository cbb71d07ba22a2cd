"""Registers the app with Django."""

from django.apps import AppConfig


class CatalogConfig(AppConfig):
    """Configuration of apps.catalog."""

    name = "apps.catalog"
    default_auto_field = "django.db.models.BigAutoField"
