"""Search spaces of studies: which settings of a family are tried, and within which limits.

A range says what its setting's class says (`ml.configs.number`); what that leaves open follows from the
preset's value, so that every family can be searched. A half-life may also be "never" (None); a search looks
at lengths only, since a very long one comes to the same.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput
from apps.ml.registry import family_get
from apps.training.config_fields import config_fields

# Limits of size and effort rather than of taste: a search would only ask for more of them.
LEFT_OUT = frozenset(
    {"max_items", "tolerance", "cg_steps", "epochs", "patience", "likeness_ceiling", "word_features",
     "char_features", "precision", "max_length"}
)  # fmt: skip
SPREAD = 4.0
HALF_LIFE_SPREAD = 8.0
GRID_POINTS = 3
MAX_SETTINGS = 8
RangeKind = Literal["int", "float", "choice"]
Value = float | int | str | bool | None


@dataclass(frozen=True, slots=True)
class Range:
    """Where one setting is looked for: between low and high (evenly in its logarithm if `log`), or among
    `choices`.
    """

    name: str
    kind: RangeKind
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[Value, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON without the name."""
        return {name: value for name, value in asdict(self).items() if name != "name"}

    @classmethod
    def from_dict(cls, name: str, values: Mapping[str, Any]) -> "Range":
        """The inverse of `to_dict`."""
        return cls(name=name, **{**values, "choices": tuple(values["choices"])})

    def holds(self, value: Value) -> bool:
        """Whether the value lies in the range."""
        if self.kind == "choice":
            return value in self.choices
        return isinstance(value, int | float) and self.low <= value <= self.high

    def widened(self, value: Value) -> "Range":
        """The range with this value in it, where it can be."""
        if self.holds(value) or value is None:
            return self
        if self.kind == "choice":
            return Range(self.name, "choice", choices=(*self.choices, value))
        assert isinstance(value, int | float)
        low, high = min(self.low, value), max(self.high, value)
        return Range(self.name, self.kind, low, high, self.log and low > 0)

    def grid(self, points: int = GRID_POINTS) -> list[Value]:
        """Evenly placed values, both ends among them."""
        if self.kind == "choice":
            return list(self.choices)
        steps = [step / (points - 1) for step in range(points)]
        if self.log:
            values = [math.exp(math.log(self.low) * (1 - s) + math.log(self.high) * s) for s in steps]
        else:
            values = [self.low * (1 - s) + self.high * s for s in steps]
        if self.kind == "int":
            return list(dict.fromkeys(round(value) for value in values))
        return [min(max(float(f"{value:.6g}"), self.low), self.high) for value in values]


def space_default(*, family: str, preset: str) -> list[Range]:
    """Every setting of the family that can be searched, with the limits to offer first."""
    metadata = {item.name: item.metadata for item in fields(family_get(family).config_class)}
    found = []
    for setting in config_fields(family):
        meta = metadata[setting.name]
        if setting.name in LEFT_OUT or not meta.get("tune", True):
            continue
        if setting.kind == "bool":
            found.append(Range(setting.name, "choice", choices=(False, True)))
        elif setting.kind == "choice":
            if len(setting.choices) > 1:
                found.append(Range(setting.name, "choice", choices=setting.choices))
        elif meta.get("choices"):
            found.append(Range(setting.name, "choice", choices=tuple(meta["choices"])))
        else:
            whole = setting.kind == "int"
            found.append(_number_range(setting.name, whole, setting.presets[preset], setting.at_least, meta))
    return found


def _number_range(
    name: str, whole: bool, default: float | None, at_least: float | None, meta: Mapping[str, Any]
) -> Range:
    is_half_life = name.endswith("half_life_days")
    spread = HALF_LIFE_SPREAD if is_half_life else SPREAD
    center = default if default is not None else (60.0 if is_half_life else 1.0)
    least = at_least if at_least is not None else 0.0
    high = meta.get("high") or (center * spread if center > 0 else 1.0)
    low = max(least, center / spread)
    log = meta.get("log")
    if log is None:
        log = low > 0 and high / low >= 10
    if whole:
        return Range(name, "int", max(1, math.floor(low)), max(2, math.ceil(high)), bool(log))
    return Range(name, "float", float(f"{low:.4g}"), float(f"{high:.4g}"), bool(log) and low > 0)


def space_check(*, family: str, preset: str, given: Mapping[str, Mapping[str, Any]]) -> list[Range]:
    """The ranges asked for ({name: {low, high}} or {name: {choices}}), checked; InvalidInput names the wrong
    one. An empty mapping of a setting takes its limits as they are offered.
    """
    offered = {one.name: one for one in space_default(family=family, preset=preset)}
    if not given:
        raise InvalidInput(field="space", value="", remedy=_("Choose at least one setting to search."))
    if len(given) > MAX_SETTINGS:
        raise InvalidInput(
            field="space",
            value=len(given),
            remedy=_("Search at most %(n)s settings at once.") % {"n": MAX_SETTINGS},
        )
    return [_checked(offered, name, values) for name, values in given.items()]


def _checked(offered: Mapping[str, Range], name: str, values: Mapping[str, Any]) -> Range:
    base = offered.get(name)
    if base is None:
        raise InvalidInput(
            field="space", value=name, remedy=_("Choose one of %(known)s.") % {"known": ", ".join(offered)}
        )
    if base.kind == "choice":
        chosen = tuple(one for one in values.get("choices", base.choices) if one in base.choices)
        if not chosen:
            raise InvalidInput(field=name, value=values, remedy=_("Choose at least one value to try."))
        return Range(name, "choice", choices=chosen)
    low, high = (_number(values.get(end, getattr(base, end)), name) for end in ("low", "high"))
    if base.kind == "int":
        low, high = math.ceil(low), math.floor(high)
    if not low < high:
        raise InvalidInput(
            field=name, value=[low, high], remedy=_("Make the upper limit larger than the lower.")
        )
    return Range(name, base.kind, low, high, base.log and low > 0)


def _number(value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInput(field=name, value=value, remedy=_("Give numbers as limits."))
    return value


def space_of(stored: Mapping[str, Mapping[str, Any]]) -> list[Range]:
    """The ranges of a study as it keeps them."""
    return [Range.from_dict(name, values) for name, values in stored.items()]


def grid_size(space: Sequence[Range]) -> int:
    """Combinations of the space's grid."""
    return math.prod(len(one.grid()) for one in space)
