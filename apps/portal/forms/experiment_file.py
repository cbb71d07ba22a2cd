"""A file of an experiment's units and what its columns are."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.core.errors import InvalidInput, RecoPortalError
from apps.experiments.file_options import FileMetric, FileOptions, shares_parse
from apps.experiments.file_preview import FEW, ColumnFacts, Guess, is_summary
from apps.portal.forms.base import PortalForm

LARGEST = 100_000_000
"""Bytes of an upload."""
METRICS_MOST = 12
EXPERIMENT_COLUMNS = ("experiment", "experiment_id")
KINDS = (
    ("", gettext_lazy("Leave out")),
    ("proportion", gettext_lazy("Share (0 or 1)")),
    ("mean", gettext_lazy("Mean")),
    ("revenue", gettext_lazy("Money, largest capped")),
    ("ratio", gettext_lazy("Ratio")),
    ("quantile", gettext_lazy("Quantile")),
)
ROLES = (("metric", gettext_lazy("Metric")), ("guardrail", gettext_lazy("Guardrail")))
BETTER = (("more", gettext_lazy("More is better")), ("less", gettext_lazy("Less is better")))
VIEWS = (
    ("sequential", gettext_lazy("Always valid")),
    ("fixed", gettext_lazy("Fixed horizon")),
    ("bayes", gettext_lazy("Bayesian")),
)
CORRECTIONS = (("holm", "Holm"), ("bh", "Benjamini–Hochberg"), ("none", gettext_lazy("No correction")))
LEVELS = (("0.05", "95%"), ("0.01", "99%"), ("0.1", "90%"))


class FileForm(PortalForm):
    """The file alone: what the first step needs."""

    file = forms.FileField(
        label=gettext_lazy("File of units"),
        widget=forms.FileInput(attrs={"accept": ".csv,.tsv,.txt,.gz,.parquet,.pq"}),
        error_messages={
            "required": gettext_lazy("Choose a file first."),
            "empty": gettext_lazy("The file is empty."),
        },
    )

    def clean_file(self) -> Any:
        """Refuse what is too large for one request."""
        file = self.cleaned_data["file"]
        if file.size > LARGEST:
            raise forms.ValidationError(
                _("The file is larger than 100 MB. Analyse it with the command analyze_experiment instead.")
            )
        return file


class MappingForm(PortalForm):
    """What the columns are, and how to judge. `columns`: of the file at hand."""

    unit = forms.ChoiceField(label=gettext_lazy("Unit: who was assigned"))
    variant = forms.ChoiceField(label=gettext_lazy("Variant"))
    control = forms.ChoiceField(label=gettext_lazy("Which variant is control"))
    experiment = forms.ChoiceField(label=gettext_lazy("Which experiment"), required=False)
    date = forms.ChoiceField(
        label=gettext_lazy("Date"), required=False, help_text=gettext_lazy("For days and novelty.")
    )
    expected = forms.CharField(
        label=gettext_lazy("Planned split"),
        required=False,
        max_length=300,
        help_text=gettext_lazy("Such as A=0.5, B=0.5. Empty: equal shares."),
    )
    view = forms.ChoiceField(label=gettext_lazy("Judge by"), choices=VIEWS)
    correction = forms.ChoiceField(label=gettext_lazy("Several comparisons"), choices=CORRECTIONS)
    alpha = forms.ChoiceField(label=gettext_lazy("Certainty"), choices=LEVELS)
    min_days = forms.IntegerField(
        label=gettext_lazy("Days it should have run"), min_value=0, max_value=365, initial=7
    )
    min_units = forms.IntegerField(
        label=gettext_lazy("Units each variant should have"), min_value=0, max_value=10_000_000, initial=150
    )
    mde = forms.FloatField(
        label=gettext_lazy("Smallest change worth having (%)"), min_value=0.01, max_value=100, required=False
    )
    segments = forms.MultipleChoiceField(
        label=gettext_lazy("Segments"), required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, columns: Sequence[ColumnFacts], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.columns = columns
        names = _choices(one.name for one in columns)
        self._choose("unit", [("", _("Choose the column.")), *names])
        self._choose("variant", [("", _("Choose the column.")), *names])
        self._choose("date", [("", _("No date")), *names])
        taken = {self._said(name) for name in ("unit", "variant", "date")}
        parts = [one.name for one in columns if 2 <= len(one.values) <= FEW and one.name not in taken]
        self._choose("segments", _choices(parts))
        self._choose("control", _choices(self._variant_values()))

        self.summary = is_summary(columns)
        if self.summary:
            self._summary_of(columns)
        else:
            del self.fields["experiment"]

    def _summary_of(self, columns: Sequence[ColumnFacts]) -> None:
        """Take away what a file of summaries has no use for, and ask which experiment."""
        for name in ("unit", "date", "segments"):
            del self.fields[name]
        by_name = {one.name: one for one in columns}
        several = next((by_name[name].values for name in EXPERIMENT_COLUMNS if name in by_name), ())
        if several:
            self._choose("experiment", _choices(sorted(several)))
            self.fields["experiment"].required = True
        else:
            del self.fields["experiment"]
        if "count_c" in by_name:  # each row holds control beside one treatment
            del self.fields["variant"]
            self._choose("control", _choices(["control"]))

    def _choose(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def _said(self, name: str) -> str:
        return str(self.data.get(self.add_prefix(name)) or self.initial.get(name, ""))

    def _variant_values(self) -> tuple[str, ...]:
        chosen = self._said("variant")
        return next((tuple(sorted(one.values)) for one in self.columns if one.name == chosen), ())

    def clean_expected(self) -> dict[str, float] | None:
        """The planned split as shares."""
        text = self.cleaned_data["expected"].strip()
        if not text:
            return None
        try:
            return shares_parse(text)
        except InvalidInput as error:
            raise forms.ValidationError(error.remedy) from error

    def options(self, metrics: Iterable[FileMetric]) -> FileOptions:
        """What the analysis is asked; only of a valid form."""
        said = self.cleaned_data
        return FileOptions(
            unit=said.get("unit", ""),
            variant=said.get("variant", ""),
            control=said["control"],
            date=said.get("date", ""),
            experiment=said.get("experiment", ""),
            expected=said["expected"],
            segments=tuple(said.get("segments", ())),
            metrics=tuple(metrics),
            view=said["view"],
            correction=said["correction"],
            alpha=float(said["alpha"]),
            min_days=said["min_days"],
            min_units=said["min_units"],
            mde=said["mde"] / 100 if said["mde"] else None,
        )

    def take(self, error: RecoPortalError) -> None:
        """Show the refusal at its field; what concerns metrics or the file stands above the form."""
        if isinstance(error, InvalidInput) and error.field not in self.fields:
            self.add_error(None, f"{error.value}: {error.remedy}" if error.value else error.remedy)
            return
        super().take(error)


class MetricForm(PortalForm):
    """One metric of the file."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=60, required=False)
    column = forms.ChoiceField(label=gettext_lazy("Column"), required=False)
    kind = forms.ChoiceField(label=gettext_lazy("Kind"), choices=KINDS, required=False)
    denominator = forms.ChoiceField(label=gettext_lazy("Divided by"), required=False)
    quantile = forms.FloatField(
        label=gettext_lazy("Quantile (%)"), min_value=1, max_value=99, required=False, initial=50
    )
    covariate = forms.ChoiceField(label=gettext_lazy("The same, before"), required=False)
    better = forms.ChoiceField(label=gettext_lazy("Direction"), choices=BETTER, required=False)
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=ROLES, required=False)
    margin = forms.FloatField(
        label=gettext_lazy("Accepted loss (%)"), min_value=0.01, max_value=100, required=False, initial=2
    )

    def __init__(self, *args: Any, columns: Sequence[ColumnFacts], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.auto_id = f"metric-{self.prefix}-%s"
        numeric = _choices(one.name for one in columns if one.what == "number")
        for name, none in (("column", "–"), ("denominator", "–"), ("covariate", _("None"))):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = [("", none), *numeric]

    def clean(self) -> dict[str, Any]:
        """A ratio needs its second column."""
        said = super().clean() or self.cleaned_data
        if said.get("kind") and not said.get("column"):
            self.add_error("column", _("Choose the column."))
        if said.get("kind") == "ratio" and not said.get("denominator"):
            self.add_error("denominator", _("A ratio needs a second column."))
        return said

    def metric(self) -> FileMetric | None:
        """The metric; None where the row is left out. Only of a valid form."""
        said = self.cleaned_data
        kind, column = said.get("kind"), said.get("column")
        if not kind or not column:
            return None
        found = FileMetric(
            name=said.get("name") or column,
            kind=kind,
            column=column,
            covariate=said.get("covariate") or None,
            higher_is_better=said.get("better") != "less",
        )
        if said.get("role") == "guardrail":
            found = replace(found, margin=(said.get("margin") or 2.0) / 100)
        if kind == "ratio":
            return replace(found, denominator=said["denominator"])
        if kind == "quantile":
            return replace(found, quantile=(said.get("quantile") or 50.0) / 100)
        return found


def _choices(names: Iterable[str]) -> list[tuple[str, str]]:
    return [(name, name) for name in names]


def mapping_initial(found: Guess) -> dict[str, Any]:
    """The guess as the mapping form starts with it."""
    return {
        "unit": found.unit,
        "variant": found.variant,
        "control": found.control,
        "date": found.date,
        "segments": list(found.segments),
    }


def metric_forms(columns: Sequence[ColumnFacts], found: Guess) -> list[MetricForm]:
    """A row for each guessed metric, and one more to fill."""
    rows = [
        {"name": one.name, "column": one.column, "kind": one.kind, "covariate": one.covariate or ""}
        for one in found.metrics
    ]
    return [
        MetricForm(initial=row, prefix=f"m{place}", columns=columns)
        for place, row in enumerate([*rows, {}][:METRICS_MOST])
    ]


def metric_forms_posted(data: Any, columns: Sequence[ColumnFacts]) -> list[MetricForm]:
    """The rows as they were sent."""
    count = next((n for n in range(METRICS_MOST) if f"m{n}-kind" not in data), METRICS_MOST)
    return [MetricForm(data, prefix=f"m{place}", columns=columns) for place in range(count)]
