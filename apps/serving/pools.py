"""The only products some kinds of placement show, with scores of their own: new, on promotion, due again,
sponsored, in the category, found by a search.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from apps.merchandising.blends import DISCOUNT, DUE, GIVEN, NEWNESS, SPONSOR
from apps.serving.auction import Offer, click_prices, offers_ranked
from apps.serving.catalogue import Catalogue
from apps.serving.kinds import Kind
from apps.serving.lists import StoredList
from apps.serving.live import LiveState
from apps.serving.memory import Memory
from apps.serving.prepared import Prepared
from apps.serving.shoppers import ShopperState
from apps.serving.slate import Rung, SlateRequest

NEWEST = "catalogue"
POOL_MAX = 2_000
# How far from its rhythm a purchase is still likely: one standard deviation of log(age / cycle).
RHYTHM_SPREAD = 0.6
ONCE_SHARE = 0.05
DAY = 86_400.0
# Orders of one day are one purchase: a parcel is often two baskets.
PURCHASES = Prepared(
    "slate_purchases",
    """
    SELECT i.product_id, count(DISTINCT i.occurred_at::date), extract(epoch FROM min(i.occurred_at))::float8,
           extract(epoch FROM max(i.occurred_at))::float8
    FROM events_interaction i
    WHERE i.shopper_id = %(shopper)s AND i.product_id IS NOT NULL
      AND i.kind_id IN (SELECT k.id FROM events_eventkind k WHERE k.role = 'purchase')
    GROUP BY i.product_id
    """,
    {"shopper": "bigint"},
)


@dataclass(frozen=True, slots=True)
class Pool:
    """source: what scores it; found: the products, best first. rung: of a slate that has nothing personal.

    cycles: product to the days between this shopper's purchases of it, where there were three or more.
    offers: product to the sponsor's offer it is shown for.
    """

    source: str
    found: StoredList
    rung: Rung
    cycles: Mapping[int, float] = field(default_factory=dict)
    offers: Mapping[int, Offer] = field(default_factory=dict)

    def charges(self, product_ids: Iterable[int], second_price: bool) -> dict[int, tuple[int, float]]:
        """Of a slate in its order: sponsored product to its campaign and what a click costs it."""
        shown = [self.offers[product_id] for product_id in product_ids if product_id in self.offers]
        prices = click_prices(shown, second_price)
        return {o.product_id: (o.campaign_id, price) for o, price in zip(shown, prices, strict=True)}


@dataclass(frozen=True, slots=True)
class PoolQuestion:
    """What a pool may depend on."""

    request: SlateRequest
    shopper: ShopperState
    catalogue: Catalogue
    live: LiveState
    memory: Memory
    now: datetime


def pool_of(asked: PoolQuestion, kind: Kind) -> Pool | None:
    """The pool of this kind; None when nothing is in it, so that the placement falls back to the ladder."""
    if asked.request.rank:
        return _given(asked)
    found = POOLS[kind.own](asked) if kind.own in POOLS else None
    return found if found is not None and len(found.found.ids) else None


def _ordered(product_ids: Sequence[int]) -> StoredList:
    """A list whose order is all that is known: scores n..1."""
    return StoredList(
        np.asarray(product_ids, dtype=np.int64), np.arange(len(product_ids), 0, -1, dtype=np.float32)
    )


def _scored(scores: Mapping[int, float]) -> StoredList:
    best = sorted(scores.items(), key=lambda pair: (-pair[1], pair[0]))[:POOL_MAX]
    return StoredList(
        np.array([pk for pk, _ in best], dtype=np.int64), np.array([s for _, s in best], dtype=np.float32)
    )


def _given(asked: PoolQuestion) -> Pool:
    """The storefront's own products in its own order; those nobody knows are left out."""
    by_sku = asked.catalogue.by_sku
    ids = list(dict.fromkeys(by_sku[sku].product_id for sku in asked.request.rank if sku in by_sku))
    return Pool(GIVEN, _ordered(ids), Rung.GIVEN)


def _category(asked: PoolQuestion) -> Pool | None:
    """The products of the category and those below it, newest first."""
    ids = asked.catalogue.in_category(asked.request.category) if asked.request.category else ()
    return Pool(NEWEST, _ordered(ids[:POOL_MAX]), Rung.CATEGORY) if ids else None


def _arrivals(asked: PoolQuestion) -> Pool:
    return Pool(NEWNESS, _ordered(asked.catalogue.arrivals(asked.now)), Rung.NEW)


def _promoted(asked: PoolQuestion) -> Pool:
    """Products whose price is down, by how much of the price before it is."""
    return Pool(DISCOUNT, _scored(asked.catalogue.promoted), Rung.PROMOTION)


def _due(asked: PoolQuestion) -> Pool | None:
    """What the shopper bought, by how likely it is due: log(1 + purchases) × exp(-log(age / cycle)² / 2s²).

    A product bought twice or more has a rhythm of its own; one bought once counts ONCE_SHARE of one purchase.
    The form follows the rhythm models of Bhagat et al., "Buy It Again" (KDD 2018), without their priors; the
    family buy_again has them, and may be given weight beside this.
    """
    if asked.shopper.id is None:
        return None
    rows = asked.memory.read_rows(PURCHASES, {"shopper": asked.shopper.id})
    now = asked.now.timestamp()
    scores: dict[int, float] = {}
    cycles: dict[int, float] = {}
    for product_id, times, first, last in rows:
        if times < 2:
            scores[product_id] = ONCE_SHARE * math.log(2)
            continue
        cycle = max((last - first) / (times - 1), DAY)
        off = math.log(max(now - last, DAY / 2) / cycle) / RHYTHM_SPREAD
        scores[product_id] = math.log1p(times) * math.exp(-off * off / 2)
        if times > 2:
            cycles[product_id] = cycle / DAY
    return Pool(DUE, _scored(scores), Rung.AGAIN, cycles=cycles) if scores else None


def _sponsored(asked: PoolQuestion) -> Pool:
    """What sponsors pay for now, by what showing it is expected to earn."""
    offers = offers_ranked(asked.live.offers, asked.now)
    ranked = {offer.product_id: offer for offer in offers}
    scores = {product_id: offer.expected for product_id, offer in ranked.items()}
    return Pool(SPONSOR, _scored(scores), Rung.SPONSORED, offers=ranked)


POOLS = {"": _category, NEWNESS: _arrivals, DISCOUNT: _promoted, DUE: _due, SPONSOR: _sponsored}
