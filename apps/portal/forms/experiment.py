"""The fields of an experiment's design: idea, audience and traffic, metrics and how they are judged.

Shares and relative changes are typed in per cent and kept as fractions (`percent_of`, `fraction_of`).
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.experiments.models import BUCKETS, Experiment
from apps.portal.forms.base import PortalForm
from apps.portal.words.experiment_design import TEMPLATES

RAMPS: dict[str, tuple[float, ...]] = {
    "careful": (0.01, 0.05, 0.10, 0.25, 0.50, 1.0),
    "quick": (0.10, 0.50, 1.0),
}


def percent_of(fraction: float | None) -> float | int | None:
    """A fraction as the number in a field of per cent, without noise: 0.07 is 7."""
    if fraction is None:
        return None
    found = float(f"{100 * fraction:.6g}")
    return int(found) if found == int(found) else found


def fraction_of(percent: float | None) -> float | None:
    """What a field of per cent says as a fraction."""
    return None if percent is None else round(percent / 100, 8)


def percent_field(label: Any, *, low: float = 0, high: float = 100, step: str = "any", **more: Any) -> Any:
    """A number in per cent."""
    widget = forms.NumberInput(attrs={"step": step, "inputmode": "decimal"})
    return forms.FloatField(label=label, min_value=low, max_value=high, widget=widget, **more)


class IdeaForm(PortalForm):
    """What is tested and why; the first thing kept."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=80,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    hypothesis = forms.CharField(
        label=gettext_lazy("Hypothesis"),
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy(
            "If we change …, then … will rise by about …, because … . Write it before you see a number: it "
            "keeps everybody honest afterwards."
        ),
    )
    template = forms.ChoiceField(
        label=gettext_lazy("What do you want to test?"),
        choices=[(code, one.title) for code, one in TEMPLATES.items()],
        initial="blend",
        widget=forms.RadioSelect,
    )


class AudienceForm(PortalForm):
    """Who takes part, in which slice of which layer, and how it starts."""

    known = forms.ChoiceField(
        label=gettext_lazy("Shoppers"),
        choices=[
            ("", gettext_lazy("Everybody")),
            ("yes", gettext_lazy("Only shoppers who are logged in or known")),
            ("no", gettext_lazy("Only anonymous visitors")),
        ],
        required=False,
    )
    history = forms.ChoiceField(
        label=gettext_lazy("History"),
        choices=[
            ("", gettext_lazy("New and returning")),
            ("new", gettext_lazy("Only new shoppers")),
            ("returning", gettext_lazy("Only returning shoppers")),
        ],
        required=False,
    )
    regions = forms.MultipleChoiceField(
        label=gettext_lazy("Regions"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("None ticked: all of them."),
    )
    languages = forms.MultipleChoiceField(
        label=gettext_lazy("Languages"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("None ticked: all of them."),
    )
    devices = forms.MultipleChoiceField(
        label=gettext_lazy("Devices"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("None ticked: all of them."),
    )
    layer = forms.ChoiceField(
        label=gettext_lazy("Layer"),
        required=False,
        help_text=gettext_lazy(
            "Experiments of one layer never share a shopper. Those of different layers do, independently."
        ),
    )
    layer_from = percent_field(gettext_lazy("Slice from (%)"))
    layer_to = percent_field(gettext_lazy("Slice to (%)"))
    traffic = percent_field(
        gettext_lazy("Traffic now (%)"),
        low=0.1,
        help_text=gettext_lazy(
            "How much of the slice takes part. Raising it later moves nobody between variants."
        ),
    )
    ramp = forms.ChoiceField(
        label=gettext_lazy("Start"),
        choices=[
            ("", gettext_lazy("At once, with the traffic above")),
            ("careful", gettext_lazy("Carefully: 1, 5, 10, 25, 50, 100 %")),
            ("quick", gettext_lazy("Quickly: 10, 50, 100 %")),
            ("own", gettext_lazy("In steps of my own")),
        ],
        required=False,
        help_text=gettext_lazy("It takes the next step by itself while no guardrail fails."),
    )
    ramp_own = forms.CharField(
        label=gettext_lazy("Steps of my own (%)"),
        required=False,
        help_text=gettext_lazy("Rising, ending with 100, such as 2, 20, 100."),
    )
    ramp_hours = forms.IntegerField(
        label=gettext_lazy("Hours on each step"), min_value=1, max_value=24 * 28, required=False
    )
    triggered = forms.ChoiceField(
        label=gettext_lazy("Who counts"),
        choices=[
            ("served", gettext_lazy("Everybody who was given a slate")),
            ("different", gettext_lazy("Only those whose slate differs between the variants")),
        ],
        help_text=gettext_lazy(
            "Counting only those who could notice shows small effects sooner; it costs a second slate for "
            "each answer."
        ),
    )
    slot_minutes = forms.IntegerField(
        label=gettext_lazy("Minutes until the shop may switch"),
        min_value=5,
        max_value=7 * 24 * 60,
        required=False,
    )
    bandit_floor = percent_field(
        gettext_lazy("Least share of a variant (%)"),
        low=0.1,
        high=50,
        required=False,
        help_text=gettext_lazy("No variant gets less, so that a slow starter is not forgotten."),
    )

    def __init__(
        self,
        data: Any = None,
        *,
        kind: str,
        layers: Sequence[tuple[str, str]],
        found: Mapping[str, Sequence[tuple[str, str]]],
        **kwargs: Any,
    ) -> None:
        super().__init__(data, **kwargs)
        self.kind = kind
        self._choices("layer").choices = list(layers)
        for name in ("regions", "languages", "devices"):
            chosen = [*(self.initial.get(name) or ())]
            known = dict(found[name])
            self._choices(name).choices = list(({one: one for one in chosen} | known).items())
            if not self._choices(name).choices:
                del self.fields[name]
        if kind != "switchback":
            del self.fields["slot_minutes"]
        if kind != "bandit":
            del self.fields["bandit_floor"]
        if kind in ("switchback", "holdout", "interleaving"):
            del self.fields["triggered"]
        if kind == "switchback":  # the whole shop, at once
            for name in ("layer_from", "layer_to", "traffic", "ramp", "ramp_own", "ramp_hours"):
                del self.fields[name]
        if kind == "holdout":  # has a layer of its own
            del self.fields["layer"]

    def _choices(self, name: str) -> forms.ChoiceField:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        return field

    @property
    def who(self) -> list[forms.BoundField]:
        """The fields on the audience."""
        return self._bound("known", "history", "regions", "languages", "devices", "triggered")

    @property
    def slice(self) -> list[forms.BoundField]:
        """The fields on the layer."""
        return self._bound("layer", "layer_from", "layer_to")

    @property
    def pace(self) -> list[forms.BoundField]:
        """The fields on traffic."""
        return self._bound("traffic", "ramp", "ramp_own", "ramp_hours", "slot_minutes", "bandit_floor")

    def _bound(self, *names: str) -> list[forms.BoundField]:
        return [self[name] for name in names if name in self.fields]

    def clean(self) -> dict[str, Any]:
        """The steps of one's own are rising shares that end with everything."""
        facts: dict[str, Any] = super().clean() or self.cleaned_data
        if facts.get("ramp") == "own":
            try:
                steps = [
                    float(part) / 100
                    for part in facts["ramp_own"].replace("，", ",").split(",")
                    if part.strip()
                ]
            except ValueError:
                steps = []
            if not steps or steps != sorted(set(steps)) or steps[0] < 0.0001 or steps[-1] != 1:
                self.add_error("ramp_own", _("Give rising shares that end with 100, such as 2, 20, 100."))
            facts["steps"] = steps
        return facts

    def values(self) -> dict[str, Any]:
        """What `experiment_update` takes."""
        facts = self.cleaned_data
        values: dict[str, Any] = {
            "audience": {
                "known": {"yes": True, "no": False}.get(facts["known"]),
                "history": facts["history"] or None,
                "regions": facts.get("regions", []),
                "languages": facts.get("languages", []),
                "devices": facts.get("devices", []),
            }
        }
        for name in ("layer", "triggered", "slot_minutes", "ramp_hours"):
            if facts.get(name) is not None:
                values[name] = facts[name]
        if "traffic" in facts:
            values |= {
                "layer_from": round(100 * facts["layer_from"]),
                "layer_to": round(100 * facts["layer_to"]),
                "traffic": fraction_of(facts["traffic"]),
                "ramp": facts.get("steps") or list(RAMPS.get(facts["ramp"], ())),
            }
        if facts.get("bandit_floor") is not None:
            values["bandit_floor"] = fraction_of(facts["bandit_floor"])
        return values


def audience_initial(experiment: Experiment) -> dict[str, Any]:
    """What the audience's form starts with."""
    audience = experiment.audience or {}
    steps = tuple(experiment.ramp or ())
    named = next((name for name, shares in RAMPS.items() if shares == steps), "own" if steps else "")
    return {
        "known": {True: "yes", False: "no"}.get(audience["known"], "") if "known" in audience else "",
        "history": audience.get("history") or "",
        "regions": audience.get("regions", []),
        "languages": audience.get("languages", []),
        "devices": audience.get("devices", []),
        "layer": experiment.layer.code if experiment.layer else "",
        "layer_from": percent_of(experiment.layer_from / BUCKETS),
        "layer_to": percent_of(experiment.layer_to / BUCKETS),
        "traffic": percent_of(experiment.traffic),
        "ramp": named,
        "ramp_own": ", ".join(f"{100 * step:g}" for step in steps) if named == "own" else "",
        "ramp_hours": experiment.ramp_hours,
        "triggered": experiment.triggered,
        "slot_minutes": experiment.slot_minutes,
        "bandit_floor": percent_of(experiment.bandit_floor),
    }
