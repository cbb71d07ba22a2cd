"""Remembering what was served. One insert a slate; while the database is away rows wait in this process."""

import logging
import threading
import time
from collections import deque

from django.db import DatabaseError, DataError, IntegrityError

from apps.core.errors import RecoPortalError
from apps.events.exposures import ExposureRow
from apps.events.services import exposure_record_many
from apps.serving.memory import OUTAGE, memory_current
from apps.serving.pipeline import exposure_of
from apps.serving.slate import Slate

logger = logging.getLogger(__name__)
WAITING_MAX = 10_000
# After a refusal that may pass (a read-only server, a migration under way) rows wait this long.
RETRY_SECONDS = 1.0
_waiting: deque[ExposureRow] = deque(maxlen=WAITING_MAX)
_taking = threading.Lock()
_retry_at = 0.0


def exposure_remember(slate: Slate) -> None:
    """Store the slate's exposure, with those that waited; never raises, for the shopper has the answer.

    Rows wait in memory while the database is away or refuses them all, and are lost if the process dies
    meanwhile; a row that can never be stored is dropped alone. An empty slate leaves nothing.
    """
    if not slate.items:
        return
    _waiting.append(exposure_of(slate))
    try:
        memory = memory_current()
        if memory.away or time.monotonic() < _retry_at:
            return
        with _taking:
            rows = list(_waiting)
            _waiting.clear()
        try:
            _store(rows)
        except OUTAGE as error:
            memory.outage(error)
    except (DatabaseError, RecoPortalError):
        _wait_a_moment()
        logger.exception("%d exposures wait: they could not be stored", len(_waiting))


def _store(rows: list[ExposureRow]) -> None:
    """Store these rows; those that were not stored wait again when the database fails."""
    parts = [rows]
    try:
        while parts:
            part = parts[-1]
            try:
                exposure_record_many(exposures=part, durable=False)
            except (DataError, IntegrityError):
                parts.pop()
                if len(part) == 1:
                    logger.exception("an exposure of %s was refused and is lost", part[0].placement)
                else:  # one of them is to blame
                    middle = len(part) // 2
                    parts += [part[middle:], part[:middle]]
            else:
                parts.pop()
    finally:
        _waiting.extendleft(row for part in parts for row in reversed(part))


def _wait_a_moment() -> None:
    global _retry_at
    _retry_at = time.monotonic() + RETRY_SECONDS
