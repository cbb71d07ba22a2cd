"""Registers the app with Django."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    """Configuration of apps.accounts."""

    name = "apps.accounts"
    verbose_name = _("Access and settings")
    default_auto_field = "django.db.models.BigAutoField"
