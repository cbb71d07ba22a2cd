"""pandas cleaning of product rows: what a feed may get wrong, column by column. No database.

Each cleaner takes a column of any kind and gives the clean one; rows it can't read are refused with field,
value and remedy. A refused row is left out as a whole: half a product is worse than none.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pandas as pd

from apps.core.errors import RowError, shorten

LIMITS = {
    "sku": 64,
    "title": 300,
    "category": 400,
    "brand": 120,
    "image_url": 500,
    "group_key": 64,
    "language": 10,
}
MAX_DESCRIPTION = 100_000
MAX_CATEGORY_NAME = 120
MAX_PRICE = 10_000_000_000.0
MAX_STOCK = 2_147_483_647
SYMBOLS = {"£": "GBP", "€": "EUR", "$": "USD", "¥": "JPY", "￥": "CNY", "₹": "INR", "₽": "RUB", "zł": "PLN"}
LANGUAGE_COLUMN = re.compile(r"(title|description)_([a-z]{2}(?:_[a-z0-9]{2,8})?)")
Mask = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(slots=True)
class Cleaning:
    """A frame on its way from raw to clean: clean columns in `out`, refusals by row in `problems`.

    given: which cells were named at all (bool, a column per field); a cell that was not is not complained of.
    """

    frame: pd.DataFrame
    zone: ZoneInfo
    out: pd.DataFrame
    problems: dict[int, tuple[str, str, str]] = field(default_factory=dict)
    given: pd.DataFrame | None = None

    def refuse(self, bad: Mask, name: str, values: "pd.Series[Any]", remedy: str) -> None:
        """Refuse the rows where `bad`; the first complaint about a row is the one reported."""
        if self.given is not None:
            named = self.given[name].to_numpy(dtype=bool) if name in self.given else np.zeros_like(bad)
            bad = bad & named
        for place in np.flatnonzero(bad):
            self.problems.setdefault(int(place), (name, shorten(values.iloc[place]), remedy))


def text_of(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """The column as stripped text; missing values become ""."""
    if pd.api.types.is_float_dtype(column.dtype):
        whole = column.dropna()
        if (whole == whole.round()).all():  # 1234.0 was the number 1234 in the file
            column = column.astype("Int64")
    if column.dtype == object:
        column = column.map(lambda value: value if isinstance(value, str) else str(value), na_action="ignore")
    return column.astype("str").fillna("").str.strip()


def numbers_of(column: "pd.Series[Any]") -> tuple["pd.Series[Any]", "pd.Series[Any]", Mask]:
    """Amounts from numbers or text: (float64 with NaN for blank, currency code found beside, unreadable).

    Text may carry a currency sign or code, thousands marks and a decimal comma. Whether a lone comma is a
    decimal one is decided for the whole column; `1,234` in a column of decimal commas is unreadable.
    """
    found = pd.Series("", index=column.index, dtype="str")
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        numbers = column.astype("float64")
        return numbers, found, np.isinf(numbers.to_numpy())
    text = text_of(column)
    for sign, code in SYMBOLS.items():
        found = found.mask(text.str.contains(sign, regex=False), code)
        text = text.str.replace(sign, "", regex=False)
    codes = text.where(text.str.contains(r"\d", regex=True), "").str.extract(
        r"^([A-Za-z]{3})\s|\s?([A-Za-z]{3})$"
    )
    named = codes[0].fillna(codes[1]).fillna("").str.upper()
    found = found.mask((found == "") & (named != ""), named)
    text = text.str.replace(r"^[A-Za-z]{3}\s(?=.*\d)|(?<=\d)\s?[A-Za-z]{3}$", "", regex=True)
    text = text.str.replace(r"[\s'’\u00a0\u202f]", "", regex=True)
    commas = text.str.contains(r",\d{1,2}$", regex=True) & ~text.str.contains(r"\.\d{1,2}$", regex=True)
    decimal_commas = bool(commas.any()) and not bool(
        text.str.contains(r"^-?[\d,]*\.\d{1,2}$", regex=True).any()
    )
    both = text.str.contains(".", regex=False) & text.str.contains(",", regex=False)
    comma_last = text.str.rfind(",") > text.str.rfind(".")
    as_comma = (both & comma_last) | (~both & commas)
    ambiguous = text.str.fullmatch(r"-?\d{1,3},\d{3}") & decimal_commas
    plain = text.where(~as_comma, text.str.replace(".", "", regex=False).str.replace(",", ".", regex=False))
    plain = plain.where(as_comma, plain.str.replace(",", "", regex=False))
    numbers = pd.to_numeric(plain, errors="coerce").astype("float64")
    bad: Mask = ((text != "") & numbers.isna() | ambiguous | np.isinf(numbers)).to_numpy(dtype=bool)
    return numbers, found, bad


def _texts(work: Cleaning) -> None:
    for name in ("sku", "title", "brand", "group_key", "image_url", "description"):
        if name not in work.frame.columns:
            continue
        text = work.out[name] = text_of(work.frame[name])
        limit = LIMITS.get(name, MAX_DESCRIPTION)
        work.refuse(
            (text.str.len() > limit).to_numpy(dtype=bool), name, text, f"Write at most {limit} characters."
        )
        if name in ("sku", "title"):
            work.refuse((text == "").to_numpy(dtype=bool), name, text, f"Every product needs a {name}.")
    if "image_url" in work.out:
        url = work.out["image_url"]
        scheme = url.str.extract(r"^([A-Za-z][A-Za-z0-9+.-]*):", expand=False).fillna("").str.lower()
        bad = ~scheme.isin(["", "http", "https"])
        work.refuse(bad.to_numpy(dtype=bool), "image_url", url, "Write an address that starts with https://.")


def _languages(work: Cleaning) -> None:
    if "language" in work.frame.columns:
        code = (
            text_of(work.frame["language"]).str.lower().str.replace("_", "-", regex=False).replace("", "en")
        )
        bad = ~code.str.fullmatch(r"[a-z]{2,3}(-[a-z0-9]{2,8})?")
        work.refuse(
            bad.to_numpy(dtype=bool), "language", code, "Write a language code such as en or zh-hans."
        )
        work.out["language"] = code
    for name in work.frame.columns:
        if LANGUAGE_COLUMN.fullmatch(str(name)):
            text = work.out[name] = text_of(work.frame[name])
            limit = LIMITS["title"] if name.startswith("title") else MAX_DESCRIPTION
            too_long = (text.str.len() > limit).to_numpy(dtype=bool)
            work.refuse(too_long, name, text, f"Write at most {limit} characters.")


def _category(work: Cleaning) -> None:
    if "category" not in work.frame.columns:
        return
    raw = text_of(work.frame["category"])
    paths: dict[str, str] = {}
    for value in raw.unique():
        parts = [" ".join(part.split()) for part in re.split(r"\s*(?:>|›|»|\|)\s*", value)]
        paths[value] = " > ".join(part for part in parts if part)
    path = work.out["category"] = raw.map(paths).astype("str")
    longest = path.map({p: max((len(part) for part in p.split(" > ")), default=0) for p in path.unique()})
    bad = (path.str.len() > LIMITS["category"]) | (longest > MAX_CATEGORY_NAME)
    remedy = f"Write a path like Home > Kitchen > Mugs, at most {LIMITS['category']} characters."
    work.refuse(bad.to_numpy(dtype=bool), "category", raw, remedy)


def _money(work: Cleaning) -> None:
    found = pd.Series("", index=work.frame.index, dtype="str")
    for name in ("price", "list_price", "cost"):
        if name not in work.frame.columns:
            continue
        numbers, beside, bad = numbers_of(work.frame[name])
        work.refuse(bad, name, work.frame[name], "Write a number like 1234.50.")
        work.refuse((numbers < 0).to_numpy(), name, work.frame[name], "Write 0 or more.")
        work.refuse(
            (numbers >= MAX_PRICE).to_numpy(), name, work.frame[name], "Write less than 10,000,000,000."
        )
        work.out[name] = numbers.round(2)
        found = found.where(found != "", beside)
    if "currency" in work.frame.columns or bool((found != "").any()):
        code = text_of(work.frame["currency"]).str.upper() if "currency" in work.frame.columns else found
        code = code.replace({sign.upper(): name for sign, name in SYMBOLS.items()})
        code = code.where(code != "", found)
        bad_code = (code != "") & ~code.str.fullmatch("[A-Z]{3}")
        work.refuse(bad_code.to_numpy(dtype=bool), "currency", code, "Write an ISO code such as EUR or GBP.")
        unlike = (found != "") & (code != found) & ~((code == "CNY") & (found == "JPY"))
        work.refuse(
            unlike.to_numpy(dtype=bool), "currency", code, "Price and currency name different currencies."
        )
        work.out["currency"] = code


def _stock(work: Cleaning) -> None:
    if "stock" not in work.frame.columns:
        return
    numbers, _currency, bad = numbers_of(work.frame["stock"])
    raw = work.frame["stock"]
    broken = bad | (numbers.notna() & (numbers != numbers.round())).to_numpy(dtype=bool)
    work.refuse(broken, "stock", raw, "Write a whole number, or leave it empty where stock is not counted.")
    work.refuse((numbers < 0).to_numpy(), "stock", raw, "Write 0 or more; 0 means sold out.")
    work.refuse((numbers > MAX_STOCK).to_numpy(), "stock", raw, f"Write at most {MAX_STOCK}.")
    work.out["stock"] = numbers.where(numbers.between(0, MAX_STOCK)).round().astype("Int64")


def moments_of(column: "pd.Series[Any]", zone: ZoneInfo) -> tuple["pd.Series[Any]", Mask]:
    """ISO dates and times as UTC (naive ones are in `zone`), and which could not be read."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        return column.dt.tz_convert("UTC").dt.as_unit("us"), np.zeros(len(column), dtype=bool)
    if pd.api.types.is_datetime64_dtype(column.dtype):
        local = column.dt.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
        return local.dt.tz_convert("UTC").dt.as_unit("us"), np.zeros(len(column), dtype=bool)
    text = text_of(column)
    offset = text.str.contains(r"(?:[Zz]|[+-]\d{2}:?\d{2})$", regex=True) & text.str.contains(
        ":", regex=False
    )
    aware = pd.to_datetime(text.where(offset, None), format="ISO8601", utc=True, errors="coerce")
    naive = pd.to_datetime(text.where(~offset & (text != ""), None), format="ISO8601", errors="coerce")
    local = naive.dt.tz_localize(zone, ambiguous=np.ones(len(naive), bool), nonexistent="shift_forward")
    moments = aware.dt.as_unit("us").fillna(local.dt.tz_convert("UTC").dt.as_unit("us"))
    bad: Mask = (moments.isna() & (text != "")).to_numpy(dtype=bool)
    return moments, bad


def _dates(work: Cleaning) -> None:
    for name in ("available_from", "available_until", "created_at"):
        if name in work.frame.columns:
            moments, bad = moments_of(work.frame[name], work.zone)
            work.refuse(bad, name, work.frame[name], "Write a date like 2026-12-31 or 2026-12-31T18:00:00Z.")
            work.out[name] = moments
    if {"available_from", "available_until"} <= set(work.out.columns):
        before = (work.out["available_until"] <= work.out["available_from"]).to_numpy(dtype=bool)
        remedy = "Let available_until lie after available_from."
        work.refuse(before, "available_until", work.frame["available_until"], remedy)


def _attributes(work: Cleaning) -> None:
    if "attributes" not in work.frame.columns:
        return
    encoded: list[str] = []
    bad = np.zeros(len(work.frame), dtype=bool)
    for place, value in enumerate(work.frame["attributes"].astype(object)):
        text = attributes_json(value)
        bad[place] = text is None
        encoded.append(text or "{}")
    work.refuse(bad, "attributes", work.frame["attributes"], 'Write a JSON object like {"colour": "red"}.')
    work.out["attributes"] = pd.Series(encoded, index=work.frame.index, dtype="str")


def attributes_json(value: Any) -> str | None:
    """A dict, or text holding a JSON object, as JSON text with sorted keys; None when it is neither."""
    if value is None or value == "" or (isinstance(value, float) and value != value) or value is pd.NA:
        return "{}"
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
    if not isinstance(value, dict):
        return None
    try:
        option = orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
        text = orjson.dumps(value, option=option).decode()
    except (TypeError, orjson.JSONEncodeError):
        return None
    return None if "\\u0000" in text else text


def _repeats(work: Cleaning) -> None:
    sku = work.out["sku"]
    again = sku.duplicated() & (sku != "")
    if again.any():
        firsts = dict(zip(reversed(sku.tolist()), reversed(work.out["line"].tolist()), strict=True))
        for place in np.flatnonzero(again):
            line = firsts[sku.iloc[place]]
            work.problems.setdefault(
                int(place),
                ("sku", shorten(sku.iloc[place]), f"The sku is on line {line} already; keep one of the two."),
            )


STEPS: tuple[Callable[[Cleaning], None], ...] = (
    _texts, _languages, _category, _money, _stock, _dates, _attributes, _repeats,
)  # fmt: skip


def products_clean(
    *, frame: pd.DataFrame, zone: ZoneInfo, given: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, list[RowError]]:
    """Clean a products frame (columns as in catalog.services): the good rows, typed, and the refused ones.

    Only columns that came in go out, plus `line` (the given one, or the row's place from 1). Cleaning a clean
    frame changes nothing. Naive dates are in `zone`. `given`: which cells count (bool, same rows); all unless
    given.
    """
    frame = frame.reset_index(drop=True)
    out = pd.DataFrame(index=frame.index)
    out["line"] = frame["line"].astype("int64") if "line" in frame.columns else np.arange(1, len(frame) + 1)
    if "title" not in frame.columns:
        frame = frame.assign(title="")
    if "sku" not in frame.columns:
        frame = frame.assign(sku="")
    work = Cleaning(frame=frame, zone=zone, out=out, given=given)
    for step in STEPS:
        step(work)
    for name in out.columns:
        if isinstance(out[name].dtype, pd.StringDtype) and name != "attributes":
            bad = out[name].str.contains("\0", regex=False).to_numpy(dtype=bool)
            work.refuse(
                bad, str(name), out[name].str.replace("\0", "\\0", regex=False), "Remove the NUL character."
            )
    keep = np.ones(len(frame), dtype=bool)
    keep[list(work.problems)] = False
    lines = out["line"].to_numpy()
    errors = [RowError(int(lines[place]), *work.problems[place]) for place in sorted(work.problems)]
    return out.loc[keep].reset_index(drop=True), errors
