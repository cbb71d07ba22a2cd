"""What an automatic choice may spend and what it is to be good at."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.portal.forms.base import PortalForm

PREFIX = "o_"
PART_WORDS = {
    "ndcg": (_("Accuracy"), _("What is shown is what shoppers go on to buy (NDCG@10).")),
    "revenue": (_("Revenue"), _("What is found brings money.")),
    "margin": (_("Margin"), _("What is found brings profit.")),
    "coverage": (_("Coverage"), _("Much of the catalogue is shown to somebody.")),
    "novelty": (_("Novelty"), _("What is shown is not what everybody knows.")),
}


class ChoiceForm(PortalForm):
    """A slider for each part of the objective, the purchases that judge, and the time."""

    variant = forms.ChoiceField(
        label=_("Judged on"), choices=[("new", _("First purchases")), ("all", _("All purchases"))]
    )
    budget_minutes = forms.IntegerField(label=_("Minutes at most"), min_value=1, max_value=1440, initial=5)
    placement = forms.CharField(required=False, widget=forms.HiddenInput)
    live_only = forms.BooleanField(required=False, widget=forms.HiddenInput)

    def __init__(self, data: Any = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        for name, (words, told) in PART_WORDS.items():
            self.fields[PREFIX + name] = forms.IntegerField(
                label=words,
                help_text=told,
                min_value=0,
                max_value=100,
                initial=100 if name == "ndcg" else 0,
                widget=forms.NumberInput(attrs={"type": "range", "min": 0, "max": 100, "step": 5}),
            )

    @property
    def parts(self) -> list[forms.BoundField]:
        """The sliders."""
        return [self[PREFIX + name] for name in PART_WORDS]

    @property
    def rest(self) -> list[forms.BoundField]:
        """The other fields."""
        return [self["variant"], self["budget_minutes"]]

    def values(self) -> dict[str, Any]:
        """What `choice_job_create` takes."""
        facts = self.cleaned_data
        return {
            "objective": {name: facts[PREFIX + name] / 100 for name in PART_WORDS},
            "budget_seconds": 60 * facts["budget_minutes"],
            "variant": facts["variant"],
            "placement": facts["placement"],
            "live_only": facts["live_only"],
        }
