"""What all forms share: services' errors land on the fields they name; choices in the reader's language."""

from collections.abc import Iterable
from typing import Any

from babel import Locale
from django import forms
from django.core.exceptions import ValidationError

from apps.core.errors import InvalidInput, RecoPortalError
from apps.portal.formats import locale
from apps.portal.words.remedies import remedy_words

COMMON_CURRENCIES = (
    "EUR",
    "USD",
    "GBP",
    "CNY",
    "JPY",
    "CHF",
    "AUD",
    "CAD",
    "HKD",
    "INR",
    "KRW",
    "MXN",
    "NZD",
)
FURTHER_CURRENCIES = (
    "AED", "ARS", "BGN", "BRL", "CLP", "COP", "CZK", "DKK", "EGP", "HUF", "IDR", "ILS", "ISK", "MAD", "MYR",
    "NGN", "NOK", "PEN", "PHP", "PLN", "RON", "RSD", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "UAH", "VND",
    "ZAR",
)  # fmt: skip
LANGUAGES = ("en", "zh-hans", "de", "fr", "es", "it", "pt", "nl", "pl", "ja", "ko", "ru", "ar", "tr")


class PortalForm(forms.Form):
    """A form whose widgets carry the ids of their help and error texts."""

    use_required_attribute = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        # A page and its dialogs hold several forms; their fields must not share an id.
        kwargs.setdefault("auto_id", f"{type(self).__name__.lower()}-%s")
        super().__init__(*args, **kwargs)

    def take(self, error: RecoPortalError) -> None:
        """Show a service's refusal on the field it names, else above the form."""
        if isinstance(error, InvalidInput):
            self.add_error(error.field if error.field in self.fields else None, remedy_told(error))
        else:
            self.add_error(None, error.message)

    def lock(self) -> None:
        """Switch every field off, for readers who may look only."""
        for field in self.fields.values():
            field.disabled = True


def remedy_told(error: InvalidInput) -> str:
    """A service's remedy in the reader's language."""
    return remedy_words(error.remedy) or error.message


def currency_choices() -> list[tuple[str, list[tuple[str, str]]]]:
    """ISO codes with their names in the reader's language, the common ones first."""
    names = locale().currencies

    def pairs(codes: Iterable[str]) -> list[tuple[str, str]]:
        return [(code, f"{code} – {names.get(code, code)}") for code in codes]

    return [("", pairs(COMMON_CURRENCIES)), ("…", pairs(FURTHER_CURRENCIES))]


def language_choices() -> list[tuple[str, str]]:
    """Language codes with their names in the reader's language."""
    names = locale().languages
    return [(code, _language_name(code, names.get(code.split("-")[0], code))) for code in LANGUAGES]


def _language_name(code: str, fallback: str) -> str:
    if code == "zh-hans":
        return str(Locale("zh", script="Hans").get_display_name(locale()))
    return str(fallback)


def zone_check(value: str, zones: Iterable[str], message: str) -> str:
    """The value if it is one of the zones; else a ValidationError with `message`."""
    if value not in zones:
        raise ValidationError(message)
    return value
