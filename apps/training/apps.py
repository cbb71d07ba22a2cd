"""Registers the app with Django."""

from django.apps import AppConfig


class TrainingConfig(AppConfig):
    """Configuration of apps.training."""

    name = "apps.training"
    default_auto_field = "django.db.models.BigAutoField"
