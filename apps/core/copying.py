"""Whole frames into and out of Postgres by COPY."""

import io
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.csv
from django.db.backends.utils import CursorWrapper

BLOCK_BYTES = 1 << 20


def frame_copy_in(*, cursor: CursorWrapper, table: str, frame: pd.DataFrame) -> None:
    """COPY all columns of `frame`, by name, into `table`. Missing values become NULL, "" stays "".

    Arrow writes the CSV in C, a megabyte at a time: a row of twenty columns costs about a microsecond.
    """
    data = pa.Table.from_pandas(frame, preserve_index=False)
    names = ", ".join(data.column_names)
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="needed")
    step = max(1, int(BLOCK_BYTES * data.num_rows / max(data.nbytes, 1)))
    with cursor.copy(f"COPY {table} ({names}) FROM STDIN (FORMAT csv)") as copy:
        for start in range(0, data.num_rows, step):
            buffer = io.BytesIO()
            pyarrow.csv.write_csv(data.slice(start, step), buffer, options)
            copy.write(buffer.getvalue())


def table_copy_out(
    *, cursor: CursorWrapper, query: str, types: dict[str, Any], params: Any = None
) -> pa.Table:
    """The rows of `query` as an Arrow table with the given column types, through COPY TO (no row objects).

    The names and order of `types` must be those of the query's columns; NULL becomes null, also in text.
    """
    buffer = io.BytesIO()
    # Django's debugging cursor knows no COPY with parameters: use the driver's.
    with cursor.cursor.copy(f"COPY ({query}) TO STDOUT (FORMAT csv, FORCE_QUOTE *)", params) as copy:
        for block in copy:
            buffer.write(block)
    if not buffer.tell():
        return pa.table({name: pa.array([], type=kind) for name, kind in types.items()})
    buffer.seek(0)
    return pyarrow.csv.read_csv(
        buffer,
        read_options=pyarrow.csv.ReadOptions(column_names=list(types)),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=types,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        ),
    )
