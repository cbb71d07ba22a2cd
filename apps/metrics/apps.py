"""Registers the app with Django."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MetricsConfig(AppConfig):
    """Configuration of apps.metrics."""

    name = "apps.metrics"
    verbose_name = _("Metrics")
    default_auto_field = "django.db.models.BigAutoField"
