"""The shop's settings, placements and API keys."""

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.accounts.services import SCOPES
from apps.merchandising.models import PlacementKind, SeenAction
from apps.merchandising.services import BOUGHT_DAYS_MAX, SEEN_MINUTES_MAX
from apps.portal.forms.base import PortalForm, currency_choices, language_choices, zone_check

SCOPE_TITLES = {
    "recommend": _("Recommendations: ask for slates"),
    "events": _("Events: report what shoppers did"),
    "catalog": _("Catalogue: send products"),
    "shoppers": _("Shoppers: send consent and attributes"),
    "experiments": _("Experiments: read results"),
}


class StartForm(PortalForm):
    """What a new shop has to say about itself."""

    name = forms.CharField(label=_("Shop name"), max_length=80)
    currency = forms.ChoiceField(
        label=_("Currency"), choices=currency_choices, help_text=_("Every amount on these pages is in it.")
    )
    time_zone = forms.CharField(
        label=_("Time zone"),
        help_text=_("A day of the shop begins and ends in it. Type a city, for example Europe/London."),
        widget=forms.TextInput(attrs={"list": "time-zones", "autocomplete": "off"}),
    )
    languages = forms.MultipleChoiceField(
        label=_("Languages of the storefront"),
        choices=language_choices,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Products may carry a title and description in each of them."),
    )

    def clean_time_zone(self) -> str:
        """Only names of the time zone database."""
        message = _("There is no such time zone. Write it like Europe/London or Asia/Shanghai.")
        return zone_check(self.cleaned_data["time_zone"], available_timezones(), str(message))

    @staticmethod
    def zones() -> list[str]:
        """Every name of the time zone database."""
        return sorted(available_timezones())


class ShopForm(StartForm):
    """What the shop is called and how its numbers are read."""

    field_order = ("name", "currency", "time_zone", "attribution_hours", "languages")

    attribution_hours = forms.IntegerField(
        label=_("Attribution window (hours)"),
        min_value=1,
        max_value=24 * 90,
        help_text=_("A purchase counts for a slate when it follows a click on it within this time."),
    )


class PlacementForm(PortalForm):
    """A spot on the storefront: what each has to say, and what few need, in groups that fold."""

    groups = (
        (
            _("What the shopper knows already"),
            ("repeat_purchases", "bought_days", "seen_action", "seen_minutes"),
        ),
        (_("Sponsors and kept traces"), ("second_price", "trace_share")),
    )

    name = forms.CharField(label=_("Name"), max_length=80, help_text=_("What your team calls it: Home page."))
    code = forms.SlugField(
        label=_("Code"),
        max_length=40,
        help_text=_(
            "What the storefront asks for: lower-case letters, digits and dashes. It can't be changed later."
        ),
    )
    kind = forms.ChoiceField(
        label=_("Made for"),
        choices=PlacementKind.choices,
        help_text=_("What the storefront names when it asks: a shopper, a product, a cart or nothing."),
    )
    description = forms.CharField(label=_("Description"), max_length=300, required=False)
    page_size = forms.IntegerField(label=_("Products per slate"), min_value=1, max_value=100, initial=12)
    repeat_purchases = forms.BooleanField(
        label=_("Show products the shopper has bought already"), required=False
    )
    bought_days = forms.IntegerField(
        label=_("Days after which a bought product may come back"),
        min_value=1,
        max_value=BOUGHT_DAYS_MAX,
        required=False,
        help_text=_("Empty: never, unless products bought already are shown."),
    )
    seen_action = forms.ChoiceField(
        label=_("Products just looked at"),
        choices=SeenAction.choices,
        initial=SeenAction.KEEP,
        required=False,
    )
    seen_minutes = forms.IntegerField(
        label=_("Just looked at means within so many minutes"),
        min_value=1,
        max_value=SEEN_MINUTES_MAX,
        initial=60,
        required=False,
    )
    second_price = forms.BooleanField(
        label=_("Sponsored clicks cost what the next sponsor offers"),
        required=False,
        help_text=_("Else a click costs its bid. Counts for sponsored placements."),
    )
    trace_share = forms.FloatField(
        label=_("Share of slates whose trace is kept"),
        min_value=0,
        max_value=1,
        initial=0,
        required=False,
        help_text=_("0.01 keeps one in a hundred for Inspect; each kept one takes some milliseconds."),
    )

    @property
    def first(self) -> list[forms.BoundField]:
        """The fields outside the groups."""
        folded = {name for _title, names in self.groups for name in names}
        return [field for field in self if field.name not in folded]

    @property
    def folded(self) -> list[tuple[str, list[forms.BoundField], bool]]:
        """Title, fields and whether to show them at once: one of them has an error or is not as in a new
        placement.
        """
        found = []
        for title, names in self.groups:
            fields = [self[name] for name in names]
            said = any(field.errors or (field.value() or 0) != (field.field.initial or 0) for field in fields)
            found.append((str(title), fields, said))
        return found

    def clean(self) -> dict[str, Any]:
        """What is left empty is as in a new placement."""
        cleaned = super().clean() or self.cleaned_data
        for name in ("seen_action", "seen_minutes", "trace_share"):
            if name in cleaned and cleaned[name] in (None, ""):
                cleaned[name] = self.fields[name].initial
        return cleaned


class PlacementEditForm(PlacementForm):
    """An existing placement: its code and kind stay, since the storefront relies on them."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["code"]
        del self.fields["kind"]


class PlacementCloneForm(PortalForm):
    """A copy of a placement with its weights and rules."""

    name = forms.CharField(label=_("Name of the copy"), max_length=80)
    code = forms.SlugField(label=_("Code of the copy"), max_length=40)


class ApiKeyForm(PortalForm):
    """A new key for a program."""

    name = forms.CharField(label=_("Name"), max_length=80, help_text=_("Who uses it: Storefront production."))
    scopes = forms.MultipleChoiceField(
        label=_("It may"),
        choices=[(scope, SCOPE_TITLES[scope]) for scope in SCOPES],
        widget=forms.CheckboxSelectMultiple,
        initial=["recommend", "events"],
    )
    requests_per_minute = forms.IntegerField(
        label=_("Requests per minute"), min_value=1, max_value=10_000_000, initial=60_000
    )


class OriginsField(forms.Field):
    """Web sites, one a line."""

    def __init__(self) -> None:
        super().__init__(
            label=_("Web sites whose pages use it"),
            required=False,
            widget=forms.Textarea(attrs={"rows": 3, "placeholder": "https://shop.example"}),
            help_text=_(
                "One a line: scheme and host, like https://shop.example. This site's own pages may always."
            ),
        )

    def to_python(self, value: object) -> list[str]:
        """The lines that say something."""
        return str(value or "").split()


class PublishableKeyForm(PortalForm):
    """A new key for web pages; anybody can read it there, so its rights are few."""

    name = forms.CharField(label=_("Name"), max_length=80, help_text=_("Who uses it: Storefront pages."))
    origins = OriginsField()
    requests_per_minute = forms.IntegerField(
        label=_("Requests per minute"), min_value=1, max_value=10_000_000, initial=60_000
    )


class OriginsForm(PortalForm):
    """The web sites of a publishable key."""

    origins = OriginsField()


class NameForm(PortalForm):
    """Asks for a thing's name before it is taken away."""

    typed = forms.CharField(
        label=_("Type the name to go on"), widget=forms.TextInput(attrs={"autocomplete": "off"})
    )

    def __init__(self, *args: object, name: str, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.name = name

    def clean_typed(self) -> str:
        """It has to be the very name."""
        if self.cleaned_data["typed"].strip() != self.name:
            raise forms.ValidationError(_("That is not the name: write “%(name)s”.") % {"name": self.name})
        return self.name
