"""The behavioural metrics, defined once.

`apps.metrics.steps` lays out sessions, slates, purchases and so on as temporary tables, exactly in the words
below. `COUNTS` says how the daily numerators and denominators come out of them, and `METRICS` how a figure of
any period comes out of summed counts. Nothing else in the project computes these.

Words
  who       a shopper, or without one the storefront's session id; events with neither belong to no session.
            Events marked as a bot's are left out everywhere.
  session   one who's events with gaps under 30 minutes; it belongs to the day it starts on. Returns are
            reported by the shop and are no part of a session.
  order     what one who buys in one session, apart by the storefront's session id or `context.order` where
            the events carry one.
  day       the shop's time zone.
  served    an exposure: the slate at the answer.
  seen      the shopper's browser reported the slate (event role "seen" with its request id; with products it
            reports just those items). A clicked slate was seen. Where a placement has no report in a whole
            day, seen is unknown there and served stands in ("base").
  revenue   price times quantity of purchases less that of returns, each on the day it happened, in the
            shop's currency; the product's price where the event has none. A return without a price is worth
            what the purchases it undoes cost.
  undone    a return takes from the shopper's latest earlier purchases of that product what earlier returns
            have left of them, up to its quantity: the law of `apps.datasets.netting`.
  attributed  a purchase within the attribution window after the shopper's last click that carries a slate's
            request id goes to that click's slate, and to no other. What a return undoes of it is taken off
            again, on the day of the return.
  direct    the part of it where that last click was on the very product.
  assisted  a purchase that is not attributed, of a product that stood in a slate of the base within the
            window; kept apart, given to the latest such slate.
"""

from dataclasses import dataclass
from typing import Literal

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

# Each query yields (day, placement, count name, value); placement '' is the whole shop, and rows of one name
# are added up.
COUNTS: tuple[str, ...] = (
    """
    SELECT day, '', c.name, c.value FROM (
        SELECT day, count(*)::float8 AS sessions, count(*) FILTER (WHERE bought)::float8 AS sessions_bought,
               sum(revenue) AS session_revenue, sum(revenue ^ 2) AS session_revenue_sq
        FROM m_session GROUP BY day
    ) d CROSS JOIN LATERAL (VALUES ('sessions', sessions), ('sessions_bought', sessions_bought),
        ('session_revenue', session_revenue), ('session_revenue_sq', session_revenue_sq)) c (name, value)
    """,
    """
    SELECT day, placement, c.name, c.value FROM (
        SELECT day, placement, count(*)::float8 AS n, count(*) FILTER (WHERE bought)::float8 AS bought
        FROM m_session_slate GROUP BY day, placement
    ) d CROSS JOIN LATERAL (VALUES ('sessions', n), ('sessions_bought', bought)) c (name, value)
    """,
    """
    SELECT day, '', c.name, c.value FROM (
        SELECT day, count(*)::float8 AS orders, sum(amount) AS amount, sum(amount ^ 2) AS amount_sq
        FROM m_order GROUP BY day
    ) d CROSS JOIN LATERAL (VALUES ('orders', orders), ('order_revenue', amount),
        ('order_revenue_sq', amount_sq)) c (name, value)
    """,
    """
    SELECT day, p.placement, c.name, c.value FROM (
        SELECT s.day, s.placement, count(*)::float8 AS served,
               count(*) FILTER (WHERE s.seen)::float8 AS seen,
               count(*) FILTER (WHERE s.base)::float8 AS base,
               count(*) FILTER (WHERE s.base AND NOT s.seen_known)::float8 AS base_served,
               count(*) FILTER (WHERE s.clicked)::float8 AS clicked,
               sum(i.items)::float8 AS items, sum(i.clicked)::float8 AS items_clicked,
               sum(i.items ^ 2)::float8 AS items_sq, sum(i.clicked ^ 2)::float8 AS items_clicked_sq,
               sum(i.items * i.clicked)::float8 AS items_product,
               count(i.diversity)::float8 AS diverse_slates, sum(i.diversity)::float8 AS diversity,
               sum(i.diversity ^ 2)::float8 AS diversity_sq
        FROM m_slate s LEFT JOIN m_slate_items i USING (request_id)
        WHERE s.at >= %(start)s GROUP BY s.day, s.placement
    ) d
    CROSS JOIN LATERAL (VALUES (''), (d.placement)) p (placement)
    CROSS JOIN LATERAL (VALUES ('slates_served', served), ('slates_seen', seen), ('slates_base', base),
        ('slates_base_served', base_served), ('slates_clicked', clicked), ('items_seen', items),
        ('items_clicked', items_clicked), ('items_seen_sq', items_sq), ('items_clicked_sq', items_clicked_sq),
        ('items_seen_x_clicked', items_product), ('diverse_slates', diverse_slates),
        ('diversity', diversity), ('diversity_sq', diversity_sq)) c (name, value)
    """,
    """
    SELECT day, '', c.name, c.value FROM (
        SELECT day, sum(amount) AS amount, sum(quantity) AS units,
               sum(amount) FILTER (WHERE cost IS NOT NULL) AS costed, sum(cost) AS cost
        FROM m_purchase GROUP BY day
    ) d CROSS JOIN LATERAL (VALUES ('gross', amount), ('revenue', amount), ('units', units),
        ('margin_revenue', costed), ('margin', costed - cost)) c (name, value)
    """,
    """
    SELECT day, '', c.name, c.value FROM (
        SELECT day, sum(amount) AS amount, sum(amount) FILTER (WHERE cost IS NOT NULL) AS costed,
               sum(cost) AS cost
        FROM m_return GROUP BY day
    ) d CROSS JOIN LATERAL (VALUES ('returned', amount), ('revenue', -amount), ('margin_revenue', -costed),
        ('margin', cost - costed)) c (name, value)
    """,
    """
    SELECT day, p.placement, c.name, c.value FROM (
        SELECT day, placement, count(*)::float8 AS n, sum(amount) AS amount,
               count(*) FILTER (WHERE direct)::float8 AS direct
        FROM m_purchase WHERE placement IS NOT NULL GROUP BY day, placement
    ) d
    CROSS JOIN LATERAL (VALUES (''), (d.placement)) p (placement)
    CROSS JOIN LATERAL (VALUES ('attributed', n), ('attributed_revenue', amount),
        ('attributed_direct', direct)) c (name, value)
    """,
    """
    SELECT u.day, p.placement, 'attributed_revenue', -sum(u.amount)
    FROM m_undone u CROSS JOIN LATERAL (VALUES (''), (u.placement)) p (placement)
    WHERE u.placement IS NOT NULL GROUP BY u.day, p.placement
    """,
    """
    SELECT a.day, p.placement, c.name, c.value FROM (
        SELECT day, placement, count(*)::float8 AS n, sum(amount) AS amount
        FROM m_assist GROUP BY day, placement
    ) a
    CROSS JOIN LATERAL (VALUES (''), (a.placement)) p (placement)
    CROSS JOIN LATERAL (VALUES ('assisted', n), ('assisted_revenue', amount)) c (name, value)
    """,
)

ITEMS_INSERT = """
INSERT INTO metrics_dailyitems (day, placement, product_ids, seen, clicked, events)
SELECT day, placement, array_agg(product_id), array_agg(seen), array_agg(clicked), array_agg(events)
FROM (
    SELECT day, placement, product_id, count(*)::int AS seen, count(*) FILTER (WHERE clicked)::int AS clicked,
           0 AS events
    FROM m_item WHERE at >= %(start)s GROUP BY day, placement, product_id
    UNION ALL
    SELECT (at AT TIME ZONE %(zone)s)::date, '', product_id, 0, 0, count(*)::int
    FROM m_event
    WHERE product_id IS NOT NULL AND role IN ('view', 'click', 'cart', 'purchase')
      AND at >= %(start)s AND at < %(end)s
    GROUP BY 1, 3
) counted GROUP BY day, placement
"""

Unit = Literal["rate", "money", "count", "number", "bits"]
Interval = Literal["wilson", "mean", "ratio", "days", "none"]


@dataclass(frozen=True, slots=True)
class Metric:
    """How a figure of a period follows from summed counts.

    `interval`: wilson (a share of independent trials), mean (a mean whose sum of squares is counted), ratio
    (delta method with slates as clusters), days (delta method with days as clusters), none (a total).
    """

    code: str
    label: str | Promise
    unit: Unit
    numerator: str
    denominator: str = ""
    interval: Interval = "none"
    squares: str = ""
    shop_only: bool = False
    higher_is_better: bool = True


METRICS: dict[str, Metric] = {
    metric.code: metric
    for metric in (
        Metric("sessions", _("Sessions"), "count", "sessions"),
        Metric("ctr", _("Click-through rate"), "rate", "slates_clicked", "slates_base", "wilson"),
        Metric("item_ctr", _("Click-through rate per item"), "rate", "items_clicked", "items_seen", "ratio"),
        Metric("conversion", _("Conversion"), "rate", "sessions_bought", "sessions", "wilson"),
        Metric(
            "revenue_per_session", _("Revenue per session"), "money", "revenue", "sessions", "mean",
            "session_revenue", shop_only=True,
        ),
        Metric(
            "aov", _("Average order"), "money", "revenue", "orders", "mean", "order_revenue", shop_only=True,
        ),
        Metric("revenue", _("Revenue"), "money", "revenue", shop_only=True),
        Metric("margin", _("Margin"), "money", "margin", shop_only=True),
        Metric("orders", _("Orders"), "count", "orders", shop_only=True),
        Metric("returned", _("Returned"), "money", "returned", shop_only=True, higher_is_better=False),
        Metric("attributed", _("Attributed purchases"), "count", "attributed"),
        Metric("attributed_revenue", _("Attributed revenue"), "money", "attributed_revenue"),
        Metric(
            "attributed_per_session", _("Attributed revenue per session"), "money", "attributed_revenue",
            "sessions", "days",
        ),
        Metric("assisted", _("Assisted purchases"), "count", "assisted"),
        Metric("assisted_revenue", _("Assisted revenue"), "money", "assisted_revenue"),
        Metric("slates", _("Slates"), "count", "slates_base"),
        Metric(
            "diversity", _("Diversity within a slate"), "number", "diversity", "diverse_slates", "mean",
            "diversity",
        ),
    )
}  # fmt: skip
