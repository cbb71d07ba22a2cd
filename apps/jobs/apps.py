"""Registers the app with Django."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class JobsConfig(AppConfig):
    """Configuration of apps.jobs."""

    name = "apps.jobs"
    verbose_name = _("Jobs")
    default_auto_field = "django.db.models.BigAutoField"
