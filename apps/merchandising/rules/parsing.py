"""Rules from and to their JSON shape; every error names the field, the value and the remedy.

    {"id": "r1", "kind": "pin", "position": 3, "target": {"type": "product", "skus": ["MUG-1"]},
     "enabled": true, "start": "2026-03-01T00:00:00+00:00", "end": null, "note": "Mother's Day"}

boost and bury have "strength"; filter has "condition" {"field", "op", "value", "name"?}; limit has "max",
"by", "level"? and "target"?.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from apps.core.errors import InvalidInput
from apps.merchandising.rules.types import (
    NUMERIC_FIELDS,
    TEXT_FIELDS,
    AttributeTarget,
    Boost,
    BrandTarget,
    Bury,
    CategoryTarget,
    Condition,
    Filter,
    Hide,
    Limit,
    Pin,
    ProductTarget,
    Rule,
    TagTarget,
    Target,
)

RULES_MAX = 1000
POSITION_MAX = 100
TEXT_MAX = 400
SKUS_MAX = 500
KINDS = ("pin", "boost", "bury", "hide", "filter", "limit")
TARGET_TYPES = ("product", "category", "brand", "attribute", "tag")
_COMMON = {"id", "kind", "enabled", "start", "end", "note"}
_OWN = {
    "pin": {"position", "target"},
    "boost": {"strength", "target"},
    "bury": {"strength", "target"},
    "hide": {"target"},
    "filter": {"condition"},
    "limit": {"max", "by", "level", "target"},
}
_TARGET_KEYS = {
    "product": {"skus"},
    "category": {"path"},
    "brand": {"brand"},
    "attribute": {"name", "value"},
    "tag": {"tag"},
}


def _object(value: Any, field: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidInput(field=field, value=value, remedy="Give an object with named fields.")
    return value


def _known(value: Mapping[str, Any], allowed: set[str], field: str) -> None:
    for key in value:
        if key not in allowed:
            remedy = f"Remove it; this takes {', '.join(sorted(allowed))}."
            raise InvalidInput(field=f"{field}.{key}", value=value[key], remedy=remedy)


def _text(value: Any, field: str, *, limit: int = TEXT_MAX, empty: bool = False) -> str:
    if not isinstance(value, str) or len(value) > limit or not (empty or value.strip()) or "\x00" in value:
        raise InvalidInput(field=field, value=value, remedy=f"Give text of 1 to {limit} characters.")
    return value.strip()


def _one_of(value: Any, choices: Sequence[str], field: str) -> str:
    if not isinstance(value, str) or value not in choices:
        raise InvalidInput(field=field, value=value, remedy=f"Choose one of {', '.join(choices)}.")
    return value


def _whole(value: Any, field: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInput(field=field, value=value, remedy=f"Give a whole number from {low} to {high}.")
    return value


def _number(value: Any, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidInput(field=field, value=value, remedy="Give a number.")
    return float(value)


def _moment(value: Any, field: str) -> datetime | None:
    if value is None or value == "":
        return None
    remedy = "Give a moment with a time zone, for example 2026-03-01T08:00:00+00:00, or leave it empty."
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise InvalidInput(field=field, value=value, remedy=remedy) from None
    if moment.tzinfo is None:
        raise InvalidInput(field=field, value=value, remedy=remedy)
    return moment.astimezone(UTC)


def _target(value: Any, field: str) -> Target:
    data = _object(value, field)
    type_ = _one_of(data.get("type"), TARGET_TYPES, f"{field}.type")
    _known(data, {"type"} | _TARGET_KEYS[type_], field)
    match type_:
        case "product":
            skus = data.get("skus")
            if not isinstance(skus, list | tuple) or not 1 <= len(skus) <= SKUS_MAX:
                raise InvalidInput(field=f"{field}.skus", value=skus, remedy=f"Name 1 to {SKUS_MAX} skus.")
            names = [_text(sku, f"{field}.skus[{n}]", limit=64) for n, sku in enumerate(skus)]
            return ProductTarget(tuple(dict.fromkeys(names)))
        case "category":
            return CategoryTarget(_text(data.get("path"), f"{field}.path"))
        case "brand":
            return BrandTarget(_text(data.get("brand"), f"{field}.brand", limit=120))
        case "attribute":
            name = _text(data.get("name"), f"{field}.name", limit=120)
            return AttributeTarget(name, _text(data.get("value"), f"{field}.value"))
    return TagTarget(_text(data.get("tag"), f"{field}.tag", limit=120))


def _condition(value: Any, field: str) -> Condition:
    data = _object(value, field)
    name = _one_of(data.get("field"), (*NUMERIC_FIELDS, *TEXT_FIELDS), f"{field}.field")
    _known(data, {"field", "op", "value"} | ({"name"} if name == "attribute" else set()), field)
    numeric = name in NUMERIC_FIELDS
    op: Any = _one_of(
        data.get("op"), ("gte", "lte", "eq", "ne") if numeric else ("eq", "ne", "in"), f"{field}.op"
    )
    wanted: float | str | tuple[str, ...]
    if numeric:
        wanted = _number(data.get("value"), f"{field}.value")
    elif op == "in":
        values = data.get("value")
        if not isinstance(values, list | tuple) or not 1 <= len(values) <= SKUS_MAX:
            raise InvalidInput(field=f"{field}.value", value=values, remedy=f"Give 1 to {SKUS_MAX} texts.")
        wanted = tuple(_text(text, f"{field}.value[{n}]") for n, text in enumerate(values))
    else:
        wanted = _text(data.get("value"), f"{field}.value")
    attribute = _text(data.get("name"), f"{field}.name", limit=120) if name == "attribute" else ""
    return Condition(field=name, op=op, value=wanted, name=attribute)


def _strength(data: Mapping[str, Any], at: Callable[[str], str]) -> float:
    strength = _number(data.get("strength"), at("strength"))
    if not 0 < strength <= 1:
        remedy = "Give a number above 0, at most 1 (1 lifts the worst candidate to the best)."
        raise InvalidInput(field=at("strength"), value=strength, remedy=remedy)
    return strength


def _limit(data: Mapping[str, Any], common: dict[str, Any], at: Callable[[str], str]) -> Limit:
    by: Any = _one_of(data.get("by", "category"), ("category", "brand", "target"), at("by"))
    target = _target(data["target"], at("target")) if data.get("target") is not None else None
    if by == "target" and target is None:
        raise InvalidInput(field=at("target"), value=None, remedy="Name what is limited.")
    level = data.get("level")
    if level is not None:
        if by != "category":
            raise InvalidInput(
                field=at("level"), value=level, remedy="Leave it out: only categories have it."
            )
        level = _whole(level, at("level"), 1, 20)
    top = _whole(data.get("max"), at("max"), 1, POSITION_MAX)
    return Limit(max=top, by=by, level=level, target=target, **common)


def rule_parse(data: Any, *, field: str = "rule") -> Rule:
    """One rule from its JSON shape; `field` is how errors name it. Raises InvalidInput."""

    def at(name: str) -> str:
        return f"{field}.{name}"

    data = _object(data, field)
    kind = _one_of(data.get("kind"), KINDS, at("kind"))
    _known(data, _COMMON | _OWN[kind], field)
    enabled = data.get("enabled", True)
    if not isinstance(enabled, bool):
        raise InvalidInput(field=at("enabled"), value=enabled, remedy="Give true or false.")
    start, end = _moment(data.get("start"), at("start")), _moment(data.get("end"), at("end"))
    if start is not None and end is not None and end <= start:
        raise InvalidInput(field=at("end"), value=end.isoformat(), remedy="Choose a moment after the start.")
    common: dict[str, Any] = {
        "id": _text(data.get("id"), at("id"), limit=40),
        "enabled": enabled,
        "start": start,
        "end": end,
        "note": _text(data.get("note", ""), at("note"), limit=300, empty=True),
    }
    match kind:
        case "limit":
            return _limit(data, common, at)
        case "filter":
            return Filter(condition=_condition(data.get("condition"), at("condition")), **common)
    target = _target(data.get("target"), at("target"))
    match kind:
        case "pin":
            position = _whole(data.get("position"), at("position"), 1, POSITION_MAX)
            return Pin(position=position, target=target, **common)
        case "boost":
            return Boost(strength=_strength(data, at), target=target, **common)
        case "bury":
            return Bury(strength=_strength(data, at), target=target, **common)
    return Hide(target=target, **common)


def rules_parse(data: Any, *, field: str = "rules") -> tuple[Rule, ...]:
    """A list of rules; ids must differ. Raises InvalidInput."""
    if not isinstance(data, list | tuple):
        raise InvalidInput(field=field, value=data, remedy="Give a list of rules.")
    if len(data) > RULES_MAX:
        raise InvalidInput(field=field, value=len(data), remedy=f"Keep at most {RULES_MAX} rules.")
    rules = tuple(rule_parse(rule, field=f"{field}[{n}]") for n, rule in enumerate(data))
    seen: set[str] = set()
    for n, rule in enumerate(rules):
        if rule.id in seen:
            raise InvalidInput(field=f"{field}[{n}].id", value=rule.id, remedy="Use each id once.")
        seen.add(rule.id)
    return rules


def _target_dump(target: Target) -> dict[str, Any]:
    match target:
        case ProductTarget(skus):
            return {"type": "product", "skus": list(skus)}
        case CategoryTarget(path):
            return {"type": "category", "path": path}
        case BrandTarget(brand):
            return {"type": "brand", "brand": brand}
        case AttributeTarget(name, value):
            return {"type": "attribute", "name": name, "value": value}
        case TagTarget(tag):
            return {"type": "tag", "tag": tag}


def _condition_dump(condition: Condition) -> dict[str, Any]:
    value = list(condition.value) if isinstance(condition.value, tuple) else condition.value
    dumped: dict[str, Any] = {"field": condition.field, "op": condition.op, "value": value}
    return dumped | ({"name": condition.name} if condition.field == "attribute" else {})


def rule_dump(rule: Rule) -> dict[str, Any]:
    """The JSON shape of a rule; `rule_parse` gives the same rule back."""
    data: dict[str, Any] = {
        "id": rule.id,
        "kind": rule.kind,
        "enabled": rule.enabled,
        "start": rule.start.isoformat() if rule.start else None,
        "end": rule.end.isoformat() if rule.end else None,
        "note": rule.note,
    }
    match rule:
        case Pin():
            data |= {"position": rule.position, "target": _target_dump(rule.target)}
        case Boost() | Bury():
            data |= {"strength": rule.strength, "target": _target_dump(rule.target)}
        case Hide():
            data["target"] = _target_dump(rule.target)
        case Filter():
            data["condition"] = _condition_dump(rule.condition)
        case Limit():
            data |= {"max": rule.max, "by": rule.by}
            if rule.level is not None:
                data["level"] = rule.level
            if rule.target is not None:
                data["target"] = _target_dump(rule.target)
    return data


def rules_dump(rules: Iterable[Rule]) -> list[dict[str, Any]]:
    """The JSON shape of a list of rules."""
    return [rule_dump(rule) for rule in rules]
