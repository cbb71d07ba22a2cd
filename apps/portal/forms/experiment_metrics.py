"""What decides an experiment, what must not suffer, how it is judged and what happens by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.errors import InvalidInput, RecoPortalError
from apps.experiments.models import Experiment
from apps.metrics.units import UnitMetric
from apps.portal.forms.base import PortalForm, remedy_told
from apps.portal.forms.experiment import fraction_of, percent_field, percent_of
from apps.portal.words.experiments import correction_words, view_words

MARGIN_START = 2  # per cent of loss that a guardrail accepts unless said otherwise
VIEWS = ("sequential", "fixed", "bayes")


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric as the form lays it out: what it may be besides the primary one."""

    metric: UnitMetric
    secondary: forms.BoundField
    guardrail: forms.BoundField
    margin: forms.BoundField

    @property
    def errors(self) -> list[str]:
        """What is wrong in the row."""
        return [*self.secondary.errors, *self.guardrail.errors, *self.margin.errors]


class MetricsForm(PortalForm):
    """One primary metric, secondary ones and guardrails; the effect worth having; the rules of judging."""

    primary = forms.ChoiceField(
        label=gettext_lazy("The metric that decides"),
        help_text=gettext_lazy("One, chosen now: with ten, one of them always looks good."),
    )
    mde = percent_field(
        gettext_lazy("Smallest change worth having (%)"),
        low=0.01,
        high=1000,
        help_text=gettext_lazy(
            "A smaller one you would not act on. Half of it needs four times the shoppers."
        ),
    )
    planned_days = forms.IntegerField(
        label=gettext_lazy("Days planned"),
        min_value=1,
        max_value=730,
        help_text=gettext_lazy("Whole weeks, so that every weekday counts the same."),
    )
    ends_at = forms.DateTimeField(
        label=gettext_lazy("Ends by itself at"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    view = forms.ChoiceField(
        label=gettext_lazy("How it is judged"),
        choices=lambda: [(code, view_words(code)) for code in VIEWS],
        help_text=gettext_lazy(
            "Always valid: look every day, stop when it is clear. Fixed horizon: a little sharper, and only "
            "right at the planned end."
        ),
    )
    power = percent_field(
        gettext_lazy("Chance to see it if it is there (%)"),
        low=50,
        high=99.9,
        help_text=gettext_lazy("The power; 80 is usual."),
    )
    alpha = percent_field(
        gettext_lazy("Chance of a false find (%)"),
        low=0.1,
        high=20,
        help_text=gettext_lazy("The level; 5 is usual."),
    )
    correction = forms.ChoiceField(
        label=gettext_lazy("With several comparisons"),
        choices=lambda: [(code, correction_words(code)) for code in ("holm", "bh", "none")],
    )
    cuped = forms.BooleanField(
        label=gettext_lazy("Use what shoppers did before (CUPED)"),
        required=False,
        help_text=gettext_lazy(
            "Takes out what was known beforehand; intervals get narrower, nothing gets biased."
        ),
    )
    min_days = forms.IntegerField(label=gettext_lazy("No verdict before (days)"), min_value=1, max_value=365)
    min_units = forms.IntegerField(
        label=gettext_lazy("No verdict before (shoppers of each variant)"), min_value=1, max_value=10_000_000
    )
    auto_rollback = forms.BooleanField(
        label=gettext_lazy("Roll back by itself when a guardrail fails"), required=False
    )
    auto_ship = forms.BooleanField(
        label=gettext_lazy("Ship by itself when the verdict says so"),
        required=False,
        help_text=gettext_lazy("The winner is then published without anybody pressing a button."),
    )
    emails = forms.CharField(
        label=gettext_lazy("Send a digest to"),
        required=False,
        help_text=gettext_lazy("E-mail addresses, separated by commas; no account needed."),
    )
    webhook = forms.URLField(
        label=gettext_lazy("Tell this address"),
        required=False,
        assume_scheme="https",
        help_text=gettext_lazy("Each decision and failed guardrail is posted to it as JSON."),
    )

    def __init__(self, data: Any = None, *, metrics: Mapping[str, UnitMetric], **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.metrics = metrics
        primary = self.fields["primary"]
        assert isinstance(primary, forms.ChoiceField)
        primary.choices = [(code, one.label) for code, one in metrics.items()]
        for code, one in metrics.items():
            self.fields[f"second_{code}"] = forms.BooleanField(
                label=_("Also look at %(metric)s") % {"metric": one.label}, required=False
            )
            self.fields[f"guard_{code}"] = forms.BooleanField(
                label=_("%(metric)s must not suffer") % {"metric": one.label}, required=False
            )
            self.fields[f"margin_{code}"] = percent_field(
                _("%(metric)s: loss accepted (%%)") % {"metric": one.label},
                low=0,
                high=99,
                required=False,
                initial=MARGIN_START,
            )

    @property
    def goal(self) -> list[forms.BoundField]:
        """What decides, by how much, how long."""
        return [self[name] for name in ("primary", "mde", "planned_days")]

    @property
    def judging(self) -> list[forms.BoundField]:
        """How it is judged; what few need to change."""
        names = ("view", "correction", "power", "alpha", "min_days", "min_units", "cuped")
        return [self[name] for name in names]

    @property
    def alone(self) -> list[forms.BoundField]:
        """What happens without anybody."""
        return [self[name] for name in ("auto_rollback", "auto_ship", "ends_at", "emails", "webhook")]

    @property
    def folded(self) -> list[tuple[str, list[forms.BoundField], bool]]:
        """The parts that are folded: title, fields, whether one of them has an error."""
        groups = [
            (_("How it is judged"), self.judging),
            (_("What happens by itself"), self.alone),
        ]
        return [(title, fields, any(field.errors for field in fields)) for title, fields in groups]

    @property
    def rows(self) -> list[MetricRow]:
        """The metrics, as a table."""
        return [
            MetricRow(one, self[f"second_{code}"], self[f"guard_{code}"], self[f"margin_{code}"])
            for code, one in self.metrics.items()
        ]

    def clean_emails(self) -> list[str]:
        """Every address, checked."""
        found = [
            part.strip() for part in self.cleaned_data["emails"].replace("，", ",").split(",") if part.strip()
        ]
        for one in found:
            try:
                validate_email(one)
            except ValidationError:
                raise ValidationError(_("“%(address)s” is no e-mail address.") % {"address": one}) from None
        return found

    def clean(self) -> dict[str, Any]:
        """A metric has one part to play, and a guardrail its margin."""
        facts: dict[str, Any] = super().clean() or self.cleaned_data
        for code in self.metrics:
            guarded = facts.get(f"guard_{code}")
            if guarded and facts.get(f"margin_{code}") is None and f"margin_{code}" not in self.errors:
                self.add_error(f"margin_{code}", _("Say how much loss is still accepted."))
            if guarded and code == facts.get("primary"):
                self.add_error(f"guard_{code}", _("It decides already: it can't be a guardrail as well."))
        return facts

    def take(self, error: RecoPortalError) -> None:
        """A refusal of a metric stands in its row."""
        part, _dot, _rest = getattr(error, "field", "").partition(".")
        code = error.value if isinstance(error, InvalidInput) else ""
        row = {"secondary": f"second_{code}", "guardrails": f"guard_{code}"}.get(part, "")
        if isinstance(error, InvalidInput) and row in self.fields:
            self.add_error(row, remedy_told(error))
        else:
            super().take(error)

    def values(self) -> dict[str, Any]:
        """What `experiment_update` takes."""
        facts = self.cleaned_data
        primary = facts["primary"]
        return {
            "primary": primary,
            # What decides and what is guarded is shown anyway.
            "secondary": [
                code
                for code in self.metrics
                if facts[f"second_{code}"] and not facts[f"guard_{code}"] and code != primary
            ],
            "guardrails": [
                {"metric": code, "margin": fraction_of(facts[f"margin_{code}"])}
                for code in self.metrics
                if facts[f"guard_{code}"]
            ],
            "mde": fraction_of(facts["mde"]),
            "alpha": fraction_of(facts["alpha"]),
            "power": fraction_of(facts["power"]),
            **{
                name: facts[name]
                for name in (
                    "planned_days",
                    "ends_at",
                    "view",
                    "correction",
                    "cuped",
                    "min_days",
                    "min_units",
                    "auto_rollback",
                    "auto_ship",
                    "emails",
                    "webhook",
                )
            },
        }


def metrics_initial(experiment: Experiment) -> dict[str, Any]:
    """What the form starts with."""
    names = (
        "primary",
        "planned_days",
        "view",
        "correction",
        "cuped",
        "min_days",
        "min_units",
        "auto_rollback",
        "auto_ship",
        "webhook",
    )
    found: dict[str, Any] = {name: getattr(experiment, name) for name in names}
    found |= {
        "mde": percent_of(experiment.mde),
        "alpha": percent_of(experiment.alpha),
        "power": percent_of(experiment.power),
        "ends_at": localtime(experiment.ends_at) if experiment.ends_at else None,
        "emails": ", ".join(experiment.emails),
    }
    found |= {f"second_{code}": True for code in experiment.secondary}
    for one in experiment.guardrails:
        found |= {f"guard_{one['metric']}": True, f"margin_{one['metric']}": percent_of(one["margin"])}
    return found
