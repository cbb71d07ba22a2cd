"""Registers the app with Django."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ExperimentsConfig(AppConfig):
    """Configuration of apps.experiments."""

    name = "apps.experiments"
    verbose_name = _("Experiments")
    default_auto_field = "django.db.models.BigAutoField"
