"""How long a thread waits for the database's answer.

A server that is frozen, or behind a network that swallows packets, neither answers nor hangs up, and no
time-out of its own can help. Who must not wait says so:

    with Patience(1.0):
        …   # queries raise OperationalError when a second is over, and their connection is gone

It holds for connections of the pool, and for queries sent by `exec_prepared`.
"""

import select
import threading
import time
from types import TracebackType
from typing import Any, Self

import psycopg
from psycopg import pq

_thread = threading.local()


class Patience:
    """Until when this thread waits, from `with` on; of nested ones the shorter holds. None: no bound."""

    __slots__ = ("_before", "_seconds")

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._before: float | None = None

    def __enter__(self) -> Self:
        self._before = deadline = _deadline()
        if self._seconds is not None:
            own = time.monotonic() + self._seconds
            _thread.deadline = own if deadline is None or own < deadline else deadline
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _thread.deadline = self._before


def _deadline() -> float | None:
    found: float | None = getattr(_thread, "deadline", None)
    return found


def patience_over() -> bool:
    """Whether this thread has no time left to wait."""
    deadline = _deadline()
    return deadline is not None and time.monotonic() >= deadline


class PatientConnection(psycopg.Connection[Any]):
    """A connection that keeps to the thread's patience: it closes itself when that is over."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """psycopg's own, within the bound."""
        deadline = _deadline()
        if deadline is None:
            return super().wait(gen, interval, timeout)
        left = max(deadline - time.monotonic(), 0.0)
        try:
            return super().wait(gen, interval, left if timeout is None else min(left, timeout))
        except psycopg.OperationalError as error:
            if time.monotonic() < deadline:
                raise
            raise _given_up(self) from error


def exec_prepared(raw: Any, name: bytes, values: list[bytes]) -> Any:
    """The result of a prepared statement, in binary form; raises psycopg.OperationalError."""
    pgconn, deadline = raw.pgconn, _deadline()
    if deadline is None:
        return pgconn.exec_prepared(name, values, None, pq.Format.BINARY)
    pgconn.send_query_prepared(name, values, None, pq.Format.BINARY)
    ready = select.poll()
    ready.register(pgconn.socket, select.POLLIN | select.POLLOUT)
    while pgconn.flush():
        if not ready.poll(max(deadline - time.monotonic(), 0.0) * 1000):
            raise _given_up(raw)
        pgconn.consume_input()
    ready.modify(pgconn.socket, select.POLLIN)
    last = None
    while True:
        while pgconn.is_busy():
            if not ready.poll(max(deadline - time.monotonic(), 0.0) * 1000):
                raise _given_up(raw)
            pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            return last
        last = result


def _given_up(raw: Any) -> psycopg.OperationalError:
    raw.close()
    return psycopg.OperationalError("the database did not answer in time")
