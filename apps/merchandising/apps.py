"""Registers the app with Django."""

from django.apps import AppConfig


class MerchandisingConfig(AppConfig):
    """Configuration of apps.merchandising."""

    name = "apps.merchandising"
    default_auto_field = "django.db.models.BigAutoField"
