"""A small shop whose shoppers have plain tastes: every family can learn them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from apps.catalog.services import product_upsert_many
from apps.events.services import event_record_many

TASTES = 4
ITEMS_PER_TASTE = 12
SHOPPERS = 160
DAYS = 60
END = datetime(2026, 3, 31, tzinfo=UTC)


def shop_plant(*, seed: int = 0, shoppers: int = SHOPPERS) -> None:
    """Store the products, the shoppers and two months of purchases, half of them repeats."""
    rng = np.random.default_rng(seed)
    skus = [f"T{taste}-{n:02}" for taste in range(TASTES) for n in range(ITEMS_PER_TASTE)]
    product_upsert_many(
        frame=pd.DataFrame(
            {
                "sku": skus,
                "title": [f"{['red', 'blue', 'green', 'grey'][int(sku[1])]} thing {sku[3:]}" for sku in skus],
                "category": [f"Home > Kind {sku[1]}" for sku in skus],
                "price": rng.uniform(2, 40, len(skus)).round(2),
                "currency": "EUR",
            }
        ),
        source="test",
    )
    rows = []
    for shopper in range(shoppers):
        taste = shopper % TASTES
        own: list[str] = []
        for visit in range(int(rng.integers(5, 9))):
            at = END - timedelta(days=float(rng.uniform(0.1, DAYS)), seconds=float(rng.uniform(0, 3600)))
            for line in range(int(rng.integers(1, 4))):
                strange = rng.random() < 0.1
                kind = int(rng.integers(TASTES)) if strange else taste
                sku = f"T{kind}-{min(int(rng.geometric(0.15)) - 1, ITEMS_PER_TASTE - 1):02}"
                if own and rng.random() < 0.4:
                    sku = str(rng.choice(own))
                own.append(sku)
                rows.append(
                    {
                        "client_event_id": f"p{shopper}-{visit}-{line}",
                        "kind": "purchase",
                        "occurred_at": at + timedelta(seconds=line),
                        "shopper": f"c{shopper}",
                        "sku": sku,
                        "quantity": 1.0,
                        "price": 5.0,
                        "session": f"v{shopper}-{visit}",
                    }
                )
    result = event_record_many(frame=pd.DataFrame(rows), source="test")
    assert result.rejected == []
