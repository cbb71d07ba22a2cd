"""The rule book of `validation` over whole frames: what is surely good at once, the rest row by row."""

from typing import Any

import numpy as np
import pandas as pd

from apps.core.errors import InvalidInput, RowError
from apps.events.lines import COLUMNS
from apps.events.models import EventRole
from apps.events.validation import (
    FUTURE_TOLERANCE,
    LIMITS,
    MAX_NUMBER,
    MAX_QUERY,
    EventRules,
    Refused,
    context_json,
    event_check,
)

TEXTS = ("client_event_id", "shopper", "sku", "session", "channel", "anonymous")
# The rest is the same for all rows of a frame.
STAGED = [name for name in COLUMNS if name not in ("received_at", "source")]
FIELDS = (
    "kind",
    "occurred_at",
    *TEXTS,
    "quantity",
    "price",
    "value",
    "request_id",
    "query",
    "context",
    "bot",
)
UUID_PATTERN = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
Mask = np.ndarray[Any, np.dtype[np.bool_]]


def frame_check(
    *, frame: pd.DataFrame, rules: EventRules, first_line: int = 0
) -> tuple[pd.DataFrame, list[RowError]]:
    """Split a frame of events into rows to be stored (columns STAGED) and refusals.

    Vectorised tests accept the rows that are good beyond doubt; every other row goes through `event_check`,
    which alone decides and words the refusal, so that the two can't disagree. A refusal's line is the frame's
    `line` column, or the row's place counted from `first_line`.
    """
    for name in ("kind", "client_event_id"):
        if name not in frame.columns:
            raise InvalidInput(field=name, value="", remedy=f"Add the column {name} to the events frame.")
    frame = frame.reset_index(drop=True)
    out = pd.DataFrame(index=frame.index)
    good = _kinds_check(frame, rules, out)
    for name in TEXTS:
        out[name] = _text(frame, name)
        good &= _text_good(out[name], LIMITS[name])
    good &= (out["client_event_id"] != "").to_numpy()
    good &= ~out.pop("needs_product").to_numpy() | (out["sku"] != "").to_numpy()
    out["query"] = _text(frame, "query")
    good &= _text_good(out["query"], MAX_QUERY)
    good &= _moments_check(frame, rules, out)
    good &= _numbers_check(frame, out)
    good &= ~out.pop("needs_value").to_numpy() | out["value"].notna().to_numpy()
    out["request_id"] = _text(frame, "request_id").str.lower()
    named = out["request_id"].str.fullmatch(UUID_PATTERN).to_numpy(dtype=bool)
    good &= named | ((out["request_id"] == "").to_numpy() & ~out.pop("needs_request").to_numpy())
    out["request_id"] = out["request_id"].where(named, None)
    good &= _context_check(frame, out)
    good &= _bot_check(frame, out)
    if good.all():
        return out[STAGED], []
    doubtful, errors = _rows_check(frame, ~good, rules, first_line)
    kept = [part for part in (out.loc[good, STAGED], doubtful) if len(part)]
    return (pd.concat(kept).sort_index() if kept else out.loc[good, STAGED]), errors


def _kinds_check(frame: pd.DataFrame, rules: EventRules, out: pd.DataFrame) -> Mask:
    codes, names = pd.factorize(frame["kind"])
    facts = [rules.kinds.get(name) if isinstance(name, str) else None for name in names]
    facts.append(None)  # code -1: missing
    out["kind_id"] = np.array([fact.id if fact else 0 for fact in facts], dtype=np.int64)[codes]
    out["mood"] = np.array([fact.mood if fact else 0 for fact in facts], dtype=np.int16)[codes]
    out["needs_product"] = np.array([bool(fact and fact.needs_product) for fact in facts])[codes]
    out["needs_value"] = np.array([bool(fact and fact.role == EventRole.RATING) for fact in facts])[codes]
    out["needs_request"] = np.array([bool(fact and fact.role == EventRole.SEEN) for fact in facts])[codes]
    active: Mask = np.array([bool(fact and fact.active) for fact in facts])[codes]
    return active


def _text(frame: pd.DataFrame, name: str) -> "pd.Series[Any]":
    """The column as stripped text, missing as ""; what is no text becomes "\\0", which is never good."""
    if name not in frame.columns:
        return pd.Series("", index=frame.index, dtype="str")
    column = frame[name]
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if pd.api.types.is_integer_dtype(column.dtype):
        return column.astype("str")
    if column.dtype == object:
        column = column.map(lambda value: value if isinstance(value, str) else "\0", na_action="ignore")
    elif not isinstance(column.dtype, pd.StringDtype):
        column = column.astype(object).map(lambda value: "\0", na_action="ignore")
    return column.astype("str").fillna("").str.strip()


def _text_good(column: "pd.Series[Any]", limit: int) -> Mask:
    if not column.str.len().gt(0).any():
        return np.ones(len(column), dtype=bool)
    good: Mask = (column.str.len() <= limit).to_numpy(dtype=bool)
    return good & ~column.str.contains("\0", regex=False).to_numpy(dtype=bool)


def _moments_check(frame: pd.DataFrame, rules: EventRules, out: pd.DataFrame) -> Mask:
    if "occurred_at" not in frame.columns:
        out["occurred_at"] = pd.Timestamp(rules.now)
        return np.ones(len(frame), dtype=bool)
    column = frame["occurred_at"]
    if not isinstance(column.dtype, pd.DatetimeTZDtype):
        out["occurred_at"] = pd.Series(pd.NaT, index=frame.index).dt.tz_localize("UTC")
        return np.zeros(len(frame), dtype=bool)
    out["occurred_at"] = column.dt.tz_convert("UTC").dt.as_unit("us")
    oldest, latest = pd.Timestamp(rules.oldest), pd.Timestamp(rules.now + FUTURE_TOLERANCE)
    good: Mask = out["occurred_at"].between(oldest, latest).to_numpy(dtype=bool)
    return good


def _numbers_check(frame: pd.DataFrame, out: pd.DataFrame) -> Mask:
    good = np.ones(len(frame), dtype=bool)
    for name in ("quantity", "price", "value"):
        if name not in frame.columns:
            out[name] = pd.Series(np.nan, index=frame.index, dtype="float64")
            continue
        column = frame[name]
        if not pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype):
            out[name] = pd.Series(np.nan, index=frame.index, dtype="float64")
            good &= column.isna().to_numpy(dtype=bool)
            continue
        out[name] = column.astype("float64")
        low = 0.0 if name != "value" else -MAX_NUMBER
        good &= (out[name].isna() | out[name].between(low, MAX_NUMBER)).to_numpy(dtype=bool)
    good &= (out["quantity"].isna() | (out["quantity"] > 0)).to_numpy(dtype=bool)
    out["quantity"] = out["quantity"].fillna(1.0)
    out["price"] = out["price"].round(2)
    return good


def _context_check(frame: pd.DataFrame, out: pd.DataFrame) -> Mask:
    out["context"] = pd.Series(None, index=frame.index, dtype="str")
    good = np.ones(len(frame), dtype=bool)
    if "context" not in frame.columns or not (present := frame["context"].notna()).any():
        return good
    encoded: list[str | None] = []
    for place, value in zip(np.flatnonzero(present), frame.loc[present, "context"], strict=True):
        try:
            encoded.append(context_json(value))
        except Refused:
            encoded.append(None)
            good[place] = False
    out.loc[present, "context"] = pd.Series(encoded, index=frame.index[present], dtype="str")
    return good


def _bot_check(frame: pd.DataFrame, out: pd.DataFrame) -> Mask:
    if "bot" not in frame.columns:
        out["bot"] = False
        return np.ones(len(frame), dtype=bool)
    column = frame["bot"]
    if column.dtype == bool:
        out["bot"] = column
        return np.ones(len(frame), dtype=bool)
    good: Mask = column.map(lambda value: value is True or value is False, na_action=None).to_numpy(
        dtype=bool
    )
    out["bot"] = column.where(good, False).astype(bool)
    return good | column.isna().to_numpy(dtype=bool)


def _rows_check(
    frame: pd.DataFrame, doubtful: Mask, rules: EventRules, first_line: int
) -> tuple[pd.DataFrame, list[RowError]]:
    """The rows in doubt, one by one."""
    part = frame.loc[doubtful, [name for name in FIELDS if name in frame.columns]]
    lines = frame.loc[doubtful, "line"] if "line" in frame.columns else pd.Series(part.index + first_line)
    kept: dict[int, dict[str, Any]] = {}
    errors: list[RowError] = []
    records = part.astype(object).where(part.notna(), None).to_dict("records")
    for place, line, record in zip(part.index, lines, records, strict=True):
        try:
            kept[place] = event_check({str(name): _plain(value) for name, value in record.items()}, rules)
        except Refused as refused:
            errors.append(refused.at(int(line)))
    rows = pd.DataFrame(list(kept.values()), index=list(kept), columns=STAGED)
    if len(rows):
        rows = rows.astype(
            {
                "kind_id": "int64",
                "mood": "int16",
                "quantity": "float64",
                "price": "float64",
                "value": "float64",
            }
        ).astype(dict.fromkeys((*TEXTS, "query", "request_id", "context"), "str"))
        rows["occurred_at"] = pd.to_datetime(rows["occurred_at"], utc=True).dt.as_unit("us")
    return rows, errors


def _plain(value: Any) -> Any:
    """A NumPy or pandas scalar as the Python value the rule book knows."""
    if isinstance(value, pd.Timestamp):
        return value.to_pydatetime()
    return value.item() if isinstance(value, np.generic) else value
