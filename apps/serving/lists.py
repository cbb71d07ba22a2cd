"""Candidate lists in and out of Postgres: binary COPY in, one primary-key query out."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from django.db import connection
from numpy.typing import NDArray

from apps.ml.blend import NormalList, normal_list
from apps.ml.topn import Floats, Ids, TopN
from apps.serving.models import ListScope
from apps.serving.prepared import Prepared

ListKey = tuple[int, int, int]
"""version id, scope, key."""

_COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_COPY_TRAILER = b"\xff\xff"
_INT8_OID, _FLOAT4_OID = 20, 700
_ARRAY_HEADER = 20
_ID = np.dtype([("length", ">i4"), ("value", ">i8")])
_SCORE = np.dtype([("length", ">i4"), ("value", ">f4")])

_KEYS = {"versions": "bigint[]", "scopes": "smallint[]", "keys": "bigint[]"}
READ = Prepared(
    "slate_lists",
    """
    SELECT l.version_id, l.scope, l.key, array_send(l.item_ids), array_send(l.scores)
    FROM unnest(%(versions)s::bigint[], %(scopes)s::smallint[], %(keys)s::bigint[])
         AS wanted (version_id, scope, key)
    JOIN serving_candidatelist l USING (version_id, scope, key)
    """,
    _KEYS,
)
# The second set is looked at only where the first has nothing at all.
READ_OR_ELSE = Prepared(
    "slate_lists_or_else",
    """
    WITH first AS MATERIALIZED (
        SELECT l.version_id, l.scope, l.key, array_send(l.item_ids), array_send(l.scores)
        FROM unnest(%(versions)s::bigint[], %(scopes)s::smallint[], %(keys)s::bigint[])
             AS wanted (version_id, scope, key)
        JOIN serving_candidatelist l USING (version_id, scope, key)
    )
    SELECT * FROM first UNION ALL
    SELECT l.version_id, l.scope, l.key, array_send(l.item_ids), array_send(l.scores)
    FROM unnest(%(else_versions)s::bigint[], %(else_scopes)s::smallint[], %(else_keys)s::bigint[])
         AS wanted (version_id, scope, key)
    JOIN serving_candidatelist l USING (version_id, scope, key)
    WHERE NOT EXISTS (SELECT FROM first)
    """,
    {**_KEYS, "else_versions": "bigint[]", "else_scopes": "smallint[]", "else_keys": "bigint[]"},
)
COPY = "COPY serving_candidatelist (version_id, scope, key, item_ids, scores) FROM STDIN (FORMAT binary)"


@dataclass(slots=True, eq=False)
class StoredList:
    """One list, best first. ids: int64 [n]; scores: float32 [n]. Never changed once made."""

    ids: Ids
    scores: Floats
    _normal: tuple[str, NormalList] | None = field(default=None, init=False, repr=False)

    def normal(self, normalisation: str) -> NormalList:
        """The list as the blender takes it; made once."""
        known = self._normal
        if known is None or known[0] != normalisation:
            known = self._normal = (normalisation, normal_list(self.ids, self.scores, normalisation))
        return known[1]


def segment_key(region: str) -> int:
    """The key of a region's lists: a stable number, for lists are found by number."""
    return _key(f"region:{region.casefold()}")


def category_key(path: str) -> int:
    """The key of a category's lists."""
    return _key(f"category:{path.casefold()}")


def _key(name: str) -> int:
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def lists_read(keys: Sequence[ListKey], otherwise: Sequence[ListKey] = ()) -> dict[ListKey, StoredList]:
    """The lists that exist among these keys; where there are none, those among `otherwise`. One query."""
    if not keys:
        return {}
    versions, scopes, names = map(list, zip(*keys, strict=True))
    asked = {"versions": versions, "scopes": scopes, "keys": names}
    if otherwise:
        versions, scopes, names = map(list, zip(*otherwise, strict=True))
        asked |= {"else_versions": versions, "else_scopes": scopes, "else_keys": names}
    rows = (READ_OR_ELSE if otherwise else READ).rows(asked)
    return {
        (version, scope, key): StoredList(
            _decode(ids, _ID).astype(np.int64), _decode(scores, _SCORE).astype(np.float32)
        )
        for version, scope, key, ids, scores in rows
    }


def _decode(data: bytes, element: np.dtype[np.void]) -> NDArray[np.void]:
    """The values of a one-dimensional array without nulls in Postgres' binary form."""
    if len(data) <= _ARRAY_HEADER:
        return np.zeros(0, dtype=element)["value"]
    return np.frombuffer(data, dtype=element, offset=_ARRAY_HEADER)["value"]


def lists_write(*, version_id: int, scope: ListScope, keys: Ids, top: TopN) -> int:
    """COPY one list per key; empty lists are left out. Returns how many were written.

    The caller has a transaction open and has deleted what was there. keys: int64 [n], rows as in `top`.
    """
    lengths = top.lengths
    written = 0
    with connection.cursor() as cursor, cursor.copy(COPY) as copy:
        copy.write(_COPY_HEADER)
        # Lists of one length have records of one size, so a whole block is laid out by NumPy at once.
        for length in np.unique(lengths[lengths > 0]).tolist():
            rows = np.flatnonzero(lengths == length)
            for block in _blocks(rows, 4096):
                copy.write(
                    _records(
                        version_id, scope, keys[block], top.ids[block, :length], top.scores[block, :length]
                    )
                )
            written += len(rows)
        copy.write(_COPY_TRAILER)
    return written


def _blocks(rows: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _records(version_id: int, scope: int, keys: Ids, ids: Ids, scores: Floats) -> bytes:
    """Rows in COPY's binary format: int16 number of fields, then each field as int32 length and bytes.

    An array is int32 dimensions, has-nulls, element type, size, lower bound; then length and bytes of each
    element.
    """
    length = ids.shape[1]
    row = np.dtype(
        [
            ("fields", ">i2"),
            ("version_length", ">i4"),
            ("version", ">i8"),
            ("scope_length", ">i4"),
            ("scope", ">i2"),
            ("key_length", ">i4"),
            ("key", ">i8"),
            ("ids_length", ">i4"),
            ("ids_header", ">i4", (5,)),
            ("ids", _ID, (length,)),
            ("scores_length", ">i4"),
            ("scores_header", ">i4", (5,)),
            ("scores", _SCORE, (length,)),
        ]
    )
    records = np.zeros(len(keys), dtype=row)
    records["fields"] = 5
    records["version_length"], records["version"] = 8, version_id
    records["scope_length"], records["scope"] = 2, int(scope)
    records["key_length"], records["key"] = 8, keys
    records["ids_length"] = _ARRAY_HEADER + length * _ID.itemsize
    records["ids_header"] = (1, 0, _INT8_OID, length, 1)
    records["ids"]["length"], records["ids"]["value"] = 8, ids
    records["scores_length"] = _ARRAY_HEADER + length * _SCORE.itemsize
    records["scores_header"] = (1, 0, _FLOAT4_OID, length, 1)
    records["scores"]["length"], records["scores"]["value"] = 4, scores
    return records.tobytes()


def lists_delete(*, version_id: int, scope: ListScope, keys: Ids) -> None:
    """Delete the lists of these keys."""
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM serving_candidatelist WHERE version_id = %s AND scope = %s AND key = ANY(%s)",
            [version_id, int(scope), keys.tolist()],
        )


def lists_delete_versions(*, version_ids: Iterable[int]) -> int:
    """Delete all lists of these versions; returns how many."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM serving_candidatelist WHERE version_id = ANY(%s)", [list(version_ids)])
        return cursor.rowcount
