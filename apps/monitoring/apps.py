"""Registers the app with Django."""

from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    """Configuration of apps.monitoring."""

    name = "apps.monitoring"
    default_auto_field = "django.db.models.BigAutoField"
