"""Registers the app with Django."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from apps.jobs.kinds import kind_register


class ServingConfig(AppConfig):
    """Configuration of apps.serving."""

    name = "apps.serving"
    verbose_name = _("Serving")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Tell the queue how exports of slates are woken up."""
        kind_register(code="serving.export", task="serving.export_run", queue="default")
