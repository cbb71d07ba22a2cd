"""A metric of experiments defined in the browser: what is counted, and how shoppers are put together."""

from typing import Any

from django import forms
from django.http import QueryDict
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.errors import InvalidInput, RecoPortalError
from apps.events.models import EventKind, EventRole
from apps.metrics.units import KINDS, VALUES, WORDS, Measure, measure_read, unit_metrics
from apps.portal.forms.base import PortalForm
from apps.portal.forms.experiment import percent_field
from apps.portal.words.unit_metrics import KIND_TITLES, VALUE_TITLES, WORD_TITLES

UNITS = {"rate": gettext_lazy("per cent"), "money": gettext_lazy("money"), "number": gettext_lazy("a number")}
NUMERATOR, DENOMINATOR = "n_", "d_"


class UnitMetricForm(PortalForm):
    """Name, kind, and one or two measures; the second is a ratio's."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=80, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )
    kind = forms.ChoiceField(
        label=gettext_lazy("What is compared"), choices=[(kind, KIND_TITLES[kind]) for kind in KINDS]
    )
    higher_is_better = forms.ChoiceField(
        label=gettext_lazy("Better is"),
        choices=[("yes", gettext_lazy("more of it")), ("no", gettext_lazy("less of it"))],
    )
    unit = forms.ChoiceField(label=gettext_lazy("Read as"), choices=list(UNITS.items()), initial="number")
    window_hours = forms.IntegerField(
        label=gettext_lazy("Only within (hours of the first slate)"),
        min_value=1,
        max_value=24 * 365,
        required=False,
        help_text=gettext_lazy("Empty: until the experiment ends."),
    )
    winsorise = percent_field(
        gettext_lazy("Cap at the percentile"),
        low=50,
        high=100,
        required=False,
        help_text=gettext_lazy(
            "One order of thousands must not decide; 99 is usual for money. Empty: no cap."
        ),
    )
    quantile = percent_field(
        gettext_lazy("Quantile (%)"),
        low=1,
        high=99,
        required=False,
        help_text=gettext_lazy("50 is the median."),
    )

    def __init__(self, data: Any = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        roles = [("", _("any role")), *EventRole.choices]
        kinds = [("", _("any kind")), *EventKind.objects.filter(active=True).values_list("code", "name")]
        for prefix in (NUMERATOR, DENOMINATOR):
            self.fields |= {
                f"{prefix}of": forms.ChoiceField(
                    label=_("Count"), choices=[(word, WORD_TITLES[word]) for word in WORDS], required=False
                ),
                f"{prefix}role": forms.ChoiceField(label=_("Meaning"), choices=roles, required=False),
                f"{prefix}kind": forms.ChoiceField(
                    label=_("Kind of event"),
                    choices=kinds,
                    required=False,
                    help_text=_("Narrower than the meaning."),
                ),
                f"{prefix}value": forms.ChoiceField(
                    label=_("Add up"),
                    choices=[(value, VALUE_TITLES[value]) for value in VALUES],
                    required=False,
                ),
                f"{prefix}category": forms.CharField(
                    label=_("Only in the category"),
                    required=False,
                    max_length=300,
                    widget=forms.TextInput(attrs={"list": "metric-categories", "autocomplete": "off"}),
                ),
                f"{prefix}brand": forms.CharField(
                    label=_("Only of the brand"),
                    required=False,
                    max_length=120,
                    widget=forms.TextInput(attrs={"list": "metric-brands", "autocomplete": "off"}),
                ),
                f"{prefix}attributed": forms.BooleanField(
                    label=_("Only purchases that follow a click on the slate"), required=False
                ),
            }

    @property
    def head(self) -> list[forms.BoundField]:
        """What it is called and compares."""
        return [self[name] for name in ("name", "kind")]

    @property
    def counted(self) -> list[forms.BoundField]:
        """What is counted."""
        return self._measure(NUMERATOR)

    @property
    def below(self) -> list[forms.BoundField]:
        """What a ratio divides by."""
        return self._measure(DENOMINATOR)

    @property
    def reading(self) -> list[forms.BoundField]:
        """How it is read and limited."""
        return [self[name] for name in ("higher_is_better", "unit", "window_hours", "winsorise", "quantile")]

    def _measure(self, prefix: str) -> list[forms.BoundField]:
        names = ("of", "role", "kind", "value", "category", "brand", "attributed")
        return [self[prefix + name] for name in names]

    def take(self, error: RecoPortalError) -> None:
        """A refusal of a measure stands on what it counts."""
        first = {"numerator": f"{NUMERATOR}of", "denominator": f"{DENOMINATOR}of", "code": "name"}
        if isinstance(error, InvalidInput) and error.field in first:
            self.add_error(first[error.field], error.remedy)
        else:
            super().take(error)

    def clean(self) -> dict[str, Any]:
        """The measures can be read, a quantile is named where one is compared."""
        facts: dict[str, Any] = super().clean() or self.cleaned_data
        if (
            facts.get("kind") == "quantile"
            and facts.get("quantile") is None
            and "quantile" not in self.errors
        ):
            self.add_error("quantile", _("Say which: 50 is the median."))
        return facts

    def values(self) -> dict[str, Any]:
        """What `metric_define` takes."""
        facts = self.cleaned_data
        winsorise, quantile = facts["winsorise"], facts["quantile"]
        return {
            "code": code_free(facts["name"]),
            "name": facts["name"],
            "kind": facts["kind"],
            "numerator": measure_data(self.data, NUMERATOR),
            "denominator": measure_data(self.data, DENOMINATOR) if facts["kind"] == "ratio" else None,
            "window_hours": facts["window_hours"],
            "winsorise": (100 if winsorise is None else winsorise) / 100
            if facts["kind"] == "revenue"
            else None,
            "quantile": quantile / 100 if quantile and facts["kind"] == "quantile" else None,
            "higher_is_better": facts["higher_is_better"] == "yes",
            "unit": facts["unit"],
        }


def code_free(name: str) -> str:
    """A code for the name that no metric has, built in or archived ones too."""
    stem = slugify(name)[:34].replace("-", "_").strip("_") or "metric"
    taken = unit_metrics(archived=True)
    numbered = (stem if n == 1 else f"{stem}_{n}" for n in range(1, len(taken) + 2))
    return next(code for code in numbered if code not in taken)


def measure_data(data: QueryDict | Any, prefix: str) -> dict[str, Any]:
    """A measure's JSON as the fields of `prefix` stand; fields that its word does not have are left out."""
    of = data.get(f"{prefix}of", "") or "event"
    if of != "event":
        return {"of": of}
    found: dict[str, Any] = {
        name: text
        for name in ("role", "kind", "value", "category", "brand")
        if (text := data.get(prefix + name, ""))
    }
    return found | ({"attributed": True} if data.get(f"{prefix}attributed") else {})


def measures_of(data: QueryDict) -> list[Measure]:
    """The measures a form holds while it is being filled in; InvalidInput where one can't be read."""
    prefixes = (NUMERATOR, DENOMINATOR) if data.get("kind") == "ratio" else (NUMERATOR,)
    return [measure_read(measure_data(data, prefix)) for prefix in prefixes]
