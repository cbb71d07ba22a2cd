"""Remembering what was served: appended to memory in microseconds, written in batches by a thread of its own.

A slate never waits for this book-keeping. Rows wait here at most FLUSH_SECONDS and go to the database, or
while that is away to the inbox's stream, from where the consumer stores them when it is back. They wait for
longer only while both are away, or the database refuses them. They are written when the process ends; killed,
it loses what waits.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence

from django.db import DatabaseError, DataError, IntegrityError, connection

from apps.core.errors import RecoPortalError
from apps.events.exposures import ExposureRow
from apps.events.services import exposure_record_many, exposures_add_to_stream
from apps.events.stream import InboxAway
from apps.serving.memory import OUTAGE, database_is_away
from apps.serving.pipeline import exposure_of
from apps.serving.slate import Slate
from recoportal.patience import Patience

logger = logging.getLogger(__name__)
FLUSH_SECONDS = 0.25
# About a kilobyte each. When more wait the oldest are dropped, and counted.
WAITING_MAX = 20_000
BATCH = 2_000
# After a refusal that may pass (an outage, a read-only server, a migration under way) rows wait this long.
RETRY_SECONDS = 1.0
# Longer than this no batch waits for a database that does not answer.
WRITE_SECONDS = 2.0
# How long the end of a process may be held up by a database that does not answer.
FAREWELL_SECONDS = 3.0


class ExposureBuffer:
    """Rows on their way to the database, the oldest first. dropped: how many were given up, ever.

    in_background: whether a thread writes them; else only `flush` does.
    """

    def __init__(self) -> None:
        self.dropped = 0
        self.in_background = True
        self._waiting: deque[ExposureRow] = deque()
        # Rows that wait may have been stored all the same: the answer was lost, not the writing.
        self._in_doubt = False
        self._changing = threading.Lock()
        self._writing = threading.Lock()
        self._writer: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, row: ExposureRow) -> None:
        """Let a row wait; starts the writer when there is none."""
        with self._changing:
            if len(self._waiting) >= WAITING_MAX:
                self._waiting.popleft()
                self._drop(1)
            self._waiting.append(row)
        if self.in_background and (self._writer is None or not self._writer.is_alive()):
            self._writer_start()

    def waiting(self) -> list[ExposureRow]:
        """The rows that wait."""
        return list(self._waiting)

    def forget(self) -> None:
        """Drop all that waits, uncounted; for tests."""
        self._waiting.clear()

    def flush(self) -> int:
        """Write what waits; returns how many rows are safe, stored or in the stream. The others wait on.

        Raises what the database raised, but for rows that can never be stored: those are dropped alone.
        """
        safe = 0
        with self._writing:
            while rows := self._take():
                safe += self._store(rows)
            self._in_doubt = False
        return safe

    def _take(self) -> list[ExposureRow]:
        with self._changing:
            return [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]

    def _store(self, rows: Sequence[ExposureRow]) -> int:
        safe = 0
        parts = [rows]
        try:
            while parts:
                part = parts[-1]
                try:
                    self._write_part(part)
                except (DataError, IntegrityError):
                    parts.pop()
                    if len(part) == 1:
                        logger.exception("an exposure of %s was refused", part[0].placement)
                        self._drop(1)
                    else:  # one of them is to blame
                        middle = len(part) // 2
                        parts += [part[middle:], part[:middle]]
                else:
                    parts.pop()
                    safe += len(part)
        finally:
            self._return([row for part in reversed(parts) for row in part])
        return safe

    def _write_part(self, part: Sequence[ExposureRow]) -> None:
        """To the database; while that is away to the stream, which knows again what is stored already."""
        if database_is_away() and self._streamed(part):
            return
        try:
            with Patience(WRITE_SECONDS):
                exposure_record_many(exposures=part, durable=False, each_once=self._in_doubt)
        except OUTAGE:
            self._in_doubt = True
            if not connection.in_atomic_block:
                connection.close()
            if not self._streamed(part):
                raise

    def _streamed(self, part: Sequence[ExposureRow]) -> bool:
        try:
            exposures_add_to_stream(exposures=part)
        except InboxAway:
            self._in_doubt = True
            return False
        return True

    def _return(self, rows: Sequence[ExposureRow]) -> None:
        """Let rows wait again, before those that came since; the oldest go when there are too many."""
        with self._changing:
            room = max(WAITING_MAX - len(self._waiting), 0)
            if len(rows) > room:
                self._drop(len(rows) - room)
                rows = rows[len(rows) - room :]
            self._waiting.extendleft(reversed(rows))

    def _drop(self, count: int) -> None:
        before, self.dropped = self.dropped, self.dropped + count
        if not before or before // 1_000 != self.dropped // 1_000:
            logger.error("%d exposures dropped so far", self.dropped)

    # -- the writer ----------------------------------------------------------------------------------------

    def _writer_start(self) -> None:
        with self._changing:
            if self._writer is None or not self._writer.is_alive():
                # No daemon: Python waits for it at the end, and it ends when the main thread has.
                self._writer = threading.Thread(target=self._write, name="exposure-writer", daemon=False)
                self._writer.start()

    def _write(self) -> None:
        main = threading.main_thread()
        while main.is_alive():
            main.join(FLUSH_SECONDS if self._written() else RETRY_SECONDS)
        deadline = time.monotonic() + FAREWELL_SECONDS
        while self._waiting and not self._written() and time.monotonic() < deadline:
            time.sleep(FLUSH_SECONDS)
        if self._waiting:
            logger.error("%d exposures are lost: neither the database nor the stream took them", len(self))

    def _written(self) -> bool:
        """Write what waits; False when neither the database nor the stream took it now."""
        if not self._waiting:
            return True
        try:
            self.flush()
        except OUTAGE:
            return False
        except (DatabaseError, RecoPortalError):
            logger.exception("%d exposures wait: they could not be stored", len(self._waiting))
            return False
        finally:
            connection.close()
        return True


BUFFER = ExposureBuffer()


def exposure_remember(slate: Slate) -> None:
    """Let the slate's exposure be stored soon; takes microseconds. An empty slate leaves nothing."""
    if slate.items:
        BUFFER.add(exposure_of(slate))


def exposures_flush() -> int:
    """Write now what waits, in this thread; returns how many are safe. Raises what the database raised."""
    return BUFFER.flush()
