"""Registers the app with Django."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MerchandisingConfig(AppConfig):
    """Configuration of apps.merchandising."""

    name = "apps.merchandising"
    verbose_name = _("Merchandising")
    default_auto_field = "django.db.models.BigAutoField"
