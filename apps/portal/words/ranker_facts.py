"""What a learned ranker looks at, in words."""

from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

FACTS: dict[str, Any] = {
    "listed_by": _("by how many sources it is listed"),
    "sold_3": _("sales of 3 days"),
    "sold_7": _("sales of 7 days"),
    "sold_14": _("sales of 14 days"),
    "sold_30": _("sales of 30 days"),
    "sold_90": _("sales of 90 days"),
    "rise_7_30": _("this week's sales against the month's"),
    "rise_14_90": _("two weeks' sales against the quarter's"),
    "rise_30_90": _("this month's sales against the quarter's"),
    "days_since_sold": _("how long ago it was last sold"),
    "days_on_sale": _("how long it has been on sale"),
    "buyers": _("how many shoppers bought it"),
    "log_price": _("its price"),
    "log_quantity": _("how many are bought at once"),
    "repeat_share": _("how many buy it again"),
    "repeat_days": _("after how long it is bought again"),
    "last_year": _("its sales at this time last year"),
    "purchases": _("how much the shopper has bought"),
    "own_items": _("how many products the shopper has bought"),
    "baskets": _("how often the shopper has ordered"),
    "days_since_basket": _("how long ago the shopper last ordered"),
    "basket_gap_days": _("how often the shopper orders"),
    "basket_size": _("how large the shopper's orders are"),
    "mean_log_price": _("the shopper's usual price"),
    "novelty_share": _("how much of what the shopper buys is new to them"),
    "times_bought": _("how often the shopper bought it"),
    "days_since_bought": _("how long ago the shopper bought it"),
    "bought_over_own_gap": _("whether the shopper's rhythm makes it due"),
    "bought_over_item_gap": _("whether the product's rhythm makes it due"),
    "in_last_basket": _("whether it was in the last order"),
    "basket_share": _("in how many of the shopper's orders it was"),
    "price_gap": _("how far its price is from the shopper's usual one"),
    "region_lift": _("how well it sells in the shopper's region"),
}


def fact_words(feature: str, sources: dict[str, str]) -> str:
    """A feature of the ranker in words; `sources` names the sources by code."""
    kind, _sign, source = feature.partition("_")
    if kind == "score" and source in sources:
        return gettext("the score of %(source)s") % {"source": sources[source]}
    if kind == "place" and source in sources:
        return gettext("the place in %(source)s") % {"source": sources[source]}
    return str(FACTS.get(feature, feature))
