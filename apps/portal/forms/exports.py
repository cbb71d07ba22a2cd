"""Starting an export of slates for e-mail."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from apps.merchandising.models import Placement
from apps.portal.forms.base import PortalForm, language_choices


class ExportForm(PortalForm):
    """Which placement, for whom, how long a list."""

    placement = forms.ChoiceField(label=_("Placement"))
    first = forms.CharField(
        label=_("First shopper"),
        max_length=80,
        required=False,
        help_text=_("The shop's id. Left empty: from the first one."),
    )
    last = forms.CharField(
        label=_("Last shopper"),
        max_length=80,
        required=False,
        help_text=_("Included. Left empty: to the last one."),
    )
    n = forms.IntegerField(
        label=_("Products in each list"),
        min_value=1,
        max_value=100,
        required=False,
        help_text=_("Left empty: as many as the placement shows."),
    )
    language = forms.ChoiceField(label=_("Language of the titles"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        used = Placement.objects.filter(archived_at=None)
        places, words = self.fields["placement"], self.fields["language"]
        assert isinstance(places, forms.ChoiceField)
        assert isinstance(words, forms.ChoiceField)
        places.choices = [(one.code, _now(one.name)) for one in used]
        words.choices = [("", _now("The product's own")), *language_choices()]
