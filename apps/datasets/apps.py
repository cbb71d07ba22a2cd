"""Registers the app with Django."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DatasetsConfig(AppConfig):
    """Configuration of apps.datasets."""

    name = "apps.datasets"
    verbose_name = _("Snapshots")
    default_auto_field = "django.db.models.BigAutoField"
