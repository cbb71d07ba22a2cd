"""What a slate needs to know of a shopper or an anonymous session: one query."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from apps.core import clock
from apps.serving.prepared import Prepared

RECENT_MAX = 20
RECENT_DAYS = 14
SESSION_HOURS = 24

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
             WHERE i.shopper_id = s.id AND i.product_id IS NOT NULL
               AND i.kind_id IN (SELECT k.id FROM events_eventkind k WHERE k.role = 'purchase')),
       ARRAY(SELECT r.product_id FROM ({lately}) r ORDER BY r.occurred_at DESC LIMIT %(recent)s)
FROM events_shopper e JOIN events_shopper s ON s.id = coalesce(e.merged_into_id, e.id)
WHERE e.external_id = %(shopper)s
"""
SHOPPER = Prepared(
    "slate_shopper",
    _SHOPPER.format(more_dislikes="", lately=_LATELY),
    {"shopper": "text", "since": "timestamptz", "recent": "int"},
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
    {"shopper": "text", "since": "timestamptz", **_IN_SESSION},
)
SESSION = Prepared(
    "slate_session",
    f"""
SELECT ARRAY(SELECT d.product_id FROM ({_SESSION_DISLIKES}) d),
       ARRAY(SELECT r.product_id FROM ({_SESSION_LATELY}) r ORDER BY r.occurred_at DESC)
""",
    _IN_SESSION,
)


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
    """What is known of the shopper (external id) with what they did in this session before they were known;
    else of the anonymous session; nothing of neither.
    """
    now = clock.now()
    asked = {
        "shopper": shopper,
        "session": session,
        "since": now - timedelta(days=RECENT_DAYS),
        "session_since": now - timedelta(hours=SESSION_HOURS),
        "recent": RECENT_MAX,
    }
    if shopper:
        row = _one(SHOPPER_IN_SESSION if session else SHOPPER, asked)
        if row is not None:
            pk, region, disliked, bought, recent = row
            return ShopperState(pk, region, frozenset(disliked), frozenset(bought), _each_once(recent))
    if session:
        row = _one(SESSION, asked)
        if row is not None:
            return ShopperState(disliked=frozenset(row[0]), recent=_each_once(row[1]))
    return ShopperState()


def _one(query: Prepared, values: dict[str, Any]) -> tuple[Any, ...] | None:
    rows = query.rows(values)
    return rows[0] if rows else None


def _each_once(ids: Sequence[int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(ids))
