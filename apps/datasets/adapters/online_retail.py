"""UCI Online Retail: a UK gift wholesaler's invoices, with all their traps.

Source: Daqing Chen, "Online Retail", UCI Machine Learning Repository, DOI 10.24432/C5BW33, CC BY 4.0.

What a line becomes:
* an invoice line with a product code, a positive quantity and price: a `purchase`;
* a line of a cancellation (`C…` invoice, negative quantity): a `return` of that many;
* everything else is left out under one reason (`REASONS`, checked in that order).

k identical lines of one invoice are k events: the key is the line's content and its number among its likes,
so that the file can be read in any order, in parts or twice.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from apps.core.errors import InvalidInput
from apps.datasets.frames import SKIPPED_COLUMNS, DatasetFrames

NAME = "online-retail"
ZONE = "Europe/London"
COLUMNS = (
    "InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country",
)  # fmt: skip
CODE = r"\d{5}[A-Z]*"
# Notes of the warehouse in place of a description. Written small; in capitals the words are goods (a BROWN
# CHECK CAT DOORSTOP).
NOTES = (
    r"damage|\bfound\b|\blost\b|check|adjust|\bwrong|thrown|missing|mixed|mailout|crushed|wet\b|rusty|smashed|"
    r"broken|faulty|returned|reverse|sold as|amazon|\bebay\b|dotcom|\btest\b|counted|credited|unsaleable|"
    r"\bsample|mouldy|dagamed|incorrect|code mix|can't find|taig|\bre-?label|\bshow\b|breakages|given away"
)
# reason: (field, remedy), in the order in which a line is tested
REASONS = {
    "unreadable_date": ("InvoiceDate", "Write the date as 2010-12-01 08:26:00."),
    "unreadable_number": ("Quantity", "Write quantity and price as numbers."),
    "bad_debt": ("InvoiceNo", "Entries of bad debt are no sales; nothing to do."),
    "not_a_product": (
        "StockCode",
        "Fees, postage and vouchers are no products; a code is five digits and letters.",
    ),
    "stock_adjustment": (
        "Quantity",
        "A negative quantity outside a cancellation corrects the stock; nothing to do.",
    ),
    "no_quantity": ("Quantity", "Write a quantity other than 0."),
    "no_price": ("UnitPrice", "Samples and corrections have no price; nothing to do."),
    "cancellation_without_minus": ("Quantity", "A line of a cancellation needs a negative quantity."),
}


def read(path: Path) -> pd.DataFrame:
    """The file's columns as text ("" for missing) with `line`, the line's place in the file; .csv or .csv.gz.

    Raises InvalidInput when the file can't be read or lacks a column.
    """
    try:
        table = pyarrow.csv.read_csv(
            path,
            parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(COLUMNS, pa.string()), include_columns=list(COLUMNS),
                strings_can_be_null=False,
            ),
        )  # fmt: skip
    except (OSError, pa.ArrowInvalid, KeyError, pa.ArrowKeyError) as error:
        remedy = (
            f"Give the data set's transactions.csv or .csv.gz with the columns {', '.join(COLUMNS)}: {error}"
        )
        raise InvalidInput(field="path", value=path, remedy=remedy) from error
    frame: pd.DataFrame = table.to_pandas(types_mapper={pa.string(): pd.StringDtype(na_value=np.nan)}.get)
    frame["line"] = np.arange(2, len(frame) + 2)  # line 1 is the header
    return frame


def frames_load(path: Path) -> DatasetFrames:
    """Read the file and sort its lines into products, shoppers, events and what is left out."""
    lines = read(path)
    for name in ("InvoiceNo", "StockCode", "CustomerID"):
        lines[name] = lines[name].str.strip()
    code = lines["StockCode"].str.upper()
    quantity = pd.to_numeric(lines["Quantity"], errors="coerce").astype("float64")
    price = pd.to_numeric(lines["UnitPrice"], errors="coerce").astype("float64")
    moment = pd.to_datetime(lines["InvoiceDate"], format="%Y-%m-%d %H:%M:%S", errors="coerce")
    invoice = lines["InvoiceNo"].str.upper()
    cancelled = invoice.str.startswith("C")
    tests = {
        "unreadable_date": moment.isna(),
        "unreadable_number": quantity.isna() | price.isna(),
        "bad_debt": invoice.str.startswith("A"),
        "not_a_product": ~code.str.fullmatch(CODE),
        "stock_adjustment": (quantity < 0) & ~cancelled,
        "no_quantity": quantity == 0,
        "no_price": price <= 0,
        "cancellation_without_minus": (quantity > 0) & cancelled,
    }
    reason = np.full(len(lines), -1, dtype=np.int8)
    for number, name in enumerate(REASONS):
        reason[(reason < 0) & tests[name].to_numpy(dtype=bool)] = number
    kept = reason < 0
    work = pd.DataFrame(
        {
            "line": lines["line"], "invoice": invoice, "code": code, "quantity": quantity, "price": price,
            "date": lines["InvoiceDate"], "at": moment, "country": lines["Country"].str.strip(),
            "description": lines["Description"], "shopper": _customers(lines["CustomerID"]),
        }
    )[kept]  # fmt: skip
    # Local wall clock; in the hour that occurs twice in October, take the first.
    ambiguous = np.ones(len(work), dtype=bool)
    work["at"] = work["at"].dt.tz_localize(ZONE, ambiguous=ambiguous, nonexistent="shift_forward")
    work["at"] = work["at"].dt.tz_convert("UTC").dt.as_unit("us")
    return DatasetFrames(
        rows=len(lines),
        products=_products(work),
        shoppers=_shoppers(work),
        events=_events(work),
        skipped=_skipped(lines, reason),
        title="Online Retail",
        currency="GBP",
        time_zone=ZONE,
    )


def _customers(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """`17850.0` is customer 17850; "" is nobody."""
    return column.str.replace(r"\.0+$", "", regex=True)


def _events(work: pd.DataFrame) -> pd.DataFrame:
    returned = (work["quantity"] < 0).to_numpy()
    content = ["invoice", "code", "date", "quantity", "price"]
    ordinal = work.groupby(content, sort=False, observed=True).cumcount()
    stamp = work["at"].dt.strftime("%Y%m%d%H%M%S") if not len(work) else _stamps(work["date"])
    key = (
        "online-retail:" + work["invoice"] + ":" + work["code"] + ":" + stamp + ":"
        + _numbers_text(work["quantity"]) + ":" + _numbers_text(work["price"]) + ":" + ordinal.astype("str")
    )  # fmt: skip
    return pd.DataFrame(
        {
            "line": work["line"],
            "client_event_id": key,
            "kind": np.where(returned, "return", "purchase"),
            "occurred_at": work["at"],
            "shopper": work["shopper"],
            "sku": work["code"],
            "quantity": work["quantity"].abs(),
            "price": work["price"],
            "session": work["invoice"],
            "channel": "wholesale",
        }
    )


def _stamps(dates: "pd.Series[Any]") -> "pd.Series[Any]":
    return dates.str.replace(r"[-: ]", "", regex=True)


def _numbers_text(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Numbers as the shortest text; distinct values are few, so each is formatted once."""
    codes, values = pd.factorize(column)
    texts = np.array([f"{value:.10g}" for value in values], dtype=object)
    return (
        pd.Series(pd.array(texts[codes], dtype="str"), index=column.index)
        if len(texts)
        else column.astype("str")
    )


def _commonest(keys: "pd.Series[Any]", values: "pd.Series[Any]") -> "pd.Series[Any]":
    """The commonest value of each key; of equally common ones the least, so that order does not matter."""
    counts = pd.DataFrame({"key": keys, "value": values}).groupby(["key", "value"], observed=True).size()
    table = counts.rename("n").reset_index().sort_values(["key", "n", "value"], ascending=[True, False, True])
    best: pd.Series[Any] = table.drop_duplicates("key").set_index("key")["value"]
    return best


def _products(work: pd.DataFrame) -> pd.DataFrame:
    """One product per code: the commonest clean description, the commonest price, the first sale."""
    sold = work[work["quantity"] > 0]
    names, texts = pd.factorize(work["description"])
    cleaned = pd.Series(texts, dtype="str").str.replace(r"\s+", " ", regex=True).str.strip(" .*")
    letters = cleaned.str.count(r"[A-Za-z]")
    worded = (letters >= 3) & ~cleaned.str.contains("?", regex=False)
    # Descriptions are in capitals, notes are not: at least half of the letters must be.
    clean = worded & (cleaned.str.count(r"[A-Z]") * 2 >= letters)
    usable = worded & ~cleaned.str.contains(NOTES, case=False, regex=True)
    title = pd.Series(pd.array(cleaned.to_numpy()[names], dtype="str"), index=work.index)
    first = title.where(pd.Series(clean.to_numpy()[names], index=work.index))
    second = title.where(pd.Series(usable.to_numpy()[names], index=work.index))
    index = pd.Index(sorted(work["code"].unique()), name="sku", dtype="str")
    titles = _commonest(work["code"], first).reindex(index)
    titles = titles.fillna(_commonest(work["code"], second).reindex(index))
    prices = _commonest(sold["code"], sold["price"]).reindex(index)
    prices = prices.fillna(_commonest(work["code"], work["price"]).reindex(index))
    return pd.DataFrame(
        {
            "sku": index,
            "title": titles.fillna(pd.Series("Product " + index, index=index)).to_numpy(),
            "language": "en",
            "price": prices.to_numpy(),
            "currency": "GBP",
            # 85123A and 85123B are colours of one article.
            "group_key": index.str.extract(r"^(\d{5})", expand=False),
            "created_at": work.groupby("code")["at"].min().reindex(index).to_numpy(),
        }
    )


def _shoppers(work: pd.DataFrame) -> pd.DataFrame:
    """Customers with their first sale. The country is a published attribute, so it counts as consented."""
    known = work[work["shopper"] != ""]
    countries = _commonest(known["shopper"], known["country"])
    seen = known.groupby("shopper")["at"].min().reindex(countries.index)
    return pd.DataFrame(
        {
            "external_id": countries.index.astype("str"),
            "consent": True,
            "region": countries.to_numpy(),
            "first_seen": seen.to_numpy(),
        }
    )


def _skipped(lines: pd.DataFrame, reason: Any) -> pd.DataFrame:
    out = lines.loc[reason >= 0]
    parts = []
    for number, (name, (field, remedy)) in enumerate(REASONS.items()):
        rows = out.loc[reason[reason >= 0] == number]
        parts.append(
            pd.DataFrame(
                {"line": rows["line"], "reason": name, "field": field, "value": rows[field], "remedy": remedy}
            )
        )
    return pd.concat(parts).sort_values("line", ignore_index=True)[SKIPPED_COLUMNS]
