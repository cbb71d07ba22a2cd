"""Monthly partitions of interactions and exposures, made before the rows come. Months are UTC months."""

from collections.abc import Iterable
from datetime import UTC, datetime

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from apps.core import clock

TABLES = {"events_interaction": "occurred_at", "events_exposure": "served_at"}
MONTHS_AHEAD = 3
# Any number; all processes that make partitions take this lock, so that no two make the same one.
LOCK = 7_215_001
Month = tuple[int, int]
# (database, table, month) known to be committed.
_known: set[tuple[str, str, Month]] = set()


def month_of(moment: datetime) -> Month:
    """The UTC (year, month) in which `moment` lies."""
    utc = moment.astimezone(UTC)
    return utc.year, utc.month


def month_next(month: Month) -> Month:
    """The month after `month`."""
    return (month[0] + 1, 1) if month[1] == 12 else (month[0], month[1] + 1)


def months_between(first: Month, last: Month) -> list[Month]:
    """All months from `first` to `last`, both included."""
    months = []
    while first <= last:
        months.append(first)
        first = month_next(first)
    return months


def partition_name(table: str, month: Month) -> str:
    """Name of the table that holds `month` of `table`."""
    return f"{table}_{month[0]:04d}_{month[1]:02d}"


def partitions_make(*, months: Iterable[Month], tables: Iterable[str] = tuple(TABLES)) -> int:
    """Make what is missing of these months; returns how many partitions were made.

    A new month is filled beside the parent and then attached: ATTACH lets others read and write meanwhile,
    CREATE ... PARTITION OF would not.
    """
    database = connection.settings_dict["NAME"]
    wanted = [(table, month) for month in sorted(set(months)) for table in tables]
    missing = [(table, month) for table, month in wanted if (database, table, month) not in _known]
    if not missing:
        return 0
    made = 0
    with transaction.atomic(), connection.cursor() as cursor:
        names = [partition_name(*pair) for pair in missing]
        present = _present(cursor, names)
        if len(present) < len(names):
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            present = _present(cursor, names)
        for table, month in missing:
            name = partition_name(table, month)
            if name in present:
                continue
            start, end = datetime(*month, 1, tzinfo=UTC), datetime(*month_next(month), 1, tzinfo=UTC)
            cursor.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
            cursor.execute(
                f"ALTER TABLE {table} ATTACH PARTITION {name} FOR VALUES FROM (%s) TO (%s)",
                [start.isoformat(), end.isoformat()],
            )
            made += 1
    # Remembered only once committed: a rolled-back partition must not be believed in.
    transaction.on_commit(lambda: _known.update((database, *pair) for pair in missing))
    return made


def _present(cursor: CursorWrapper, names: list[str]) -> set[str]:
    cursor.execute(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relname = ANY(%s)",
        [names],
    )
    return {row[0] for row in cursor.fetchall()}


def partitions_ensure(*, months_ahead: int = MONTHS_AHEAD) -> int:
    """Make this month's and the next `months_ahead` months' partitions; returns how many were made."""
    month = month_of(clock.now())
    months = [month]
    for _ in range(months_ahead):
        months.append(month_next(months[-1]))
    return partitions_make(months=months)


def partitions_forget() -> None:
    """Forget which partitions exist (a database was dropped or switched)."""
    _known.clear()
