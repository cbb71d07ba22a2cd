"""A checked event as one line of Postgres' COPY text format: written once at the door, never parsed again.

The line goes through the inbox as it is and is copied into the stage by `ingest`. Entries of the stream name
the format (FORMAT), so that a consumer of a later version still knows what an older process wrote.
"""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

FORMAT = "lines1"
# What a dedupe and a look at the sender's rate need comes first, what may be rewritten last.
COLUMNS = {
    "client_event_id": "text",
    "shopper": "text",
    "session": "text",
    "kind_id": "bigint",
    "mood": "smallint",
    "occurred_at": "timestamptz",
    "sku": "text",
    "quantity": "double precision",
    "price": "numeric(12, 2)",
    "value": "double precision",
    "channel": "text",
    "request_id": "uuid",
    "query": "text",
    "context": "jsonb",
    "anonymous": "text",
    "received_at": "timestamptz",
    "source": "text",
    "bot": "boolean",
}
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_SPECIAL = re.compile(r"[\\\t\n\r]")
NULL = "\\N"


def _text(value: str) -> str:
    return value.translate(_ESCAPES) if _SPECIAL.search(value) else value


def line_of(row: dict[str, Any], *, received_at: str, source: str) -> bytes:
    """The line of one checked row (`validation.event_check`), without the line's end."""
    price, value, context = row["price"], row["value"], row["context"]
    return "\t".join(
        (
            _text(row["client_event_id"]),
            _text(row["shopper"]),
            _text(row["session"]),
            str(row["kind_id"]),
            str(row["mood"]),
            row["occurred_at"].isoformat(),
            _text(row["sku"]),
            str(row["quantity"]),
            NULL if price is None else str(price),
            NULL if value is None else str(value),
            _text(row["channel"]),
            row["request_id"] or NULL,
            _text(row["query"]),
            NULL if context is None else _text(context),
            _text(row["anonymous"]),
            received_at,
            _text(source),
            "t" if row["bot"] else "f",
        )
    ).encode()


def lines_of(rows: Iterable[dict[str, Any]], *, received_at: datetime, source: str) -> list[bytes]:
    """The lines of checked rows received together."""
    moment = received_at.isoformat()
    return [line_of(row, received_at=moment, source=source) for row in rows]


def id_of(line: bytes) -> bytes:
    """The client event id of a line, as written there (escaped)."""
    return line[: line.index(b"\t")]


def key_of(line: bytes) -> bytes:
    """The row of the key table that claims a line's event: id and moment."""
    parts = line.split(b"\t", 6)
    return parts[0] + b"\t" + parts[5]
