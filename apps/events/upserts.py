"""Shoppers and reviews from frames; `services` offers these functions."""

from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from django.db import connection, transaction

from apps.catalog.cleaning import moments_of, text_of
from apps.catalog.results import UpsertResult
from apps.catalog.services import product_placeholders_make
from apps.core import clock
from apps.core.copying import frame_copy_in
from apps.core.errors import RowError, shorten
from apps.events.validation import EPOCH, FUTURE_TOLERANCE

SHOPPER_LIMITS = {
    "external_id": 80, "age_band": 20, "gender": 20, "income_band": 20, "region": 60, "language": 10,
}  # fmt: skip
ATTRIBUTES = ("age_band", "gender", "income_band", "region", "language")
MAX_REVIEW = 20_000
Mask = np.ndarray[Any, np.dtype[np.bool_]]

SHOPPERS_UPSERT = """
INSERT INTO events_shopper
    (external_id, consent, age_band, gender, income_band, region, language, first_seen_at, last_seen_at)
SELECT s.external_id, s.consent, s.age_band, s.gender, s.income_band, s.region, s.language, s.seen, s.seen
FROM (SELECT *, coalesce(first_seen, %(now)s) AS seen FROM shopper_stage) s
ORDER BY s.external_id
ON CONFLICT (external_id) DO UPDATE
SET consent = excluded.consent, age_band = excluded.age_band, gender = excluded.gender,
    income_band = excluded.income_band, region = excluded.region, language = excluded.language,
    first_seen_at = least(events_shopper.first_seen_at, excluded.first_seen_at), placeholder = false
WHERE (events_shopper.consent, events_shopper.age_band, events_shopper.gender, events_shopper.income_band,
       events_shopper.region, events_shopper.language)
      IS DISTINCT FROM (excluded.consent, excluded.age_band, excluded.gender, excluded.income_band,
                        excluded.region, excluded.language)
   OR excluded.first_seen_at < events_shopper.first_seen_at OR events_shopper.placeholder
RETURNING xmax = 0
"""
REVIEWS_UPSERT = """
INSERT INTO events_review (external_id, product_id, shopper_id, rating, text, language, written_at)
SELECT s.external_id, p.id, coalesce(h.merged_into_id, h.id), s.rating, s.text, s.language, s.written_at
FROM review_stage s JOIN catalog_product p ON p.sku = s.sku
LEFT JOIN events_shopper h ON h.external_id = s.shopper
ORDER BY s.external_id
ON CONFLICT (external_id) DO UPDATE
SET product_id = excluded.product_id, shopper_id = excluded.shopper_id, rating = excluded.rating,
    text = excluded.text, language = excluded.language, written_at = excluded.written_at
WHERE (events_review.product_id, events_review.shopper_id, events_review.rating, events_review.text,
       events_review.language, events_review.written_at)
      IS DISTINCT FROM (excluded.product_id, excluded.shopper_id, excluded.rating, excluded.text,
                        excluded.language, excluded.written_at)
RETURNING xmax = 0
"""


class _Refusals:
    """First complaint by row."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self.found: dict[int, tuple[str, str, str]] = {}
        self.lines = frame["line"].to_numpy() if "line" in frame.columns else np.arange(1, len(frame) + 1)

    def add(self, bad: Mask, name: str, values: "pd.Series[Any]", remedy: str) -> None:
        """Refuse the rows where `bad`."""
        for place in np.flatnonzero(bad):
            self.found.setdefault(int(place), (name, shorten(values.iloc[place]), remedy))

    def errors(self) -> list[RowError]:
        """One RowError per refused row, by line."""
        return [RowError(int(self.lines[place]), *self.found[place]) for place in sorted(self.found)]

    def keep(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The rows nobody complained about."""
        mask = np.ones(len(frame), dtype=bool)
        mask[list(self.found)] = False
        return frame.loc[mask]


def _text(frame: pd.DataFrame, name: str, default: str = "") -> "pd.Series[Any]":
    if name not in frame.columns:
        return pd.Series(default, index=frame.index, dtype="str")
    return text_of(frame[name]).replace("", default)


def _ids_check(refusals: _Refusals, ids: "pd.Series[Any]") -> None:
    refusals.add((ids == "").to_numpy(dtype=bool), "external_id", ids, "Give the row an id of your own.")
    refusals.add(
        (ids.duplicated() & (ids != "")).to_numpy(dtype=bool), "external_id", ids, "Give each id once."
    )


def _lengths_check(refusals: _Refusals, column: "pd.Series[Any]", name: str, limit: int) -> None:
    too_long = (column.str.len() > limit).to_numpy(dtype=bool)
    refusals.add(too_long, name, column, f"Write at most {limit} characters.")
    nul = column.str.contains("\0", regex=False).to_numpy(dtype=bool)
    refusals.add(nul, name, column.str.replace("\0", "\\0", regex=False), "Remove the NUL character.")


def shopper_upsert_many(*, frame: pd.DataFrame) -> UpsertResult:
    """Make or update shoppers.

    Columns: external_id, consent, age_band, gender, income_band, region, language, first_seen.
    Attributes of a shopper who has not consented are not stored; withdrawing consent empties them.
    """
    frame = frame.reset_index(drop=True)
    refusals = _Refusals(frame)
    stage = pd.DataFrame({name: _text(frame, name) for name in SHOPPER_LIMITS})
    for name, limit in SHOPPER_LIMITS.items():
        _lengths_check(refusals, stage[name], name, limit)
    _ids_check(refusals, stage["external_id"])
    consent = frame["consent"].fillna(False).astype(bool) if "consent" in frame.columns else False
    stage["consent"] = consent
    for name in ATTRIBUTES:
        stage[name] = stage[name].where(stage["consent"], "")
    if "first_seen" in frame.columns:
        stage["first_seen"], unreadable = moments_of(frame["first_seen"], ZoneInfo("UTC"))
        refusals.add(
            unreadable, "first_seen", frame["first_seen"], "Write a moment like 2026-12-31T18:00:00Z."
        )
    else:
        stage["first_seen"] = pd.Series(pd.NaT, index=stage.index).dt.tz_localize("UTC")
    kinds = dict.fromkeys(SHOPPER_LIMITS, "text") | {"consent": "boolean", "first_seen": "timestamptz"}
    flags = _upsert("shopper_stage", kinds, refusals.keep(stage), SHOPPERS_UPSERT)
    return _result(flags, len(stage), refusals)


def review_upsert_many(*, frame: pd.DataFrame) -> UpsertResult:
    """Make or update reviews.

    Columns: external_id, shopper ("" anonymous), sku, rating (1 to 5), text, language, written_at.
    An unknown sku gets a placeholder product; an unknown shopper stays unnamed.
    """
    frame = frame.reset_index(drop=True)
    refusals = _Refusals(frame)
    stage = pd.DataFrame({name: _text(frame, name) for name in ("external_id", "shopper", "sku", "text")})
    stage["language"] = _text(frame, "language", "en")
    limits = {"external_id": 80, "shopper": 80, "sku": 64, "text": MAX_REVIEW, "language": 10}
    for name, limit in limits.items():
        _lengths_check(refusals, stage[name], name, limit)
    _ids_check(refusals, stage["external_id"])
    refusals.add((stage["sku"] == "").to_numpy(dtype=bool), "sku", stage["sku"], "Name the product's sku.")
    rating = pd.to_numeric(frame["rating"], errors="coerce").astype("float64")
    bad_rating = ~(rating.between(1, 5) & (rating == rating.round())).to_numpy(dtype=bool)
    refusals.add(bad_rating, "rating", frame["rating"], "Write a whole number from 1 to 5.")
    stage["rating"] = rating.where(~bad_rating).astype("Int64")
    stage["written_at"], unreadable = moments_of(frame["written_at"], ZoneInfo("UTC"))
    latest = pd.Timestamp(clock.now() + FUTURE_TOLERANCE)
    unreadable = unreadable | ~stage["written_at"].between(pd.Timestamp(EPOCH), latest).to_numpy(dtype=bool)
    refusals.add(
        unreadable, "written_at", frame["written_at"], "Write a past moment like 2026-12-31T18:00:00Z."
    )
    kinds = dict.fromkeys(limits, "text") | {"rating": "smallint", "written_at": "timestamptz"}
    kept = refusals.keep(stage)
    with transaction.atomic():
        skus = sorted(kept["sku"].unique())
        product_placeholders_make(skus=skus, source="reviews", first_seen_at=clock.now())
        flags = _upsert("review_stage", kinds, kept, REVIEWS_UPSERT)
    return _result(flags, len(stage), refusals)


@transaction.atomic
def _upsert(table: str, kinds: dict[str, str], frame: pd.DataFrame, statement: str) -> list[bool]:
    """COPY `frame` into a stage and run `statement`, which tells for each touched row whether it is new."""
    if frame.empty:
        return []
    with connection.cursor() as cursor:
        columns = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
        cursor.execute(f"DROP TABLE IF EXISTS {table}")
        cursor.execute(f"CREATE TEMPORARY TABLE {table} ({columns}) ON COMMIT DROP")
        frame_copy_in(cursor=cursor, table=table, frame=frame[list(kinds)])
        cursor.execute(f"ANALYZE {table}")
        cursor.execute(statement, {"now": clock.now()})
        return [row[0] for row in cursor.fetchall()]


def _result(flags: list[bool], rows: int, refusals: _Refusals) -> UpsertResult:
    errors = refusals.errors()
    inserted = sum(flags)
    return UpsertResult(
        inserted=inserted,
        updated=len(flags) - inserted,
        unchanged=rows - len(errors) - len(flags),
        errors=errors,
    )
