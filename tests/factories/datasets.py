"""Small files in the shape of the public data sets, with their traps."""

import csv
import gzip
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from recoportal.env import BASE_DIR

HEADER = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)
UK = "United Kingdom"


def shared_file(*parts: str) -> Path:
    """A file of the public data sets on this machine; skips the test where it is absent."""
    folder = Path(os.environ.get("RECOPORTAL_SHARED_DATA", "") or BASE_DIR.parent / "shared" / "data")
    place = folder.joinpath(*parts)
    if not place.is_file():
        pytest.skip(f"the public data set {'/'.join(parts)} is not on this machine (RECOPORTAL_SHARED_DATA)")
    return place


def line(
    invoice: str = "536365",
    code: str = "85123A",
    description: str = "WHITE HOLDER",
    quantity: str = "6",
    date: str = "2010-12-01 08:26:00",
    price: str = "2.55",
    customer: str = "17850.0",
    country: str = UK,
) -> tuple[str, ...]:
    """One line of an Online Retail file."""
    return (invoice, code, description, quantity, date, price, customer, country)


def online_retail_file(
    folder: Path, lines: Sequence[tuple[str, ...]], name: str = "transactions.csv.gz"
) -> Path:
    """Write an Online Retail file."""
    place = folder / name
    opener = gzip.open if name.endswith(".gz") else open
    with opener(place, "wt", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        writer.writerows(lines)
    return place
