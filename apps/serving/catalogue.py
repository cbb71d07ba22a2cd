"""The catalogue in process memory: what rules ask of a product and what a slate shows of it.

Loaded once, then only changed rows are read again. A price, stock or availability change is honoured within
two seconds everywhere; titles in further languages within half a minute.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from django.db import connection

from apps.merchandising.rules import FactsTable, ProductFacts
from apps.merchandising.rules.facts import category_prefixes, tags_of

# A transaction stamps its rows before it commits, so look this far behind the newest row seen.
OVERLAP = timedelta(minutes=5)
# Deleted rows and further languages leave no stamp: their numbers are compared, in a large catalogue not
# every second, for counting reads it all.
COUNT_SECONDS = 30.0
COUNTED_ALWAYS = 50_000
NEW_DAYS = 30
NEW_LISTED_MAX = 200

COLUMNS = """
SELECT p.id, p.sku, p.title, coalesce(c.path, ''), p.brand, p.price::float8, p.currency, p.stock, p.image_url,
       p.attributes, p.group_key, extract(epoch FROM p.available_from)::float8,
       extract(epoch FROM p.available_until)::float8, extract(epoch FROM p.first_seen_at)::float8,
       p.placeholder, p.updated_at, p.list_price::float8,
       (SELECT jsonb_object_agg(t.language, t.title) FROM catalog_producttext t WHERE t.product_id = p.id)
FROM catalog_product p LEFT JOIN catalog_category c ON c.id = p.category_id
"""
# Every write of a row gives it another xmin, so these three tell whether anything was written.
DIGEST = (
    "SELECT count(*), max(updated_at), sum(xmin::text::bigint) FROM catalog_product WHERE updated_at > %s"
)
CHANGED = "SELECT id, updated_at FROM catalog_product WHERE updated_at > %s"
TOTALS = "SELECT (SELECT count(*) FROM catalog_product), (SELECT count(*) FROM catalog_producttext)"


@dataclass(slots=True)
class CatalogueItem(ProductFacts):
    """A product with what a slate shows. first_seen: epoch seconds. titles: by language code.
    list_price: what it cost before a promotion.
    """

    title: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)
    currency: str = ""
    image: str = ""
    first_seen: float = 0.0
    updated_at: datetime | None = None
    list_price: float | None = None

    @property
    def discount(self) -> float:
        """By how much of the price before it the price is down, 0 to 1; 0 when it is not."""
        if self.price is None or self.list_price is None or not 0 <= self.price < self.list_price:
            return 0.0
        return 1.0 - self.price / self.list_price

    def title_in(self, language: str) -> str:
        """The title in this language, else the product's own."""
        return self.titles.get(language) or self.title if language else self.title


def item_from_row(row: Sequence[Any]) -> CatalogueItem:
    """An item from a row of `COLUMNS`."""
    attributes = orjson.loads(row[9]) if row[9] else {}
    attributes = attributes if isinstance(attributes, dict) else {}
    return CatalogueItem(
        product_id=row[0],
        sku=row[1],
        title=row[2],
        category=row[3],
        brand=row[4],
        price=row[5],
        currency=row[6],
        stock=row[7],
        image=row[8],
        attributes=attributes,
        tags=tags_of(attributes),
        group_key=row[10],
        available_from=row[11],
        available_until=row[12],
        first_seen=row[13],
        listed=not row[14],
        updated_at=row[15],
        list_price=row[16],
        titles=orjson.loads(row[17]) if row[17] else {},
    )


class Catalogue:
    """All products of the shop. One thread refreshes; others read meanwhile: an item is replaced whole."""

    def __init__(self) -> None:
        self.items: dict[int, CatalogueItem] = {}
        self.by_sku: dict[str, CatalogueItem] = {}
        self.table = FactsTable(self.items, self.by_sku)
        self._newest: list[int] | None = None
        self._groups: dict[str, list[int]] | None = None
        self._promoted: dict[int, float] | None = None
        self._categories: dict[str, list[int]] | None = None
        self._currencies: frozenset[str] | None = None
        self._stamp: datetime | None = None
        self._totals: tuple[int, int] = (0, 0)
        self._counted_at = 0.0
        self._digest: tuple[Any, ...] = ()

    def refreshed(self) -> "Catalogue":
        """This catalogue with what changed since, or, when rows went missing or nothing was read yet, a new
        one. Nothing disappears from a catalogue, so a request may hold on to the one it started with.
        """
        if self._stamp is None or self._count_due():
            totals = self._count()
            if self._stamp is None or totals != self._totals:
                return self._loaded(totals)
        since = self._stamp - OVERLAP
        with connection.cursor() as cursor:
            cursor.execute(DIGEST, [since])
            digest = (since, *cursor.fetchone())
            if digest == self._digest:
                return self
            cursor.execute(CHANGED, [since])
            changed = [pk for pk, stamp in cursor.fetchall() if self._stamp_of(pk) != stamp]
            if changed:
                cursor.execute(COLUMNS + "WHERE p.id = ANY(%s)", [changed])
                self._take(cursor.fetchall())
            self._digest = digest
        return self

    def _count_due(self) -> bool:
        return len(self.items) < COUNTED_ALWAYS or time.monotonic() - self._counted_at > COUNT_SECONDS

    def _stamp_of(self, product_id: int) -> datetime | None:
        item = self.items.get(product_id)
        return item.updated_at if item else None

    def _count(self) -> tuple[int, int]:
        self._counted_at = time.monotonic()
        with connection.cursor() as cursor:
            cursor.execute(TOTALS)
            products, texts = cursor.fetchone()
        return products, texts

    def _loaded(self, totals: tuple[int, int]) -> "Catalogue":
        with connection.cursor() as cursor:
            cursor.execute(COLUMNS)
            rows = cursor.fetchall()
        fresh = Catalogue()
        fresh._take(rows)
        fresh._totals, fresh._counted_at = totals, self._counted_at
        _ = fresh.table.columns  # made here, so that no slate waits for it
        return fresh

    def _take(self, rows: Iterable[Sequence[Any]]) -> None:
        for row in rows:
            item = item_from_row(row)
            old = self.items.get(item.product_id)
            self._totals = (self._totals[0] + (old is None), self._totals[1])
            if old is not None and old.sku != item.sku:
                self.by_sku.pop(old.sku, None)
            self.items[item.product_id] = item
            self.by_sku[item.sku] = item
            self.table.changed(item)
            if self._stamp is None or (item.updated_at and item.updated_at > self._stamp):
                self._stamp = item.updated_at
        self._newest = self._groups = self._promoted = self._categories = self._currencies = None

    @property
    def newest(self) -> list[int]:
        """All product ids, the one that came in last first."""
        newest = self._newest
        if newest is None:
            items = list(self.items.values())
            newest = [item.product_id for item in sorted(items, key=lambda i: (-i.first_seen, i.product_id))]
            self._newest = newest
        return newest

    def arrivals(self, now: datetime) -> list[int]:
        """Products that can be sold and came in within NEW_DAYS, newest first; when those are few, the newest
        whatever their age. At most NEW_LISTED_MAX.
        """
        moment = now.timestamp()
        oldest = moment - NEW_DAYS * 86_400
        found: list[int] = []
        for product_id in self.newest:
            item = self.items[product_id]
            if len(found) >= NEW_LISTED_MAX or (
                item.first_seen < oldest and len(found) >= NEW_LISTED_MAX // 4
            ):
                break
            if item.first_seen <= moment and item.unavailable(moment) is None:
                found.append(product_id)
        return found

    @property
    def promoted(self) -> Mapping[int, float]:
        """Products whose price is down, with their discount."""
        promoted = self._promoted
        if promoted is None:
            items = list(self.items.values())
            promoted = {item.product_id: item.discount for item in items if item.discount > 0}
            self._promoted = promoted
        return promoted

    @property
    def currencies(self) -> frozenset[str]:
        """The currencies products are priced in."""
        currencies = self._currencies
        if currencies is None:
            currencies = frozenset(item.currency for item in list(self.items.values()) if item.currency)
            self._currencies = currencies
        return currencies

    def in_category(self, path: str) -> Sequence[int]:
        """Products of this category and those below it, the one that came in last first."""
        categories = self._categories
        if categories is None:
            categories = {}
            for product_id in self.newest:
                for prefix in category_prefixes(self.items[product_id].category):
                    categories.setdefault(prefix, []).append(product_id)
            self._categories = categories
        return categories.get(path, ())

    def variants(self, product_ids: Iterable[int]) -> set[int]:
        """These products and all variants of them."""
        groups = self._groups
        if groups is None:
            groups = {}
            for item in list(self.items.values()):
                if item.group_key:
                    groups.setdefault(item.group_key, []).append(item.product_id)
            self._groups = groups
        found: set[int] = set()
        for product_id in product_ids:
            found.add(product_id)
            known = self.items.get(product_id)
            if known is not None and known.group_key:
                found.update(groups.get(known.group_key, ()))
        return found
