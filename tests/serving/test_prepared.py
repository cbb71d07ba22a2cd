"""Queries of the hot path: planned once per connection, and right where a connection can keep nothing."""

from collections.abc import Iterator

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from apps.serving.prepared import Prepared

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def twice() -> Iterator[Prepared]:
    connection.close()
    yield Prepared("test_twice", "SELECT %(n)s * 2, %(text)s || %(text)s", {"n": "int", "text": "text"})
    connection.close()


def ask(query: Prepared, n: int) -> tuple[object, ...]:
    return query.rows({"n": n, "text": "a'%", "not asked for": 1})[0]


def statements(query: Prepared, times: int) -> list[str]:
    with CaptureQueriesContext(connection) as queries:
        for n in range(times):
            assert ask(query, n) == (2 * n, "a'%a'%")
    return [str(query["sql"]).split()[0] for query in queries]


def test_a_connection_plans_once(twice: Prepared) -> None:
    assert statements(twice, 3) == ["PREPARE", "EXECUTE", "EXECUTE", "EXECUTE"]
    with transaction.atomic():
        ask(twice, 1)
        transaction.set_rollback(True)
    assert statements(twice, 2) == ["EXECUTE", "EXECUTE"]
    connection.close()
    assert statements(twice, 2) == ["PREPARE", "EXECUTE", "EXECUTE"]


def test_a_pooler_that_shares_connections_costs_time_not_answers(twice: Prepared) -> None:
    ask(twice, 1)
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")  # as if this were another server connection
    assert ask(twice, 2) == (4, "a'%a'%")
    assert statements(twice, 2) == ["SELECT", "SELECT"]


def test_other_errors_are_errors(twice: Prepared) -> None:
    with pytest.raises(DatabaseError):
        twice.rows({"n": "no number", "text": ""})
    assert ask(twice, 3) == (6, "a'%a'%")
    assert twice.keeps
