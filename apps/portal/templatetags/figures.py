"""Filters that write figures the way the reader's language does (see `portal.formats`)."""

from datetime import date, datetime
from typing import Any

from django import template
from django.utils.dateparse import parse_datetime

from apps.core.clock import now
from apps.portal import formats

register = template.Library()


def _known(value: Any) -> Any:
    """What a template makes of an attribute of None is an empty text: no figure."""
    return None if value == "" else value


@register.filter
def number(value: Any, digits: int = 0) -> str:
    """`{{ n|number }}` or `{{ n|number:2 }}`."""
    return formats.number(_known(value), digits)


@register.filter
def compact(value: Any) -> str:
    """A large number in few characters."""
    return formats.compact(value)


@register.filter
def percent(value: Any, digits: int = 1) -> str:
    """A share from 0 to 1 as a percentage."""
    return formats.percent(_known(value), digits)


@register.filter
def money(value: Any, currency: str) -> str:
    """`{{ amount|money:shop.currency }}`."""
    return formats.money(value, currency)


@register.filter
def change(value: Any) -> str:
    """A relative change with its sign."""
    return formats.change(value)


@register.filter
def duration(value: Any) -> str:
    """Seconds in words."""
    return formats.duration(value)


@register.filter
def ago(value: datetime | str | None) -> str:
    """How long ago; takes an ISO text too."""
    return formats.ago(parse_datetime(value) if isinstance(value, str) else value, now())


@register.filter
def moment(value: datetime | str | None, time_zone: str = "UTC") -> str:
    """Date and time in the shop's zone; takes an ISO text too."""
    return formats.moment(parse_datetime(value) if isinstance(value, str) else value, time_zone)


@register.filter
def day(value: date | None) -> str:
    """A day with its year."""
    return formats.day(value, year=True)


@register.filter
def cell(pair: tuple[Any, str], currency: str = "") -> str:
    """A (value, kind) pair of a chart's table."""
    return formats.cell(pair[0], pair[1], currency)


@register.filter
def signed(value: Any, digits: int = 2) -> str:
    """A number that always shows its sign."""
    return formats.signed(_known(value), digits)
