"""Registers the app with Django."""

from django.apps import AppConfig


class ServingConfig(AppConfig):
    """Configuration of apps.serving."""

    name = "apps.serving"
    default_auto_field = "django.db.models.BigAutoField"
