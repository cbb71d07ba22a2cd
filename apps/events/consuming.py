"""From the stream into Postgres: each event once, wherever the process dies.

An entry is let go only after the transaction that stored it was committed. A consumer that dies in between
leaves its entries to the others (or to its successor) after CLAIM_SECONDS; they store them again, and the
event keys find them stored. What can't be stored is set aside, alone, and does not hold up the rest.
"""

import logging
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from os import getpid
from typing import Any

import orjson
import redis
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, connection, transaction

from apps.core import clock
from apps.events.bots import PaceWatch
from apps.events.ingest import key_horizon, lines_store
from apps.events.kinds import kinds_by_code
from apps.events.lines import COLUMNS, FORMAT, id_of, lines_of
from apps.events.models import SetAside
from apps.events.services import exposure_rows_drain
from apps.events.stream import GROUP, InboxAway, stream
from apps.events.validation import EventRules, events_check

logger = logging.getLogger(__name__)
BATCH_ROWS = 5_000
# After a small batch the next is given time to grow: a transaction per click would cost more than the click.
LINGER_SECONDS = 0.15
LINGER_ROWS = 500
BLOCK_MS = 1_000
CLAIM_SECONDS = 5.0
REST_SECONDS = 0.5
Refusal = tuple[str, str, str, str]
"""entry with place, payload, field, reason"""
POISON = (DataError, IntegrityError)


@dataclass(slots=True)
class Taken:
    """Entries of one stream: their ids with the bytes counted for them, and what is in them."""

    done: list[tuple[bytes, int]] = field(default_factory=list)
    rows: list[tuple[bytes, str]] = field(default_factory=list)
    """Lines of events or JSON of exposures, each with entry id and place."""
    refused: list[Refusal] = field(default_factory=list)


def events_take(entries: Sequence[tuple[bytes, dict[bytes, bytes] | None]]) -> Taken:
    """Read entries of the events stream; what others added is checked here."""
    taken = Taken()
    for entry_id, fields in entries:
        name = entry_id.decode()
        if not fields:  # deleted while it was pending
            taken.done.append((entry_id, 0))
            continue
        lines = fields.get(FORMAT.encode())
        taken.done.append((entry_id, len(lines) if lines else 0))
        if lines is not None:
            _lines_take(name, lines, taken)
        else:
            _outside_take(name, fields, taken)
    return taken


def _lines_take(name: str, lines: bytes, taken: Taken) -> None:
    """An entry of our own; a line with other columns than ours is somebody else's joke."""
    for place, line in enumerate(lines.removesuffix(b"\n").split(b"\n")):
        if line.count(b"\t") == len(COLUMNS) - 1:
            taken.rows.append((line, f"{name}:{place}"))
        else:
            taken.refused.append((f"{name}:{place}", _shown(line), FORMAT, "The line has other columns."))


def _outside_take(name: str, fields: dict[bytes, bytes], taken: Taken) -> None:
    """An entry that somebody else added."""
    payload = fields.get(b"events") or fields.get(b"event")
    try:
        if payload is None:
            raise ValueError(f"no field {FORMAT}, event or events")
        rows = orjson.loads(payload)
        source = fields.get(b"source", b"").decode()[:40]
    except ValueError as error:
        shown = repr(fields).encode() if payload is None else payload
        taken.refused.append((f"{name}:0", _shown(shown), "event", str(error)))
        return
    now = clock.now()
    rows = rows if isinstance(rows, list) else [rows]
    rules = EventRules(kinds=kinds_by_code(at_once=True), now=now, oldest=key_horizon(now))
    checked = events_check(rows=rows, rules=rules)
    lines = lines_of(checked.good, received_at=now, source=f"stream:{source}")
    taken.rows += [(line, f"{name}:{place}") for line, place in zip(lines, checked.places, strict=True)]
    taken.refused += [
        (f"{name}:{error.line}", _shown(orjson.dumps(rows[error.line])), error.field, error.remedy)
        for error in checked.rejected
    ]


def _shown(payload: bytes) -> str:
    return payload.decode("utf-8", "replace").replace("\0", "\\0")


def exposures_take(entries: Sequence[tuple[bytes, dict[bytes, bytes] | None]]) -> Taken:
    """Read entries of the exposures stream."""
    taken = Taken()
    for entry_id, fields in entries:
        rows = (fields or {}).get(b"rows1", b"")
        taken.done.append((entry_id, len(rows)))
        if not fields:
            continue
        try:
            parts = [orjson.dumps(row) for row in orjson.loads(rows)]
        except ValueError as error:
            taken.refused.append((f"x{entry_id.decode()}:0", _shown(rows), "rows1", str(error)))
            continue
        taken.rows += [(part, f"x{entry_id.decode()}:{place}") for place, part in enumerate(parts)]
    return taken


def events_store(lines: Sequence[bytes]) -> None:
    """Store lines of events, each id once."""
    distinct: dict[bytes, bytes] = {}
    for line in lines:
        distinct.setdefault(id_of(line), line)
    lines_store(lines=list(distinct.values()), now=clock.now())


def exposures_store(rows: Sequence[bytes]) -> None:
    """Store served slates, each once."""
    exposure_rows_drain(rows=b"[" + b",".join(rows) + b"]")


def taken_store(taken: Taken, store: Callable[[Sequence[bytes]], None]) -> None:
    """Store everything; a refused batch is halved until the guilty rows stand alone, which are set aside."""
    parts = [taken.rows]
    while parts:
        part = parts.pop()
        if not part:
            continue
        try:
            with transaction.atomic():
                store([payload for payload, _place in part])
        except POISON as error:
            if len(part) > 1:
                middle = len(part) // 2
                parts += [part[middle:], part[:middle]]
                continue
            payload, place = part[0]
            logger.error("inbox: %s is set aside: %s", place, error)
            taken.refused.append((place, _shown(payload), "", str(error)))
    if taken.refused:
        SetAside.objects.bulk_create(
            [
                SetAside(entry=entry[:60], payload=payload, field=name[:40], reason=reason)
                for entry, payload, name, reason in taken.refused
            ],
            ignore_conflicts=True,
        )


def inbox_drain(*, seconds: float = 60.0) -> None:
    """Store what waits in both streams, beside the consumers that run; for commands that read afterwards.

    Raises InboxAway when something still waits after so many seconds.
    """
    consumer = Consumer(should_stop=lambda: False)
    deadline = time.monotonic() + seconds
    names = (stream().events, stream().exposures)
    while any(stream().client.xlen(name) for name in names):
        consumer.step()
        if time.monotonic() > deadline:
            raise InboxAway(f"events still wait after {seconds:.0f} s; is another consumer stuck?")


class Consumer:
    """Drains both streams until told to stop. Any number may run, on any number of machines."""

    def __init__(self, *, should_stop: Callable[[], bool], batch_rows: int = BATCH_ROWS) -> None:
        self.name = f"{socket.gethostname()}-{getpid()}"
        self.should_stop = should_stop
        self.batch_rows = batch_rows
        self.pace = PaceWatch()
        self.count = 64
        self._claim_at = 0.0
        self._grouped = False

    def run(self) -> None:
        """Work until `should_stop()`; outages of either server are waited out."""
        while not self.should_stop():
            try:
                rows = self.step()
            except (redis.RedisError, OSError, InboxAway) as error:
                logger.warning("inbox: the stream is away: %s", error)
                self._grouped = False
                time.sleep(REST_SECONDS)
                continue
            if rows and rows < LINGER_ROWS:
                time.sleep(LINGER_SECONDS)

    def step(self) -> int:
        """Take what waits (at most about `batch_rows`) and store it; returns how many rows there were."""
        inbox = stream()
        if not self._grouped:
            inbox.groups_make()
            self._grouped = True
        found: dict[str, list[Any]] = {}
        if time.monotonic() >= self._claim_at:
            self._claim_at = time.monotonic() + CLAIM_SECONDS / 2
            for name in (inbox.events, inbox.exposures):
                answer = inbox.client.xautoclaim(
                    name, GROUP, self.name, min_idle_time=int(CLAIM_SECONDS * 1000), count=self.count
                )
                if answer[1]:
                    found[name] = answer[1]
        if not found:
            answer = inbox.client.xreadgroup(
                GROUP,
                self.name,
                {inbox.events: ">", inbox.exposures: ">"},
                count=self.count,
                block=BLOCK_MS,
            )
            found = {name.decode(): entries for name, entries in answer or []}
        rows = 0
        for name, entries in found.items():
            if name == inbox.events:
                taken = events_take(entries)
                marked = self.pace.marked([line for line, _place in taken.rows])
                taken.rows = [(line, place) for line, (_old, place) in zip(marked, taken.rows, strict=True)]
                self._store(taken, events_store)
                # Entries hold from one event to a thousand: read about as many as make a batch.
                self.count = max(4, min(2_000, self.batch_rows * len(entries) // max(len(taken.rows), 1)))
            else:
                taken = exposures_take(entries)
                self._store(taken, exposures_store)
            rows += len(taken.rows)
            inbox.done(name, taken.done)
        return rows

    def _store(self, taken: Taken, store: Callable[[Sequence[bytes]], None]) -> None:
        """Store, waiting out the database's outages."""
        while True:
            try:
                taken_store(taken, store)
            except (DatabaseError, InterfaceError) as error:
                logger.warning(
                    "inbox: %d rows wait, the database can't take them: %s", len(taken.rows), error
                )
                connection.close()
                if self.should_stop():
                    raise SystemExit(0) from error  # nothing was let go: the next consumer has it all
                time.sleep(REST_SECONDS)
            else:
                return
