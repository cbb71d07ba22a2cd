"""The one place that reads the time, so that a test or a preview can travel."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

_pinned: ContextVar[datetime | None] = ContextVar("pinned_now", default=None)


def now() -> datetime:
    """The current moment, aware, in UTC; the pinned one inside `pinned`."""
    return _pinned.get() or datetime.now(UTC)


@contextmanager
def pinned(moment: datetime) -> Iterator[None]:
    """Make `now` answer `moment` (aware) within this context."""
    if moment.tzinfo is None:
        raise ValueError("clock.pinned needs an aware datetime; add a time zone")
    token = _pinned.set(moment.astimezone(UTC))
    try:
        yield
    finally:
        _pinned.reset(token)
