"""Registers the app with Django."""

from django.apps import AppConfig


class PortalConfig(AppConfig):
    """Configuration of apps.portal."""

    name = "apps.portal"
    default_auto_field = "django.db.models.BigAutoField"
