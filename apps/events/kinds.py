"""Event kinds by code, kept in the process: every event asks, staff rarely change them."""

import threading
import time
from dataclasses import dataclass

from django.db import InterfaceError, OperationalError, connection

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
_loading: set[str] = set()


def kinds_by_code(*, at_once: bool = False) -> dict[str, KindFacts]:
    """All event kinds by code, inactive ones too.

    Older than two seconds they are read anew beside the caller, who has the old ones meanwhile: taking events
    must not wait for the database, nor fail with it. `at_once` waits, for a caller to whom a kind is new.
    """
    database = str(connection.settings_dict["NAME"])
    cached = _cached.get(database)
    if cached is None:
        return _load(database)
    if at_once or connection.in_atomic_block:
        if time.monotonic() - cached[0] < (KIND_SECONDS / 4 if at_once else KIND_SECONDS):
            return cached[1]
        try:
            return _load(database)
        except (OperationalError, InterfaceError):
            return cached[1]
    if time.monotonic() - cached[0] >= KIND_SECONDS:
        _load_beside(database)
    return cached[1]


def _load(database: str) -> dict[str, KindFacts]:
    rows = EventKind.objects.values_list("id", "code", "role", "weight", "active")
    kinds = {row[1]: KindFacts(*row) for row in rows}
    with _lock:
        _cached[database] = (time.monotonic(), kinds)
    return kinds


def _load_beside(database: str) -> None:
    with _lock:
        if database in _loading:
            return
        _loading.add(database)

    def load() -> None:
        try:
            _load(database)
        except (OperationalError, InterfaceError):
            time.sleep(KIND_SECONDS)  # the old ones stay; the next caller asks again
        finally:
            _loading.discard(database)
            connection.close()

    threading.Thread(target=load, name="event-kinds", daemon=True).start()


def kinds_forget() -> None:
    """Drop this process's copy, after a change."""
    with _lock:
        _cached.clear()
