"""What a study searches, how, and how long."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.portal.forms.base import PortalForm
from apps.portal.words.model_settings import setting_words, value_text
from apps.training.models import Goal, Recipe, Sampler
from apps.training.recipes import config_check
from apps.training.spaces import Range, space_default
from apps.training.studies import MAX_TRIALS, MAX_WORKERS, goal_default

SEARCHED_FIRST = 3


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting as the form lays it out: whether it is searched, and its limits or values."""

    name: str
    words: str
    help: str
    now: str
    use: forms.BoundField
    low: forms.BoundField | None
    high: forms.BoundField | None
    choices: forms.BoundField | None


class StudyForm(PortalForm):
    """Sampler, goal, limits, and one row for each setting that can be searched."""

    sampler = forms.ChoiceField(
        label=gettext_lazy("How the next settings are picked"), choices=Sampler.choices, initial=Sampler.TPE
    )
    goal = forms.ChoiceField(label=gettext_lazy("Judged on"), choices=Goal.choices)
    max_trials = forms.IntegerField(
        label=gettext_lazy("Trials at most"), min_value=2, max_value=MAX_TRIALS, initial=20
    )
    budget_minutes = forms.IntegerField(
        label=gettext_lazy("Minutes at most"), min_value=1, max_value=10_000, initial=15
    )
    workers = forms.IntegerField(
        label=gettext_lazy("Workers side by side"),
        min_value=1,
        max_value=MAX_WORKERS,
        initial=1,
        help_text=gettext_lazy("More only help where more workers take training jobs."),
    )
    pruning = forms.BooleanField(
        label=gettext_lazy("Stop poor trials early, after a quarter of the shoppers"),
        required=False,
        initial=True,
    )

    def __init__(self, data: Any = None, *, recipe: Recipe) -> None:
        super().__init__(data, initial={"goal": goal_default(recipe.family)})
        self.recipe = recipe
        self.space = space_default(family=recipe.family, preset=recipe.preset)
        self.now = config_check(family=recipe.family, preset=recipe.preset, config=recipe.config)
        numbers = [one.name for one in self.space if one.kind != "choice"][:SEARCHED_FIRST]
        for one in self.space:
            self._fields_add(one, searched=one.name in numbers)

    def _fields_add(self, one: Range, *, searched: bool) -> None:
        words = setting_words(one.name)[0]
        self.fields[f"use_{one.name}"] = forms.BooleanField(
            label=_("Search %(setting)s") % {"setting": words}, required=False, initial=searched
        )
        if one.kind == "choice":
            self.fields[f"choices_{one.name}"] = forms.MultipleChoiceField(
                label=_("Values of %(setting)s") % {"setting": words},
                required=False,
                choices=[(str(value), value_text(value)) for value in one.choices],
                initial=[str(value) for value in one.choices],
                widget=forms.CheckboxSelectMultiple,
            )
            return
        for end, label in (("low", _("%(setting)s, from")), ("high", _("%(setting)s, to"))):
            number = forms.IntegerField if one.kind == "int" else forms.FloatField
            self.fields[f"{end}_{one.name}"] = number(
                label=label % {"setting": words},
                required=False,
                initial=getattr(one, end),
                widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
            )

    @property
    def general(self) -> list[forms.BoundField]:
        """The fields of every study."""
        return [self[name] for name in self.base_fields]

    @property
    def rows(self) -> list[SettingRow]:
        """The settings, as a table."""
        return [
            SettingRow(
                one.name,
                *setting_words(one.name),
                value_text(self.now[one.name], one.name),
                self[f"use_{one.name}"],
                *(self._end(end, one) for end in ("low", "high", "choices")),
            )
            for one in self.space
        ]

    def _end(self, end: str, one: Range) -> forms.BoundField | None:
        name = f"{end}_{one.name}"
        return self[name] if name in self.fields else None

    def clean(self) -> dict[str, Any]:
        """At least one setting is searched."""
        facts: dict[str, Any] = super().clean() or self.cleaned_data
        if not any(facts.get(f"use_{one.name}") for one in self.space):
            self.add_error(None, _("Choose at least one setting to search."))
        return facts

    def values(self) -> dict[str, Any]:
        """What `study_create` takes."""
        facts = self.cleaned_data
        return {
            "sampler": facts["sampler"],
            "goal": facts["goal"],
            "pruning": facts["pruning"],
            "max_trials": facts["max_trials"],
            "budget_seconds": 60 * facts["budget_minutes"],
            "workers": facts["workers"],
            "space": {one.name: _limits(facts, one) for one in self.space if facts.get(f"use_{one.name}")},
        }


def _limits(facts: Mapping[str, Any], one: Range) -> dict[str, Any]:
    if one.kind == "choice":
        chosen = facts[f"choices_{one.name}"]
        return {"choices": [value for value in one.choices if str(value) in chosen]}
    found = {end: facts.get(f"{end}_{one.name}") for end in ("low", "high")}
    return {end: value for end, value in found.items() if value is not None}
