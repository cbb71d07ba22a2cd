"""Queries of the hot path, planned once per connection and asked by way of libpq.

A cursor of Django's binds values on the client, so that nothing can be prepared, and costs three times what
the exchange itself does. Values go as text, PREPARE says of which type; results come in binary.
"""

import logging
import struct
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from weakref import WeakSet

import numpy as np
import psycopg
from django.db import DatabaseError, connection
from psycopg import errors, pq

from recoportal.patience import exec_prepared

logger = logging.getLogger(__name__)
# The server does not know the statement, or knows it of another client: a pooler in between hands connections
# from transaction to transaction, so that nothing can be kept on them.
_SHARED_CONNECTION = (errors.InvalidSqlStatementName, errors.DuplicatePreparedStatement)


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
        connection.close_if_health_check_failed()
        connection.ensure_connection()
        raw = connection.connection
        if raw not in self._ready:
            with connection.cursor() as cursor:
                cursor.execute(self._prepare)
            self._ready.add(raw)
        sent = [_text(values[name]) for name in self._order]
        with connection.wrap_database_errors:
            result = exec_prepared(raw, self._name.encode(), sent)
            if result.status != pq.ExecStatus.TUPLES_OK:
                raise _error_of(raw, result)
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
