"""What sponsors offer today: their campaigns with what was shown, clicked and spent."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from apps.accounts.selectors import shop_settings_get
from apps.serving.auction import PRIOR_RATE, PRIOR_SHOWN, Offer, rate_smoothed

# Clicks and showings of so many days make a click rate.
RATE_DAYS = 28
CAMPAIGNS = """
SELECT c.id, p.id, c.bid::float8, c.daily_budget::float8, extract(epoch FROM c.starts_at)::float8,
       extract(epoch FROM c.ends_at)::float8
FROM merchandising_campaign c CROSS JOIN LATERAL unnest(c.skus) AS named (sku)
JOIN catalog_product p ON p.sku = named.sku
WHERE c.active AND (c.ends_at IS NULL OR c.ends_at > %s) ORDER BY c.id, p.id
"""
COUNTS = """
SELECT d.campaign_id, d.product_id, sum(d.shown)::float8, sum(d.clicks)::float8,
       coalesce(sum(d.spend) FILTER (WHERE d.day = %s), 0)::float8
FROM merchandising_campaignday d WHERE d.day > %s GROUP BY d.campaign_id, d.product_id
"""


def offers_read(now: datetime) -> Sequence[Offer]:
    """The offers of all campaigns that are not over, with their smoothed click rates."""
    with connection.cursor() as cursor:
        cursor.execute(CAMPAIGNS, [now])
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        if not rows:
            return ()
        zone = shop_settings_get().zone
        start = now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        end = (start + timedelta(days=1)).replace(tzinfo=zone)
        cursor.execute(COUNTS, [start.date(), start.date() - timedelta(days=RATE_DAYS)])
        counts = {(row[0], row[1]): row[2:] for row in cursor.fetchall()}
    shown = sum(count[0] for count in counts.values())
    clicks = sum(count[1] for count in counts.values())
    overall = (clicks + PRIOR_SHOWN * PRIOR_RATE) / (shown + PRIOR_SHOWN)
    spent: dict[int, float] = {}
    for (campaign_id, _), count in counts.items():
        spent[campaign_id] = spent.get(campaign_id, 0.0) + count[2]
    offers = []
    for campaign_id, product_id, bid, budget, starts_at, ends_at in rows:
        own_shown, own_clicks, _ = counts.get((campaign_id, product_id), (0.0, 0.0, 0.0))
        offers.append(
            Offer(
                campaign_id=campaign_id,
                product_id=product_id,
                bid=bid,
                rate=rate_smoothed(own_clicks, own_shown, overall),
                spent=spent.get(campaign_id, 0.0),
                budget=budget,
                starts_at=starts_at,
                ends_at=ends_at,
                day_start=start.timestamp(),
                day_end=end.timestamp(),
            )
        )
    return offers
