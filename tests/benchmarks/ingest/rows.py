"""Events to be sent, and the very rows they become, for a raw COPY."""

import random
import uuid
from datetime import datetime, timedelta
from typing import Any

from apps.core import clock
from apps.events.kinds import kinds_by_code

PRODUCTS = 5_000
SHOPPERS = 20_000
SESSION_EVENTS = 8
FINAL = (
    "occurred_at, received_at, kind_id, shopper_id, product_id, quantity, price, value, session, channel, "
    "request_id, query, context, bot, client_event_id"
)
_random = random.Random()


def _hex() -> uuid.UUID:
    return uuid.UUID(int=_random.getrandbits(128))


def events_make(count: int, *, now: datetime | None = None) -> list[dict[str, Any]]:
    """Events of sessions, each of a shopper, within the last day."""
    now = now or clock.now()
    rows: list[dict[str, Any]] = []
    while len(rows) < count:
        shopper, session = f"s{_random.randrange(SHOPPERS)}", _hex().hex[:16]
        began = now - timedelta(seconds=_random.randrange(600, 86_400))
        rows += [
            {
                "kind": _random.choice(("view", "view", "view", "click", "add_to_cart", "purchase")),
                "client_event_id": _hex().hex,
                "occurred_at": (began + timedelta(seconds=20 * place)).isoformat(),
                "shopper": shopper,
                "sku": f"p{_random.randrange(PRODUCTS)}",
                "quantity": 1,
                "price": 9.9,
                "session": session,
                "channel": "web",
                "request_id": str(_hex()),
            }
            for place in range(SESSION_EVENTS)
        ]
    return rows[:count]


def final_rows(rows: list[dict[str, Any]]) -> bytes:
    """The rows as the partitioned table holds them, in COPY's text format: what the ceiling copies."""
    kinds, received = kinds_by_code(), clock.now().isoformat()
    return b"".join(
        (
            f"{row['occurred_at']}\t{received}\t{kinds[row['kind']].id}\t{row['shopper'][1:]}\t{row['sku'][1:]}"
            f"\t1\t9.9\t\\N\t{row['session']}\tweb\t{row['request_id']}\t\t\\N\tf\t{row['client_event_id']}\n"
        ).encode()
        for row in rows
    )
