"""What the columns of a file look like, and what they are likely to be. Pure: imports no Django.

The guesses fill a form that a person checks; nothing is analysed by a guess alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from apps.core.errors import InvalidInput
from apps.experiments.file_options import FileMetric
from apps.experiments.file_tables import Source, columns_of, labels, numbers, table_read

COLUMNS_AT_MOST = 200
UNPACKED_AT_MOST = 1_000_000_000
VALUES_KEPT = 200
FEW = 20
EXAMPLES = 3
METRICS_GUESSED = 8
UNIT = re.compile(
    r"^(unit|user|shopper|customer|visitor|client|member|account|device|session|cookie)s?(_?id)?$|^id$"
)
VARIANT = re.compile(r"variant|variation|group|treat|arm$|bucket|^test$|^ab$|branch|version")
CONTROL = re.compile(r"^(control|ctrl|a|0|off|baseline|base|original|old|false|holdout)$", re.I)
DATE = re.compile(r"date|^day$|time|^at$|_at$|timestamp")
MONEY = re.compile(r"revenue|amount|spend|spent|sales|gmv|price|value|margin|paid")
BEFORE = re.compile(r"^(pre|before|prior|past|baseline)_|_(pre|before|prior|past|baseline)$")

What = Literal["number", "text"]


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """A column. values: its distinct texts, the commonest first, () where there are more than VALUES_KEPT.

    examples: the first few. only_zero_one: a number that is never anything else.
    """

    name: str
    what: What
    distinct: int
    values: tuple[str, ...]
    examples: tuple[str, ...]
    only_zero_one: bool = False


@dataclass(frozen=True, slots=True)
class Guess:
    """What the columns are likely to be; "" and () where nothing fits."""

    unit: str = ""
    variant: str = ""
    control: str = ""
    date: str = ""
    segments: tuple[str, ...] = ()
    metrics: tuple[FileMetric, ...] = ()


def columns_look(source: Source) -> list[ColumnFacts]:
    """Facts of every column. Raises InvalidInput for a file that can't be read or has too many columns."""
    names = columns_of(source)
    if len(names) > COLUMNS_AT_MOST:
        remedy = f"The file has {len(names)} columns; keep the {COLUMNS_AT_MOST} you need at most."
        raise InvalidInput(field="csv", value=len(names), remedy=remedy)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(field="csv", value=twice, remedy="The file has several columns of this name.")
    table = table_read(source, names, bytes_at_most=UNPACKED_AT_MOST)
    return [_facts(table, name) for name in names]


def _facts(table: pa.Table, name: str) -> ColumnFacts:
    codes, texts = labels(table, name)
    known = codes[codes >= 0]
    order = np.argsort(-np.bincount(known, minlength=len(texts)), kind="stable")
    few = len(texts) <= VALUES_KEPT
    values = tuple(texts[place] for place in order) if few else ()
    try:
        found, blank = numbers(table, name, field="metric")
    except InvalidInput:
        return ColumnFacts(name, "text", len(texts), values, tuple(texts[:EXAMPLES]))
    zero_one = bool(np.isin(found[~blank], (0, 1)).all()) and not bool(blank.all())
    return ColumnFacts(name, "number", len(texts), values, tuple(texts[:EXAMPLES]), zero_one)


def is_summary(columns: Sequence[ColumnFacts]) -> bool:
    """Whether the rows are counts, means and variances of whole variants instead of units."""
    names = {one.name for one in columns}
    counted = bool(names & {"count", "n", "units", "users"})
    spread = bool(names & {"variance", "var", "sd", "std", "stddev"})
    return names >= {"count_c", "count_t", "mean_c", "mean_t"} or (
        counted and spread and bool(names & {"mean", "sum", "total"})
    )


def guess(columns: Sequence[ColumnFacts]) -> Guess:
    """What the columns are likely to be, by their names first and their values second."""
    left = list(columns)
    variant = _take(left, [one for one in left if 2 <= one.distinct <= FEW], VARIANT)
    unit = _take(left, [one for one in left if one.distinct > FEW], UNIT)
    date = _take(left, left, DATE)
    control = ""
    if variant:
        control = next((value for value in variant.values if CONTROL.match(value)), min(variant.values))
    segments = tuple(one.name for one in left if one.what == "text" and 2 <= one.distinct <= FEW)
    return Guess(
        unit=unit.name if unit else "",
        variant=variant.name if variant else "",
        control=control,
        date=date.name if date else "",
        segments=segments,
        metrics=_metrics(left),
    )


def _take(
    left: list[ColumnFacts], fit: Sequence[ColumnFacts], pattern: re.Pattern[str]
) -> ColumnFacts | None:
    """The first column that fits by its values and by its name; taken out of those that are left."""
    found = next((one for one in fit if pattern.search(one.name.strip().lower())), None)
    if found is not None:
        left.remove(found)
    return found


def _metrics(left: Sequence[ColumnFacts]) -> tuple[FileMetric, ...]:
    """Numbers as metrics; those from before the experiment as covariates of their namesakes."""
    numeric = [one for one in left if one.what == "number" and one.distinct > 1]
    before = {
        BEFORE.sub("", one.name.lower()): one.name for one in numeric if BEFORE.search(one.name.lower())
    }
    found = []
    for one in numeric:
        if one.name in before.values():
            continue
        money = bool(MONEY.search(one.name.lower()))
        found.append(
            FileMetric(
                name=one.name,
                kind="proportion" if one.only_zero_one else "revenue" if money else "mean",
                column=one.name,
                covariate=before.get(one.name.lower()),
            )
        )
    return tuple(found[:METRICS_GUESSED])
