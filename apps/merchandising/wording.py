"""Rules, their effects and what stopped a product, in words. Codes come from `rules`; words live here."""

from collections.abc import Mapping
from typing import Any

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from apps.merchandising.rules import (
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


def target_describe(target: Target) -> str:
    """For example: products in Home > Kitchen."""
    match target:
        case ProductTarget(skus) if len(skus) == 1:
            return skus[0]
        case ProductTarget(skus):
            shown = ", ".join(skus[:3])
            if len(skus) <= 3:
                return shown
            return _("%(skus)s and %(count)d more") % {"skus": shown, "count": len(skus) - 3}
        case CategoryTarget(path):
            return _("products in %(category)s") % {"category": path}
        case BrandTarget(brand):
            return _("products by %(brand)s") % {"brand": brand}
        case AttributeTarget(name, value):
            return _("products with %(name)s “%(value)s”") % {"name": name, "value": value}
        case TagTarget(tag):
            return _("products tagged “%(tag)s”") % {"tag": tag}


def condition_describe(condition: Condition) -> str:
    """For example: price at most 20."""
    names = {
        "price": _("price"),
        "stock": _("stock"),
        "brand": _("brand"),
        "category": _("category"),
        "tag": _("tag"),
    }
    operators = {
        "eq": _("%(field)s is %(value)s"),
        "ne": _("%(field)s is not %(value)s"),
        "in": _("%(field)s is one of %(value)s"),
        "gte": _("%(field)s at least %(value)s"),
        "lte": _("%(field)s at most %(value)s"),
    }
    value = condition.value
    text = ", ".join(value) if isinstance(value, tuple) else value if isinstance(value, str) else f"{value:g}"
    field = names.get(condition.field, condition.name)
    return operators[condition.op] % {"field": field, "value": text}


def describe(rule: Rule) -> str:
    """What a rule does, in one line, without its schedule."""
    match rule:
        case Pin():
            words = {"what": target_describe(rule.target), "position": rule.position}
            return _("Pin %(what)s to position %(position)d") % words
        case Boost():
            words = {"what": target_describe(rule.target), "strength": round(rule.strength * 100)}
            return _("Boost %(what)s by %(strength)d %%") % words
        case Bury():
            words = {"what": target_describe(rule.target), "strength": round(rule.strength * 100)}
            return _("Bury %(what)s by %(strength)d %%") % words
        case Hide():
            return _("Hide %(what)s") % {"what": target_describe(rule.target)}
        case Filter():
            return _("Show only products with %(condition)s") % {
                "condition": condition_describe(rule.condition)
            }
        case Limit():
            return _limit_describe(rule)
    raise TypeError(f"no words for {rule!r}")


def _limit_describe(rule: Limit) -> str:
    words: dict[str, Any] = {"count": rule.max, "level": rule.level or 0}
    if rule.target is None:
        if rule.by == "brand":
            return _("At most %(count)d products per brand") % words
        if rule.level:
            return _("At most %(count)d products per category of level %(level)d") % words
        return _("At most %(count)d products per category") % words
    words["what"] = target_describe(rule.target)
    if rule.by == "target":
        return _("At most %(count)d among %(what)s") % words
    if rule.by == "brand":
        return _("At most %(count)d per brand among %(what)s") % words
    if rule.level:
        return _("At most %(count)d per category of level %(level)d among %(what)s") % words
    return _("At most %(count)d per category among %(what)s") % words


def schedule_describe(rule: Rule) -> str:
    """When a rule is active, in the reader's time zone; '' for always."""

    def moment(value: Any) -> str:
        return date_format(timezone.localtime(value), "DATETIME_FORMAT")

    if not rule.enabled:
        return _("switched off")
    if rule.start and rule.end:
        return _("from %(start)s until %(end)s") % {"start": moment(rule.start), "end": moment(rule.end)}
    if rule.start:
        return _("from %(start)s") % {"start": moment(rule.start)}
    return _("until %(end)s") % {"end": moment(rule.end)} if rule.end else ""


def effect_describe(effect: Mapping[str, Any], rule: Rule | None = None) -> str:
    """An item's effect (`Effect.dump`) in words: what was done, and where it would stand without."""
    name = rule.note if rule and rule.note else describe(rule) if rule else effect["rule"]
    words = {"rule": name, "from": effect["from"], "to": effect["to"]}
    match effect["code"]:
        case "pinned" if effect["from"] is None:
            return _("Pinned here by “%(rule)s”; without it, not listed") % words
        case "pinned":
            return _("Pinned here by “%(rule)s”; without it, position %(from)d") % words
        case "admitted":
            return _("Let in although “%(rule)s” is full: nothing else was left for this place") % words
    if effect["from"] is None or effect["from"] == effect["to"]:
        if effect["code"] == "boosted":
            return _("Boosted by “%(rule)s”; same position") % words
        return _("Buried by “%(rule)s”; same position") % words
    if effect["code"] == "boosted":
        return _("Boosted by “%(rule)s” from position %(from)d to %(to)d") % words
    return _("Buried by “%(rule)s” from position %(from)d to %(to)d") % words


def gate_describe(drop: Mapping[str, Any], rule: Rule | None = None) -> str:
    """Why a product is not on the page (`Drop.dump` or serving's `why_not`) in one sentence."""
    params: Mapping[str, Any] = drop.get("params") or {}
    name = rule.note if rule and rule.note else describe(rule) if rule else drop.get("rule") or ""
    sentences = {
        "unknown": _("The catalogue does not know this product."),
        "unlisted": _("The product feed has not described this product yet."),
        "out_of_stock": _("Out of stock."),
        "not_yet": _("Not on sale yet."),
        "ended": _("No longer on sale."),
        "bought": _("The shopper has bought it, and this placement does not repeat purchases."),
        "disliked": _("The shopper does not want to see it."),
        "in_request": _("It is the product or part of the cart this slate is made for."),
        "hidden": _("Hidden by “%(rule)s”."),
        "filtered": _("Filtered out by “%(rule)s”."),
        "not_new": _("Not among the newest products, which is all this placement shows."),
        "weight_zero": _("Only sources of weight 0 list it: %(sources)s."),
    }
    code = drop["code"]
    match code:
        case "variant":
            return _("Another variant of the same product is shown: %(of)s.") % {
                "of": params.get("of_sku", params.get("of"))
            }
        case "limited":
            words = {"rule": name, "bucket": params.get("bucket", "")}
            return _("“%(rule)s” is full (%(bucket)s).") % words
        case "behind_page":
            words = {"rank": params["rank"], "size": params["page_size"]}
            return _("Ranked %(rank)d; the page shows %(size)d.") % words
        case "not_listed":
            return _("Not in the best %(n)d of any source.") % {"n": params["n"]}
    words = {"rule": name, "sources": ", ".join(params.get("sources", ()))}
    return sentences[code] % words if code in sentences else code


def hint_describe(hint: Mapping[str, Any]) -> str:
    """A hint of `rules_check` (`Hint.dump`) in one sentence."""
    params: Mapping[str, Any] = hint.get("params") or {}
    sentences = {
        "ended": _("This rule has ended and does nothing any more."),
        "unknown_sku": _("The catalogue does not know %(skus)s."),
        "no_match": _("No product matches this rule."),
        "pin_unavailable": _("None of the pinned products can be sold now, so the pin shows nothing."),
        "pin_hidden": _("Another rule hides what this pin wants to show; hiding wins."),
        "pin_filtered": _("A filter removes what this pin wants to show; the filter wins."),
        "pin_same_position": _("Two pins want position %(position)s; the one above in the list gets it."),
        "pin_same_product": _("Two pins name %(skus)s; it is shown once."),
        "pin_variants": _("Two pins name variants of one product (%(skus)s); only one is shown."),
        "boost_and_bury": _("One rule boosts what another buries."),
        "filters_leave_nothing": _(
            "No product that can be sold passes all filters: the slate would be empty."
        ),
        "hides_everything": _("Every product that can be sold is hidden: the slate would be empty."),
    }
    words = {"skus": ", ".join(params.get("skus", ())), "position": params.get("position", "")}
    return sentences[hint["code"]] % words
