"""Editing a recipe: its name, rhythm and window, and the settings of its family with their limits."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.portal.forms.base import PortalForm
from apps.portal.words.model_settings import setting_words, value_text
from apps.training.config_fields import ConfigField
from apps.training.models import Recipe, Schedule

PREFIX = "config_"
PRESET_TITLES = [
    ("tiny", gettext_lazy("Tiny: trains in seconds, for trying out")),
    ("small", gettext_lazy("Small: for shops up to some ten thousand products")),
    ("full", gettext_lazy("Full: best quality, takes longest")),
]


class RecipeForm(PortalForm):
    """A recipe with one field per setting of its family; an empty setting follows the preset."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=80)
    schedule = forms.ChoiceField(label=gettext_lazy("Trains"), choices=Schedule.choices)
    window_days = forms.IntegerField(
        label=gettext_lazy("Learns from the last (days)"),
        required=False,
        min_value=2,
        help_text=gettext_lazy("Empty: from all history."),
    )
    preset = forms.ChoiceField(label=gettext_lazy("Preset"), choices=PRESET_TITLES)
    seed = forms.IntegerField(
        label=gettext_lazy("Seed"),
        min_value=0,
        help_text=gettext_lazy("The same seed and data give the same model."),
    )
    active = forms.BooleanField(label=gettext_lazy("In use: trains by its schedule"), required=False)

    def __init__(self, data: Any = None, *, recipe: Recipe, settings: list[ConfigField]) -> None:
        initial = {
            name: getattr(recipe, name)
            for name in ("name", "schedule", "window_days", "preset", "seed", "active")
        }
        initial |= {PREFIX + name: _shown(value) for name, value in recipe.config.items()}
        super().__init__(data, initial=initial)
        self.settings = settings
        if recipe.code == recipe.family:  # built-in sources have one name everywhere, in both languages
            del self.fields["name"]
        preset = str(self.data.get("preset") or recipe.preset)
        for setting in settings:
            self.fields[PREFIX + setting.name] = _field(setting, preset, recipe.family)

    @property
    def general(self) -> list[forms.BoundField]:
        """The fields every recipe has."""
        return [field for field in self if not field.name.startswith(PREFIX)]

    @property
    def special(self) -> list[forms.BoundField]:
        """The fields of the family."""
        return [field for field in self if field.name.startswith(PREFIX)]

    def changes(self) -> dict[str, Any]:
        """What `recipe_update` takes: the general fields, and as config only what differs from the preset."""
        facts = self.cleaned_data
        changes = {name: value for name, value in facts.items() if not name.startswith(PREFIX)}
        return changes | {"config": self._config(facts)}

    def _config(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        config: dict[str, Any] = {}
        for setting in self.settings:
            text = facts[PREFIX + setting.name]
            if text in ("", None):
                continue
            value = _parsed(setting, text)
            if value != setting.presets.get(facts["preset"]):
                config[setting.name] = value
        return config


def _shown(value: Any) -> Any:
    """A stored setting as the form shows it; None is a choice of its own, "never"."""
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else value


def _parsed(setting: ConfigField, text: Any) -> Any:
    if text == "none":
        return None
    if setting.kind == "bool":
        return text == "true"
    if setting.kind == "int":
        return int(text)
    return float(text) if setting.kind == "float" else text


def _field(setting: ConfigField, preset: str, family: str) -> forms.Field:
    label, help_text = setting_words(setting.name, family)
    default = _("Preset: %(value)s") % {"value": value_text(setting.presets.get(preset), setting.name)}
    if setting.kind == "bool":
        choices = [("", default), ("true", _("yes")), ("false", _("no"))]
        return forms.ChoiceField(label=label, help_text=help_text, choices=choices, required=False)
    if setting.kind == "choice":
        choices = [("", default), *((one, value_text(one)) for one in setting.choices)]
        return forms.ChoiceField(label=label, help_text=help_text, choices=choices, required=False)
    return SettingField(
        label=label, help_text=help_text, required=False, setting=setting,
        widget=forms.TextInput(attrs={"placeholder": default, "inputmode": "decimal"}),
    )  # fmt: skip


class SettingField(forms.CharField):
    """A number within the setting's limits, empty for the preset's, "none" where the setting may be off."""

    def __init__(self, *, setting: ConfigField, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.setting = setting

    def clean(self, value: Any) -> str:
        """Checked here so that the message stands at the field; the family checks again."""
        text = str(super().clean(value)).strip().lower()
        if text == "" or (text in ("none", _("never")) and self.setting.optional):
            return "none" if text else ""
        try:
            amount = int(text) if self.setting.kind == "int" else float(text)
        except ValueError:
            whole = self.setting.kind == "int"
            raise forms.ValidationError(
                _("Write a whole number.") if whole else _("Write a number.")
            ) from None
        if self.setting.at_least is not None and not amount >= self.setting.at_least:
            least = value_text(self.setting.at_least)
            raise forms.ValidationError(_("Write at least %(least)s.") % {"least": least})
        return text
