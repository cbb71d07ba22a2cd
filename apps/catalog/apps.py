"""Registers the app with Django."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from apps.jobs.kinds import kind_register


class CatalogConfig(AppConfig):
    """Configuration of apps.catalog."""

    name = "apps.catalog"
    verbose_name = _("Catalogue")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Tell the queue how feed imports are woken up."""
        kind_register(code="feed_import", task="catalog.feed_import_run", queue="default")
