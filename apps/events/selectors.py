"""Reads of shoppers and what they did. Answers are values, not rows: they cross seams."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from apps.catalog.selectors import ProductFacts, product_get_many
from apps.events.models import EventKind, Interaction, Shopper


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One event of a shopper, with its product's facts (None for events without one)."""

    id: int
    occurred_at: datetime
    kind: str
    kind_name: str
    role: str
    product: ProductFacts | None
    quantity: float
    price: Decimal | None
    value: float | None
    session: str
    channel: str
    query: str
    request_id: UUID | None
    context: dict[str, Any] | None


def shopper_find(external_id: str) -> Shopper | None:
    """The shopper with this external id, following a merge; None when unknown."""
    shopper = Shopper.objects.select_related("merged_into").filter(external_id=external_id).first()
    return shopper.merged_into or shopper if shopper else None


def shopper_search(query: str, limit: int = 20) -> list[Shopper]:
    """Shoppers whose id starts with or holds `query`; the latest seen first, all for an empty query."""
    query = query.replace("\0", "").strip()[:80]
    shoppers = Shopper.objects.filter(merged_into=None)
    if not query:
        return list(shoppers.order_by("-last_seen_at")[:limit])
    starts = list(shoppers.filter(external_id__istartswith=query).order_by("external_id")[:limit])
    if len(starts) < limit:
        rest = shoppers.filter(external_id__icontains=query).exclude(pk__in=[row.pk for row in starts])
        starts += rest.order_by("external_id")[: limit - len(starts)]
    return starts


def shopper_surprise(*, min_events: int = 5) -> Shopper | None:
    """Some recently seen shopper with a history worth looking at; another one each time."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT shopper_id FROM (
                SELECT i.shopper_id, count(*) AS events
                FROM events_interaction i
                JOIN (SELECT id FROM events_shopper ORDER BY last_seen_at DESC LIMIT 200) h
                  ON h.id = i.shopper_id
                GROUP BY 1
            ) s ORDER BY (events >= %s) DESC, random() LIMIT 1
            """,
            [min_events],
        )
        row = cursor.fetchone()
    return Shopper.objects.filter(pk=row[0]).first() if row else None


def shopper_timeline(shopper_id: int, limit: int = 50, *, language: str = "") -> list[TimelineEvent]:
    """The shopper's latest events, newest first."""
    rows = list(Interaction.objects.filter(shopper_id=shopper_id).order_by("-occurred_at", "-id")[:limit])
    kinds = EventKind.objects.in_bulk({row.kind_id for row in rows})
    products = product_get_many({row.product_id for row in rows if row.product_id}, language=language)
    return [
        TimelineEvent(
            id=row.pk,
            occurred_at=row.occurred_at,
            kind=kinds[row.kind_id].code,
            kind_name=kinds[row.kind_id].name,
            role=kinds[row.kind_id].role,
            product=products.get(row.product_id) if row.product_id else None,
            quantity=row.quantity,
            price=row.price,
            value=row.value,
            session=row.session,
            channel=row.channel,
            query=row.query,
            request_id=row.request_id,
            context=row.context,
        )
        for row in rows
    ]
