"""Colleagues: invitations, roles, the page where an invited colleague starts, and one's own profile."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.password_validation import password_validators_help_texts
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _

from apps.accounts.roles import ADMIN, ROLE_TITLES
from apps.portal.forms.base import PortalForm

ROLE_MEANINGS = {
    "merchandiser": _("Moves weights, writes rules, publishes, makes placements"),
    "analyst": _("Sees everything of the shop, changes nothing"),
    "ml_engineer": _("Imports data; trains, promotes and rolls back models"),
    "admin": _("All of it, and settings, keys and colleagues"),
}


def role_choices() -> list[tuple[str, str]]:
    """Role codes with what each may do."""
    return [(code, f"{title}: {ROLE_MEANINGS[code]}") for code, title in ROLE_TITLES.items()]


def password_rules() -> str:
    """What a password must be, in one line."""
    return " ".join(str(text) for text in password_validators_help_texts())


class InvitationForm(PortalForm):
    """An e-mail address and a role."""

    email = forms.EmailField(
        label=_("E-mail address"), widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    role = forms.ChoiceField(label=_("Role"), choices=role_choices)


class RolesForm(PortalForm):
    """Which roles a colleague has."""

    roles = forms.MultipleChoiceField(
        label=_("Roles"),
        choices=role_choices,
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=_("Without a role a colleague can log in but sees nothing."),
    )

    def __init__(self, *args: Any, own: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.own = own

    def clean_roles(self) -> list[str]:
        """Admins can't lock themselves out; another admin has to do it."""
        roles: list[str] = self.cleaned_data["roles"]
        if self.own and ADMIN not in roles:
            raise forms.ValidationError(_("You can't take the admin role from yourself. Ask another admin."))
        return roles


class WelcomeForm(PortalForm):
    """What an invited colleague fills in."""

    first_name = forms.CharField(label=_("First name"), max_length=150, required=False)
    last_name = forms.CharField(label=_("Last name"), max_length=150, required=False)
    password = forms.CharField(
        label=_("Password"),
        help_text=lazy(password_rules, str)(),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    repeated = forms.CharField(
        label=_("The same password again"), widget=forms.PasswordInput(attrs={"autocomplete": "new-password"})
    )

    def clean_repeated(self) -> str:
        """Both passwords are the same."""
        repeated: str = self.cleaned_data["repeated"]
        if repeated != self.cleaned_data.get("password", repeated):
            raise forms.ValidationError(_("The two passwords differ."))
        return repeated


class LanguageForm(PortalForm):
    """The language these pages speak to one reader."""

    language = forms.ChoiceField(label=_("Language of these pages"), choices=settings.LANGUAGES)
