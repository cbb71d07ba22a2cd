"""Columns out of CSV, gzipped CSV, Parquet and frames, checked value by value. Pure: imports no Django.

What can't be read is an InvalidInput that names the option, the value with its line, and the remedy.
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from apps.core.errors import InvalidInput, shorten
from apps.experiments.file_options import listed

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]
Source = Path | str | pd.DataFrame

MISSING = pa.array(["", "na", "n/a", "nan", "null", "none", "-nan"])
YES, NO = {"true", "yes", "t", "y"}, {"false", "no", "f", "n"}
SEPARATORS = ",;\t|"
LARGEST = 1e100  # squares and their sums stay numbers
HEADER_AT_MOST = 1_000_000


def columns_of(source: Source) -> list[str]:
    """The column names of a file or frame. Raises InvalidInput for what can't be read or is empty."""
    if isinstance(source, pd.DataFrame):
        return [str(name) for name in source.columns]
    path = _path(source)
    if _starts(path) == b"PAR1":
        return [str(name) for name in _parquet(path).schema_arrow.names]
    return _header(path)[0]


def table_read(source: Source, columns: Iterable[str], *, bytes_at_most: int | None = None) -> pa.Table:
    """Those columns as a table; of CSV all as text, so that each reader below can name a bad value.

    bytes_at_most: of the unpacked file, for uploads: a few megabytes can hold gigabytes of zeros. Raises
    InvalidInput when the file can't be read, is larger, has no rows, or names one of the columns twice.
    """
    wanted = list(dict.fromkeys(columns))
    there = columns_of(source)
    for name in wanted:
        if there.count(name) > 1:
            raise InvalidInput(field="csv", value=name, remedy="The file has several columns of this name.")
    if isinstance(source, pd.DataFrame):
        frame = source[wanted].copy()
        try:
            table = pa.Table.from_pandas(frame, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError):  # values of several types in one column
            table = pa.Table.from_pandas(frame.astype("string"), preserve_index=False)
    elif _starts(path := _path(source)) == b"PAR1":
        file = _parquet(path)
        groups = (file.metadata.row_group(at) for at in range(file.num_row_groups))
        _size_check(path, sum(group.total_byte_size for group in groups), bytes_at_most)
        table = file.read(columns=wanted)
    else:
        _size_check(path, _unpacked(path, bytes_at_most), bytes_at_most)
        table = _csv_read(path, wanted)
    if not table.num_rows:
        raise InvalidInput(
            field="csv", value=_told(source), remedy="The file holds no rows below its header."
        )
    return table


def column_check(field: str, name: str, there: Sequence[str]) -> None:
    """Refuse a column that the file does not have."""
    if name not in there:
        remedy = f"The file has no such column. It has: {listed(there)}."
        raise InvalidInput(field=field, value=name, remedy=remedy)


def labels(table: pa.Table, column: str) -> tuple[Codes, list[str]]:
    """Codes and their texts, in the order of appearance. Code -1: the cell is empty. Texts are trimmed."""
    codes, names = _encoded(table, column)
    return codes, names.to_pylist()


def codes(table: pa.Table, column: str) -> tuple[Codes, int]:
    """Codes as of `labels`, and how many there are: for units, whose names nobody asks."""
    found, names = _encoded(table, column)
    return found, len(names)


def _encoded(table: pa.Table, column: str) -> tuple[Codes, Any]:
    text = _do("utf8_trim_whitespace", _text(table.column(column)))
    text = _do("if_else", _do("equal", text, pa.scalar("")), pa.scalar(None, pa.string()), text)
    encoded = text.combine_chunks().dictionary_encode()
    found = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return found, encoded.dictionary


def numbers(
    table: pa.Table, column: str, *, field: str, yes_no: bool = False
) -> tuple[Floats, NDArray[np.bool_]]:
    """Values as float64 with NaN where a cell is empty, and where that is. yes_no: takes true and false too.

    Raises InvalidInput for text, and for infinite values and those beyond LARGEST.
    """
    array = table.column(column)
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    if not (
        pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_decimal(array.type)
    ):
        array = _numbers_of_text(_text(array), column, field=field, yes_no=yes_no)
    values = array.cast(pa.float64(), safe=False).to_numpy().astype(np.float64, copy=True)
    endless = np.abs(values) > LARGEST
    if endless.any():
        row = int(np.argmax(endless))
        raise _bad_value(field, column, row, values[row], "Mend or remove infinite and huge values.")
    return values, np.isnan(values)


def days(table: pa.Table, column: str) -> Floats:
    """The day of each row as a number, NaN where none can be read. Only differences of days have a meaning.

    Dates and times as text count by the date as written (2026-03-01T23:59+01:00 is the first of March), plain
    numbers below 100,000 are days, larger ones seconds or milliseconds since 1970.
    """
    array = table.column(column)
    if pa.types.is_date(array.type) or pa.types.is_timestamp(array.type):
        if pa.types.is_timestamp(array.type) and array.type.tz:
            array = _do("local_timestamp", array)
        days32 = array.cast(pa.date32(), safe=False).combine_chunks().cast(pa.int32())
        return days32.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
    at, names = labels(table, column)
    known = np.array([_day(name) for name in names] + [np.nan], dtype=np.float64)
    return known[at]


def _day(text: str) -> float:
    """The day of one text."""
    try:
        number = float(text)
    except ValueError:
        day = _ordinal(text[:10].strip())
        return _ordinal(text) if np.isnan(day) else day
    if not np.isfinite(number):
        return np.nan
    if number < 100_000:
        return number
    if len(text) == 8:  # 20260301
        return _ordinal(f"{text[:4]}-{text[4:6]}-{text[6:]}")
    return float(number // (86_400 if number < 1e11 else 86_400_000))


def _ordinal(text: str) -> float:
    """The number of the day that a text names, NaN for none."""
    stamp = pd.to_datetime(text, errors="coerce")
    return float(stamp.toordinal()) if isinstance(stamp, pd.Timestamp) else np.nan


def _text(array: Any) -> Any:
    """A column as text: whole numbers without ".0", so that 1 and 1.0 are the same variant."""
    if pa.types.is_dictionary(array.type):
        array = array.cast(array.type.value_type)
    if pa.types.is_floating(array.type):
        array = _do("if_else", _do("is_nan", array), pa.scalar(None, array.type), array)
        if _do("all", _do("equal", array, _do("floor", array))).as_py() is not False:
            array = array.cast(pa.int64())
    if pa.types.is_nested(array.type) or pa.types.is_binary(array.type):
        array = pa.chunked_array([pa.array([None if one is None else str(one) for one in array.to_pylist()])])
    return array.cast(pa.string())


def _numbers_of_text(array: Any, column: str, *, field: str, yes_no: bool) -> Any:
    """Text as float64, null where a cell says that nothing is known."""
    array = _do("utf8_trim_whitespace", array)
    try:
        return pc.cast(array, pa.float64())
    except pa.ArrowInvalid:
        lower = _do("utf8_lower", array)
        missing = pc.call_function("is_in", [lower], pc.SetLookupOptions(value_set=MISSING))
        array = _do("if_else", missing, pa.scalar(None, pa.string()), array)
    try:
        return pc.cast(array, pa.float64())
    except pa.ArrowInvalid:
        return pa.array(_one_by_one(array, column, field=field, yes_no=yes_no), type=pa.float64())


def _one_by_one(array: Any, column: str, *, field: str, yes_no: bool) -> list[float | None]:
    """The slow way, which knows the row of what it can't read."""
    values: list[float | None] = []
    for row, text in enumerate(array.to_pylist()):
        word = None if text is None else text.lower()
        if word is None:
            values.append(None)
        elif yes_no and word in YES | NO:
            values.append(float(word in YES))
        else:
            try:
                values.append(float(text.replace("_", "?")))
            except ValueError:
                remedy = "Write 0 or 1." if yes_no else "Write plain numbers with a point, such as 1234.5."
                raise _bad_value(field, column, row, text, remedy) from None
    return values


def bad_row(field: str, column: str, wrong: NDArray[np.bool_], values: Floats, remedy: str) -> InvalidInput:
    """The error for the first row where `wrong` is True."""
    row = int(np.argmax(wrong))
    return _bad_value(field, column, row, f"{values[row]:g}", remedy)


def _bad_value(field: str, column: str, row: int, value: Any, remedy: str) -> InvalidInput:
    return InvalidInput(
        field=field, value=f"{column} = {shorten(value, 30)}", remedy=f"Row {row + 1}: {remedy}"
    )


def _do(name: str, *values: Any) -> Any:
    """One of Arrow's compute functions, by its name."""
    return pc.call_function(name, list(values))


def _path(source: Path | str) -> Path:
    path = Path(source)
    if not path.is_file():
        raise InvalidInput(field="csv", value=source, remedy="There is no such file.")
    if not path.stat().st_size:
        raise InvalidInput(field="csv", value=path.name, remedy="The file is empty.")
    return path


def _told(source: Source) -> str:
    return "table" if isinstance(source, pd.DataFrame) else Path(source).name


def _starts(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4)


def _parquet(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except pa.ArrowException as error:
        raise InvalidInput(
            field="csv", value=path.name, remedy=f"Not a Parquet file we can read: {error}"
        ) from error


def _open(path: Path) -> io.BufferedIOBase:
    return gzip.open(path, "rb") if _packed(path) else path.open("rb")


def _packed(path: Path) -> bool:
    return _starts(path)[:2] == b"\x1f\x8b"


def _header(path: Path) -> tuple[list[str], str]:
    """The names in the first line, and what separates them: the separator that is there most often."""
    try:
        with _open(path) as file:
            line = file.readline(HEADER_AT_MOST).decode("utf-8-sig").strip("\r\n")
    except UnicodeDecodeError as error:
        raise InvalidInput(
            field="csv", value=path.name, remedy="Save it as CSV in UTF-8, or as Parquet."
        ) from error
    except (OSError, EOFError) as error:
        raise InvalidInput(field="csv", value=path.name, remedy=f"It can't be read: {error}.") from error
    if not line.strip():
        raise InvalidInput(field="csv", value=path.name, remedy="The first line must name the columns.")
    if "\0" in line:
        raise InvalidInput(field="csv", value=path.name, remedy="Save it as CSV in UTF-8, or as Parquet.")
    separator = max(SEPARATORS, key=line.count)
    return next(csv.reader([line], delimiter=separator)), separator


def _unpacked(path: Path, bytes_at_most: int | None) -> int:
    """How large a file is unpacked; of a packed one no more is read than tells that it is too large."""
    if bytes_at_most is None or not _packed(path):
        return path.stat().st_size
    size = 0
    try:
        with _open(path) as file:
            while size <= bytes_at_most and (part := file.read(1_000_000)):
                size += len(part)
    except (OSError, EOFError) as error:
        raise InvalidInput(field="csv", value=path.name, remedy=f"It can't be read: {error}.") from error
    return size


def _size_check(path: Path, size: int, bytes_at_most: int | None) -> None:
    if bytes_at_most is not None and size > bytes_at_most:
        remedy = (
            f"Unpacked it is larger than {bytes_at_most / 1e6:,.0f} MB. Use manage.py analyze_experiment."
        )
        raise InvalidInput(field="csv", value=path.name, remedy=remedy)


def _csv_read(path: Path, columns: list[str]) -> pa.Table:
    names, separator = _header(path)
    try:
        with _open(path) as file:
            return pacsv.read_csv(
                file,
                read_options=pacsv.ReadOptions(column_names=names, skip_rows=1, block_size=8_000_000),
                parse_options=pacsv.ParseOptions(delimiter=separator, newlines_in_values=True),
                convert_options=pacsv.ConvertOptions(
                    include_columns=columns,
                    column_types={name: pa.string() for name in columns},
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
    except (pa.ArrowException, OSError, EOFError) as error:
        raise InvalidInput(
            field="csv", value=path.name, remedy=f"It can't be read as CSV: {error}"
        ) from error
