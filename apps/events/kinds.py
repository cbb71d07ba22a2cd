"""Event kinds by code, kept in the process for two seconds: every event asks, staff rarely change them."""

import threading
import time
from dataclasses import dataclass

from django.db import connection

from apps.events.models import EventKind, EventRole

KIND_SECONDS = 2.0
# Kinds of these roles say nothing without a product.
PRODUCT_ROLES = frozenset(
    {
        EventRole.VIEW,
        EventRole.CLICK,
        EventRole.CART,
        EventRole.PURCHASE,
        EventRole.RETURN,
        EventRole.RATING,
        EventRole.LIKE,
        EventRole.DISLIKE,
    }
)


@dataclass(frozen=True, slots=True)
class KindFacts:
    """An event kind as values. `mood`: -1 a dislike, +1 what takes a dislike back, 0 neither."""

    id: int
    code: str
    role: str
    weight: float
    active: bool

    @property
    def needs_product(self) -> bool:
        """Whether an event of this kind must name a sku."""
        return self.role in PRODUCT_ROLES

    @property
    def mood(self) -> int:
        """What the event says about showing the product again."""
        if self.role == EventRole.DISLIKE:
            return -1
        return 1 if self.role in (EventRole.LIKE, EventRole.PURCHASE) else 0


_lock = threading.Lock()
_cached: dict[str, tuple[float, dict[str, KindFacts]]] = {}


def kinds_by_code() -> dict[str, KindFacts]:
    """All event kinds by code, inactive ones too; at most two seconds old."""
    database = connection.settings_dict["NAME"]
    cached = _cached.get(database)
    if cached and time.monotonic() - cached[0] < KIND_SECONDS:
        return cached[1]
    rows = EventKind.objects.values_list("id", "code", "role", "weight", "active")
    kinds = {row[1]: KindFacts(*row) for row in rows}
    with _lock:
        _cached[database] = (time.monotonic(), kinds)
    return kinds


def kinds_forget() -> None:
    """Drop this process's copy, after a change."""
    with _lock:
        _cached.clear()
