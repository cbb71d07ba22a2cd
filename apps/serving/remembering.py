"""Remembering what was served. One insert a slate; while the database is away rows wait in this process."""

import logging
from collections import deque

from django.db import DatabaseError, connection

from apps.events.exposures import ExposureRow
from apps.events.services import exposure_record_many
from apps.serving.memory import OUTAGE, memory_current
from apps.serving.pipeline import exposure_of
from apps.serving.slate import Slate

logger = logging.getLogger(__name__)
WAITING_MAX = 10_000
_waiting: deque[ExposureRow] = deque(maxlen=WAITING_MAX)


def exposure_remember(slate: Slate) -> None:
    """Store the slate's exposure, with those that waited; never raises, for the shopper has the answer.

    Rows wait in memory during an outage and are lost if the process dies meanwhile; an empty slate leaves
    nothing.
    """
    if not slate.items:
        return
    _waiting.append(exposure_of(slate))
    memory = memory_current()
    if memory.away:
        return
    rows = []
    while _waiting:
        rows.append(_waiting.popleft())
    try:
        exposure_record_many(exposures=rows, durable=False)
    except OUTAGE as error:
        _waiting.extendleft(reversed(rows))
        memory.outage(error)
    except DatabaseError:
        logger.exception("%d exposures were refused by %s", len(rows), connection.alias)
