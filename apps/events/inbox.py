"""Where an event is acknowledged: kept safe by one of two inboxes before the shop hears "accepted".

The default is a stream in Valkey with an append-only file, drained by `manage.py consume_events`; the other
is Postgres itself. When the first is away or full the second takes the batch, and only when neither can is
the shop told to come back (503). Both may hold the same event: Postgres' event keys make it one.

What an acknowledgement is worth: it survives the death of any process. A power cut may cost the stream what
its file had not reached the disk with (`appendfsync everysec`: up to two seconds); the setting
RECOPORTAL_INBOX_STRICT waits for the disk before each answer, which makes that nothing.

Another broker (Kafka, say) is one more class with `append`, named in INBOXES, and a consumer that hands
`consuming.entries_store` what it reads.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from django.conf import settings
from django.db import DatabaseError, InterfaceError, transaction

from apps.core import clock
from apps.core.errors import ServiceUnavailable
from apps.events.bots import PaceWatch
from apps.events.ingest import lines_store
from apps.events.stream import InboxAway, stream
from recoportal.patience import Patience

logger = logging.getLogger(__name__)
# After a failure an inbox is left alone: a request must not wait for what another just found away. The longer
# it took to find out, the longer; then one request tries it again, while the others go on as before.
REST_SECONDS = 1.0
REST_PER_SECOND_WAITED = 5.0
# Postgres gets no longer for one batch.
WRITE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Checked events. lines: as `lines.line_of` writes them; ids: their client event ids, distinct."""

    ids: Sequence[str]
    lines: Sequence[bytes]


class Inbox(Protocol):
    """Takes batches whole: when `append` returns, every event survives the death of any process."""

    def append(self, batch: Batch) -> set[str]:
        """Keep the batch; returns the ids already known. Raises InboxAway, having acknowledged nothing."""


class ValkeyInbox:
    """One entry of the stream per batch, and the ids of the last minutes to recognise repeats."""

    def append(self, batch: Batch) -> set[str]:
        """One round trip; the batch, its ids and its size are written together or not at all."""
        return stream().events_add(batch.ids, batch.lines, strict=bool(settings.INBOX_STRICT))


class PostgresInbox:
    """Stores the batch at once."""

    def __init__(self) -> None:
        self.pace = PaceWatch()

    def append(self, batch: Batch) -> set[str]:
        """One transaction, on disk when it returns."""
        try:
            with Patience(WRITE_SECONDS), transaction.atomic():
                return lines_store(lines=self.pace.marked(list(batch.lines)), now=clock.now())
        except (DatabaseError, InterfaceError) as error:
            raise InboxAway(f"Postgres: {error}") from error


INBOXES: dict[str, Callable[[], Inbox]] = {"valkey": ValkeyInbox, "postgres": PostgresInbox}
_made: dict[str, Inbox] = {}
_rests_until: dict[str, float] = {}


def inboxes_forget() -> None:
    """Forget which inbox was away (tests)."""
    _made.clear()
    _rests_until.clear()


def _order() -> list[str]:
    """The chosen inbox first; one that failed a moment ago last."""
    chosen = str(settings.INBOX)
    names = [chosen, *(name for name in INBOXES if name != chosen)]
    now = time.monotonic()
    return sorted(names, key=lambda name: _rests_until.get(name, 0.0) > now)


def batch_append(batch: Batch) -> set[str]:
    """Keep the batch in the first inbox that can; returns the ids already known.

    Raises ServiceUnavailable.
    """
    if not batch.ids:
        return set()
    reasons = []
    for name in _order():
        inbox = _made.get(name)
        if inbox is None:
            inbox = _made.setdefault(name, INBOXES[name]())
        began = time.monotonic()
        if name in _rests_until:
            _rests_until[name] = max(_rests_until[name], began + REST_SECONDS)
        try:
            known = inbox.append(batch)
        except InboxAway as error:
            if name not in _rests_until:
                logger.warning("inbox %s can't take events: %s", name, error)
            failed_at = time.monotonic()
            rest = max(REST_SECONDS, (failed_at - began) * REST_PER_SECOND_WAITED)
            _rests_until[name] = failed_at + rest
            reasons.append(f"{name}: {error}")
        else:
            if _rests_until.pop(name, None) is not None:
                logger.warning("inbox %s takes events again", name)
            return known
    logger.error("no inbox takes events: %s", "; ".join(reasons))
    raise ServiceUnavailable(
        "Neither the event stream nor the database can take events now. Nothing of this request was "
        "accepted; send it again, with the same ids."
    )
