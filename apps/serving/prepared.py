"""Queries of the hot path, planned once per connection: planning cost several times what running them does.

Written in SQL (PREPARE, EXECUTE), for Django's cursors bind values on the client and prepare nothing.
"""

import logging
from collections.abc import Mapping
from typing import Any
from weakref import WeakSet

from django.db import DatabaseError, connection
from psycopg import errors

logger = logging.getLogger(__name__)
# The server does not know the statement, or knows it of another client: a pooler in between hands connections
# from transaction to transaction, so that nothing can be kept on them.
_SHARED_CONNECTION = (errors.InvalidSqlStatementName, errors.DuplicatePreparedStatement)


class Prepared:
    """A query with named placeholders. name: unique among them. types: Postgres' type of each parameter."""

    def __init__(self, name: str, text: str, types: Mapping[str, str]) -> None:
        self.text = text
        self._order = list(types)
        places = {parameter: f"${place}" for place, parameter in enumerate(types, 1)}
        self._prepare = f"PREPARE {name} ({', '.join(types.values())}) AS {text % places}"
        self._execute = f"EXECUTE {name} ({', '.join(f'%({parameter})s' for parameter in types)})"
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
        with connection.cursor() as cursor:
            if connection.connection not in self._ready:
                cursor.execute(self._prepare)
                self._ready.add(connection.connection)
            cursor.execute(self._execute, {name: values[name] for name in self._order})
            return cursor.fetchall()
