"""What a recipe's family can be set to, described for forms. Reads `ml.configs`, so it loads no torch."""

import types
from dataclasses import dataclass, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from django.utils.translation import gettext

from apps.core.errors import InvalidInput
from apps.ml.configs import PRESETS
from apps.ml.errors import InvalidValue
from apps.ml.registry import FAMILIES, Family, family_get

Kind = Literal["int", "float", "bool", "choice"]


@dataclass(frozen=True, slots=True)
class ConfigField:
    """One setting: its kind, whether it may be left empty (None), and what each preset gives it."""

    name: str
    kind: Kind
    optional: bool
    choices: tuple[str, ...]
    at_least: float | None
    presets: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FamilyFacts:
    """A family as people read it."""

    name: str
    title: str
    summary: str
    when: str
    shared: bool
    standard: bool


def family_facts(family: str) -> FamilyFacts:
    """Title, one-sentence summary and when to use it, in the reader's language where it is translated."""
    found = _family(family)
    return FamilyFacts(
        found.name,
        gettext(found.title),
        gettext(found.summary),
        gettext(found.when) if found.when else "",
        found.shared,
        found.standard,
    )


def families_facts() -> list[FamilyFacts]:
    """Every family, the standard ones first."""
    found = [family_facts(name) for name in FAMILIES]
    return sorted(found, key=lambda one: not one.standard)


def config_fields(family: str) -> list[ConfigField]:
    """The settings of a family in the order its class names them."""
    found = _family(family)
    hints = get_type_hints(found.config_class)
    presets = {name: found.config({"preset": name}).to_dict() for name in PRESETS}
    return [
        ConfigField(
            name=item.name,
            kind=_kind(hints[item.name]),
            optional=type(None) in get_args(hints[item.name]),
            choices=_choices(hints[item.name]),
            at_least=item.metadata.get("at_least"),
            presets={name: values[item.name] for name, values in presets.items()},
        )
        for item in fields(found.config_class)
        if item.metadata.get("form", True)
    ]


def _family(family: str) -> Family:
    try:
        return family_get(family)
    except InvalidValue as error:
        raise InvalidInput(field=error.field, value=error.value, remedy=error.remedy) from error


def _kind(hint: Any) -> Kind:
    """The one kind of a setting; unions with None count as what is beside it."""
    if get_origin(hint) is Literal:
        return "choice"
    if get_origin(hint) in (Union, types.UnionType):
        return _kind(next(option for option in get_args(hint) if option is not type(None)))
    kinds: dict[Any, Kind] = {bool: "bool", int: "int", float: "float"}
    return kinds[hint]


def _choices(hint: Any) -> tuple[str, ...]:
    return get_args(hint) if get_origin(hint) is Literal else ()
