"""What serving is asked and what it answers: plain values that pages, the API and jobs share."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class Rung(StrEnum):
    """What a slate stands on, best first (DESIGN 6)."""

    SHOPPER = "shopper"  # the shopper's own lists
    ITEMS = "items"  # lists of the product or cart that was named
    SESSION = "session"  # lists of what the shopper looked at lately
    NEW = "new"  # the newest products
    SEGMENT = "segment"  # the shopper's region
    TRENDING = "trending"
    POPULAR = "popular"
    CATALOGUE = "catalogue"  # no list at all: products as they came in, newest first
    MEMORY = "memory"  # the database is away: what this process remembers


@dataclass(frozen=True, slots=True)
class SlateRequest:
    """A question for a slate. shopper: external id. items: skus of the product, the cart or lately viewed.

    n: page size, None for the placement's. language: of titles, "" for the product's own. now: decides
    schedules and availability; None for the present.
    """

    placement: str
    shopper: str | None = None
    items: tuple[str, ...] = ()
    session: str = ""
    n: int | None = None
    language: str = ""
    explain: bool = False
    now: datetime | None = None


@dataclass(frozen=True, slots=True)
class SlateItem:
    """One product of a slate. score: blended, with boosts and buries; None for a pin that no list has.

    source: the source that gave it the most; "rule" for such a pin; "trend", "popular" or "catalogue" for
    fill. parts: contribution by source, sums to the blended score. propensity: the probability that the
    policy shows this item here; 1.0, for the policy is deterministic.
    badges: codes 'pinned', 'boosted', 'buried', 'new', 'low_stock', 'fill'.
    """

    product_id: int
    sku: str
    position: int
    score: float | None
    source: str
    parts: Mapping[str, float]
    title: str
    price: float | None
    currency: str
    image: str
    category: str
    brand: str
    stock: int | None
    badges: tuple[str, ...] = ()
    propensity: float = 1.0


@dataclass(frozen=True, slots=True)
class Slate:
    """The answer. publication_id and number: None for a preview. model_versions: source to version id.

    trace: see `serving.explain`; None unless the request asked to explain.
    """

    request_id: UUID
    placement: str
    items: tuple[SlateItem, ...]
    rung: Rung
    publication_id: int | None
    publication_number: int | None
    model_versions: Mapping[str, int]
    shopper_id: int | None
    served_at: datetime
    session: str = ""
    trace: dict[str, Any] | None = None
