"""Batches of the shopper API: put or patched by one statement; attributes are kept only with consent."""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from django.db import connection, transaction

from apps.catalog.cleaning import moments_of
from apps.catalog.results import UpsertResult
from apps.catalog.services import stage_fill
from apps.core import clock
from apps.core.batches import FieldKind, batch_read
from apps.core.errors import RowError, shorten

TEXT, FLAG = FieldKind.TEXT, FieldKind.FLAG
LIMITS = {"shopper": 80, "age_band": 20, "gender": 20, "income_band": 20, "region": 60, "language": 10}
ATTRIBUTES = ("age_band", "gender", "income_band", "region", "language")
FLAGS = ("consent", "opted_out")
"""Fields that are true or false; false unless a row says otherwise."""
WISHES = ("opted_out",)
"""Only a row that says true or false changes these: a nightly sync must not undo what a person asked for."""
SHOPPER_FIELDS = (
    {"shopper": TEXT} | dict.fromkeys(FLAGS, FLAG) | dict.fromkeys(ATTRIBUTES, TEXT) | {"first_seen": TEXT}
)
STAGE = "shopper_batch"
# What a row comes to is worked out against the stored one, locked: a patch keeps what it does not name.
UPSERT = """
WITH stored AS (
    SELECT h.* FROM {stage} s JOIN events_shopper h ON h.external_id = s.shopper ORDER BY h.id FOR UPDATE OF h
), told AS (
    SELECT s.shopper, coalesce(s.first_seen, h.first_seen_at, %(now)s) AS seen, {flags}, {attributes}
    FROM {stage} s LEFT JOIN stored h ON h.external_id = s.shopper
)
INSERT INTO events_shopper (external_id, first_seen_at, last_seen_at, {names})
SELECT shopper, seen, seen, {kept} FROM told ORDER BY shopper
ON CONFLICT (external_id) DO UPDATE
SET {changes}, first_seen_at = least(events_shopper.first_seen_at, excluded.first_seen_at),
    placeholder = false
WHERE ({mine}) IS DISTINCT FROM ({theirs}) OR excluded.first_seen_at < events_shopper.first_seen_at
   OR events_shopper.placeholder
RETURNING xmax = 0
"""


def _statement() -> str:
    names = (*FLAGS, *ATTRIBUTES)
    return UPSERT.format(
        stage=STAGE,
        flags=", ".join(
            f"CASE WHEN s.has_{n} THEN coalesce(s.{n}, false) ELSE coalesce(h.{n}, false) END AS {n}"
            for n in FLAGS
        ),
        attributes=", ".join(
            f"CASE WHEN s.has_{n} THEN s.{n} ELSE coalesce(h.{n}, '') END AS {n}" for n in ATTRIBUTES
        ),
        names=", ".join(names),
        kept=", ".join([*FLAGS, *(f"CASE WHEN consent THEN {n} ELSE '' END" for n in ATTRIBUTES)]),
        changes=", ".join(f"{n} = excluded.{n}" for n in names),
        mine=", ".join(f"events_shopper.{n}" for n in names),
        theirs=", ".join(f"excluded.{n}" for n in names),
    )


def shopper_put_many(*, rows: Sequence[Any]) -> UpsertResult:
    """Make or replace shoppers (`SHOPPER_FIELDS`): what is not named is emptied, consent included; `WISHES`
    stay.
    """
    return _write(rows, whole=True)


def shopper_patch_many(*, rows: Sequence[Any]) -> UpsertResult:
    """Make shoppers or change their named fields: a refusal must hold for one we have not met yet, too."""
    return _write(rows, whole=False)


def _write(rows: Sequence[Any], *, whole: bool) -> UpsertResult:
    batch = batch_read(rows, SHOPPER_FIELDS, key="shopper")
    frame, errors, good = batch.frame.copy(), list(batch.errors), np.ones(len(batch.frame), dtype=bool)

    def refuse(bad: "pd.Series[bool] | np.ndarray[Any, np.dtype[np.bool_]]", name: str, remedy: str) -> None:
        for place in np.flatnonzero(np.asarray(bad, dtype=bool) & good):
            value = shorten(str(batch.frame[name].iloc[place]).replace("\0", "\\0"))
            errors.append(RowError(int(frame["line"].iloc[place]), name, value, remedy))
            good[place] = False

    for name, limit in LIMITS.items():
        frame[name] = frame[name].str.strip()
        refuse(frame[name].str.len() > limit, name, f"Write at most {limit} characters.")
        refuse(frame[name].str.contains("\0", regex=False), name, "Remove the NUL character.")
    refuse(frame["shopper"] == "", "shopper", "Every row needs its shopper.")
    refuse(frame["shopper"].duplicated(), "shopper", "Name each shopper once in a batch.")
    frame["first_seen"], unreadable = moments_of(frame["first_seen"], ZoneInfo("UTC"))
    refuse(unreadable, "first_seen", "Write a moment like 2026-12-31T18:00:00Z.")
    refuse(frame["first_seen"] > pd.Timestamp(clock.now()), "first_seen", "Write a moment that has passed.")
    kinds = {"shopper": "text", "first_seen": "timestamptz"}
    for name in (*FLAGS, *ATTRIBUTES):
        if name in WISHES:
            frame[f"has_{name}"] = frame[name].notna()
        else:
            frame[f"has_{name}"] = True if whole else batch.given[name]
        kinds |= {name: "boolean" if name in FLAGS else "text", f"has_{name}": "boolean"}
    flags = _upsert(frame.loc[good], kinds)
    inserted = sum(flags)
    return UpsertResult(inserted, len(flags) - inserted, int(good.sum()) - len(flags), errors)


@transaction.atomic
def _upsert(stage: pd.DataFrame, kinds: dict[str, str]) -> list[bool]:
    """For each row touched, whether it is new."""
    if stage.empty:
        return []
    with connection.cursor() as cursor:
        stage_fill(cursor, STAGE, kinds, stage)
        cursor.execute(_statement(), {"now": clock.now()})
        return [new for (new,) in cursor.fetchall()]
