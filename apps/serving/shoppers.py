"""What a slate needs to know of a shopper or an anonymous session: one query."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.db import connection

from apps.core import clock

RECENT_MAX = 20
RECENT_DAYS = 14
SESSION_HOURS = 24

SHOPPER = """
SELECT s.id, CASE WHEN s.consent THEN s.region ELSE '' END,
       ARRAY(SELECT d.product_id FROM events_dislike d WHERE d.shopper_id = s.id),
       ARRAY(SELECT DISTINCT i.product_id FROM events_interaction i
             WHERE i.shopper_id = s.id AND i.product_id IS NOT NULL
               AND i.kind_id IN (SELECT k.id FROM events_eventkind k WHERE k.role = 'purchase')),
       ARRAY(SELECT i.product_id FROM events_interaction i
             WHERE i.shopper_id = s.id AND i.product_id IS NOT NULL AND i.occurred_at > %(since)s
               AND i.kind_id IN (SELECT k.id FROM events_eventkind k
                                 WHERE k.role IN ('view', 'click', 'cart', 'purchase', 'like'))
             ORDER BY i.occurred_at DESC LIMIT %(recent)s)
FROM events_shopper e JOIN events_shopper s ON s.id = coalesce(e.merged_into_id, e.id)
WHERE e.external_id = %(shopper)s
"""
SESSION = """
SELECT ARRAY(SELECT i.product_id FROM events_interaction i
             WHERE i.session = %(session)s AND i.shopper_id IS NULL AND i.product_id IS NOT NULL
               AND i.occurred_at > %(since)s
               AND i.kind_id IN (SELECT k.id FROM events_eventkind k WHERE k.role = 'dislike')),
       ARRAY(SELECT i.product_id FROM events_interaction i
             WHERE i.session = %(session)s AND i.shopper_id IS NULL AND i.product_id IS NOT NULL
               AND i.occurred_at > %(since)s
               AND i.kind_id IN (SELECT k.id FROM events_eventkind k
                                 WHERE k.role IN ('view', 'click', 'cart', 'purchase', 'like'))
             ORDER BY i.occurred_at DESC LIMIT %(recent)s)
"""


@dataclass(frozen=True, slots=True)
class ShopperState:
    """id: None for a stranger. region: only with consent. disliked, bought: product ids. recent: product ids
    lately viewed, carted or bought, the last one first, each once.
    """

    id: int | None = None
    region: str = ""
    disliked: frozenset[int] = field(default_factory=frozenset)
    bought: frozenset[int] = field(default_factory=frozenset)
    recent: tuple[int, ...] = ()

    @property
    def has_history(self) -> bool:
        """Whether the shopper did anything that counts here."""
        return bool(self.bought or self.disliked or self.recent)


def shopper_read(*, shopper: str, session: str) -> ShopperState:
    """What is known of the shopper (external id), else of the anonymous session; nothing of neither."""
    now = clock.now()
    if shopper:
        since = now - timedelta(days=RECENT_DAYS)
        row = _one(SHOPPER, {"shopper": shopper, "since": since, "recent": RECENT_MAX})
        if row is not None:
            pk, region, disliked, bought, recent = row
            return ShopperState(pk, region, frozenset(disliked), frozenset(bought), _each_once(recent))
    if session:
        since = now - timedelta(hours=SESSION_HOURS)
        row = _one(SESSION, {"session": session, "since": since, "recent": RECENT_MAX})
        if row is not None:
            return ShopperState(disliked=frozenset(row[0]), recent=_each_once(row[1]))
    return ShopperState()


def _one(query: str, params: dict[str, Any]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        row: tuple[Any, ...] | None = cursor.fetchone()
    return row


def _each_once(ids: Sequence[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(ids))
