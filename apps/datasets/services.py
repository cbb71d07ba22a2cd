"""Loading a public data set into the shop: adapter, then the same services every feed goes through."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from apps.accounts.selectors import shop_settings_get
from apps.accounts.services import shop_settings_update
from apps.catalog.reports import report_write
from apps.catalog.services import product_upsert_many
from apps.core import clock
from apps.core.errors import InvalidInput, RowError
from apps.datasets.adapters import chorus_icecat, online_retail
from apps.datasets.frames import SKIPPED_COLUMNS, DatasetFrames
from apps.events.services import event_record_many, import_report_add, shopper_upsert_many

# (stage, fraction of the whole, message)
Progress = Callable[[str, float, str], None]
ADAPTERS: dict[str, Callable[[Path], DatasetFrames]] = {
    online_retail.NAME: online_retail.frames_load,
    chorus_icecat.NAME: chorus_icecat.frames_load,
}
ALREADY_STORED = "already_stored"


@dataclass(frozen=True, slots=True)
class DatasetImport:
    """What one import brought: lines read, rows added by kind, lines left out by reason, and the report.

    For a file of events, rows = interactions + the sum of skipped; for one of products, rows = products + it.
    """

    rows: int
    products: int
    shoppers: int
    interactions: int
    skipped: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    report_path: str = ""

    def as_json(self) -> dict[str, Any]:
        """The figures in the documented shape."""
        return {
            "rows": self.rows,
            "products": self.products,
            "shoppers": self.shoppers,
            "interactions": self.interactions,
            "skipped": self.skipped,
            "seconds": round(self.seconds, 2),
        }


def dataset_import(*, name: str, path: Path, on_progress: Progress | None = None) -> DatasetImport:
    """Load data set `name` (a key of ADAPTERS) from `path` into this shop; a second load adds nothing.

    A shop that was not set up yet takes over the data set's name, currency and time zone. Writes an
    ImportReport and, where lines were left out, a CSV naming each with field, value and remedy.
    """
    began = time.perf_counter()
    report = on_progress or (lambda stage, fraction, message: None)
    adapter = ADAPTERS.get(name)
    if adapter is None:
        raise InvalidInput(field="name", value=name, remedy=f"Choose one of {', '.join(ADAPTERS)}.")
    if not path.is_file():
        raise InvalidInput(field="path", value=path, remedy="Give the path of a file.")
    report("read", 0.0, path.name)
    frames = adapter(path)
    _shop_set_up(frames)
    report("products", 0.2, f"{len(frames.products):,}")
    products = product_upsert_many(frame=frames.products, source=name)
    report("shoppers", 0.3, f"{len(frames.shoppers):,}")
    shoppers = shopper_upsert_many(frame=frames.shoppers)
    events = event_record_many(
        frame=frames.events,
        source=name,
        on_progress=lambda fraction, message: report("events", 0.35 + 0.6 * fraction, message),
    )
    skipped = frames.skipped_counts()
    if events.duplicates:
        skipped[ALREADY_STORED] = events.duplicates
    elif frames.events.empty and products.updated + products.unchanged:
        skipped[ALREADY_STORED] = products.updated + products.unchanged
    refused = [*products.errors, *shoppers.errors, *events.rejected]
    for error in refused:
        reason = f"refused_{error.field}"
        skipped[reason] = skipped.get(reason, 0) + 1
    report("report", 0.97, "")
    report_path = _report(name, frames.skipped, refused)
    outcome = DatasetImport(
        rows=frames.rows,
        products=products.inserted,
        shoppers=shoppers.inserted,
        interactions=events.accepted,
        skipped=skipped,
        seconds=time.perf_counter() - began,
        report_path=report_path,
    )
    counts = outcome.as_json()
    import_report_add(
        name=name,
        path=str(path),
        counts={key: counts[key] for key in ("rows", "products", "shoppers", "interactions")},
        skipped=skipped,
        report_path=report_path,
        seconds=outcome.seconds,
    )
    report("done", 1.0, f"{outcome.interactions or outcome.products:,}")
    return outcome


def _shop_set_up(frames: DatasetFrames) -> None:
    if shop_settings_get().set_up_at is None:
        shop_settings_update(
            name=frames.title,
            currency=frames.currency,
            time_zone=frames.time_zone,
            languages=list(frames.languages),
            set_up_at=clock.now(),
        )


def _report(name: str, skipped: pd.DataFrame, refused: list[RowError]) -> str:
    rows = [
        (error.line, f"refused_{error.field}", error.field, error.value, error.remedy) for error in refused
    ]
    frame = pd.concat([skipped, pd.DataFrame(rows, columns=SKIPPED_COLUMNS)]) if rows else skipped
    if frame.empty:
        return ""
    return str(report_write(frame=frame.sort_values("line", kind="stable"), name=f"import-{name}"))
