"""Events and exposures as NumPy arrays, read in one pass by two connections of one snapshot.

Postgres puts the rows of a stretch of time together itself (array_agg and string_agg of fixed-width bytes,
sent in binary) and NumPy reads them as they are; row by row, binary COPY takes about three times the
processor time (three columns of 5 million events: 1.8 s; COPY of 1.6 million rows: 1.4 s).

Everybody's moments are microseconds since 2000-01-01 UTC, as Postgres sends them.
"""

import contextlib
import ctypes
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Self, TypeVar

import numpy as np
import psycopg
from django.db import connection
from numpy.typing import NDArray
from psycopg import sql as psql

from apps.metrics import steps

Ints = NDArray[np.int64]
Shorts = NDArray[np.int32]
Floats = NDArray[np.float64]
Raw = psycopg.Connection[Any]

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
READERS = 2
# Rows of one stretch, as the planner guesses: some 20 MB in Postgres while they are put together.
STRETCH_ROWS = 300_000
STRETCHES_MAX = 1_000
# Who did what nobody is known to have done.
NOBODY = -(2**63)
_SENT = {
    "bigint": np.dtype([("length", ">i4"), ("value", ">i8")]),
    "int": np.dtype([("length", ">i4"), ("value", ">i4")]),
    "smallint": np.dtype([("length", ">i4"), ("value", ">i2")]),
    "uuid": np.dtype([("length", ">i4"), ("value", ">i8"), ("low", ">i8")]),
}
_DETAIL = np.dtype(
    [
        ("id", ">i8"), ("product", ">i8"), ("quantity", ">f8"), ("amount", ">f8"), ("cost", ">f8"),
        ("value", ">f8"), ("price", ">f8"), ("order", ">i8"),
    ]
)  # fmt: skip
_DETAIL_FIELDS = tuple((_DETAIL.fields or {}).items())

# The kinds are written out: a comparison with an array costs more than all the rest of a row. A bot's event
# has its kind below zero. Product prices are looked up for detailed events only, and of those where needed.
EVENTS = """
SELECT array_agg(who), array_agg(at), array_agg(kind),
       array_agg(coalesce(request_id, '{no_request}')) FILTER (WHERE kind_id IN ({linked})),
       string_agg(int8send(id) || int8send(coalesce(product_id, 0)) || float8send(quantity)
           || float8send({amount}) || float8send(coalesce(quantity * cost, 'NaN'))
           || float8send(coalesce(value, 'NaN')) || float8send(coalesce(own_price, 'NaN'))
           || int8send(hashtextextended(coalesce(order_ref, session), 0)), '')
           FILTER (WHERE kind_id IN ({detailed}))
FROM (
    SELECT i.id, i.occurred_at AS at, i.kind_id, (CASE WHEN bot THEN -kind_id ELSE kind_id END)::int2 AS kind,
           i.session, i.product_id, i.value, coalesce({who}, {nobody}) AS who, i.request_id, {own},
           (SELECT {list_price} FROM catalog_product p WHERE p.id = i.product_id) AS list_price,
           (SELECT {cost} FROM catalog_product p WHERE p.id = i.product_id) AS cost
    FROM events_interaction i
    WHERE i.occurred_at >= %(start)s::timestamptz AND i.occurred_at < %(end)s::timestamptz
) r
"""
EXPOSURES = """
SELECT array_agg(who), array_agg(served_at), array_agg(request_id), array_agg(hashtext(placement)),
       array_agg(CASE WHEN experiment_id = %(experiment)s THEN hashtext(variant)
                 WHEN {held} THEN hashtext(context -> 'holdout' ->> 'variant') ELSE 0 END),
       array_agg(CASE WHEN experiment_id = %(experiment)s OR {held}
                 THEN hashtext(coalesce(context ->> 'device', '')) ELSE 0 END),
       array_agg(cardinality(product_ids)::int2)
FROM (
    SELECT *, coalesce({known}, {who}, {nobody}) AS who FROM events_exposure
    WHERE served_at >= %(start)s::timestamptz AND served_at < %(end)s::timestamptz AND ({which})
) r
"""
# A shopper whom the shop did not know yet when the slate was served, and does now.
KNOWN_SINCE = """CASE WHEN shopper_id IS NULL AND context ? 'unit' THEN (
    SELECT coalesce(s.merged_into_id, s.id) FROM events_shopper s
    WHERE s.external_id = context ->> 'unit') END
"""
# A slate that another experiment decided counts for the holdout, too, whose other part the unit is in.
HELD = "context ? 'holdout' AND (context -> 'holdout' ->> 'experiment')::bigint = %(experiment)s"
# Slates of which single items were reported or clicked: whether the reports name the items, how many of its
# items were reported or clicked, and how many clicked.
SLATE_ITEMS = """
SELECT array_agg(request_id), array_agg(named::int), array_agg(shown::int), array_agg(clicked::int)
FROM (
    SELECT i.request_id,
           bool_or(k.role = 'seen') AND NOT bool_or(k.role = 'seen' AND i.product_id IS NULL) AS named,
           count(DISTINCT i.product_id) FILTER (WHERE i.product_id = ANY (e.product_ids)) AS shown,
           count(DISTINCT i.product_id)
               FILTER (WHERE k.role = 'click' AND i.product_id = ANY (e.product_ids)) AS clicked
    FROM events_exposure e JOIN events_interaction i ON i.request_id = e.request_id
    JOIN events_eventkind k ON k.id = i.kind_id
    WHERE e.served_at >= %(start)s::timestamptz AND e.served_at < %(end)s::timestamptz
      AND i.occurred_at >= %(start)s::timestamptz - interval '30 minutes' AND k.role IN ('seen', 'click')
    GROUP BY i.request_id HAVING bool_or(i.product_id IS NOT NULL)
) r
"""


def micros(moment: datetime) -> int:
    """A moment (aware) as Postgres counts: microseconds since 2000-01-01 UTC."""
    return (moment - EPOCH) // timedelta(microseconds=1)


def moment_of(at: int) -> datetime:
    """The other way round."""
    return EPOCH + timedelta(microseconds=int(at))


@contextlib.contextmanager
def readers(count: int = READERS) -> Iterator[list[Raw]]:
    """Connections that all see the rows of one moment, in transactions that nothing is kept of.

    Inside a transaction it is that one's connection alone, which sees its own rows.
    """
    if connection.in_atomic_block:
        connection.ensure_connection()
        yield [connection.connection]
        return
    copies = [connection.copy() for _ in range(count)]
    try:
        raw = [_connected(copy) for copy in copies]
        snapshot = raw[0].execute("SELECT pg_export_snapshot()").fetchone()
        assert snapshot is not None
        for other in raw[1:]:
            other.execute(psql.SQL("SET TRANSACTION SNAPSHOT {}").format(snapshot[0]))
        for each in raw:  # two readers are two cores: more workers would take from the shop
            each.execute("SET LOCAL max_parallel_workers_per_gather = 0")
        yield raw
    finally:
        for copy in copies:
            if copy.connection is not None:
                with contextlib.suppress(psycopg.Error):
                    copy.connection.execute("ROLLBACK")
            copy.close()


def _connected(copy: Any) -> Raw:
    copy.connect()
    raw: Raw = copy.connection
    raw.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    return raw


@dataclass(frozen=True, slots=True)
class Columns:
    """Arrays of one length (the first axis); parts of it join to a whole."""

    def __len__(self) -> int:
        return len(getattr(self, fields(self)[0].name))

    def columns(self) -> Iterator[NDArray[Any]]:
        """The arrays, in order."""
        return (getattr(self, one.name) for one in fields(self))

    def taken(self, at: NDArray[Any] | slice) -> Self:
        """The rows at a mask or at indices."""
        return type(self)(*(column[at] for column in self.columns()))


@dataclass(frozen=True, slots=True)
class Exposures(Columns):
    """Slates served, with repeats of a request. request: 64 bits of the UUID; placement, variant, device:
    Postgres's hash of the text (variant and device 0 where the slate is not of the experiment).
    """

    who: Ints
    at: Ints
    request: Ints
    placement: Shorts
    variant: Shorts
    device: Shorts
    items: Shorts


@dataclass(frozen=True, slots=True)
class Details(Columns):
    """What events of the detailed kinds carry.

    amount: in the words of `steps`; cost: of all pieces; price: its own. NaN: unknown.
    """

    unit: Shorts
    at: Ints
    kind: Shorts
    id: Ints
    product: Ints
    quantity: Floats
    amount: Floats
    cost: Floats
    value: Floats
    price: Floats
    order: Ints


@dataclass(frozen=True, slots=True)
class Links(Columns):
    """Events that name a slate (seen and click). unit: -1 for one who is no unit; kind: below 0 a bot's."""

    unit: Shorts
    at: Ints
    kind: Shorts
    request: Ints


@dataclass(frozen=True, slots=True)
class ItemCounts(Columns):
    """Slates with single items reported or clicked; see SLATE_ITEMS."""

    request: Ints
    named: Shorts
    shown: Shorts
    clicked: Shorts


@dataclass(frozen=True, slots=True)
class Acts(Columns):
    """Events of the units: who, when, and the id of their kind."""

    unit: Shorts
    at: Ints
    kind: Shorts


@dataclass(frozen=True, slots=True)
class EventRows:
    """Events in no order. bots: who was marked as one, each once or more."""

    acts: Acts
    details: Details
    links: Links
    bots: Ints


Locate = Callable[[Ints], Shorts]
Progress = Callable[[float], None]
Part = TypeVar("Part")
Table = TypeVar("Table", bound="Columns")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Which rows are read: those from `start` to `end` (open)."""

    start: datetime
    end: datetime


def exposures_read(
    connections: Sequence[Raw],
    stretch: Stretch,
    *,
    experiment: int,
    placements: Sequence[str] | None,
    slates: bool,
    holdout: bool = False,
    progress: Progress | None = None,
) -> Exposures:
    """The experiment's exposures, and with `slates` all others of these placements too (None: of all)."""
    held = HELD if holdout else "false"
    which = f"experiment_id = %(experiment)s OR {held}"
    if slates:
        which = "true" if placements is None else f"{which} OR placement = ANY(%(placements)s::text[])"
    sql = EXPOSURES.format(known=KNOWN_SINCE, who=steps.WHO, nobody=NOBODY, held=held, which=which)
    params: dict[str, Any] = {"experiment": experiment}
    if slates and placements is not None:
        params["placements"] = list(placements)

    def parse(row: Sequence[bytes | None]) -> Exposures:
        kinds = ("bigint", "bigint", "uuid", "int", "int", "int", "smallint")
        return Exposures(*(array_read(raw, kind) for raw, kind in zip(row, kinds, strict=True)))

    parts = _stretches(connections[0], stretch, "served_at")
    exposures = joined(answers(connections, sql, [params | part for part in parts], parse, progress))
    _heap_trim()
    return exposures


def events_read(
    connections: Sequence[Raw],
    stretch: Stretch,
    *,
    locate: Locate,
    linked: Iterable[int],
    detailed: Iterable[int],
    progress: Progress | None = None,
) -> EventRows:
    """Events of those whom `locate` gives a number from 0 on. linked, detailed: ids of such kinds."""
    linked_kinds, detailed_kinds = sorted(set(linked)), sorted(set(detailed))
    sql = EVENTS.format(
        who=steps.WHO,
        nobody=NOBODY,
        no_request="00000000-0000-0000-0000-000000000000",
        own=steps.EVENT_OWN,
        list_price=steps.LIST_PRICE,
        cost=steps.COST,
        amount=steps.AMOUNT,
        linked=_listed(linked_kinds),
        detailed=_listed(detailed_kinds),
    )

    def parse(row: Sequence[bytes | None]) -> EventRows:
        who, at, kind = (
            array_read(row[0], "bigint"),
            array_read(row[1], "bigint"),
            array_read(row[2], "smallint"),
        )
        unit = locate(who)
        of_kind = np.abs(kind)
        at_link = np.flatnonzero(np.isin(of_kind, linked_kinds))
        links = Links(unit[at_link], at[at_link], kind[at_link], array_read(row[3], "uuid"))
        at_detail = np.flatnonzero(np.isin(of_kind, detailed_kinds))
        detail = np.frombuffer(row[4] or b"", dtype=_DETAIL)
        values = {name: detail[name].astype(found[0].newbyteorder("=")) for name, found in _DETAIL_FIELDS}
        details = Details(unit[at_detail], at[at_detail], kind[at_detail], **values)
        ours = (unit >= 0) & (kind > 0)
        return EventRows(
            acts=Acts(unit[ours], at[ours], kind[ours]),
            details=details.taken((details.unit >= 0) & (details.kind > 0)),
            links=links.taken(links.request != 0),
            bots=who[kind < 0],
        )

    parts = answers(connections, sql, _stretches(connections[0], stretch, "occurred_at"), parse, progress)
    bots = np.concatenate([part.bots for part in parts])
    details, links = joined([part.details for part in parts]), joined([part.links for part in parts])
    acts = [part.acts for part in parts]
    del parts  # the largest columns: joined one by one, they are there twice no longer than it takes
    rows = EventRows(joined(acts), details, links, bots)
    _heap_trim()
    return rows


def item_counts_read(connections: Sequence[Raw], stretch: Stretch) -> ItemCounts:
    """Slates of which single items were reported or clicked, of everybody."""

    def parse(row: Sequence[bytes | None]) -> ItemCounts:
        kinds = ("uuid", "int", "int", "int")
        return ItemCounts(*(array_read(raw, kind) for raw, kind in zip(row, kinds, strict=True)))

    parts = _stretches(connections[0], stretch, "served_at")
    return joined(answers(connections, SLATE_ITEMS, parts, parse))


def array_read(raw: bytes | None, kind: str) -> NDArray[Any]:
    """A one-dimensional array without NULLs as Postgres sends it in binary; no rows (NULL) are no elements.

    bigint and uuid become int64, the others int32. Of a UUID 64 bits are left: among ten million requests
    two share them with a chance of one in 400,000.
    """
    sent = _SENT[kind]
    wide = np.int64 if kind in {"bigint", "uuid"} else np.int32
    if raw is None or len(raw) <= 20:
        return np.zeros(0, dtype=wide)
    found = np.frombuffer(raw, dtype=sent, offset=20)
    if kind == "uuid":
        return (found["value"] ^ found["low"]).astype(wide)
    return found["value"].astype(wide)


def joined(parts: list[Table]) -> Table:
    """All parts (one at least) as one, which empties the list."""
    kind, columns = type(parts[0]), [list(part.columns()) for part in parts]
    parts.clear()
    whole = []
    for place in range(len(columns[0])):
        whole.append(np.concatenate([column[place] for column in columns]))
        for column in columns:
            column[place] = whole[-1][:0]
    return kind(*whole)


def _heap_trim() -> None:
    """Give back what the readers' threads have freed: their heaps would keep some 200 MB that nobody uses."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it
    if trim is not None:
        trim(0)


def _listed(kinds: Iterable[int]) -> str:
    return ", ".join(str(int(kind)) for kind in kinds) or "-1"


def answers(
    connections: Sequence[Raw],
    sql: str,
    questions: Sequence[Mapping[str, Any]],
    parse: Callable[[Sequence[bytes | None]], Part],
    progress: Progress | None = None,
) -> list[Part]:
    """The one row that `sql` answers each question with, parsed; each connection takes the next one."""
    waiting = iter(list(enumerate(questions)))
    found: dict[int, Part] = {}

    def work(raw: Raw) -> None:
        cursor = psycopg.Cursor(raw)
        for place, params in waiting:
            cursor.execute(sql.encode(), params, binary=True)
            result = cursor.pgresult
            assert result is not None
            found[place] = parse([result.get_value(0, column) for column in range(result.nfields)])
            if progress is not None:
                progress(len(found) / len(questions))

    if len(connections) == 1:
        work(connections[0])
    else:
        with ThreadPoolExecutor(len(connections)) as pool:
            for done in [pool.submit(work, raw) for raw in connections]:
                done.result()
    return [found[place] for place in sorted(found)]


def _stretches(raw: Raw, stretch: Stretch, column: str) -> list[dict[str, Any]]:
    """Equal stretches of time with some STRETCH_ROWS rows each, one for each reader at least."""
    table = "events_interaction" if column == "occurred_at" else "events_exposure"
    cursor = psycopg.Cursor(raw)
    cursor.execute(
        f"EXPLAIN (FORMAT JSON) SELECT FROM {table} WHERE {column} >= %s AND {column} < %s".encode(),
        [stretch.start, stretch.end],
    )
    row = cursor.fetchone()
    assert row is not None
    plan = json.loads(row[0]) if isinstance(row[0], str) else row[0]
    rows = float(plan[0]["Plan"]["Plan Rows"])
    count = int(min(max(rows // STRETCH_ROWS + 1, READERS), STRETCHES_MAX))
    step = (stretch.end - stretch.start) / count
    bounds = [stretch.start + step * place for place in range(count)] + [stretch.end]
    return [{"start": start, "end": end} for start, end in pairwise(bounds)]
