"""What a page is looking at: placement, shopper or products, language, moment, and beside what. It lives in
the URL.

Every page reads it with `PageContext.of(request)`, every link of the menu carries it on, so a link shows
a colleague exactly the same thing and moving between pages keeps it.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from urllib.parse import urlencode

from django.http import HttpRequest
from django.utils.dateparse import parse_datetime
from django.utils.timezone import get_current_timezone, is_naive

from apps.merchandising.models import Placement, PlacementKind
from apps.merchandising.selectors import placement_list
from apps.portal.lookups import titles

KEYS = ("placement", "shopper", "items", "lang", "at", "versus")
MOST_ITEMS = 20


@dataclass(frozen=True)
class PageContext:
    """The parsed context; the plain fields are as they stand in the URL."""

    code: str
    shopper: str
    skus: tuple[str, ...]
    lang: str
    at_text: str
    versus: str = ""

    @classmethod
    def of(cls, request: HttpRequest) -> "PageContext":
        """Read the context from the query, or from the form for a POST."""
        data = request.POST if request.method == "POST" and "placement" in request.POST else request.GET
        parts = [part.strip() for value in data.getlist("items") for part in value.split(",")]
        return cls(
            code=data.get("placement", "").strip(),
            shopper=data.get("shopper", "").strip()[:80],
            skus=tuple(dict.fromkeys(part for part in parts if part))[:MOST_ITEMS],
            lang=data.get("lang", "").strip()[:10],
            at_text=data.get("at", "").strip()[:40],
            versus=data.get("versus", "").strip()[:60],
        )

    @cached_property
    def placements(self) -> list[Placement]:
        """The shop's placements that are in use."""
        return list(placement_list())

    @cached_property
    def placement(self) -> Placement | None:
        """The chosen placement, else the first; None in a shop that has none."""
        named = [one for one in self.placements if one.code == self.code]
        return next(iter(named or self.placements), None)

    @cached_property
    def at(self) -> datetime | None:
        """The moment to look at, in the shop's time zone unless it says another; None is now."""
        try:
            moment = parse_datetime(self.at_text) if self.at_text else None
        except ValueError:
            return None
        if moment is not None and is_naive(moment):
            return moment.replace(tzinfo=get_current_timezone())
        return moment

    @property
    def needs(self) -> str:
        """What the placement is made for: "shopper", "item", "cart" or "" (the same for everyone)."""
        kind = self.placement.kind if self.placement else ""
        return kind if kind in (PlacementKind.SHOPPER, PlacementKind.ITEM, PlacementKind.CART) else ""

    @property
    def seeds(self) -> tuple[str, ...]:
        """The products the slate is made for: one for a product page, several for a cart, else none."""
        if self.needs == PlacementKind.ITEM:
            return self.skus[:1]
        return self.skus if self.needs == PlacementKind.CART else ()

    @cached_property
    def seed_pairs(self) -> list[tuple[str, str]]:
        """The seeds with their titles in the reader's language."""
        known = titles(self.seeds)
        return [(sku, known.get(sku, sku)) for sku in self.seeds]

    @property
    def seeds_missing(self) -> bool:
        """Whether the placement is made for products and none is named."""
        return self.needs in (PlacementKind.ITEM, PlacementKind.CART) and not self.seeds

    def query(self, **changes: str) -> str:
        """The context as a query string ("" or "?…"), with `changes` laid over it; "" removes a key."""
        values = {
            "placement": self.code,
            "shopper": self.shopper,
            "items": ",".join(self.skus),
            "lang": self.lang,
            "at": self.at_text,
            "versus": self.versus,
        } | changes
        text = urlencode({key: value for key, value in values.items() if value})
        return f"?{text}" if text else ""
