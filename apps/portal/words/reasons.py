"""Why a product is where it is, and why another is not on the slate, in words."""

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from apps.serving.slate import Rung

Say = Callable[[str], str]  # a rule's id to its sentence


def rung_words(rung: str) -> str:
    """What a slate stands on."""
    return {
        Rung.SHOPPER: _("Made from this shopper's own lists."),
        Rung.ITEMS: _("Made from the lists of the products named."),
        Rung.SESSION: _("Made from what the shopper looked at lately: there are no lists of their own yet."),
        Rung.NEW: _("The newest products first."),
        Rung.GIVEN: _("The storefront's own order: nothing is known of the shopper yet."),
        Rung.CATEGORY: _("What sells in the category: nothing is known of the shopper yet."),
        Rung.PROMOTION: _("What is cheaper than before: nothing is known of the shopper yet."),
        Rung.AGAIN: _("What the shopper has bought before, due ones first."),
        Rung.SPONSORED: _("What sponsors pay for."),
        Rung.SEGMENT: _("Made for the shopper's region: nothing is known of the shopper yet."),
        Rung.TRENDING: _("What is trending for everyone: nothing is known of the shopper yet."),
        Rung.POPULAR: _("Bestsellers for everyone: nothing is known of the shopper yet."),
        Rung.CATALOGUE: _("The catalogue, newest first: no model has made lists yet."),
        Rung.MEMORY: _("From memory: the database can't be reached."),
    }.get(Rung(rung), rung)


def effect_words(effect: Mapping[str, Any], say: Say, *, places: int) -> str:
    """What one rule did to one product of a slate with this many places."""
    rule = say(str(effect["rule"]))
    before, after = effect.get("from"), effect["to"]
    if effect["code"] == "admitted":
        return _("Let in although ‘%(rule)s’ is full, because the slate would have come up short.") % {
            "rule": rule
        }
    if before is None or before > places:
        return _("‘%(rule)s’ brought it here; without it, it would not be on this slate.") % {"rule": rule}
    if before == after:
        return _("‘%(rule)s’ applies, but the product would stand here anyway.") % {"rule": rule}
    return _("‘%(rule)s’ moved it; without it position %(before)s.") % {"rule": rule, "before": before}


def badge_words(code: str) -> str:
    """The text of a slate card's badge."""
    return {
        "pinned": _("Pinned"),
        "boosted": _("Boosted"),
        "buried": _("Buried"),
        "new": _("New"),
        "low_stock": _("Low stock"),
        "promotion": _("Promotion"),
        "sponsored": _("Sponsored"),
        "fill": _("Fill"),
    }.get(code, code)


def drop_words(gate: str, code: str, rule: str, params: Mapping[str, Any]) -> str:
    """Why a product is not on the slate: the first gate that stopped it. `rule`: the sentence of its rule."""
    match gate:
        case "availability":
            return {
                "out_of_stock": _("It is sold out."),
                "not_yet": _("It is not on sale yet."),
                "ended": _("Its sale is over."),
                "unlisted": _("The product feed has not described it yet."),
            }.get(code, _("It is not in the catalogue."))
        case "excluded":
            return {
                "bought": _(
                    "The shopper has bought it already, and this placement does not repeat purchases."
                ),
                "disliked": _("The shopper said they are not interested in it."),
                "seen": _("The shopper has just looked at it, and this placement leaves that out."),
                "in_request": _("It is the product, or in the cart, that this slate is made for."),
            }.get(code, _("This request leaves it out."))
        case "hide":
            return _("It is hidden by ‘%(rule)s’.") % {"rule": rule}
        case "filter":
            return _("It does not pass ‘%(rule)s’.") % {"rule": rule}
        case "variant":
            if params.get("of_title"):
                return _("A variant of it is on the slate already: “%(title)s”.") % {
                    "title": params["of_title"]
                }
            return _("A variant of it is on the slate already.")
        case "limit":
            return _("‘%(rule)s’ is full with products that rank higher.") % {"rule": rule}
        case "page":
            return _("It ranks %(rank)s, behind the last place shown (%(page)s).") % {
                "rank": params.get("rank", "?"),
                "page": params.get("page_size", "?"),
            }
        case "pool":
            return {
                "new": _("It is not among the newest products."),
                "promotion": _("Its price is not down."),
                "again": _("The shopper has not bought it yet."),
                "sponsored": _("No sponsor pays for it now."),
                "given": _("The request does not name it."),
            }.get(code, _("It is not in the category of the page."))
        case "sources":
            return {
                "weight_zero": _("Only sources with weight 0 name it: %(source_names)s."),
            }.get(code, _("None of the sources has it among its best %(n)s.")) % {
                "source_names": params.get("source_names", ""),
                "n": params.get("n", ""),
            }
    return _("It was not chosen (%(gate)s).") % {"gate": gate}


def rule_state_words(state: str, count: int) -> str:
    """What a rule did on one slate."""
    known = {
        "fired": ngettext("Worked on %(n)s product", "Worked on %(n)s products", count) % {"n": count},
        "idle": _("Nothing to do here"),
        "disabled": _("Switched off"),
        "not_started": _("Scheduled"),
        "ended": _("Over"),
        "no_match": _("Matches nothing"),
        "beyond_page": _("Position is beyond the page"),
        "page_full": _("The page was full"),
    }
    return known.get(state, _("Could not be placed"))
