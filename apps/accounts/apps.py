"""Registers the app with Django."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    """Configuration of apps.accounts."""

    name = "apps.accounts"
    default_auto_field = "django.db.models.BigAutoField"
