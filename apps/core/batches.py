"""Rows of a JSON batch into a frame: each value's type checked, each bad row named, the good ones kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import pandas as pd

from apps.core.errors import InvalidInput, RowError, shorten

MAX_ROWS = 1_000
MAX_NUMBER = 1e15


class FieldKind(Enum):
    """What JSON type a field takes; null stands for nothing in all of them."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    OBJECT = "object"


WANTED = {
    FieldKind.TEXT: "Send text.",
    FieldKind.NUMBER: "Send a number.",
    FieldKind.FLAG: "Send true or false.",
    FieldKind.OBJECT: 'Send a JSON object like {"colour": "red"}.',
}
Check = Callable[[Any], tuple[str, str] | None]
"""A further check of a value: None when it is good, else (value, remedy)."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The readable rows. frame: one column per field, and `line` (place in the batch, from 0).

    given: bool, same rows; which fields each row named. errors: rows of the wrong shape.
    """

    frame: pd.DataFrame
    given: pd.DataFrame
    errors: list[RowError] = field(default_factory=list)


def batch_rows(body: Any, name: str, *, limit: int = MAX_ROWS) -> list[Any]:
    """The rows under `name` in a request's body; raises InvalidInput for another shape or too many."""
    rows = body.get(name) if isinstance(body, dict) else None
    if not isinstance(rows, list):
        raise InvalidInput(field=name, value=rows, remedy=f'Send {{"{name}": [...]}}, a list of objects.')
    if isinstance(body, dict) and len(body) > 1:
        strange = next(key for key in body if key != name)
        raise InvalidInput(field=strange, value=body[strange], remedy=f"Leave it out; this takes {name}.")
    if len(rows) > limit:
        raise InvalidInput(field=name, value=len(rows), remedy=f"Send at most {limit} rows at a time.")
    return rows


def batch_read(
    rows: Sequence[Any],
    fields: Mapping[str, FieldKind],
    *,
    key: str,
    checks: Mapping[str, Check] | None = None,
) -> Batch:
    """Rows as a frame of these fields. `key` is the field each row must name; `checks` look further."""
    good: list[Mapping[str, Any]] = []
    lines: list[int] = []
    errors: list[RowError] = []
    for line, row in enumerate(rows):
        problem = _problem(row, fields, key, checks or {})
        if problem is None:
            good.append(row)
            lines.append(line)
        else:
            errors.append(RowError(line, *problem))
    columns: dict[str, Any] = {"line": pd.Series(lines, dtype="int64")}
    for name, kind in fields.items():
        columns[name] = _column([row.get(name) for row in good], kind)
    given = pd.DataFrame({name: [name in row for row in good] for name in fields}, dtype=bool)
    return Batch(pd.DataFrame(columns), given, errors)


def _problem(
    row: Any, fields: Mapping[str, FieldKind], key: str, checks: Mapping[str, Check]
) -> tuple[str, str, str] | None:
    """The first thing wrong with a row's shape: field, value, remedy."""
    if not isinstance(row, dict):
        return "row", shorten(row), "Send a JSON object."
    for name, value in row.items():
        kind = fields.get(name)
        if kind is None:
            return shorten(name), shorten(value), f"Leave it out; a row takes {', '.join(fields)}."
        if value is None:
            continue
        if not _fits(value, kind):
            return name, shorten(value), WANTED[kind]
        wrong = checks[name](value) if name in checks else None
        if wrong is not None:
            return name, *wrong
    if row.get(key) in (None, ""):
        return key, "", f"Every row needs its {key}."
    return None


def _fits(value: Any, kind: FieldKind) -> bool:
    if kind is FieldKind.TEXT:
        return isinstance(value, str)
    if kind is FieldKind.FLAG:
        return isinstance(value, bool)
    if kind is FieldKind.OBJECT:
        return isinstance(value, dict)
    return not isinstance(value, bool) and isinstance(value, int | float) and abs(value) <= MAX_NUMBER


def _column(values: list[Any], kind: FieldKind) -> "pd.Series[Any]":
    if kind is FieldKind.TEXT:
        return pd.Series([value or "" for value in values], dtype="str")
    if kind is FieldKind.NUMBER:
        return pd.Series(values, dtype="float64")
    return pd.Series(values, dtype="object")
