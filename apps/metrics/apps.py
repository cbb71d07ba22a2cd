"""Registers the app with Django."""

from django.apps import AppConfig


class MetricsConfig(AppConfig):
    """Configuration of apps.metrics."""

    name = "apps.metrics"
    default_auto_field = "django.db.models.BigAutoField"
