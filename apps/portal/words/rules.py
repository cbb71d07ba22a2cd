"""Rules as sentences: "Pin Blue mug to position 3", with their schedule and their conflicts."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.core.clock import now
from apps.merchandising.rules import (
    AttributeTarget,
    Boost,
    BrandTarget,
    Bury,
    CategoryTarget,
    Condition,
    Filter,
    Hide,
    Hint,
    Limit,
    Pin,
    ProductTarget,
    Rule,
    Target,
)
from apps.portal import formats

Titles = Mapping[str, str]  # sku to title, in the reader's language


def strength_word(strength: float) -> str:
    """How hard a boost or bury pushes."""
    if strength <= 0.2:
        return _("a little")
    if strength <= 0.5:
        return _("clearly")
    return _("strongly")


def kind_words(kind: str) -> str:
    """What a kind of rule is called on its button and form."""
    return {
        "pin": _("Pin"),
        "boost": _("Boost"),
        "bury": _("Bury"),
        "hide": _("Hide"),
        "filter": _("Filter"),
        "limit": _("Limit"),
    }.get(kind, kind)


def target_words(target: Target, titles: Titles) -> str:
    """What a rule is about."""
    match target:
        case ProductTarget(skus):
            first = _("“%(title)s”") % {"title": titles.get(skus[0], skus[0])}
            rest = len(skus) - 1
            if not rest:
                return first
            more = ngettext("%(first)s and %(n)s more product", "%(first)s and %(n)s more products", rest)
            return more % {"first": first, "n": rest}
        case CategoryTarget(path):
            return _("everything in %(path)s") % {"path": path}
        case BrandTarget(brand):
            return _("everything by %(brand)s") % {"brand": brand}
        case AttributeTarget(name, value):
            return _("everything with %(name)s = %(value)s") % {"name": name, "value": value}
    return _("everything tagged %(tag)s") % {"tag": target.tag}


def condition_words(condition: Condition) -> str:
    """What a product must be to pass a filter."""
    value = condition.value
    text = _(" or ").join(value) if isinstance(value, tuple) else str(value)
    if isinstance(value, float):
        text = formats.number(value, 0 if value == int(value) else 2)
    names = {
        "price": _("the price"),
        "stock": _("the stock"),
        "brand": _("the brand"),
        "category": _("the category"),
        "tag": _("the tag"),
        "attribute": condition.name,
    }
    patterns = {
        "gte": _("%(field)s is at least %(value)s"),
        "lte": _("%(field)s is at most %(value)s"),
        "ne": _("%(field)s is not %(value)s"),
    }
    pattern = patterns.get(condition.op, _("%(field)s is %(value)s"))
    return pattern % {"field": names[condition.field], "value": text}


def _limit_words(rule: Limit, titles: Titles) -> str:
    if rule.by == "target" and rule.target is not None:
        return _("Show at most %(n)s of %(target)s") % {
            "n": rule.max,
            "target": target_words(rule.target, titles),
        }
    words = _("Show at most %(n)s per brand") if rule.by == "brand" else _("Show at most %(n)s per category")
    words %= {"n": rule.max}
    if rule.target is not None:
        words += _(", counting only %(target)s") % {"target": target_words(rule.target, titles)}
    return words


def rule_words(rule: Rule, titles: Titles) -> str:
    """What the rule does, without its schedule."""
    match rule:
        case Pin():
            return _("Pin %(target)s to position %(position)s") % {
                "target": target_words(rule.target, titles),
                "position": rule.position,
            }
        case Boost():
            return _("Boost %(target)s %(strength)s") % {
                "target": target_words(rule.target, titles),
                "strength": strength_word(rule.strength),
            }
        case Bury():
            return _("Bury %(target)s %(strength)s") % {
                "target": target_words(rule.target, titles),
                "strength": strength_word(rule.strength),
            }
        case Hide():
            return _("Hide %(target)s") % {"target": target_words(rule.target, titles)}
        case Filter():
            return _("Show only products where %(condition)s") % {
                "condition": condition_words(rule.condition)
            }
        case Limit():
            return _limit_words(rule, titles)
    return rule.kind


def _day(moment: datetime, zone: str) -> str:
    return formats.moment(moment, zone)


def schedule_words(rule: Rule, zone: str) -> str:
    """From when to when; "" for always."""
    if rule.start and rule.end:
        return _("from %(start)s to %(end)s") % {"start": _day(rule.start, zone), "end": _day(rule.end, zone)}
    if rule.start:
        return _("from %(start)s") % {"start": _day(rule.start, zone)}
    return _("until %(end)s") % {"end": _day(rule.end, zone)} if rule.end else ""


def state_words(rule: Rule, at: datetime | None = None) -> str:
    """Where the rule stands at this moment."""
    return {
        "active": _("Working"),
        "disabled": _("Switched off"),
        "not_started": _("Scheduled"),
        "ended": _("Over"),
    }[rule.state(at or now())]


def rules_skus(rules: Sequence[Rule]) -> set[str]:
    """The SKUs that the rules name, so that their titles can be read in one query."""
    targets = [getattr(rule, "target", None) for rule in rules]
    return {sku for target in targets if isinstance(target, ProductTarget) for sku in target.skus}


def hint_words(hint: Hint, say: Callable[[str], str], titles: Titles) -> str:
    """A conflict in words; `say` turns a rule's id into its sentence."""
    other = say(hint.rule_ids[1]) if len(hint.rule_ids) > 1 else ""
    skus = _(", ").join(titles.get(sku, sku) for sku in hint.params.get("skus", [])[:3])
    sentences = {
        "ended": _("It is over and does nothing any more."),
        "unknown_sku": _("The catalogue does not know %(skus)s."),
        "no_match": _("No product matches it, so it does nothing."),
        "pin_unavailable": _(
            "The pinned product can't be sold at the moment, so its place goes to the next one."
        ),
        "pin_hidden": _("It can't work, because the product is hidden by ‘%(other)s’."),
        "pin_filtered": _("It can't work, because the product is kept out by ‘%(other)s’."),
        "pin_same_position": _(
            "Position %(position)s is taken already by ‘%(other)s’; this one takes the next place."
        ),
        "pin_same_product": _("%(skus)s is pinned already by ‘%(other)s’; only the first one works."),
        "pin_variants": _(
            "%(skus)s is a variant of a product pinned by ‘%(other)s’; a slate shows one of them."
        ),
        "boost_and_bury": _("It pulls against ‘%(other)s’."),
        "filters_leave_nothing": _("Together the filters leave no product at all."),
        "hides_everything": _("Together the rules hide every product."),
    }
    pattern = sentences.get(hint.code, hint.code)
    return pattern % {"skus": skus, "other": other, "position": hint.params.get("position", "")}
