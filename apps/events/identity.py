"""One person under two ids: what an anonymous visitor did belongs to the shopper they turn out to be.

An event may carry `anonymous`, the id under which its shopper was known before. The first link of an
anonymous id holds: on a shared device the next person who logs in gets a new id from the shop.

Experiments divide people by the id under which they were first known (`first_known_as`), so that logging in
for the first time changes no variant. Who was known before the anonymous visit keeps the variant of then.
"""

from datetime import datetime

from django.db.backends.utils import CursorWrapper

# Links not made yet, the earliest of each anonymous id.
PAIRS = """
SELECT DISTINCT ON (s.anonymous) s.anonymous, s.shopper, s.occurred_at
FROM event_stage s LEFT JOIN events_shopper a ON a.external_id = s.anonymous
WHERE s.anonymous <> '' AND s.shopper <> '' AND s.anonymous <> s.shopper AND a.merged_into_id IS NULL
ORDER BY s.anonymous, s.occurred_at
"""
SHOPPERS_MAKE = """
INSERT INTO events_shopper
    (external_id, consent, age_band, gender, income_band, region, language, first_seen_at, last_seen_at,
     placeholder)
SELECT ids.id, false, '', '', '', '', '', %(at)s, %(at)s, true
FROM unnest(%(ids)s::text[]) AS ids(id) ORDER BY 1
ON CONFLICT (external_id) DO NOTHING
"""
# Locks both and tells where each stands now: a link made a moment ago counts.
BOTH = """
SELECT external_id, id, merged_into_id FROM events_shopper WHERE external_id = ANY(%(ids)s)
ORDER BY external_id FOR UPDATE
"""
MOVES = (
    "UPDATE events_shopper SET merged_into_id = %(to)s WHERE id = %(from)s OR merged_into_id = %(from)s",
    """
UPDATE events_shopper k SET first_known_as = CASE WHEN a.first_seen_at <= k.first_seen_at
                                THEN coalesce(nullif(a.first_known_as, ''), a.external_id)
                                ELSE k.first_known_as END,
                            first_seen_at = least(k.first_seen_at, a.first_seen_at),
                            last_seen_at = greatest(k.last_seen_at, a.last_seen_at),
                            opted_out = k.opted_out OR a.opted_out
FROM events_shopper a WHERE k.id = %(to)s AND a.id = %(from)s
""",
    "UPDATE events_interaction SET shopper_id = %(to)s WHERE shopper_id = %(from)s",
    "UPDATE events_exposure SET shopper_id = %(to)s WHERE shopper_id = %(from)s",
    "UPDATE events_review SET shopper_id = %(to)s WHERE shopper_id = %(from)s",
    """
INSERT INTO events_dislike (shopper_id, product_id, at)
SELECT %(to)s, product_id, at FROM events_dislike WHERE shopper_id = %(from)s ORDER BY product_id
ON CONFLICT (shopper_id, product_id) DO UPDATE SET at = greatest(events_dislike.at, excluded.at)
""",
    # What the one disliked the other may have liked or bought since.
    """
DELETE FROM events_dislike d WHERE d.shopper_id = %(from)s OR (d.shopper_id = %(to)s AND EXISTS (
    SELECT FROM events_interaction i JOIN events_eventkind k ON k.id = i.kind_id
    WHERE i.shopper_id = %(to)s AND i.product_id = d.product_id AND i.occurred_at > d.at
      AND k.role IN ('like', 'purchase')))
""",
)


def identities_link(cursor: CursorWrapper) -> None:
    """Link the anonymous ids of the staged events to their shoppers, moving what they did and saw."""
    cursor.execute(PAIRS)
    for anonymous, shopper, at in cursor.fetchall():
        shopper_link(cursor, anonymous=anonymous, shopper=shopper, at=at)


def shopper_link(cursor: CursorWrapper, *, anonymous: str, shopper: str, at: datetime) -> bool:
    """Make `anonymous` an earlier name of `shopper` (external ids); tells whether that is new."""
    ids = [anonymous, shopper]
    cursor.execute(SHOPPERS_MAKE, {"ids": ids, "at": at})
    cursor.execute(BOTH, {"ids": ids})
    found = {external_id: (pk, merged_into) for external_id, pk, merged_into in cursor.fetchall()}
    (old, merged), (pk, its_target) = found[anonymous], found[shopper]
    target = its_target or pk
    if merged is not None or old == target:
        return False
    for statement in MOVES:
        cursor.execute(statement, {"from": old, "to": target})
    return True
