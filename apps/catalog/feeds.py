"""Product feeds: a file of any sane shape into the products frame. pandas, no writes.

CSV (any usual encoding and separator), JSON lines (or one JSON array) and Parquet. Columns are known by many
names; unknown ones become attributes. What can't be read is refused row by row, never silently dropped.
"""

import csv
import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from apps.catalog.cleaning import LANGUAGE_COLUMN, products_clean
from apps.core.errors import InvalidInput, RowError, shorten

FORMATS = ("csv", "jsonl", "parquet")
SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
COLUMNS = frozenset(
    {
        "sku", "title", "description", "language", "category", "brand", "price", "list_price", "currency",
        "cost", "stock", "image_url", "attributes", "group_key", "available_from", "available_until",
        "created_at",
    }
)  # fmt: skip
ALIASES = {
    "id": "sku", "product_id": "sku", "item_id": "sku", "article": "sku", "article_number": "sku",
    "code": "sku",
    "name": "title", "product_name": "title", "product_title": "title",
    "long_description": "description", "body": "description", "lang": "language", "locale": "language",
    "category_path": "category", "categories": "category", "product_type": "category",
    "google_product_category": "category", "manufacturer": "brand", "vendor": "brand", "supplier": "brand",
    "sale_price": "price", "unit_price": "price",
    "was_price": "list_price", "compare_at_price": "list_price", "rrp": "list_price", "msrp": "list_price",
    "regular_price": "list_price", "original_price": "list_price",
    "currency_code": "currency", "cost_price": "cost",
    "cost_of_goods_sold": "cost", "quantity": "stock", "qty": "stock", "inventory": "stock",
    "stock_quantity": "stock", "image": "image_url", "image_link": "image_url", "picture": "image_url",
    "item_group_id": "group_key", "parent_sku": "group_key", "start_date": "available_from",
    "end_date": "available_until", "date_added": "created_at",
    "货号": "sku", "商品编号": "sku", "标题": "title", "商品名称": "title", "名称": "title",
    "描述": "description", "类目": "category", "分类": "category", "品牌": "brand", "价格": "price",
    "原价": "list_price", "币种": "currency", "成本": "cost", "库存": "stock", "图片": "image_url",
}  # fmt: skip
SEPARATORS = ",;\t|"
csv.field_size_limit(10_000_000)


@dataclass(frozen=True, slots=True)
class ParsedFeed:
    """A feed as read: `frame` holds the good rows, clean (columns of product_upsert_many and `line`)."""

    frame: pd.DataFrame
    errors: list[RowError]
    rows: int
    format: str
    encoding: str = ""
    separator: str = ""
    columns: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Raw:
    frame: pd.DataFrame
    errors: list[RowError]
    rows: int
    encoding: str = ""
    separator: str = ""


def feed_parse(*, path: Path, format: str = "", zone: ZoneInfo | None = None) -> ParsedFeed:
    """Read and clean a feed. `format` is guessed from the file's name; naive dates are in `zone`.

    `columns` of the answer tells what each column of the file was taken for. Raises InvalidInput when the
    file as a whole can't be read, or has no column for sku or title.
    """
    kind = format or format_guess(path.name)
    if kind not in FORMATS:
        raise InvalidInput(field="format", value=kind, remedy=f"Choose one of {', '.join(FORMATS)}.")
    raw = READERS[kind](path)
    frame, names = columns_map(raw.frame)
    for needed in ("sku", "title"):
        if needed not in frame.columns:
            found = ", ".join(str(name) for name in raw.frame.columns if name != "line") or "none"
            raise InvalidInput(
                field="columns",
                value=shorten(found, 200),
                remedy=f"Add a column named {needed} (found: {found}).",
            )
    clean, errors = products_clean(frame=frame, zone=zone or ZoneInfo("UTC"))
    return ParsedFeed(
        frame=clean,
        errors=sorted([*raw.errors, *errors], key=lambda error: error.line),
        rows=raw.rows,
        format=kind,
        encoding=raw.encoding,
        separator=raw.separator,
        columns=names,
    )


def format_guess(file_name: str) -> str:
    """The format a file's name promises; raises InvalidInput when it promises none."""
    suffix = Path(file_name.lower()).suffix
    if suffix not in SUFFIXES:
        remedy = f"Name the format ({', '.join(FORMATS)}), or give the file one of {', '.join(SUFFIXES)}."
        raise InvalidInput(field="file", value=file_name, remedy=remedy)
    return SUFFIXES[suffix]


def column_key(name: str) -> str:
    """A header as we compare it: `Image URL`, `image-url` and `image_url` are the same."""
    return re.sub(r"[\s\-.]+", "_", str(name).strip().strip("\ufeff").lower()).strip("_")


def columns_map(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Known columns under our names, all others folded into `attributes`; and what each was taken for."""
    given = frame
    frame = sale_prices_apply(frame)
    taken: dict[str, str] = {"line": "line"} if "line" in frame.columns else {}
    rest: list[str] = []
    by_key = {name: column_key(name) for name in frame.columns if name != "line"}
    # A column with our own name wins over an alias, and the first alias over later ones.
    for exact in (True, False):
        for name, key in by_key.items():
            ours = key if exact else ALIASES.get(key, "")
            known = ours in COLUMNS or bool(LANGUAGE_COLUMN.fullmatch(ours))
            if known and ours not in taken.values() and name not in taken:
                taken[name] = ours
    rest = [name for name in by_key if name not in taken]
    out = frame[list(taken)].rename(columns=taken)
    if rest:
        out["attributes"] = _attributes(frame, rest, out.get("attributes"))
    names = {name: ours for name, ours in taken.items() if name != "line" and name in given.columns}
    names |= {name: "price" for name in given.columns if name not in frame.columns}
    return out, names | {name: f"attributes.{attribute_name(name)}" for name in rest}


def sale_prices_apply(frame: pd.DataFrame) -> pd.DataFrame:
    """A feed with a price and a sale price beside it: where the latter is filled it is the price, and the
    former what it was before.
    """
    by_key = {column_key(str(name)): name for name in frame.columns}
    if not {"price", "sale_price"} <= set(by_key) or "list_price" in by_key:
        return frame
    price, sale = frame[by_key["price"]].astype(object), frame[by_key["sale_price"]].astype(object)
    filled = ~sale.map(_blank)
    out = frame.drop(columns=[by_key["sale_price"]])
    out[by_key["price"]] = price.where(~filled, sale)
    out["list_price"] = price.where(filled, None)
    return out


def attribute_name(column: str) -> str:
    """The attribute an unknown column becomes."""
    return str(column).strip().removeprefix("attr_").removeprefix("attributes.")


def _attributes(frame: pd.DataFrame, names: list[str], given: "pd.Series[Any] | None") -> list[Any]:
    """Per row the unknown columns' filled cells, over the object in the attributes column if that is one."""
    columns = {attribute_name(name): frame[name].astype(object).tolist() for name in names}
    out: list[Any] = []
    start: list[Any] = [None] * len(frame) if given is None else given.astype(object).tolist()
    for place, base in enumerate(start):
        if isinstance(base, str) and base.strip():
            try:
                base = orjson.loads(base)
            except orjson.JSONDecodeError:
                out.append(base)  # the cleaning refuses it
                continue
        extra = {key: values[place] for key, values in columns.items() if not _blank(values[place])}
        out.append({**base, **extra} if isinstance(base, dict) else extra)
    return out


def _blank(value: Any) -> bool:
    return (
        value is None
        or value is pd.NA
        or value is pd.NaT
        or value != value
        or (isinstance(value, str) and not value.strip())
    )


def text_decode(data: bytes) -> tuple[str, str]:
    """(text, encoding) of bytes: by their mark, else UTF-8, else Chinese GB18030, else Windows-1252."""
    if data.startswith(b"\xef\xbb\xbf"):
        return data.decode("utf-8-sig", "replace"), "utf-8-sig"
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace"), "utf-16"
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        pass
    pairs = re.findall(rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]", data)
    # Common Chinese characters lead with B0 to D7, punctuation with A1 to A3; accents of Western text do not.
    common = sum(b"\xa1" <= pair[:1] <= b"\xa3" or b"\xb0" <= pair[:1] <= b"\xd7" for pair in pairs)
    if pairs and common >= 0.8 * len(pairs):
        try:
            return data.decode("gb18030"), "gb18030"
        except UnicodeDecodeError:
            pass
    return data.decode("cp1252", "replace"), "cp1252"


def separator_guess(text: str) -> str:
    """The separator that cuts the header into the most columns."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", header)
    return max(SEPARATORS, key=lambda separator: (bare.count(separator), -SEPARATORS.index(separator)))


def _csv_read(path: Path) -> _Raw:
    text, encoding = text_decode(path.read_bytes())
    separator = separator_guess(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    errors: list[RowError] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    header: list[str] | None = None
    count, line = 0, 1
    try:
        for cells in reader:
            begins, line = line, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _header_check(cells)
                continue
            count += 1
            if len(cells) != len(header):
                found = f"{len(cells)} cells"
                remedy = f"The header has {len(header)}; quote cells that hold the separator {separator!r}."
                errors.append(RowError(begins, "line", found, remedy))
                continue
            rows.append(cells)
            lines.append(begins)
    except csv.Error as error:
        remedy = f"Line {reader.line_num}: {error}. Save the file as CSV again."
        raise InvalidInput(field="file", value=path.name, remedy=remedy) from error
    if header is None:
        raise InvalidInput(
            field="file", value=path.name, remedy="The file is empty; give one with a header line."
        )
    frame = pd.DataFrame(rows, columns=header, dtype="str")
    frame["line"] = pd.Series(lines, dtype="int64")
    return _Raw(frame, errors, count, encoding, separator)


def _header_check(cells: list[str]) -> list[str]:
    names = [cell.strip().strip("\ufeff") or f"column {place}" for place, cell in enumerate(cells, start=1)]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated or "line" in names:
        value = ", ".join(sorted(repeated)) or "line"
        raise InvalidInput(
            field="columns", value=value, remedy="Give every column a name of its own, none of them line."
        )
    return names


def _jsonl_read(path: Path) -> _Raw:
    text, encoding = text_decode(path.read_bytes())
    rows: list[dict[str, Any]] = []
    errors: list[RowError] = []
    count = 0
    for line, value in _json_values(text, errors):
        count += 1
        if isinstance(value, dict):
            rows.append({str(key): cell for key, cell in value.items() if key != "line"} | {"line": line})
        elif not isinstance(value, RowError):
            errors.append(RowError(line, "line", shorten(value), "Write one JSON object a line."))
    frame = pd.DataFrame(rows) if rows else pd.DataFrame({"line": pd.Series(dtype="int64")})
    if not rows and not errors:
        raise InvalidInput(
            field="file", value=path.name, remedy="The file is empty; give one JSON object a line."
        )
    if not rows:
        frame = frame.assign(sku="", title="")
    return _Raw(frame, errors, count, encoding)


def _json_values(text: str, errors: list[RowError]) -> list[tuple[int, Any]]:
    """(line, value) of each line; or (place, value) of the elements where the file is one JSON array."""
    if text.lstrip().startswith("["):
        try:
            return list(enumerate(orjson.loads(text), start=1))
        except orjson.JSONDecodeError as error:
            raise InvalidInput(
                field="file", value=shorten(text), remedy=f"Mend the JSON array: {error}."
            ) from error
    values: list[tuple[int, Any]] = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            values.append((number, orjson.loads(line)))
        except orjson.JSONDecodeError as error:
            problem = RowError(
                number, "line", shorten(line.strip()), f"Write one JSON object a line: {error.msg}."
            )
            errors.append(problem)
            values.append((number, problem))
    return values


def _parquet_read(path: Path) -> _Raw:
    try:
        frame: pd.DataFrame = pq.read_table(path).to_pandas()
    except (pa.ArrowInvalid, OSError) as error:
        remedy = f"Give a readable Parquet file: {error}"
        raise InvalidInput(field="file", value=path.name, remedy=remedy) from error
    frame = frame.drop(columns=["line"], errors="ignore").reset_index(drop=True)
    frame["line"] = range(1, len(frame) + 1)
    return _Raw(frame, [], len(frame))


READERS: dict[str, Callable[[Path], _Raw]] = {
    "csv": _csv_read,
    "jsonl": _jsonl_read,
    "parquet": _parquet_read,
}
