"""Reasons for promoting against the gate and for rolling back."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.portal.forms.base import PortalForm

AREA = forms.Textarea(attrs={"rows": 3})


class PromoteForm(PortalForm):
    """Asks for a reason only where the gate refuses; the reason is kept with the version."""

    reason = forms.CharField(
        label=_("Reason to promote it all the same"),
        widget=AREA,
        max_length=1000,
        help_text=_("It is kept with the version and in the audit trail."),
    )

    def __init__(self, data: Any = None, *, refused: Sequence[str]) -> None:
        super().__init__(data)
        self.refused = refused
        if not refused:
            del self.fields["reason"]


class RollbackForm(PortalForm):
    """Why the live version has to go."""

    reason = forms.CharField(
        label=_("Reason"),
        widget=AREA,
        max_length=1000,
        required=False,
        help_text=_("It is kept in the audit trail."),
    )
