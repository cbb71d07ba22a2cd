"""A recipe of the shop's own: of a family, or as a copy of another recipe."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.portal.forms.base import PortalForm
from apps.portal.forms.recipe import PRESET_TITLES
from apps.portal.words.sources import family_name, sources_named
from apps.training.config_fields import families_facts
from apps.training.models import Recipe, Schedule

COPY = "copy:"


def origins() -> list[tuple[str, list[tuple[str, str]]]]:
    """What a new recipe may start from: a family, or a recipe there is."""
    names = sources_named()
    families = [(facts.name, family_name(facts.name)) for facts in families_facts()]
    copies = [
        (COPY + recipe.code, names[recipe.code].name) for recipe in Recipe.objects.order_by("color", "code")
    ]
    return [(str(_("A family, with its preset")), families), (str(_("A copy of")), copies)]


class NewRecipeForm(PortalForm):
    """Where it starts from, how it is called, and when it trains; its settings come on the next page."""

    origin = forms.ChoiceField(label=_("Starts from"), choices=origins)
    name = forms.CharField(label=_("Name"), max_length=80)
    code = forms.CharField(
        label=_("Code"),
        max_length=40,
        help_text=_("Small letters, digits and underscores; names the source in blends and never changes."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    preset = forms.ChoiceField(
        label=_("Preset"), choices=PRESET_TITLES, initial="small", help_text=_("A copy keeps its own.")
    )
    window_days = forms.IntegerField(
        label=_("Learns from the last (days)"),
        required=False,
        min_value=2,
        help_text=_("Empty: from all history."),
    )
    schedule = forms.ChoiceField(label=_("Trains"), choices=Schedule.choices, initial=Schedule.MANUAL)
    active = forms.BooleanField(label=_("In use: trains by its schedule"), required=False, initial=True)

    def values(self) -> dict[str, Any]:
        """What `recipe_create` takes."""
        facts = dict(self.cleaned_data)
        origin = facts.pop("origin")
        if not origin.startswith(COPY):
            return facts | {"family": origin}
        other = Recipe.objects.get(code=origin.removeprefix(COPY))
        return facts | {
            "family": other.family,
            "preset": other.preset,
            "config": other.config,
            "seed": other.seed,
        }
