"""A tiny shop whose figures can be worked out by hand."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from apps.accounts.models import ShopSettings
from apps.catalog.models import Category, Product
from apps.core import clock
from apps.events.models import EventKind, Exposure, Interaction, Shopper
from apps.events.partitions import partitions_make
from apps.metrics.models import DailyMetric
from apps.metrics.rollups import days_build

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)


def moment(text: str) -> datetime:
    """ "10 09:30" is 10 March 2026, 9:30 UTC."""
    day, clock_time = text.split(" ")
    hour, minute = clock_time.split(":")[:2]
    return datetime(2026, 3, int(day), int(hour), int(minute), tzinfo=UTC)


@dataclass
class Shop:
    """Writes rows straight into the tables, one call an event."""

    products: dict[str, Product] = field(default_factory=dict)
    shoppers: dict[str, Shopper] = field(default_factory=dict)
    count: int = 0

    def product(
        self, sku: str, *, price: float = 10.0, cost: float | None = None, category: str = "A"
    ) -> Product:
        node, _ = Category.objects.get_or_create(path=category, defaults={"name": category})
        self.products[sku] = Product.objects.create(
            sku=sku, title=sku, price=price, cost=cost, category=node, first_seen_at=moment("01 00:00")
        )
        return self.products[sku]

    def shopper(self, name: str) -> Shopper:
        if name not in self.shoppers:
            self.shoppers[name] = Shopper.objects.create(external_id=name)
        return self.shoppers[name]

    def event(
        self,
        kind: str,
        who: str,
        at: str,
        sku: str = "",
        *,
        request: uuid.UUID | None = None,
        price: float | None = None,
        quantity: float = 1,
        session: str = "",
        bot: bool = False,
        order: str = "",
    ) -> Interaction:
        self.count += 1
        code, role = kind, kind
        row, _ = EventKind.objects.get_or_create(code=code, defaults={"name": code, "role": role})
        return Interaction.objects.create(
            occurred_at=moment(at),
            received_at=moment(at),
            kind_id=row.pk,
            shopper_id=self.shopper(who).pk if who else None,
            product_id=self.products[sku].pk if sku else None,
            quantity=quantity,
            price=price,
            session=session,
            request_id=request,
            bot=bot,
            context={"order": order} if order else None,
            client_event_id=f"e{self.count}",
        )

    def slate(self, who: str, at: str, skus: str, *, placement: str = "home", session: str = "") -> uuid.UUID:
        request = uuid.uuid4()
        ids = [self.products[sku].pk for sku in skus.split()]
        Exposure.objects.create(
            served_at=moment(at),
            request_id=request,
            placement=placement,
            shopper_id=self.shopper(who).pk if who else None,
            session=session,
            product_ids=ids,
            sources=["popular"] * len(ids),
            propensities=[1.0] * len(ids),
            model_version_ids=[],
            rung="shopper",
        )
        return request


@pytest.fixture
def shop(db: None) -> Shop:
    """An empty shop with the partitions of March 2026 and its neighbours."""
    ShopSettings.objects.update_or_create(pk=1, defaults={"time_zone": "UTC", "attribution_hours": 24})
    partitions_make(months=[(2026, month) for month in (1, 2, 3, 4)])
    return Shop()


Counts = Callable[..., dict[str, float]]


@pytest.fixture
def counts() -> Counts:
    """Builds the days and returns the counts of one of them."""

    def build(day: int, placement: str = "", first: int | None = None) -> dict[str, float]:
        with clock.pinned(NOW):
            days_build(first=moment(f"{first or day:02} 00:00").date(), last=moment(f"{day:02} 00:00").date())
        row = DailyMetric.objects.filter(day=moment(f"{day:02} 00:00").date(), placement=placement).first()
        return row.counts if row else {}

    return build
