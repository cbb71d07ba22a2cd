"""Cells of the CSV files we hand out, so that a spreadsheet opens them without running anything."""

import re
from typing import Any

# A cell that starts so is a formula to a spreadsheet; plain negative numbers are not.
FORMULA = re.compile(r"^\s*[=+\-@\t\r]")
NUMBER = re.compile(r"^[+-]?\d+([.,]\d+)*$")


def cell_safe(value: Any) -> Any:
    """`value` for a CSV cell: text that a spreadsheet would run gets an apostrophe before it.

    A list or an object is written out as text anyway, and may begin as somebody's input does.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    if FORMULA.match(text) and not NUMBER.match(text):
        return f"'{text}"
    return value
