"""What serving is asked and what it answers: plain values that pages, the API and jobs share."""

import os
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

DEVICES = ("desktop", "mobile", "tablet", "app")
SEASONS = ("spring", "summer", "autumn", "winter")
REFERRERS = ("direct", "search", "social", "email", "ads", "partner")


# Random bytes are asked of the system for many ids at once: each time costs more than all else an id does.
IDS_AT_ONCE = 256
_id_bytes: deque[bytes] = deque()
if hasattr(os, "register_at_fork"):  # a child must not give the ids its parent gives
    os.register_at_fork(after_in_child=_id_bytes.clear)


def request_id_make() -> UUID:
    """A random id (UUID version 4)."""
    try:
        data = _id_bytes.popleft()
    except IndexError:
        fresh = os.urandom(16 * IDS_AT_ONCE)
        _id_bytes.extend(fresh[start : start + 16] for start in range(16, len(fresh), 16))
        data = fresh[:16]
    return UUID(bytes=data, version=4)


class Rung(StrEnum):
    """What a slate stands on, best first (DESIGN 6)."""

    SHOPPER = "shopper"  # the shopper's own lists
    ITEMS = "items"  # lists of the product or cart that was named
    SESSION = "session"  # lists of what the shopper looked at lately
    GIVEN = "given"  # the storefront's own order
    CATEGORY = "category"  # lists of the category page
    NEW = "new"  # the newest products
    PROMOTION = "promotion"  # products whose price is down
    AGAIN = "again"  # what the shopper is due to buy again
    SPONSORED = "sponsored"  # what sponsors pay for
    SEGMENT = "segment"  # the shopper's region
    TRENDING = "trending"
    POPULAR = "popular"
    CATALOGUE = "catalogue"  # no list at all: products as they came in, newest first
    MEMORY = "memory"  # the database is away: what this process remembers


@dataclass(frozen=True, slots=True)
class Context:
    """Where and when a slate is asked for; "" and None: not known.

    region: as shoppers have it; chooses the lists of a region. Audiences of experiments ask for region and
    device. The others are checked and change no slate yet. device, season, referrer: a code of DEVICES,
    SEASONS, REFERRERS. hour: 0 to 23, weekday: 1 (Monday) to 7, of the visitor's clock.
    """

    device: str = ""
    hour: int | None = None
    weekday: int | None = None
    region: str = ""
    season: str = ""
    referrer: str = ""


@dataclass(frozen=True, slots=True)
class Filters:
    """What a product must be for this request. category: it and all below it. brands: any of them, case does
    not matter. price_min, price_max: inclusive, in the product's currency. attributes: name and value, all of
    them, case does not matter.
    """

    category: str = ""
    brands: tuple[str, ...] = ()
    price_min: float | None = None
    price_max: float | None = None
    in_stock: bool = False
    attributes: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        """Whether anything is asked at all."""
        return self != ANY_PRODUCT


ANY_CONTEXT = Context()
ANY_PRODUCT = Filters()


@dataclass(frozen=True, slots=True)
class SlateRequest:
    """A question for a slate. shopper: external id. items: skus of the product, the cart or lately viewed.

    n: page size, None for the placement's. language: of titles, "" for the product's own. now: decides
    schedules and availability; None for the present. personalised: False to know nothing of the shopper.
    exclude: skus not to show. currency: only products priced in it. category: the category page asked for.
    rank: only these skus, in the storefront's order, put in the placement's order. anonymous: the id the
    shopper was known by until they logged in a moment ago. experiments: False to see what is live.
    """

    placement: str
    shopper: str | None = None
    items: tuple[str, ...] = ()
    session: str = ""
    n: int | None = None
    language: str = ""
    explain: bool = False
    now: datetime | None = None
    personalised: bool = True
    context: Context = ANY_CONTEXT
    filters: Filters = ANY_PRODUCT
    exclude: tuple[str, ...] = ()
    currency: str = ""
    category: str = ""
    rank: tuple[str, ...] = ()
    anonymous: str = ""
    experiments: bool = True


@dataclass(frozen=True, slots=True)
class Attribution:
    """The experiment that decided a slate. share: the probability with which the variant was drawn.

    unit: what was drawn for, where the slate's shopper and session do not tell it. teams: of an interleaved
    slate, for each place whose item it is: "A" control's, "B" the variant's, "-" either's, for both pin it
    there. slot: of a switchback. holdout: id and variant of the holdout the unit belongs to, beside this.
    device: what the visitor looks at, where the request says it.
    """

    experiment_id: int
    experiment: str
    variant: str
    share: float
    unit: str = ""
    teams: str = ""
    slot: int | None = None
    holdout: tuple[int, str] | None = None
    device: str = ""

    def context(self) -> dict[str, Any]:
        """What an exposure keeps of it beside experiment and variant."""
        kept: dict[str, Any] = {"share": self.share}
        if self.unit:
            kept["unit"] = self.unit
        if self.teams:
            kept["teams"] = self.teams
        if self.device:
            kept["device"] = self.device
        if self.slot is not None:
            kept["slot"] = self.slot
        if self.holdout is not None:
            kept["holdout"] = {"experiment": self.holdout[0], "variant": self.holdout[1]}
        return kept


@dataclass(frozen=True, slots=True)
class SlateItem:
    """One product of a slate. score: blended, with boosts and buries; None for a pin that no list has.

    source: the source that gave it the most; "rule" for such a pin; "trend", "popular" or "catalogue" for
    fill. parts: contribution by source, sums to the blended score. propensity: the probability that the
    policy shows this item here, given the variant: 1.0, but in an interleaved slate.
    badges: codes 'pinned', 'boosted', 'buried', 'new', 'low_stock', 'sponsored', 'fill'. reason: the code of
    what gave the item its place, reason_item and reason_title: the product it stands on; `serving.reasons`
    puts them into words.
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
    reason: str = ""
    reason_item: int | None = None
    reason_title: str = ""


@dataclass(frozen=True, slots=True)
class Slate:
    """The answer. publication_id and number: None for a preview. model_versions: source to version id.
    charges: sponsored product to its campaign and what a click costs it. attribution: the experiment that
    decided it; None where what is live did.

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
    language: str = ""
    charges: Mapping[int, tuple[int, float]] = field(default_factory=dict)
    attribution: Attribution | None = None
    trace: dict[str, Any] | None = None

    @property
    def experiment_id(self) -> int | None:
        """Of the experiment that decided it."""
        return self.attribution.experiment_id if self.attribution is not None else None

    @property
    def experiment(self) -> str:
        """Code of the experiment that decided it, "" without one."""
        return self.attribution.experiment if self.attribution is not None else ""

    @property
    def variant(self) -> str:
        """Code of the variant that decided it, "" without one."""
        return self.attribution.variant if self.attribution is not None else ""
