"""What a new shop needs before its first slate, and how far it is."""

from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.accounts.models import ApiClient
from apps.accounts.selectors import shop_settings_get
from apps.catalog.models import Product
from apps.events.models import Interaction
from apps.training.models import ModelVersion, VersionStatus


@dataclass(frozen=True, slots=True)
class StartStep:
    """One step; `area` is what its reader must be allowed to change to take it."""

    code: str
    title: str
    text: str
    done: bool
    link: str
    link_text: str
    area: str


def start_steps() -> list[StartStep]:
    """The steps in order. Each looks at whether its result is there, not at who clicked what."""
    return [
        StartStep(
            "shop", _("Say what the shop is called"),
            _("Name, currency, time zone and languages: every figure and date follows them."),
            shop_settings_get().set_up_at is not None, reverse("portal:start"), _("Fill in"), "settings",
        ),
        StartStep(
            "products", _("Import the products"),
            _("A CSV, JSON lines or Parquet file with at least a SKU and a title."),
            Product.objects.filter(placeholder=False).exists(), reverse("portal:data"),
            _("Import a feed"), "data",
        ),
        StartStep(
            "key", _("Make an API key"),
            _("The storefront asks for slates and reports what shoppers do with it."),
            ApiClient.objects.filter(revoked_at=None).exists(), reverse("portal:settings_keys"),
            _("Make a key"), "access",
        ),
        StartStep(
            "events", _("Send events"),
            _("Views, carts and purchases teach the models; send the history first if you have one."),
            Interaction.objects.exists(), reverse("api-docs"), _("How to send them"), "",
        ),
        StartStep(
            "models", _("Train the models"),
            _("Each source learns from the events; what passes the gate goes live by itself."),
            ModelVersion.objects.filter(status=VersionStatus.LIVE).exists(), reverse("portal:models"),
            _("Go to Models"), "models",
        ),
    ]  # fmt: skip
