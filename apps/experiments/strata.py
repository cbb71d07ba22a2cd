"""What is known of units before they were exposed: region, language, new or returning, device."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from apps.metrics.unit_rows import Raw, Shorts, answers, array_read, micros, moment_of
from apps.metrics.unit_steps import Units

Codes = NDArray[np.int64]
Strata = Mapping[str, tuple[Sequence[str], Codes]]

# A dimension shows so many labels, the others together as "other": cells multiply.
LABELS = 8
OTHER, UNKNOWN = "other", "unknown"
# As many shoppers are read at once, by a range of their ids.
SHOPPERS = """
SELECT array_agg(id), array_agg(hashtext(region)), array_agg(hashtext(language)), array_agg(first_seen_at)
FROM events_shopper WHERE id >= %(least)s AND id <= %(most)s
"""
SHOPPER_STEP = 250_000


def strata_read(connections: Sequence[Raw], units: Units, device: Shorts, *, started: datetime) -> Strata:
    """By dimension its labels and each unit's; device: Postgres's hash of it at the first exposure.

    New is, as for an experiment's audience, who was first seen since it started; who is no known shopper is.
    """
    raw, n = connections[0], len(units)
    region, language = np.zeros(n, dtype=np.int32), np.zeros(n, dtype=np.int32)
    returning = np.zeros(n, dtype=np.int64)
    known = units.who[units.who > 0]
    least, most = (int(known[0]), int(known[-1])) if len(known) else (1, 0)
    ranges = [
        {"least": at, "most": at + SHOPPER_STEP - 1}
        for at in range(least, most + 1, SHOPPER_STEP)
        if np.searchsorted(known, at) < np.searchsorted(known, at + SHOPPER_STEP)
    ]
    ranges = [
        one
        for one in ranges
        if np.searchsorted(known, one["least"]) < np.searchsorted(known, one["most"] + 1)
    ]
    before = micros(started)

    def parse(row: Sequence[bytes | None]) -> None:
        place = units.locate(array_read(row[0], "bigint"))
        at, ours = place[place >= 0], place >= 0
        region[at] = array_read(row[1], "int")[ours]
        language[at] = array_read(row[2], "int")[ours]
        returning[at] = array_read(row[3], "bigint")[ours] < before

    answers(connections, SHOPPERS, ranges, parse)

    def of_shopper(column: str) -> Callable[[int], str]:
        return lambda unit: _text(
            raw, f"SELECT {column} FROM events_shopper WHERE id = %s", [int(units.who[unit])]
        )

    def of_exposure(unit: int) -> str:
        sql = (
            "SELECT context ->> 'device' FROM events_exposure"
            " WHERE served_at = %s AND hashtext(coalesce(context ->> 'device', '')) = %s LIMIT 1"
        )
        return _text(raw, sql, [moment_of(int(units.first[unit])), int(device[unit])])

    return {
        "region": _labelled(region, of_shopper("region")),
        "language": _labelled(language, of_shopper("language")),
        "device": _labelled(device, of_exposure),
        "history": (("new", "returning"), returning),
    }


def _text(raw: Raw, sql: str, params: Sequence[Any]) -> str:
    row = psycopg.Cursor(raw).execute(sql.encode(), params).fetchone()
    return str(row[0] or "") if row else ""


def _labelled(hashes: Shorts, text_of: Callable[[int], str]) -> tuple[Sequence[str], Codes]:
    """The most frequent labels, found by asking for one unit of each; 0 and the empty text are unknown."""
    values, first, place, counts = np.unique(
        hashes, return_index=True, return_inverse=True, return_counts=True
    )
    labels: list[str] = []
    codes = np.zeros(len(values), dtype=np.int64)
    for rank, at in enumerate(np.argsort(-counts, kind="stable")):
        text = OTHER
        if rank < LABELS:
            text = (values[at] and text_of(int(first[at]))) or UNKNOWN
        if text not in labels:
            labels.append(text)
        codes[at] = labels.index(text)
    return labels, codes[place]


def cells_of(strata: Strata) -> tuple[Codes, int, dict[str, tuple[Sequence[str], Codes]]]:
    """Each unit's combination of strata, how many there are, and by dimension the labels and each cell's."""
    combined = np.zeros(len(next(iter(strata.values()))[1]), dtype=np.int64)
    for labels, codes in strata.values():
        combined = combined * len(labels) + codes
    values, cell = np.unique(combined, return_inverse=True)
    found: dict[str, tuple[Sequence[str], Codes]] = {}
    for dimension, (labels, _codes) in reversed(list(strata.items())):
        values, of_cell = np.divmod(values, len(labels))
        found[dimension] = (labels, of_cell)
    return cell, max(len(of_cell), 1), found
