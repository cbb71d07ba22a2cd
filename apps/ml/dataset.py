"""Interactions in memory: raw ids mapped to rows, arrays instead of frames, cheap cuts by time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from apps.ml.errors import DataMissing, InvalidValue
from apps.ml.searches import Searches, searches_read

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

DAY = 86_400.0
PURCHASE = "purchase"
ANONYMOUS = -1
REQUIRED_COLUMNS = ("user_id", "item_id", "timestamp")
EVENT_ARRAYS = ("user", "item", "kind", "weight", "timestamp", "quantity", "price", "basket", "value")


@dataclass(frozen=True)
class IdMap:
    """Raw ids (shopper or product keys) to dense rows. ids: int64 [n], ascending and distinct."""

    ids: Ints

    @classmethod
    def from_ids(cls, *arrays: NDArray[Any]) -> IdMap:
        """All distinct ids >= 0 of these arrays."""
        ids = np.unique(
            np.concatenate([np.asarray(a, dtype=np.int64) for a in arrays] or [np.zeros(0, np.int64)])
        )
        return cls(ids[ids >= 0])

    def __len__(self) -> int:
        return len(self.ids)

    def rows(self, ids: NDArray[Any] | Iterable[int]) -> Ints:
        """Row of each raw id, -1 where it is unknown: int64, same length."""
        wanted = np.asarray(ids if isinstance(ids, np.ndarray) else list(ids), dtype=np.int64)
        if not len(self.ids):
            return np.full(wanted.shape, -1, dtype=np.int64)
        places = np.minimum(np.searchsorted(self.ids, wanted), len(self.ids) - 1)
        return np.where(self.ids[places] == wanted, places, -1)


@dataclass(frozen=True)
class Withdrawn:
    """Purchases that were undone, of a dataset with the same id maps. undone_at: float64 [n], epoch s."""

    events: Dataset
    undone_at: NDArray[np.float64]

    def select(self, mask: Mask) -> Withdrawn:
        """Those under the mask."""
        return Withdrawn(self.events.select(mask), self.undone_at[mask])


@dataclass(frozen=True)
class Dataset:
    """Events as parallel arrays of length n, ascending by time.

    user: row in `users`, -1 = anonymous. item: row in `items`. kind: index into `kinds`. weight: kind
    weight, negative for dislikes. timestamp: epoch seconds. basket: code of the session or invoice, -1 =
    none. end: the moment the data stops (exclusive upper bound after a cut, else the last event), from which
    ages are counted. catalogue / shoppers: frames aligned with `items.ids` / `users.ids`, or empty frames
    with that index. candidates: bool [n_items], what may be recommended. withdrawn: purchases that a return
    undid by `end`, kept apart from the arrays, so that an earlier cut sees them as they stood then. searches:
    what was searched for by these shoppers and in these sessions; they are no events, and only cuts by time
    and shopper touch them.
    """

    users: IdMap
    items: IdMap
    user: Ints
    item: Ints
    kind: NDArray[np.int16]
    kinds: tuple[str, ...]
    weight: NDArray[np.float32]
    timestamp: NDArray[np.float64]
    quantity: NDArray[np.float32]
    price: NDArray[np.float32]
    basket: Ints
    value: NDArray[np.float32]
    end: float
    catalogue: pd.DataFrame
    shoppers: pd.DataFrame
    candidates: Mask
    manifest: dict[str, Any] = field(default_factory=dict)
    withdrawn: Withdrawn | None = None
    searches: Searches = field(default_factory=Searches.none)

    @classmethod
    def from_snapshot(cls, directory: str | Path) -> Dataset:
        """Reads a snapshot folder (interactions/*.parquet, items.parquet, shoppers.parquet, manifest.json,
        and searches/*.parquet where it has them).

        Raises DataMissing when the folder holds no interactions.
        """
        folder = Path(directory)
        parts = sorted((folder / "interactions").glob("*.parquet"))
        if not parts:
            raise DataMissing(f"{folder}: no interactions/*.parquet; make the snapshot again")
        interactions = pd.concat([pd.read_parquet(part) for part in parts], ignore_index=True)
        manifest_file = folder / "manifest.json"
        manifest = json.loads(manifest_file.read_text("utf-8")) if manifest_file.exists() else {}
        return cls.from_frames(
            interactions,
            items=_read_optional(folder / "items.parquet"),
            shoppers=_read_optional(folder / "shoppers.parquet"),
            manifest=manifest,
            searches=searches_read(folder),
        )

    @classmethod
    def from_frames(
        cls,
        interactions: pd.DataFrame,
        items: pd.DataFrame | None = None,
        shoppers: pd.DataFrame | None = None,
        manifest: dict[str, Any] | None = None,
        searches: pd.DataFrame | None = None,
    ) -> Dataset:
        """From frames with the snapshot's columns; user_id, item_id and timestamp are required, the rest
        optional; searches: user_id, basket, timestamp, query, the first two optional. Rows whose `undone_at`
        has come are withdrawn. Other numbers that are NaN or infinite take their column's default.

        Raises DataMissing when a required column is absent, and InvalidValue when it holds anything but
        numbers.
        """
        missing = [name for name in REQUIRED_COLUMNS if name not in interactions]
        if missing:
            raise DataMissing(f"interactions lack {missing}; they have {list(interactions.columns)}")
        for name in REQUIRED_COLUMNS:
            _numbers_check(name, interactions[name])
        frame = interactions.sort_values("timestamp", kind="stable", ignore_index=True)
        user_ids = frame["user_id"].to_numpy(np.int64)
        item_ids = frame["item_id"].to_numpy(np.int64)
        n = len(frame)
        user_map = IdMap.from_ids(user_ids, *([] if shoppers is None else [shoppers["user_id"].to_numpy()]))
        item_map = IdMap.from_ids(item_ids, *([] if items is None else [items["item_id"].to_numpy()]))
        kind, kinds = _codes(frame["kind"]) if "kind" in frame else (np.zeros(n, np.int64), (PURCHASE,))
        basket, baskets = _codes(frame["basket"]) if "basket" in frame else (np.full(n, -1, np.int64), ())
        catalogue = _aligned(items, "item_id", item_map)
        available = (
            catalogue["available"] if "available" in catalogue else pd.Series(True, index=catalogue.index)
        )
        everything = cls(
            users=user_map,
            items=item_map,
            user=user_map.rows(user_ids),
            item=item_map.rows(item_ids),
            kind=kind.astype(np.int16),
            kinds=kinds,
            weight=_floats(frame, "weight", 1.0),
            timestamp=frame["timestamp"].to_numpy(np.float64),
            quantity=_floats(frame, "quantity", 1.0),
            price=_floats(frame, "price", 0.0),
            basket=basket,
            value=_floats(frame, "value", 0.0),
            end=float(frame["timestamp"].max()) if n else 0.0,
            catalogue=catalogue,
            shoppers=_aligned(shoppers, "user_id", user_map),
            candidates=available.astype("boolean").fillna(True).to_numpy(np.bool_),
            manifest=manifest or {},
            searches=_searches(searches, user_map, baskets),
        )
        if "undone_at" not in frame:
            return everything
        undone_at = frame["undone_at"].to_numpy(np.float64, na_value=np.inf)
        undone = np.isfinite(undone_at)
        withdrawn = Withdrawn(everything.select(undone), undone_at[undone])
        return replace(everything.select(~undone), withdrawn=withdrawn)

    def __len__(self) -> int:
        return len(self.timestamp)

    @property
    def user_ids(self) -> Ints:
        """Raw shopper id of each event, -1 where anonymous: int64 [n]."""
        if not len(self.users):
            return np.full(len(self), ANONYMOUS, dtype=np.int64)
        return np.where(self.user >= 0, self.users.ids[self.user], ANONYMOUS)

    @property
    def item_ids(self) -> Ints:
        """Raw product id of each event: int64 [n]."""
        return self.items.ids[self.item]

    @property
    def known_users(self) -> Ints:
        """Raw ids of the shoppers with at least one event here, ascending."""
        return self.users.ids[np.unique(self.user[self.user >= 0])]

    @property
    def known_items(self) -> Ints:
        """Raw ids of the products with at least one event here (the trained catalogue), ascending."""
        return self.items.ids[np.unique(self.item)]

    def select(self, mask: Mask) -> Dataset:
        """The events under the mask; id maps and `end` stay, so rows keep their meaning."""
        chosen: dict[str, Any] = {name: getattr(self, name)[mask] for name in EVENT_ARRAYS}
        return replace(self, **chosen)

    def identified(self) -> Dataset:
        """Events of known shoppers only."""
        searches = self.searches.select(self.searches.user >= 0)
        known = replace(self.select(self.user >= 0), searches=searches)
        gone = self.withdrawn
        return known if gone is None else replace(known, withdrawn=gone.select(gone.events.user >= 0))

    def before(self, moment: float) -> Dataset:
        """What was known at this moment (epoch seconds): earlier events only, ages counted from it.

        Today's stock says nothing about that moment, so every product already in the catalogue counts as
        available.
        """
        candidates = np.ones(len(self.items), dtype=np.bool_)
        if "created_at" in self.catalogue:
            created = self.catalogue["created_at"].to_numpy(np.float64, na_value=-np.inf)
            candidates &= ~(created >= moment)
        cut = self.select(self.timestamp < moment)
        gone = self.withdrawn
        if gone is not None:
            gone = gone.select(gone.events.timestamp < moment)
            cut = cut._with(gone.events.select(gone.undone_at >= moment))
            gone = gone.select(gone.undone_at < moment)
        candidates[cut.item] = True
        searches = self.searches.before(moment)
        return replace(cut, end=moment, candidates=candidates, withdrawn=gone, searches=searches)

    def since(self, moment: float, until: float | None = None) -> Dataset:
        """Events at or after this moment (and before `until`), purchases that were undone later among them:
        they were made.
        """
        stop = np.inf if until is None else until
        cut = self.select((self.timestamp >= moment) & (self.timestamp < stop))
        asked = self.searches
        asked = asked.select((asked.timestamp >= moment) & (asked.timestamp < stop))
        cut = replace(cut, searches=asked)
        if self.withdrawn is None:
            return cut
        gone = self.withdrawn.events
        cut = cut._with(gone.select((gone.timestamp >= moment) & (gone.timestamp < stop)))
        return replace(cut, withdrawn=None)

    def aligned(self, items: IdMap, candidates: Mask) -> Dataset:
        """The same events on the rows of another catalogue; events on items it lacks are left out.

        candidates: bool [len(items)], what may be recommended there; it stands for items this dataset does
        not know, unless it has a catalogue of its own, which says what is sold.
        """
        rows = items.rows(self.items.ids)
        known = rows >= 0
        allowed = np.zeros(len(items), dtype=np.bool_) if len(self.catalogue.columns) else candidates.copy()
        allowed[rows[known]] = self.candidates[known]
        gone = self.withdrawn
        if gone is not None:
            kept = known[gone.events.item]
            gone = Withdrawn(gone.events.aligned(items, candidates), gone.undone_at[kept])
        cut = self.select(known[self.item])
        return replace(
            cut,
            items=items,
            item=rows[cut.item],
            catalogue=self.catalogue.reindex(pd.Index(items.ids, name=self.catalogue.index.name)),
            candidates=allowed,
            withdrawn=gone,
        )

    def _with(self, other: Dataset) -> Dataset:
        """Both datasets' events in order of time; they share their id maps and kinds."""
        if not len(other):
            return self
        order = np.argsort(np.concatenate([self.timestamp, other.timestamp]), kind="stable")

        joined: dict[str, Any] = {
            name: np.concatenate([getattr(self, name), getattr(other, name)])[order] for name in EVENT_ARRAYS
        }
        return replace(self, **joined)

    def purchases(self) -> Dataset:
        """Purchases only; in data without any (ratings, plays) every event of positive weight counts as
        one.
        """
        return self.select(self.purchase_mask())

    def purchase_mask(self) -> Mask:
        """Which events `purchases` selects: bool [n]."""
        if PURCHASE in self.kinds:
            return self.kind == self.kinds.index(PURCHASE)
        return self.weight > 0

    def ages_days(self) -> NDArray[np.float64]:
        """Age of each event in days at `end`, never negative."""
        return np.maximum(self.end - self.timestamp, 0.0) / DAY

    def text(self, column: str) -> list[str]:
        """A catalogue column as text per item row; empty text where it is missing."""
        if column not in self.catalogue:
            return [""] * len(self.items)
        return [value if isinstance(value, str) else "" for value in self.catalogue[column].tolist()]


def _read_optional(path: Path) -> pd.DataFrame | None:
    return pd.read_parquet(path) if path.exists() else None


def _codes(column: pd.Series[Any]) -> tuple[Ints, tuple[str, ...]]:
    """Codes by first appearance, -1 for missing or empty text, and the names."""
    codes, names = pd.factorize(column.where(column.astype("string").fillna("") != ""))
    return codes.astype(np.int64), tuple(str(name) for name in names)


def _searches(frame: pd.DataFrame | None, users: IdMap, baskets: tuple[str, ...]) -> Searches:
    """Searches on the rows of these shoppers and the codes of these sessions."""
    if frame is None or not len(frame):
        return Searches.none()
    for name in ("timestamp", "query"):
        if name not in frame:
            raise DataMissing(f"searches lack {name!r}; they have {list(frame.columns)}")
    nobody = np.full(len(frame), ANONYMOUS, dtype=np.int64)
    ids = frame["user_id"].to_numpy(np.int64, na_value=ANONYMOUS) if "user_id" in frame else nobody
    codes = nobody
    if "basket" in frame:
        known = pd.Index(np.array(baskets, dtype=object))
        codes = known.get_indexer(pd.Index(frame["basket"].astype(object)))
    # what a shopper without a row here asked belongs to nobody, not to somebody unknown
    strange = (ids >= 0) & (users.rows(ids) < 0)
    told = frame[~strange]
    return Searches.from_frame(told, users.rows(ids)[~strange], codes.astype(np.int64)[~strange])


def _floats(frame: pd.DataFrame, column: str, default: float) -> NDArray[np.float32]:
    if column not in frame:
        return np.full(len(frame), default, dtype=np.float32)
    found = frame[column].to_numpy(np.float32, na_value=default)
    return np.where(np.isfinite(found), found, np.float32(default))


def _numbers_check(name: str, column: pd.Series[Any]) -> None:
    try:
        wrong = ~np.isfinite(column.to_numpy(np.float64, na_value=np.nan))
    except (TypeError, ValueError):
        told = [value for value in column.tolist() if not isinstance(value, int | float)]
        raise InvalidValue(name, told[0] if told else column.dtype, "Give numbers only.") from None
    if wrong.any():
        raise InvalidValue(
            name, f"{int(wrong.sum())} of {len(wrong)} rows without a number", "Leave such rows out."
        )


def _aligned(frame: pd.DataFrame | None, key: str, ids: IdMap) -> pd.DataFrame:
    index = pd.Index(ids.ids, name=key)
    if frame is None:
        return pd.DataFrame(index=index)
    return frame.drop_duplicates(key).set_index(key).reindex(index)
