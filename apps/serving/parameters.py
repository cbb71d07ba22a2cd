"""What a request for a slate may say, parameter by parameter: from a query string or a JSON object, checked.

Lists are texts joined by commas in a query string, arrays in JSON; each name means the same in both.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from apps.core.errors import InvalidInput
from apps.serving.decide import ITEMS_MAX
from apps.serving.publications import PAGE_MAX
from apps.serving.slate import DEVICES, REFERRERS, SEASONS, Context, Filters, SlateRequest

EXCLUDE_MAX = 500
RANK_MAX = 500
BRANDS_MAX = 50
ATTRIBUTES_MAX = 20
SKU_MAX = 64
NAME_MAX = 120
PRICE_MAX = 1e10
TEXT_LIMITS = {
    "shopper": 80,
    "anonymous": 80,
    "session": 64,
    "lang": 10,
    "region": 60,
    "category": 400,
    "in_category": 400,
}
FLAGS = {"0": False, "false": False, "1": True, "true": True}


def _refused(name: str, value: Any, remedy: str) -> InvalidInput:
    text = value if isinstance(value, str) else repr(value)
    return InvalidInput(field=name, value=text[:200], remedy=remedy)


def _text(name: str, value: Any) -> str:
    limit = TEXT_LIMITS[name]
    if not isinstance(value, str) or len(value) > limit or not value.isprintable():
        raise _refused(name, value, f"Send at most {limit} printable characters.")
    return value


def _lower(name: str, value: Any) -> str:
    return _text(name, value).lower()


def _parts(name: str, value: Any) -> list[str]:
    """The texts of a list, without empty ones."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, list) or not all(isinstance(part, str) for part in value):
        raise _refused(name, value, "Send texts: joined by commas in a query string, an array in JSON.")
    return [part for text in value if (part := text.strip())]


def _list_of(most: int, longest: int, what: str) -> Callable[[str, Any], tuple[str, ...]]:
    def parse(name: str, value: Any) -> tuple[str, ...]:
        parts = _parts(name, value)
        if len(parts) > most:
            remedy = f"Name at most {most} {what}; of more, the last ones."
            raise _refused(name, f"{len(parts)} {what}", remedy)
        for part in parts:
            if len(part) > longest or not part.isprintable():
                raise _refused(name, part, f"Send {what} of at most {longest} printable characters.")
        return tuple(parts)

    return parse


def _whole(low: int, high: int, without: str) -> Callable[[str, Any], int]:
    def parse(name: str, value: Any) -> int:
        text = str(value) if not isinstance(value, bool) else ""
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else low - 1
        if not low <= number <= high:
            remedy = f"Send a whole number from {low} to {high}, or leave it out for {without}."
            raise _refused(name, value, remedy)
        return number

    return parse


def _price(name: str, value: Any) -> float:
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not 0 <= number <= PRICE_MAX:
        raise _refused(name, value, "Send an amount of money of 0 or more, for example 19.90.")
    return number


def flag_parse(name: str, value: Any) -> bool:
    """A yes or no; raises InvalidInput."""
    if isinstance(value, bool):
        return value
    known = FLAGS.get(value.lower()) if isinstance(value, str) else None
    if known is None:
        raise _refused(name, value, "Send 1 for yes, 0 for no.")
    return known


def _one_of(codes: Sequence[str]) -> Callable[[str, Any], str]:
    def parse(name: str, value: Any) -> str:
        code = value.lower() if isinstance(value, str) else "?"
        if code not in codes:
            raise _refused(name, value, f"Send one of {', '.join(codes)}, or leave it out.")
        return code

    return parse


def _currency(name: str, value: Any) -> str:
    code = value.upper() if isinstance(value, str) else "?"
    if not (len(code) == 3 and code.isascii() and code.isalpha()):
        raise _refused(name, value, "Send the three letters of a currency, for example EUR.")
    return code


def _attributes(name: str, value: Any) -> tuple[tuple[str, str], ...]:
    """Pairs of name and value: "colour:red,material:oak", or an object in JSON."""
    if isinstance(value, Mapping):
        pairs = [(key, text) for key, text in value.items() if isinstance(text, str)]
        sound = len(pairs) == len(value)
    else:
        split = [part.partition(":") for part in _parts(name, value)]
        pairs = [(key.strip(), text.strip()) for key, _, text in split]
        sound = True
    for key, text in pairs:
        long = max(len(key), len(text)) > NAME_MAX
        sound = sound and bool(key and text) and not long and key.isprintable() and text.isprintable()
    if not sound or len(pairs) > ATTRIBUTES_MAX:
        remedy = f"Send at most {ATTRIBUTES_MAX} pairs like colour:red,material:oak, or an object in JSON."
        raise _refused(name, value, remedy)
    return tuple(pairs)


REQUEST: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "shopper": ("shopper", _text),
    "items": ("items", _list_of(ITEMS_MAX, SKU_MAX, "skus")),
    "session": ("session", _text),
    "anonymous": ("anonymous", _text),
    "n": ("n", _whole(1, PAGE_MAX, "the placement's page size")),
    "lang": ("language", _lower),
    "explain": ("explain", flag_parse),
    "personalised": ("personalised", flag_parse),
    "exclude": ("exclude", _list_of(EXCLUDE_MAX, SKU_MAX, "skus")),
    "currency": ("currency", _currency),
    "category": ("category", _text),
    "rank": ("rank", _list_of(RANK_MAX, SKU_MAX, "skus")),
}
CONTEXT: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "device": ("device", _one_of(DEVICES)),
    "hour": ("hour", _whole(0, 23, "the hour of the shop's clock")),
    "weekday": ("weekday", _whole(1, 7, "today")),
    "region": ("region", _text),
    "season": ("season", _one_of(SEASONS)),
    "referrer": ("referrer", _one_of(REFERRERS)),
}
FILTERS: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "in_category": ("category", _text),
    "brand": ("brands", _list_of(BRANDS_MAX, NAME_MAX, "brands")),
    "price_min": ("price_min", _price),
    "price_max": ("price_max", _price),
    "in_stock": ("in_stock", flag_parse),
    "attributes": ("attributes", _attributes),
}
PARAMETERS = (*REQUEST, *CONTEXT, *FILTERS)
_PARAMETERS = frozenset(PARAMETERS)


def request_parse(placement: str, asked: Mapping[str, Any]) -> SlateRequest:
    """The checked request; InvalidInput names the parameter, its value and the remedy.

    asked: parameter to text, as a query string has them, or to JSON values. Empty text is nothing sent.
    """
    known: dict[str, Any] = {}
    context: dict[str, Any] = {}
    filters: dict[str, Any] = {}
    for name, value in asked.items():
        if value == "" and name in _PARAMETERS:
            continue
        if (parser := REQUEST.get(name)) is not None:
            known[parser[0]] = parser[1](name, value)
        elif (parser := CONTEXT.get(name)) is not None:
            context[parser[0]] = parser[1](name, value)
        elif (parser := FILTERS.get(name)) is not None:
            filters[parser[0]] = parser[1](name, value)
        else:
            raise _refused(name, value, f"Leave it out; this takes {', '.join(PARAMETERS)}.")
    if context:
        known["context"] = Context(**context)
    if filters:
        known["filters"] = _filters(filters)
    return SlateRequest(placement=placement, **known)


def _filters(values: Mapping[str, Any]) -> Filters:
    filters = Filters(**values)
    low, high = filters.price_min, filters.price_max
    if low is not None and high is not None and low > high:
        remedy = f"Send an amount of at least price_min, which is {low:g}."
        raise _refused("price_max", f"{high:g}", remedy)
    return filters
