"""Why an item is where it is, in one line a shopper understands, and true: made of the source, rung and seed
that gave the item its place. No queries: words are templates, formatted once per item.
"""

from collections.abc import Mapping
from functools import lru_cache

from django.utils.translation import gettext, override
from django.utils.translation import gettext_noop as _

from apps.merchandising.blends import DISCOUNT, DUE, GIVEN, NEWNESS, OWN_SOURCES
from apps.serving.candidates import POPULAR, TREND
from apps.serving.catalogue import NEW_DAYS, CatalogueItem
from apps.serving.decide import CATALOGUE, Decision
from apps.serving.slate import SlateItem

RULE = "rule"
OWN = frozenset({*OWN_SOURCES.values(), CATALOGUE})
SHARED = {TREND: "trending", POPULAR: "popular", GIVEN: "found"}

TITLE_MAX = 60
ELLIPSIS = "…"
# A code may carry a whole number after a colon. {title}: of the product the item stands on.
WORDS: Mapping[str, str] = {
    "sponsored": _("Sponsored"),
    "chosen": _("Chosen by the shop"),
    "because_viewed": _("Because you viewed {title}"),
    "because_bought": _("Because you bought {title}"),
    "bought_with": _("Often bought with {title}"),
    "chosen_with": _("Often chosen with {title}"),
    "viewed_after": _("Often viewed after {title}"),
    "similar": _("Similar to {title}"),
    "goes_with": _("Goes with {title}"),
    "again": _("You buy this about every {number} days"),
    "bought_before": _("You bought this before"),
    "with_yours": _("Goes with what you chose before"),
    "like_yours": _("Like what you chose before"),
    "alike": _("Chosen by shoppers like you"),
    "for_you": _("Picked for your taste"),
    "new_for_you": _("New for you"),
    "new": _("New in the shop"),
    "promotion": _("Now {number} % cheaper"),
    "near": _("Popular near you"),
    "category_popular": _("Popular in this category"),
    "category_trending": _("Trending in this category"),
    "trending": _("Trending now"),
    "popular": _("Popular with everyone"),
    "found": _("In your results"),
    "range": _("From our range"),
}
# By family: of lists made for a shopper, and of lists made for a product; others say what all of them may.
FOR_SHOPPER = {
    "personal": "bought_before",
    "buy_again": "bought_before",
    "item_knn": "with_yours",
    "association": "with_yours",
    "co_visit": "with_yours",
    "session_knn": "with_yours",
    "content": "like_yours",
    "user_knn": "alike",
    "segment_popular": "alike",
}
FOR_PRODUCT = {
    "association": "bought_with",
    "item_knn": "chosen_with",
    "co_visit": "viewed_after",
    "content": "similar",
}


class Reasons:
    """The reasons of one slate."""

    def __init__(self, decision: Decision) -> None:
        asking = decision.asking
        self._pool = decision.gathered.pool
        self._lists = {lists.source: lists for lists in decision.gathered.sources}
        self._families = asking.live.families
        self._shopper = asking.shopper
        self._new_since = decision.now.timestamp() - NEW_DAYS * 86_400
        self._arrivals = self._pool is not None and self._pool.source == NEWNESS

        # By source, where it is the same for each of its products.
        self._fixed: dict[str, tuple[str, None]] = {}

    def of(self, product_id: int, pinned: bool, facts: CatalogueItem, source: str) -> tuple[str, int | None]:
        """The code for a product of the slate and the product it stands on. source: what gave it the most."""
        if not pinned and (fixed := self._fixed.get(source)) is not None:
            return fixed
        if self._pool is not None and product_id in self._pool.offers:
            return "sponsored", None
        if source == RULE or pinned:
            return "chosen", None
        if source == DUE and self._pool is not None:
            cycle = self._pool.cycles.get(product_id)
            return (f"again:{max(2, round(cycle))}" if cycle is not None else "bought_before"), None
        if source == DISCOUNT:
            return f"promotion:{max(1, int(100 * facts.discount))}", None
        is_new = facts.first_seen >= self._new_since
        lists = self._lists.get(source)
        if lists is None or lists.scope == "everyone" or source in OWN:
            if source in (NEWNESS, CATALOGUE):
                return ("new" if is_new else "range"), None
            return SHARED.get(source, "range"), None
        family = self._families.get(source, source)
        match lists.scope:
            case "segment":
                return "near", None
            case "category":
                return ("category_trending" if family == TREND else "category_popular"), None
        if self._arrivals and is_new:
            return "new_for_you", None
        if not lists.seeds:
            code = FOR_SHOPPER.get(family, "for_you")
            if code == "bought_before":
                return (code if product_id in self._shopper.bought else "for_you"), None
            if self._pool is None:
                self._fixed[source] = (code, None)
            return code, None
        seed = next((seed for seed, stored in lists.seeds if product_id in stored.ids), None)
        if seed is None:
            return "for_you", None
        if lists.scope == "item":
            return FOR_PRODUCT.get(family, "goes_with"), seed
        return ("because_bought" if seed in self._shopper.bought else "because_viewed"), seed


def reason_words(item: SlateItem, language: str) -> str:
    """The reason in this language (zh… Chinese, else English); "" when the item has none."""
    return words_of(item.reason, item.reason_title, language)


def words_of(reason: str, title: str, language: str) -> str:
    """A reason's code in words; title: of the product it stands on."""
    code, _colon, number = reason.partition(":")
    template = _templates("zh-hans" if language.startswith("zh") else "en").get(code)
    if template is None:
        return ""
    if len(title) > TITLE_MAX:
        title = title[: TITLE_MAX - 1].rstrip() + ELLIPSIS
    return template.format(title=title, number=number) if "{" in template else template


@lru_cache(maxsize=2)
def _templates(language: str) -> dict[str, str]:
    with override(language):
        return {code: gettext(words) for code, words in WORDS.items()}
