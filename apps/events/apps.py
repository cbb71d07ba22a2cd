"""Registers the app with Django."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class EventsConfig(AppConfig):
    """Configuration of apps.events."""

    name = "apps.events"
    verbose_name = _("Shoppers and events")
    default_auto_field = "django.db.models.BigAutoField"
