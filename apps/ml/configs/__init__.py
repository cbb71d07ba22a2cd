"""Frozen settings and their presets; one module per group of families. No torch here: forms and recipes read
these classes.

Lengths of time are in days. A half-life of None means no decay. Presets: `tiny` for tests and smoke runs,
`small` for a demo shop on a laptop, `full` for real shops.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

from apps.ml.errors import InvalidValue

Preset = Literal["tiny", "small", "full"]
PRESETS: tuple[Preset, ...] = get_args(Preset)


@dataclass(frozen=True)
class Config:
    """Base of all settings: plain JSON values only."""

    presets: ClassVar[dict[str, dict[str, Any]]] = {}
    """What a preset changes against the defaults of the class, which are `full`."""

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for item in fields(self):
            _check_type(item.name, getattr(self, item.name), hints[item.name])
            low = item.metadata.get("at_least")
            value = getattr(self, item.name)
            if low is not None and value is not None and value < low:
                raise InvalidValue(item.name, value, f"Give a number of at least {low}.")
            most = item.metadata.get("at_most")
            if most is not None and value is not None and value > most:
                raise InvalidValue(item.name, value, f"Give a share from 0 to {most:g}.")

    @classmethod
    def preset(cls, name: str) -> Self:
        if name not in PRESETS:
            raise InvalidValue("preset", name, f"Use one of {', '.join(PRESETS)}.")
        return cls(**cls.presets.get(name, {}))

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Defaults (or those of the preset named under "preset") overridden by these values."""
        given = dict(values)
        base = cls.preset(given.pop("preset", "full"))
        known = {item.name for item in fields(cls)}
        for name, value in given.items():
            if name not in known:
                raise InvalidValue(name, value, f"{cls.__name__} knows {', '.join(sorted(known))}.")
        return dataclasses.replace(base, **given)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def number(
    default: float | int | None,
    at_least: float,
    *,
    high: float | None = None,
    log: bool | None = None,
    choices: tuple[float | int, ...] = (),
    tune: bool = True,
) -> Any:
    """A field with a default and the least value it may have.

    The rest is for searches of settings, and limits nothing else: up to `high`, on a log scale or not, or
    among `choices` only; tune=False leaves the field out. What is not said is derived from the default.
    """
    search = {"high": high, "log": log, "choices": choices, "tune": tune}
    return dataclasses.field(default=default, metadata={"at_least": at_least, **search})


def share(default: float, *, tune: bool = True) -> Any:
    """A field for a share from 0 to 1."""
    search = {"high": 1.0, "log": False, "choices": (), "tune": tune}
    return dataclasses.field(default=default, metadata={"at_least": 0.0, "at_most": 1.0, **search})


def _check_type(name: str, value: object, hint: Any) -> None:
    options = get_args(hint) if get_origin(hint) is not Literal else (hint,)
    for option in options or (hint,):
        if get_origin(option) is Literal:
            if value in get_args(option):
                return
        elif option is float:
            if isinstance(value, int | float) and not isinstance(value, bool):
                return
        elif isinstance(value, option) and (option is bool or not isinstance(value, bool)):
            return
    raise InvalidValue(name, value, f"Give a value of type {hint}.")
