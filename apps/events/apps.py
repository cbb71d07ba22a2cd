"""Registers the app with Django."""

from django.apps import AppConfig


class EventsConfig(AppConfig):
    """Configuration of apps.events."""

    name = "apps.events"
    default_auto_field = "django.db.models.BigAutoField"
