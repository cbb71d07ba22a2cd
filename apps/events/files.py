"""Files of events as frames of a bounded size: CSV, JSON lines, Parquet."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from apps.core.errors import InvalidInput
from apps.events.frames import FIELDS

FRAME_ROWS = 100_000
TEXTS = [name for name in FIELDS if name not in ("quantity", "price", "value", "context", "bot")]
SUFFIXES = (".csv", ".jsonl", ".ndjson", ".parquet")


def event_frames(path: Path) -> Iterator[pd.DataFrame]:
    """The file's events in frames that `services.event_record_many` takes, with `line` (of the file, from 1).

    Columns are those of the events API; others are left out. Raises InvalidInput.
    """
    first = 2 if path.suffix == ".csv" else 1
    for frame in _frames(path):
        kept = frame[[name for name in FIELDS if name in frame.columns]].copy()
        if "occurred_at" in kept.columns and not isinstance(kept["occurred_at"].dtype, pd.DatetimeTZDtype):
            kept["occurred_at"] = pd.to_datetime(
                kept["occurred_at"], utc=True, format="ISO8601", errors="coerce"
            )
        if "context" in kept.columns:
            kept["context"] = kept["context"].map(_context, na_action="ignore")
        kept["line"] = range(first, first + len(kept))
        first += len(kept)
        yield kept


def _frames(path: Path) -> Iterator[pd.DataFrame]:
    if path.suffix not in SUFFIXES:
        raise InvalidInput(
            field="file", value=path.name, remedy=f"Name a file ending in {', '.join(SUFFIXES)}."
        )
    try:
        if path.suffix == ".csv":
            options = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(TEXTS, pa.string()))
            with pyarrow.csv.open_csv(path, convert_options=options) as reader:
                for batch in reader:
                    yield batch.to_pandas()
        elif path.suffix == ".parquet":
            for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=FRAME_ROWS):
                yield batch.to_pandas()
        else:
            texts = dict.fromkeys(TEXTS, "object")
            with pd.read_json(
                path, lines=True, chunksize=FRAME_ROWS, dtype=texts, convert_dates=False
            ) as reader:
                yield from reader
    except (OSError, ValueError) as error:  # Arrow's errors are ValueErrors
        raise InvalidInput(field="file", value=path.name, remedy=f"Mend the file: {error}") from error


def _context(value: object) -> object:
    """JSON text as the object it says; anything else is left for the rule book to refuse."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value) if value else None
    except ValueError:
        return value
