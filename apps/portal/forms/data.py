"""Uploading a product feed and editing event kinds."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.events.models import EventKind, EventRole
from apps.portal.forms.base import PortalForm

FORMATS = [("", _("By the file's name")), ("csv", "CSV"), ("jsonl", "JSON Lines"), ("parquet", "Parquet")]


class FeedForm(PortalForm):
    """A product feed."""

    file = forms.FileField(
        label=_("Product feed"),
        widget=forms.FileInput(attrs={"accept": ".csv,.tsv,.txt,.json,.jsonl,.ndjson,.parquet,.pq"}),
        error_messages={"required": _("Choose a file first."), "empty": _("The file is empty.")},
    )
    format = forms.ChoiceField(label=_("Format"), choices=FORMATS, required=False)


class EventKindForm(PortalForm):
    """A kind of event: its code in the API, its name, what it means and how much it teaches."""

    name = forms.CharField(label=_("Name"), max_length=80)
    code = forms.SlugField(
        label=_("Code"),
        max_length=40,
        help_text=_("What the storefront sends as “kind”. It can't be changed later."),
    )
    role = forms.ChoiceField(
        label=_("Meaning"), choices=EventRole.choices, help_text=_("What the system takes it for.")
    )
    weight = forms.FloatField(
        label=_("Training weight"),
        min_value=-100,
        max_value=100,
        initial=1.0,
        help_text=_(
            "How much one such event says: a purchase 5, a view 1. Negative is a dislike, 0 teaches nothing."
        ),
    )
    active = forms.BooleanField(
        label=_("Taken in: events of this kind are accepted"), required=False, initial=True
    )

    def __init__(self, data: Any = None, *, kind: EventKind | None = None) -> None:
        names = ("name", "code", "role", "weight", "active")
        super().__init__(data, initial={name: getattr(kind, name) for name in names} if kind else None)
        if kind is not None:
            self.fields["code"].disabled = True
            self.fields["role"].disabled = kind.built_in
