"""Queries of the hot path, planned once per connection and asked by way of libpq.

A cursor of Django's binds values on the client, so that nothing can be prepared, and costs three times what
the exchange itself does. Values go as text, PREPARE says of which type; results come in binary.

Where Django has a pool, it asks the server whether a connection still lives each time it lends one out. These
queries only read, so they are asked by connections of their own, without that: where one turns out to be dead
the query is asked again by a new one.
"""

import logging
import os
import struct
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from weakref import WeakSet

import numpy as np
import psycopg
from django.db import DatabaseError, connection
from psycopg import errors, pq

from recoportal.patience import PatientConnection, exec_prepared, patience_over

logger = logging.getLogger(__name__)
IDLE_MAX = 8
# The server does not know the statement, or knows it of another client: a pooler in between hands connections
# from transaction to transaction, so that nothing can be kept on them.
_SHARED_CONNECTION = (errors.InvalidSqlStatementName, errors.DuplicatePreparedStatement)


class Readers:
    """Connections that only read, by database: as many as threads ever asked at once. They commit by
    themselves.
    """

    def __init__(self) -> None:
        self._idle: dict[tuple[Any, ...], deque[Any]] = {}

    def _of_database(self) -> deque[Any]:
        settings = connection.settings_dict
        name = (os.getpid(), settings["HOST"], settings["PORT"], settings["NAME"])
        found = self._idle.get(name)
        return found if found is not None else self._idle.setdefault(name, deque())

    def take(self) -> Any | None:
        """One that waits, None when all are busy."""
        try:
            return self._of_database().pop()
        except IndexError:
            return None

    def put(self, raw: Any) -> None:
        """Let this one wait for the next query."""
        idle = self._of_database()
        if len(idle) < IDLE_MAX:
            idle.append(raw)
        else:
            raw.close()

    def connect(self) -> Any:
        """A new one; raises psycopg.OperationalError."""
        settings = {**connection.get_connection_params(), "autocommit": True}
        for name in ("cursor_factory", "context", "prepare_threshold"):
            settings.pop(name, None)
        raw = PatientConnection.connect(**settings)
        raw.execute("SET TIME ZONE 'UTC'")  # as Django's have it
        return raw

    def close(self) -> None:
        """Close those that wait."""
        for idle in self._idle.values():
            while idle:
                idle.pop().close()


READERS = Readers()


class Prepared:
    """A query with named placeholders. name: unique among them. types: Postgres' type of each parameter."""

    def __init__(self, name: str, text: str, types: Mapping[str, str]) -> None:
        self.text = text
        self._name = name
        self._order = list(types)
        places = {parameter: f"${place}" for place, parameter in enumerate(types, 1)}
        self._prepare = f"PREPARE {name} ({', '.join(types.values())}) AS {text % places}"
        self._ready: WeakSet[Any] = WeakSet()
        self.keeps = True

    def rows(self, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """The rows for these values of the parameters."""
        if self.keeps:
            try:
                return self._rows_prepared(values)
            except DatabaseError as error:
                if not isinstance(error.__cause__, _SHARED_CONNECTION) or connection.in_atomic_block:
                    raise
                self.keeps = False
                logger.warning(
                    "connections are shared by a pooler; slates are planned anew each time: %s", error
                )
        with connection.cursor() as cursor:
            cursor.execute(self.text, values)
            return cursor.fetchall()

    def _rows_prepared(self, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        sent = [_text(values[name]) for name in self._order]
        if "pool" in connection.settings_dict["OPTIONS"] and not connection.in_atomic_block:
            with connection.wrap_database_errors:
                result = self._result_apart(sent)
        else:
            connection.close_if_health_check_failed()
            connection.ensure_connection()
            raw = connection.connection
            if raw not in self._ready:
                with connection.cursor() as cursor:
                    cursor.execute(self._prepare)
                self._ready.add(raw)
            with connection.wrap_database_errors:
                result = self._result(raw, sent)
        if connection.queries_logged:  # who counts queries counts these
            connection.queries_log.append({"sql": self._said(sent), "time": "0.000"})
        places = range(result.nfields)
        loads = [_LOADS[result.ftype(place)] for place in places]
        value = result.get_value
        return [
            tuple(
                None if (found := value(row, place)) is None else load(found)
                for place, load in zip(places, loads, strict=True)
            )
            for row in range(result.ntuples)
        ]

    def _result_apart(self, sent: list[bytes]) -> Any:
        """The answer of a connection kept for this, of a new one when those that waited are dead."""
        while True:
            kept = READERS.take()
            raw = kept or READERS.connect()
            try:
                if raw not in self._ready:
                    raw.execute(self._prepare)
                    self._ready.add(raw)
                result = self._result(raw, sent)
            except psycopg.Error as error:
                alive = raw.pgconn.status == pq.ConnStatus.OK
                if alive and not isinstance(error, _SHARED_CONNECTION):
                    READERS.put(raw)
                    raise
                raw.close()
                if alive or kept is None or patience_over():
                    raise
            else:
                READERS.put(raw)
                return result

    def _result(self, raw: Any, sent: list[bytes]) -> Any:
        result = exec_prepared(raw, self._name.encode(), sent)
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise _error_of(raw, result)
        return result

    def _said(self, sent: list[bytes]) -> str:
        quoted = ", ".join("'" + text.decode().replace("'", "''") + "'" for text in sent)
        return f"EXECUTE {self._name} ({quoted})"


def _text(value: Any) -> bytes:
    """A value as Postgres reads it; raises DatabaseError for text that no text column can hold."""
    if isinstance(value, str):
        if "\0" in value:
            raise DatabaseError("a text must not contain the character of code zero")
        return value.encode()
    if isinstance(value, list):
        return b"{%s}" % ",".join(map(str, value)).encode()
    if isinstance(value, datetime):
        return value.isoformat().encode()
    return str(value).encode()


def _error_of(raw: Any, result: Any) -> psycopg.Error:
    if raw.pgconn.status != pq.ConnStatus.OK:
        return psycopg.OperationalError(result.get_error_message())
    return errors.error_from_result(result)


def _number(form: str) -> Callable[[bytes], Any]:
    unpack = struct.Struct(form).unpack
    return lambda data: unpack(data)[0]


def _int8s(data: bytes) -> list[int]:
    """A one-dimensional bigint[] without nulls: a head of 20 bytes, then length and value of each."""
    if len(data) <= 20:
        return []
    found: list[int] = np.frombuffer(data, dtype=_INT8S, offset=20)["value"].tolist()
    return found


_INT8S = np.dtype([("length", ">i4"), ("value", ">i8")])
# By the oid of a column's type: bool, bytea, bigint, smallint, integer, text, float8, varchar, bigint[].
_LOADS: Mapping[int, Callable[[bytes], Any]] = {
    16: lambda data: data == b"\x01",
    17: bytes,
    20: _number(">q"),
    21: _number(">h"),
    23: _number(">i"),
    25: bytes.decode,
    701: _number(">d"),
    1043: bytes.decode,
    1016: _int8s,
}
