"""What a slate needs to know of a shopper or an anonymous session: one query."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from apps.core import clock
from apps.serving.prepared import Prepared

RECENT_MAX = 20
RECENT_DAYS = 14
SESSION_HOURS = 24
ALWAYS = datetime(1900, 1, 1, tzinfo=UTC)

_TASTE = """i.product_id IS NOT NULL AND i.kind_id IN (
                 SELECT k.id FROM events_eventkind k
                 WHERE k.role IN ('view', 'click', 'cart', 'purchase', 'like'))"""
_LATELY = f"""
    SELECT i.product_id, i.occurred_at FROM events_interaction i
    WHERE i.shopper_id = s.id AND i.occurred_at > %(since)s AND {_TASTE}
    ORDER BY i.occurred_at DESC LIMIT %(recent)s
"""
_SESSION_LATELY = f"""
    SELECT i.product_id, i.occurred_at FROM events_interaction i
    WHERE i.session = %(session)s AND i.session <> '' AND i.shopper_id IS NULL
      AND i.occurred_at > %(session_since)s AND {_TASTE}
    ORDER BY i.occurred_at DESC LIMIT %(recent)s
"""
# As in events_dislike: a dislike holds until a later like or purchase.
_SESSION_DISLIKES = """
    SELECT m.product_id, m.occurred_at FROM (
        SELECT DISTINCT ON (i.product_id) i.product_id, i.occurred_at, k.role
        FROM events_interaction i JOIN events_eventkind k ON k.id = i.kind_id
        WHERE i.session = %(session)s AND i.session <> '' AND i.shopper_id IS NULL
          AND i.product_id IS NOT NULL AND i.occurred_at > %(session_since)s
          AND k.role IN ('dislike', 'like', 'purchase')
        ORDER BY i.product_id, i.occurred_at DESC, (k.role = 'dislike') DESC
    ) m WHERE m.role = 'dislike'
"""
_SHOPPER = """
SELECT s.id, CASE WHEN s.consent THEN s.region ELSE '' END,
       ARRAY(SELECT d.product_id FROM events_dislike d WHERE d.shopper_id = s.id {more_dislikes}),
       ARRAY(SELECT DISTINCT i.product_id FROM events_interaction i
             WHERE i.shopper_id = s.id AND i.product_id IS NOT NULL AND i.occurred_at > %(bought_since)s
               AND i.kind_id IN (SELECT k.id FROM events_eventkind k WHERE k.role = 'purchase')),
       s.opted_out OR e.opted_out, lately.ids, lately.seen,
       coalesce(nullif(s.first_known_as, ''), s.external_id), extract(epoch FROM s.first_seen_at)::float8
FROM events_shopper e JOIN events_shopper s ON s.id = coalesce(e.merged_into_id, e.id)
CROSS JOIN LATERAL (
    SELECT coalesce(array_agg(r.product_id ORDER BY r.occurred_at DESC), '{{}}') AS ids,
           count(*) FILTER (WHERE r.occurred_at > %(seen_since)s) AS seen
    FROM (SELECT l.product_id, l.occurred_at FROM ({lately}) l ORDER BY l.occurred_at DESC LIMIT %(recent)s) r
) lately
WHERE e.external_id = %(shopper)s
"""
_HANDLING = {"bought_since": "timestamptz", "seen_since": "timestamptz"}
SHOPPER = Prepared(
    "slate_shopper",
    _SHOPPER.format(more_dislikes="", lately=_LATELY),
    {"shopper": "text", "since": "timestamptz", "recent": "int", **_HANDLING},
)
_IN_SESSION = {"session": "text", "session_since": "timestamptz", "recent": "int"}
# What the visitor did before logging in counts on: it has no shopper, but the same session.
SHOPPER_IN_SESSION = Prepared(
    "slate_shopper_in_session",
    _SHOPPER.format(
        more_dislikes=f"""
             UNION SELECT x.product_id FROM ({_SESSION_DISLIKES}) x
             WHERE NOT EXISTS (SELECT FROM events_interaction i JOIN events_eventkind k ON k.id = i.kind_id
                               WHERE i.shopper_id = s.id AND i.product_id = x.product_id
                                 AND i.occurred_at > x.occurred_at AND k.role IN ('like', 'purchase'))""",
        lately=f"({_LATELY}) UNION ALL ({_SESSION_LATELY})",
    ),
    {"shopper": "text", "since": "timestamptz", **_IN_SESSION, **_HANDLING},
)
SESSION = Prepared(
    "slate_session",
    f"""
SELECT ARRAY(SELECT d.product_id FROM ({_SESSION_DISLIKES}) d), lately.ids, lately.seen
FROM (
    SELECT coalesce(array_agg(r.product_id ORDER BY r.occurred_at DESC), '{{}}') AS ids,
           count(*) FILTER (WHERE r.occurred_at > %(seen_since)s) AS seen
    FROM ({_SESSION_LATELY}) r
) lately
""",
    {**_IN_SESSION, "seen_since": "timestamptz"},
)


@dataclass(frozen=True, slots=True)
class ShopperState:
    """id: None for a stranger. region: only with consent. disliked, bought: product ids. recent: product ids
    lately viewed, carted or bought, the last one first, each once; seen: those of the last minutes, as the
    placement counts them. opted_out: nothing personal is wanted. unit: what experiments divide, the id under
    which the shopper was first known; "" of a stranger. first_seen: seconds since 1970, None of a stranger.
    was_read: False when the database could not be asked: then a stranger may be none.
    """

    id: int | None = None
    region: str = ""
    disliked: frozenset[int] = field(default_factory=frozenset)
    bought: frozenset[int] = field(default_factory=frozenset)
    recent: tuple[int, ...] = ()
    seen: frozenset[int] = field(default_factory=frozenset)
    opted_out: bool = False
    unit: str = ""
    first_seen: float | None = None
    was_read: bool = False

    @property
    def has_history(self) -> bool:
        """Whether the shopper did anything that counts here."""
        return bool(self.bought or self.disliked or self.recent)


def shopper_read(
    *, shopper: str, session: str, bought_days: int | None = None, seen_minutes: int = 0
) -> ShopperState:
    """What is known of the shopper (external id) with what they did in this session before they were known;
    else of the anonymous session; nothing of neither.

    bought_days: purchases before so many days do not count; seen_minutes: what counts as just seen.
    """
    now = clock.now()
    asked = {
        "shopper": shopper,
        "session": session,
        "since": now - timedelta(days=RECENT_DAYS),
        "session_since": now - timedelta(hours=SESSION_HOURS),
        "recent": RECENT_MAX,
        "bought_since": now - timedelta(days=bought_days) if bought_days is not None else ALWAYS,
        "seen_since": now - timedelta(minutes=seen_minutes),
    }
    if shopper:
        row = _one(SHOPPER_IN_SESSION if session else SHOPPER, asked)
        if row is not None:
            pk, region, disliked, bought, opted_out, recent, seen, unit, first_seen = row
            return ShopperState(
                pk,
                region,
                frozenset(disliked),
                frozenset(bought),
                _each_once(recent),
                frozenset(recent[:seen]),
                opted_out,
                unit,
                first_seen,
                True,
            )
    if session:
        row = _one(SESSION, asked)
        if row is not None:
            disliked, recent, seen = row
            return ShopperState(
                disliked=frozenset(disliked),
                recent=_each_once(recent),
                seen=frozenset(recent[:seen]),
                was_read=True,
            )
    return ShopperState(was_read=True)


def _one(query: Prepared, values: dict[str, Any]) -> tuple[Any, ...] | None:
    rows = query.rows(values)
    return rows[0] if rows else None


def _each_once(ids: Sequence[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(ids))
