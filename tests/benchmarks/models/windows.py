"""Online Retail cut into rolling 30-day test windows, by the protocol stated in README.md.

A window's cut is a whole number of window lengths before the last event. Its settings are chosen on the
window before it, whose training data end one window length earlier.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.datasets.adapters.online_retail import frames_load
from apps.datasets.netting import returns_net
from apps.ml.dataset import DAY, Dataset
from apps.ml.evaluate import VARIANTS, Split, Truth, Variant, split_at, truth_of

DAYS = 30
TEST_WINDOWS = 3
LESSONS = 4
"""Windows before each test window that weights and rankers learn from, as many as the automatic choice takes;
settings are chosen on the nearest."""
RETAIL_FILE = Path("online-retail") / "transactions.csv.gz"


@dataclass(frozen=True)
class Window:
    """One cut of the data. until: the first moment after the window, infinity for the last one."""

    name: str
    split: Split
    until: float
    truth: dict[Variant, Truth]

    @property
    def dates(self) -> str:
        """First and last moment of the window as text, in UTC."""
        last = self.split.test.timestamp.max()
        first, last = (datetime.fromtimestamp(moment, UTC) for moment in (self.split.cut, last))
        return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"

    def facts(self) -> dict[str, Any]:
        """What the report states about the window."""
        return {
            "name": self.name,
            "dates": self.dates,
            "train_events": len(self.split.train),
            "catalogue": self.split.catalogue_size,
            "users": {variant: len(truth) for variant, truth in self.truth.items()},
        }


def shared_data() -> Path:
    """The folder of the public data sets; FileNotFoundError with the remedy when they are not here."""
    here = Path(__file__).resolve().parents[3]
    folder = Path(os.environ.get("RECOPORTAL_SHARED_DATA", "") or here.parent / "shared" / "data")
    if not (folder / RETAIL_FILE).is_file():
        raise FileNotFoundError(
            f"{folder / RETAIL_FILE} is missing; name its folder in RECOPORTAL_SHARED_DATA"
        )
    return folder


def online_retail(file: Path) -> Dataset:
    """Purchases of known customers, returns netted as they stand at any cut.

    Lines without a customer are left out, as the protocol says. An item's price is that of its first sale:
    a later one would be news from the future.
    """
    frames = frames_load(file)
    events = frames.events
    events = events[events["shopper"] != ""].sort_values("occurred_at", kind="stable", ignore_index=True)
    skus = pd.Index(sorted(events["sku"].unique()))
    sold_at = (events["occurred_at"] - pd.Timestamp(0, tz="UTC")).dt.total_seconds()
    is_return = (events["kind"] == "return").to_numpy()
    shopper = np.asarray(events["shopper"].astype("int64"), dtype=np.int64)
    product = skus.get_indexer(events["sku"]).astype(np.int64)
    netted = returns_net(
        shopper=shopper,
        product=product,
        quantity=events["quantity"].to_numpy(np.float64),
        is_return=is_return,
        timestamp=np.asarray(sold_at, dtype=np.float64),
    )
    interactions = pd.DataFrame(
        {
            "user_id": shopper,
            "item_id": product,
            "kind": "purchase",
            "weight": np.float32(1),
            "timestamp": sold_at,
            "quantity": events["quantity"].to_numpy(np.float32),
            "price": events["price"].to_numpy(np.float32),
            "basket": events["session"].to_numpy(),
            "undone_at": netted.undone_at,
        }
    )[~is_return]
    first = interactions.drop_duplicates("item_id").set_index("item_id")
    products = frames.products.set_index("sku").reindex(skus)
    ids = np.arange(len(skus))
    items = pd.DataFrame(
        {
            "item_id": ids,
            "sku": skus.to_numpy(),
            "title": products["title"].to_numpy(),
            "text": products["title"].to_numpy(),
            "group_key": products["group_key"].to_numpy(),
            "price": first["price"].reindex(ids).to_numpy(),
            "created_at": first["timestamp"].reindex(ids).to_numpy(),
        }
    )
    shoppers = pd.DataFrame(
        {
            "user_id": frames.shoppers["external_id"].astype("int64"),
            "region": frames.shoppers["region"].to_numpy(),
        }
    )
    return Dataset.from_frames(interactions, items=items[items["created_at"].notna()], shoppers=shoppers)


def rolling(dataset: Dataset, count: int = TEST_WINDOWS + LESSONS, days: float = DAYS) -> list[Window]:
    """Windows from the last backwards; the first `TEST_WINDOWS` are tests, each followed by its validation
    window and by more to learn from.
    """
    windows = []
    until = np.inf
    for place in range(count):
        cut = dataset.end - (place + 1) * days * DAY
        split = split_at(dataset, cut, None if np.isinf(until) else until)
        truth = {variant: truth_of(split, variant) for variant in VARIANTS}
        name = f"{datetime.fromtimestamp(cut, UTC):%Y-%m-%d}"
        windows.append(Window(name, split, until, truth))
        until = cut
    return windows


def exchange_write(window: Window, folder: Path) -> Path:
    """Writes `<folder>/<window>.npz` for the peers' scripts (README.md says what is in it)."""
    train = window.split.train.purchases().identified()
    users: NDArray[np.int64] = window.truth["all"].users
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{window.name}.npz"
    np.savez_compressed(
        file,
        user=train.user_ids,
        item=train.item_ids,
        timestamp=train.timestamp,
        quantity=train.quantity,
        price=train.price,
        basket=train.basket,
        users=users,
    )
    return file
