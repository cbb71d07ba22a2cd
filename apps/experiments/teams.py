"""Clicks on interleaved slates, credited to the ranking that put the item there.

Serving keeps with each exposure whose every item is (`context.teams`: "A" control's, "B" the variant's, "-"
what both pinned). A click on an item counts once for its slate; clicks of bots do not.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from apps.experiments.stats.interleaving import by_unit, least_advantage, preference_of
from apps.metrics.steps import WHO
from apps.metrics.unit_rows import KNOWN_SINCE

SLATES = f"""
WITH slates AS (
    SELECT request_id, product_ids, context ->> 'teams' AS teams, coalesce({KNOWN_SINCE}, {WHO}) AS who
    FROM events_exposure
    WHERE experiment_id = %(experiment)s AND served_at >= %(start)s AND served_at < %(end)s
      AND context ? 'teams'
), credited AS (
    SELECT DISTINCT s.request_id, i.product_id,
           substr(s.teams, array_position(s.product_ids, i.product_id), 1) AS team
    FROM slates s JOIN events_interaction i ON i.request_id = s.request_id
    JOIN events_eventkind k ON k.id = i.kind_id
    WHERE k.role = 'click' AND NOT i.bot AND i.product_id = ANY (s.product_ids)
      AND i.occurred_at >= %(start)s AND i.occurred_at < %(end)s
)
SELECT s.who, count(c.team) FILTER (WHERE c.team = 'A'), count(c.team) FILTER (WHERE c.team = 'B')
FROM slates s LEFT JOIN credited c ON c.request_id = s.request_id
WHERE s.who IS NOT NULL GROUP BY s.request_id, s.who
"""


@dataclass(frozen=True, slots=True)
class TeamClicks:
    """One entry a slate: who saw it (a number) and the credited clicks of each ranking; int64 [slates]."""

    unit: NDArray[np.int64]
    a: NDArray[np.int64]
    b: NDArray[np.int64]


def team_clicks_read(*, experiment_id: int, start: datetime, end: datetime) -> TeamClicks:
    """The interleaved slates served from `start` to `end` (open), with the clicks until then."""
    with connection.cursor() as cursor:
        cursor.execute(SLATES, {"experiment": experiment_id, "start": start, "end": end})
        rows: Sequence[tuple[int, int, int]] = cursor.fetchall()
    columns = np.asarray(rows, dtype=np.int64).reshape(-1, 3).T
    return TeamClicks(*columns)


def preference_facts(clicks: TeamClicks, alpha: float) -> dict[str, Any]:
    """What a readout keeps: {"preference": `Preference`, "sensitivity": `Advantage` or None}, as JSON.

    sensitivity: how many times as many units an A/B test of clicks would need, at least.
    """
    found = preference_of(by_unit(clicks.a, clicks.b, clicks.unit), alpha)
    advantage = least_advantage(clicks.a, clicks.b, clicks.unit, alpha)
    return {"preference": asdict(found), "sensitivity": asdict(advantage) if advantage else None}
