"""Numbers, money, dates and spans of time as the reader's language writes them; "–" for no data."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel import dates as babel_dates
from babel import numbers as babel_numbers
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

NO_DATA = "–"
Number = int | float | Decimal


def locale() -> Locale:
    """Babel's locale of the language this reader has chosen."""
    language = (get_language() or "en").lower()
    return Locale.parse("zh_Hans_CN") if language.startswith("zh") else Locale.parse("en_GB")


def number(value: Number | None, digits: int = 0) -> str:
    """A plain number with `digits` decimals."""
    if value is None:
        return NO_DATA
    pattern = "#,##0" + ("." + "0" * digits if digits else "")
    return babel_numbers.format_decimal(value, format=pattern, locale=locale())


def compact(value: Number | None) -> str:
    """A large number in few characters: 12.3K, 1.2万."""
    if value is None:
        return NO_DATA
    if abs(float(value)) < 10_000:
        return number(value)
    return babel_numbers.format_compact_decimal(value, locale=locale(), fraction_digits=1)


def percent(value: Number | None, digits: int = 1) -> str:
    """A share (0 to 1) as a percentage."""
    if value is None:
        return NO_DATA
    return babel_numbers.format_percent(
        value,
        format="#,##0" + ("." + "0" * digits if digits else "") + "%",
        locale=locale(),
    )


def money(value: Number | None, currency: str) -> str:
    """An amount in the shop's currency."""
    if value is None:
        return NO_DATA
    return babel_numbers.format_currency(value, currency or "EUR", locale=locale())


def change(value: Number | None) -> str:
    """A relative change with its sign: +3.2%, −1.0%, ±0%."""
    if value is None:
        return NO_DATA
    if abs(float(value)) < 0.0005:
        return "±" + percent(0, 0)
    return ("+" if value > 0 else "−") + percent(abs(float(value)))


def signed(value: Number | None, digits: int = 2) -> str:
    """A number that always shows its sign: +0.012, −0.004."""
    if value is None:
        return NO_DATA
    sign = "" if not value else "−" if value < 0 else "+"
    return sign + number(abs(float(value)), digits)


def duration(seconds: Number | None) -> str:
    """A span of time in its two largest units: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min."""
    if seconds is None:
        return NO_DATA
    if seconds < 10:
        return _("%(n)s s") % {"n": number(seconds, 1)}
    whole = round(float(seconds))
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return _("%(h)s h %(m)s min") % {"h": hours, "m": minutes}
    if minutes:
        return _("%(m)s min %(s)s s") % {"m": minutes, "s": rest}
    return _("%(n)s s") % {"n": rest}


def ago(moment: datetime | None, now: datetime) -> str:
    """How long ago `moment` was, or how long until it is."""
    if moment is None:
        return _("never")
    return babel_dates.format_timedelta(moment - now, add_direction=True, locale=locale(), threshold=0.95)


def day(value: date | None, *, year: bool = False) -> str:
    """A day, without its year unless asked."""
    if value is None:
        return NO_DATA
    if year:
        return babel_dates.format_date(value, format="medium", locale=locale())
    return babel_dates.format_skeleton("MMMd", datetime(value.year, value.month, value.day), locale=locale())


def moment(value: datetime | None, time_zone: str) -> str:
    """Date and time in the shop's time zone."""
    if value is None:
        return NO_DATA
    local = value.astimezone(ZoneInfo(time_zone))
    spoken = locale()
    return f"{babel_dates.format_date(local, 'medium', locale=spoken)} {local:%H:%M}"


def size(count: int | None) -> str:
    """A sample size: n = 1,234."""
    return NO_DATA if count is None else _("n = %(n)s") % {"n": number(count)}


def days(count: int) -> str:
    """A number of days in words."""
    return ngettext("%(n)s day", "%(n)s days", count) % {"n": number(count)}


def cell(value: Any, kind: str, currency: str = "") -> str:
    """A table cell by the kind its chart gave the column."""
    match kind:
        case "money":
            return money(value, currency)
        case "percent":
            return percent(value, 2)
        case "number":
            return number(value)
        case "decimal":
            return number(value, 4)
        case "date":
            return day(value, year=True)
    return NO_DATA if value in (None, "") else str(value)


def span(value: timedelta | None) -> str:
    """A timedelta as `duration`."""
    return duration(None if value is None else value.total_seconds())
