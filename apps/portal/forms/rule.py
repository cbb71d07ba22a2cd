"""The rule form's flat fields to and from a rule's JSON shape (see merchandising.rules.parsing)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.http import QueryDict
from django.utils.dateparse import parse_datetime
from django.utils.timezone import get_current_timezone, localtime
from django.utils.translation import gettext as _

from apps.core.errors import InvalidInput
from apps.merchandising.rules import rule_dump, rule_parse
from apps.portal.lookups import titles

KINDS = ("pin", "boost", "bury", "hide", "filter", "limit")
NUMERIC = ("price", "stock")
START: dict[str, Any] = {
    "pin": {"position": 1, "target": {"type": "product", "skus": []}},
    "boost": {"strength": 0.4, "target": {"type": "category", "path": ""}},
    "bury": {"strength": 0.4, "target": {"type": "category", "path": ""}},
    "hide": {"target": {"type": "product", "skus": []}},
    "filter": {"condition": {"field": "stock", "op": "gte", "value": 1}},
    "limit": {"max": 3, "by": "category"},
}


def _missing(field: str, remedy: str) -> InvalidInput:
    return InvalidInput(field=field, value="", remedy=remedy)


def _text(data: QueryDict, name: str, remedy: str) -> str:
    value = data.get(name, "").strip()
    if not value:
        raise _missing(name, remedy)
    return value


def _number(data: QueryDict, name: str, remedy: str) -> float:
    try:
        return float(data.get(name, "").replace(",", "."))
    except ValueError:
        raise InvalidInput(field=name, value=data.get(name, ""), remedy=remedy) from None


def _whole(data: QueryDict, name: str, remedy: str) -> int:
    number = _number(data, name, remedy)
    if number != int(number):
        raise InvalidInput(field=name, value=data.get(name, ""), remedy=remedy)
    return int(number)


def _moment(data: QueryDict, name: str) -> str | None:
    text = data.get(name, "").strip()
    if not text:
        return None
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise InvalidInput(field=name, value=text, remedy=_("Choose a day and a time."))
    return (moment if moment.tzinfo else moment.replace(tzinfo=get_current_timezone())).isoformat()


def _target(data: QueryDict) -> dict[str, Any]:
    match data.get("target", "product"):
        case "category":
            return {"type": "category", "path": _text(data, "path", _("Choose a category."))}
        case "brand":
            return {"type": "brand", "brand": _text(data, "brand", _("Choose a brand."))}
        case "attribute":
            return {
                "type": "attribute",
                "name": _text(data, "name", _("Name the attribute.")),
                "value": _text(data, "attribute_value", _("Give the attribute's value.")),
            }
        case "tag":
            return {"type": "tag", "tag": _text(data, "tag", _("Give a tag."))}
    skus = [sku.strip() for sku in data.get("skus", "").split(",") if sku.strip()]
    if not skus:
        raise _missing("skus", _("Pick a product."))
    return {"type": "product", "skus": skus}


def _condition(data: QueryDict) -> dict[str, Any]:
    field = data.get("field", "stock")
    op = data.get("op", "gte")
    if field in NUMERIC:
        value: float | str = _number(data, "value", _("Give a number."))
    else:
        op = "ne" if op == "ne" else "eq"
        value = _text(data, "value", _("Give a value to compare with."))
    condition: dict[str, Any] = {"field": field, "op": op, "value": value}
    if field == "attribute":
        condition["name"] = _text(data, "condition_name", _("Name the attribute."))
    return condition


def rule_data(data: QueryDict) -> dict[str, Any]:
    """The rule a form holds, checked; InvalidInput names the first field to mend."""
    kind = data.get("kind", "")
    rule: dict[str, Any] = {
        "id": data.get("rule", "").strip() or uuid4().hex[:12],
        "kind": kind,
        "enabled": data.get("enabled", "1") == "1",
        "start": _moment(data, "start"),
        "end": _moment(data, "end"),
        "note": data.get("rule_note", "").strip(),
    }
    if kind in ("pin", "boost", "bury", "hide"):
        rule["target"] = _target(data)
    if kind == "pin":
        rule["position"] = _whole(data, "position", _("Give a position from 1 to 100."))
    if kind in ("boost", "bury"):
        rule["strength"] = round(_number(data, "strength", _("Give a strength from 1 to 100.")) / 100, 4)
    if kind == "filter":
        rule["condition"] = _condition(data)
    if kind == "limit":
        rule |= {
            "max": _whole(data, "max", _("Give a number from 1 to 100.")),
            "by": data.get("by", "category"),
        }
    return rule_dump(rule_parse(rule))


def rule_start(kind: str) -> dict[str, Any]:
    """What the form of a new rule of this kind starts with."""
    if kind not in KINDS:
        raise InvalidInput(field="kind", value=kind, remedy=_("Choose one of the kinds offered."))
    return {"id": uuid4().hex[:12], "kind": kind, "enabled": True, "note": ""} | START[kind]


def local_text(moment: str | None) -> str:
    """A stored moment as a datetime-local field wants it, in the shop's time zone."""
    return localtime(datetime.fromisoformat(moment)).strftime("%Y-%m-%dT%H:%M") if moment else ""


def rule_fields(rule: Mapping[str, Any]) -> dict[str, Any]:
    """The form's fields of a rule in its JSON shape."""
    target, condition = rule.get("target") or {}, rule.get("condition") or {}
    known = titles(target.get("skus", []))
    return {
        "target": target.get("type", "product"),
        "pairs": [(sku, known.get(sku, sku)) for sku in target.get("skus", [])],
        "path": target.get("path", ""),
        "brand": target.get("brand", ""),
        "name": target.get("name", ""),
        "attribute_value": target.get("value", ""),
        "tag": target.get("tag", ""),
        "strength": round(100 * rule.get("strength", 0.4)),
        "field": condition.get("field", "stock"),
        "op": condition.get("op", "gte"),
        "value": condition.get("value", ""),
        "condition_name": condition.get("name", ""),
        "start": local_text(rule.get("start")),
        "end": local_text(rule.get("end")),
    }


def choices() -> dict[str, list[tuple[str, str]]]:
    """What the form's select fields offer."""
    return {
        "targets": [
            ("product", _("Products")),
            ("category", _("A category")),
            ("brand", _("A brand")),
            ("attribute", _("An attribute")),
            ("tag", _("A tag")),
        ],
        "fields": [
            ("stock", _("Stock")),
            ("price", _("Price")),
            ("brand", _("Brand")),
            ("category", _("Category")),
            ("tag", _("Tag")),
            ("attribute", _("Attribute")),
        ],
        "tests": [("gte", _("at least")), ("lte", _("at most")), ("eq", _("is")), ("ne", _("is not"))],
    }
