"""Downloadable reports of refused rows: CSV that a spreadsheet opens without running anything."""

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from django.conf import settings

from apps.core import clock
from apps.core.errors import NotFound, RowError
from apps.core.spreadsheets import cell_safe

COLUMNS = ["line", "field", "value", "remedy"]


def reports_dir() -> Path:
    """The folder of this shop's reports."""
    return Path(settings.SHOP_DIR) / "reports"


def errors_frame(errors: Iterable[RowError]) -> pd.DataFrame:
    """Refused rows as a frame, by line."""
    rows = [(error.line, error.field, error.value, error.remedy) for error in errors]
    return pd.DataFrame(rows, columns=COLUMNS).sort_values("line", kind="stable", ignore_index=True)


def report_write(*, frame: pd.DataFrame, name: str) -> Path:
    """Write a report as CSV (UTF-8 with a mark, so that spreadsheets read it right) and return its path."""
    stem = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "report"
    place = reports_dir() / f"{stem[:60]}-{clock.now():%Y%m%d-%H%M%S-%f}.csv"
    place.parent.mkdir(parents=True, exist_ok=True)
    safe = frame.copy()
    for column in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[column].dtype):
            safe[column] = safe[column].astype(object).map(cell_safe)
    safe.to_csv(place, index=False, encoding="utf-8-sig")
    return place


def report_find(path: str) -> Path:
    """The file of a stored report path; NotFound when it is gone or lies outside the shop's reports."""
    place = Path(path)
    if not path or not place.resolve().is_relative_to(reports_dir().resolve()) or not place.is_file():
        raise NotFound("The report is not there any more. Import the file again to get a new one.")
    return place
