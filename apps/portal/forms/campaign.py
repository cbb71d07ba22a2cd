"""Sponsors' campaigns."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.merchandising.campaigns import BID_MAX, BUDGET_MAX
from apps.portal.forms.base import PortalForm

MOMENT = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")


class CampaignForm(PortalForm):
    """What a sponsor pays for; moments are in the shop's time zone."""

    name = forms.CharField(label=_("Name"), max_length=80)
    sponsor = forms.CharField(label=_("Sponsor"), max_length=80, required=False)
    skus = forms.CharField(
        label=_("Products"),
        help_text=_("Their skus, separated by commas or lines."),
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    bid = forms.DecimalField(
        label=_("Bid per click"), min_value=0, max_value=BID_MAX, max_digits=9, decimal_places=2
    )
    daily_budget = forms.DecimalField(
        label=_("Budget per day"),
        min_value=0,
        max_value=BUDGET_MAX,
        max_digits=12,
        decimal_places=2,
        help_text=_("Spread over the day: a campaign ahead of the clock waits."),
    )
    starts_at = forms.DateTimeField(label=_("Starts"), widget=MOMENT)
    ends_at = forms.DateTimeField(label=_("Ends"), widget=MOMENT, required=False)
    active = forms.BooleanField(label=_("In use"), required=False, initial=True)

    def clean_skus(self) -> list[str]:
        """One sku each."""
        text: Any = self.cleaned_data["skus"]
        return [sku for part in text.replace("\n", ",").split(",") if (sku := part.strip())]
