"""The SQL steps behind `apps.metrics.definitions`: one temporary table each, over a window of days.

The words used are defined there.
"""

SESSION_GAP = "interval '30 minutes'"
# A session that starts before midnight is followed this far into the next day, and looked for this far back
# into the day before: what belongs to it must not begin again at midnight.
SESSION_TAIL = "interval '12 hours'"

# Who acts, as one number: the shopper's id, or below zero the hash of an anonymous session.
WHO = "coalesce(shopper_id, -1 - (hashtextextended(nullif(session, ''), 0) & 9223372036854775807))"

# What an event is worth, and its parts: i is the event, p its product.
EVENT_OWN = "abs(i.quantity) AS quantity, i.price::float8 AS own_price, i.context ->> 'order' AS order_ref"
LIST_PRICE, COST = "p.price::float8", "p.cost::float8"
AMOUNT = "quantity * coalesce(own_price, list_price, 0)"

# Parameters of all steps: start, end (moments, end open), zone (name), window (an interval), back (the start
# of the day that lies one attribution window before start).
EVENT = f"""
CREATE TEMP TABLE m_event ON COMMIT DROP AS
SELECT i.id, i.occurred_at AS at, k.role, i.shopper_id, i.product_id, i.request_id, i.session,
       {WHO} AS who, {EVENT_OWN}, {LIST_PRICE} AS list_price, {COST} AS cost
FROM events_interaction i
JOIN events_eventkind k ON k.id = i.kind_id
LEFT JOIN catalog_product p ON p.id = i.product_id
WHERE NOT i.bot AND i.occurred_at >= least(%(back)s, %(start)s - {SESSION_TAIL}) - {SESSION_GAP}
  AND i.occurred_at < %(end)s + {SESSION_TAIL}
"""

ACT = f"""
CREATE TEMP TABLE m_act ON COMMIT DROP AS
WITH flagged AS (
    SELECT id, who, at, role, {AMOUNT} AS amount, session, order_ref,
           CASE WHEN at - lag(at) OVER (PARTITION BY who ORDER BY at, id) < {SESSION_GAP}
                THEN 0 ELSE 1 END AS starts
    FROM m_event
    WHERE who IS NOT NULL AND role <> 'return' AND at >= %(start)s - {SESSION_TAIL}
)
SELECT *, sum(starts) OVER (PARTITION BY who ORDER BY at, id) AS session_no FROM flagged
"""

SESSION = """
CREATE TEMP TABLE m_session ON COMMIT DROP AS
SELECT who, session_no, min(at) AS started, max(at) AS ended,
       (min(at) AT TIME ZONE %(zone)s)::date AS day,
       bool_or(role = 'purchase') AS bought,
       coalesce(sum(amount) FILTER (WHERE role = 'purchase'), 0) AS revenue
FROM m_act GROUP BY who, session_no HAVING min(at) >= %(start)s AND min(at) < %(end)s
"""

ORDER = """
CREATE TEMP TABLE m_order ON COMMIT DROP AS
SELECT (min(at) AT TIME ZONE %(zone)s)::date AS day, sum(amount) AS amount
FROM m_act WHERE role = 'purchase'
GROUP BY who, session_no, coalesce(order_ref, session)
HAVING min(at) >= %(start)s AND min(at) < %(end)s
"""

SLATE = f"""
CREATE TEMP TABLE m_slate ON COMMIT DROP AS
WITH served AS (
    SELECT DISTINCT ON (request_id) request_id, served_at AS at, placement, product_ids,
           {WHO} AS who,
           (served_at AT TIME ZONE %(zone)s)::date AS day
    FROM events_exposure
    WHERE served_at >= %(back)s AND served_at < %(end)s AND placement <> ''  -- there no slate was
    ORDER BY request_id, served_at
), told AS (
    SELECT i.request_id, bool_or(i.bot) AS bot,
           bool_or(k.role = 'seen') AS reported,
           CASE WHEN NOT bool_or(k.role = 'seen' AND i.product_id IS NULL) THEN
               array_agg(DISTINCT i.product_id) FILTER (WHERE k.role = 'seen') END AS seen_ids,
           coalesce(array_agg(DISTINCT i.product_id)
                    FILTER (WHERE k.role = 'click' AND i.product_id = ANY (s.product_ids)), '{{}}')
               AS clicked_ids,
           bool_or(k.role = 'click') AS clicked
    FROM served s JOIN events_interaction i ON i.request_id = s.request_id
    JOIN events_eventkind k ON k.id = i.kind_id
    WHERE k.role IN ('seen', 'click') AND i.occurred_at >= %(back)s - {SESSION_GAP}
    GROUP BY i.request_id
), joined AS (
    SELECT s.*, coalesce(t.reported, false) AS reported, t.seen_ids,
           coalesce(t.clicked, false) AS clicked, coalesce(t.clicked_ids, '{{}}') AS clicked_ids,
           bool_or(coalesce(t.reported, false)) OVER (PARTITION BY s.placement, s.day) AS seen_known
    FROM served s LEFT JOIN told t USING (request_id)
    WHERE NOT coalesce(t.bot, false)
)
SELECT *, (reported OR clicked) AS seen, (reported OR clicked OR NOT seen_known) AS base FROM joined
"""

ITEM = """
CREATE TEMP TABLE m_item ON COMMIT DROP AS
SELECT s.request_id, s.at, s.day, s.placement, s.who, u.product_id, p.category_id,
       u.product_id = ANY (s.clicked_ids) AS clicked
FROM m_slate s
CROSS JOIN LATERAL (SELECT DISTINCT unnest(s.product_ids) AS product_id) u
LEFT JOIN catalog_product p ON p.id = u.product_id
WHERE s.base
  AND (s.seen_ids IS NULL OR u.product_id = ANY (s.seen_ids) OR u.product_id = ANY (s.clicked_ids))
"""

# Diversity within a slate: 1 - share of its item pairs that are of one category (Ziegler et al. 2005, with
# category equality as the similarity).
SLATE_ITEMS = """
CREATE TEMP TABLE m_slate_items ON COMMIT DROP AS
SELECT request_id, sum(n) AS items, sum(n_clicked) AS clicked,
       CASE WHEN sum(n) > 1 THEN 1 - sum(n * (n - 1)) / (sum(n) * (sum(n) - 1)) END AS diversity
FROM (
    SELECT request_id, category_id, count(*) AS n, count(*) FILTER (WHERE clicked) AS n_clicked
    FROM m_item WHERE at >= %(start)s GROUP BY request_id, category_id
) g GROUP BY request_id
"""

CLICK = """
CREATE TEMP TABLE m_click ON COMMIT DROP AS
SELECT c.id, c.who, c.at, c.product_id, e.placement
FROM m_event c
JOIN (SELECT DISTINCT ON (request_id) request_id, placement FROM events_exposure
      WHERE request_id IN (SELECT request_id FROM m_event WHERE role = 'click' AND request_id IS NOT NULL)
      ORDER BY request_id, served_at) e ON e.request_id = c.request_id
WHERE c.role = 'click' AND c.who IS NOT NULL
"""

PURCHASE = f"""
CREATE TEMP TABLE m_purchase ON COMMIT DROP AS
SELECT p.id, p.who, p.at, (p.at AT TIME ZONE %(zone)s)::date AS day, p.product_id, p.quantity,
       {AMOUNT} AS amount, p.quantity * p.cost AS cost,
       c.placement, c.product_id IS NOT DISTINCT FROM p.product_id AS direct
FROM m_event p
LEFT JOIN LATERAL (
    SELECT placement, product_id FROM m_click c
    WHERE c.who = p.who AND c.at <= p.at AND c.at >= p.at - %(window)s::interval
    ORDER BY c.at DESC, c.id DESC LIMIT 1
) c ON true
WHERE p.role = 'purchase' AND p.at >= %(start)s AND p.at < %(end)s
"""

# What one bought and returned of each product that comes back within the window, from the first purchase on:
# which purchase a return undoes depends on all returns before it, however long ago. `height` is how much is
# kept at that moment (returns of more than was bought end at 0). The order is that of `apps.datasets`.
TRADE = """
CREATE TEMP TABLE m_trade ON COMMIT DROP AS
WITH pair AS (
    SELECT DISTINCT shopper_id, product_id, list_price FROM m_event
    WHERE role = 'return' AND shopper_id IS NOT NULL AND product_id IS NOT NULL
      AND at >= %(start)s AND at < %(end)s
), summed AS (
    SELECT p.shopper_id, p.product_id, t.*,
           sum(CASE WHEN is_return THEN -quantity ELSE quantity END) OVER w AS sum, row_number() OVER w AS n
    FROM pair p JOIN LATERAL (
        SELECT i.id, i.occurred_at AS at, i.client_event_id, k.role = 'return' AS is_return,
               abs(i.quantity) AS quantity, coalesce(i.price::float8, p.list_price, 0) AS price
        FROM events_interaction i JOIN events_eventkind k ON k.id = i.kind_id
        WHERE i.shopper_id = p.shopper_id AND i.product_id = p.product_id AND NOT i.bot
          AND k.role IN ('purchase', 'return') AND i.occurred_at < %(end)s
        OFFSET 0 -- one look into the index a pair, not one scan of all months
    ) t ON true
    WINDOW w AS (PARTITION BY p.shopper_id, p.product_id ORDER BY at, client_event_id, id)
), high AS (
    SELECT *, sum - least(0, min(sum) OVER (PARTITION BY shopper_id, product_id ORDER BY n)) AS height
    FROM summed
)
SELECT *, lag(height, 1, 0) OVER (PARTITION BY shopper_id, product_id ORDER BY n) AS before FROM high
"""

# A return takes from the latest earlier purchases, up to its quantity, as `apps.datasets.netting` has it. One
# that lets the height fall from h to l takes of a purchase that lifted it from a to b what of (a, b] stands
# above l and was there ever since: the lowest height in between less the greater of a and l.
UNDONE = """
CREATE TEMP TABLE m_undone ON COMMIT DROP AS
SELECT r.id AS return_id, (r.at AT TIME ZONE %(zone)s)::date AS day, b.taken, b.taken * b.price AS amount,
       a.placement
FROM m_trade r
CROSS JOIN LATERAL (
    SELECT at, price, is_return, low - greatest(before, r.height) AS taken
    FROM (SELECT t.*, min(t.height) OVER (ORDER BY t.n DESC) AS low FROM m_trade t
          WHERE t.shopper_id = r.shopper_id AND t.product_id = r.product_id AND t.n < r.n) t
) b
LEFT JOIN LATERAL (
    SELECT e.placement FROM events_interaction i
    JOIN events_eventkind k ON k.id = i.kind_id
    JOIN events_exposure e ON e.request_id = i.request_id
    WHERE i.shopper_id = r.shopper_id AND k.role = 'click' AND NOT i.bot
      AND i.occurred_at <= b.at AND i.occurred_at >= b.at - %(window)s::interval
    ORDER BY i.occurred_at DESC, i.id DESC LIMIT 1
) a ON true
WHERE r.is_return AND r.at >= %(start)s AND NOT b.is_return AND b.taken > 1e-6
"""

RETURN = """
CREATE TEMP TABLE m_return ON COMMIT DROP AS
SELECT r.id, (r.at AT TIME ZONE %(zone)s)::date AS day, r.quantity * r.cost AS cost,
       r.quantity * coalesce(r.own_price, u.amount / u.taken, r.list_price, 0) AS amount
FROM m_event r
LEFT JOIN (SELECT return_id, sum(taken) AS taken, sum(amount) AS amount FROM m_undone GROUP BY return_id) u
  ON u.return_id = r.id
WHERE r.role = 'return' AND r.at >= %(start)s AND r.at < %(end)s
"""

ASSIST = """
CREATE TEMP TABLE m_assist ON COMMIT DROP AS
SELECT DISTINCT ON (p.id) p.id, p.day, p.amount, s.placement
FROM m_purchase p
JOIN m_item s ON s.who = p.who AND s.product_id = p.product_id
WHERE p.placement IS NULL AND s.at <= p.at AND s.at >= p.at - %(window)s::interval
ORDER BY p.id, s.at DESC, s.request_id
"""

# A slate falls into the session that runs when it is served, or else into one that starts within the gap.
SESSION_SLATE = f"""
CREATE TEMP TABLE m_session_slate ON COMMIT DROP AS
SELECT DISTINCT s.placement, v.who, v.session_no, v.day, v.bought
FROM (
    SELECT DISTINCT ON (s.request_id) s.request_id, s.placement, v.who, v.session_no, v.day, v.bought
    FROM m_slate s JOIN m_session v ON v.who = s.who
     AND s.at > v.started - {SESSION_GAP} AND s.at < v.ended + {SESSION_GAP}
    WHERE s.base
    ORDER BY s.request_id, (v.started <= s.at) DESC, v.started
) v JOIN m_slate s USING (request_id)
"""

STEPS: tuple[tuple[str, str], ...] = (
    ("m_event", EVENT), ("m_act", ACT), ("m_session", SESSION), ("m_order", ORDER), ("m_slate", SLATE),
    ("m_item", ITEM), ("m_slate_items", SLATE_ITEMS), ("m_click", CLICK), ("m_purchase", PURCHASE),
    ("m_trade", TRADE), ("m_undone", UNDONE), ("m_return", RETURN), ("m_assist", ASSIST),
    ("m_session_slate", SESSION_SLATE),
)  # fmt: skip
INDEXES: dict[str, str] = {
    "m_click": "CREATE INDEX ON m_click (who, at)",
    "m_session": "CREATE INDEX ON m_session (who, started)",
    "m_trade": "CREATE INDEX ON m_trade (shopper_id, product_id, n)",
}
# Tables that are joined by what is in them; the others are only read through.
ANALYZED = {
    "m_session": "who",
    "m_slate": "who, request_id",
    "m_click": "who",
    "m_purchase": "who, product_id",
    "m_trade": "shopper_id, product_id",
}
