"""What a ranker may know of items and shoppers besides the sources' scores: compact tables as of one moment.

Made from the events before that moment only, so a training cut and a served day run the same code. NumPy
only: the same functions compute features offline and for one request.

Shape suffixes: N items, U shoppers, R regions, n users asked for, c candidates of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from apps.ml.dataset import DAY, Dataset, IdMap, Ints
from apps.ml.topn import Floats, Ids

SOLD_DAYS = (3, 7, 14, 30, 90)
ITEM_FEATURES = (
    *(f"sold_{days}" for days in SOLD_DAYS),
    "rise_7_30",
    "rise_14_90",
    "rise_30_90",
    "days_since_sold",
    "days_on_sale",
    "buyers",
    "log_price",
    "log_quantity",
    "repeat_share",
    "repeat_days",
    "last_year",
)
USER_FEATURES = (
    "purchases",
    "own_items",
    "baskets",
    "days_since_basket",
    "basket_gap_days",
    "basket_size",
    "mean_log_price",
    "novelty_share",
)
PAIR_FEATURES = (
    "times_bought",
    "days_since_bought",
    "bought_over_own_gap",
    "bought_over_item_gap",
    "in_last_basket",
    "basket_share",
    "price_gap",
    "region_lift",
)
REGIONS = 20
"""Regions with a table of their own; shoppers of the rest count as without a region."""
YEAR = 365.0
SEASON_DAYS = 30.0


@dataclass(frozen=True)
class Facts:
    """Tables as of `moment` (epoch seconds).

    item_values: float32 [N, ITEM_FEATURES]. user_values: float32 [U, USER_FEATURES]. NaN = not known. pair_*:
    one entry per (shopper, item) bought, ascending by key = user row * N + item row: int64 keys, float32
    baskets it was in, float32 days since the last. region: int16 [U], -1 = none. region_lift: float32 [R, N].
    """

    moment: float
    users: IdMap
    items: IdMap
    item_values: Floats
    user_values: Floats
    pair_keys: Ints
    pair_times: Floats
    pair_days: Floats
    region: NDArray[np.int16]
    region_lift: Floats

    @classmethod
    def from_dataset(cls, dataset: Dataset) -> Self:
        """From all events of the dataset, ages counted from its end."""
        bought = dataset.purchases()
        baskets = _baskets(bought)
        region, lift = _regions(bought)
        keys, times, days, repeat = _pairs(bought, baskets)
        items = _item_values(bought, repeat)
        return cls(
            dataset.end,
            dataset.users,
            dataset.items,
            items,
            _user_values(bought, baskets),
            keys,
            times,
            days,
            region,
            lift,
        )

    def features(self, users: Ints, ids: Ids) -> Floats:
        """float32 [n, c, ITEM + USER + PAIR features] of raw ids; padding (-1) and unknown ids give NaN.

        users: int64 [n]. ids: int64 [n, c].
        """
        rows, columns = self.users.rows(users), self.items.rows(ids)
        n, c = ids.shape
        n_item, n_user = len(ITEM_FEATURES), len(USER_FEATURES)
        found = np.full((n, c, n_item + n_user + len(PAIR_FEATURES)), np.nan, dtype=np.float32)
        known = columns >= 0
        found[:, :, :n_item][known] = self.item_values[columns[known]]
        met = rows >= 0
        found[met, :, n_item : n_item + n_user] = self.user_values[rows[met]][:, None, :]
        found[:, :, n_item + n_user :] = self._pair_features(rows, columns, found)
        return found

    def _pair_features(self, rows: Ints, columns: Ints, found: Floats) -> Floats:
        wanted = rows[:, None] * max(len(self.items), 1) + columns
        times = np.zeros(columns.shape, dtype=np.float32)
        days = np.full(columns.shape, np.nan, dtype=np.float32)
        if len(self.pair_keys):
            places = np.minimum(np.searchsorted(self.pair_keys, wanted), len(self.pair_keys) - 1)
            hit = (self.pair_keys[places] == wanted) & (rows >= 0)[:, None] & (columns >= 0)
            times[hit], days[hit] = self.pair_times[places[hit]], self.pair_days[places[hit]]

        def value(name: str) -> Floats:
            names = ITEM_FEATURES + USER_FEATURES
            column: Floats = found[:, :, names.index(name)]
            return column

        region = np.where(rows >= 0, self.region[rows], -1) if len(self.region) else np.full(len(rows), -1)
        lift = np.full(columns.shape, np.nan, dtype=np.float32)
        own = region >= 0
        if own.any():
            lift[own] = self.region_lift[region[own][:, None], np.maximum(columns[own], 0)]
        baskets = np.expm1(value("baskets"))
        return np.stack(
            [
                times,
                days,
                days / np.maximum(value("basket_gap_days"), 1.0),
                days / np.maximum(value("repeat_days"), 1.0),
                np.where(np.isnan(days), 0.0, days <= value("days_since_basket") + 1e-3),
                times / np.maximum(baskets, 1.0),
                value("log_price") - value("mean_log_price"),
                np.where(columns >= 0, lift, np.nan),
            ],
            axis=2,
        ).astype(np.float32)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """For a safetensors file."""
        return {
            "moment": np.array([self.moment]),
            "user_ids": self.users.ids,
            "item_ids": self.items.ids,
            "item_values": self.item_values,
            "user_values": self.user_values,
            "pair_keys": self.pair_keys,
            "pair_times": self.pair_times,
            "pair_days": self.pair_days,
            "region": self.region,
            "region_lift": self.region_lift,
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """The inverse of `to_arrays`."""
        rest = {
            name: value for name, value in arrays.items() if name not in ("moment", "user_ids", "item_ids")
        }
        return cls(
            moment=float(arrays["moment"][0]),
            users=IdMap(arrays["user_ids"]),
            items=IdMap(arrays["item_ids"]),
            **rest,
        )


FACT_FEATURES = (*ITEM_FEATURES, *USER_FEATURES, *PAIR_FEATURES)


def _baskets(bought: Dataset) -> Ints:
    """Code of each purchase's basket: the one given, else the shopper's day."""
    day = np.floor(bought.timestamp / DAY).astype(np.int64)
    span = np.int64(day.max(initial=0) + 2)
    own_day = (bought.user + 1) * span + day
    _, codes = np.unique(np.where(bought.basket >= 0, bought.basket, -1 - own_day), return_inverse=True)
    return codes.astype(np.int64)


def _item_values(bought: Dataset, repeat: tuple[Floats, Floats, Floats]) -> Floats:
    n_items = len(bought.items)
    ages = bought.ages_days()
    sold = [_relative(bought.item[ages < days], n_items) for days in SOLD_DAYS]
    by_days = dict(zip(SOLD_DAYS, sold, strict=True))
    newest, oldest = np.full(n_items, np.inf), np.full(n_items, -np.inf)
    np.minimum.at(newest, bought.item, ages)
    np.maximum.at(oldest, bought.item, ages)
    span = float(ages.max(initial=0.0))
    season = (ages <= YEAR) & (ages > YEAR - SEASON_DAYS)
    last_year = (
        _relative(bought.item[season], n_items) if span >= YEAR else np.full(n_items, np.nan, np.float32)
    )
    buyers, share, gap = repeat
    columns = [
        *sold,
        by_days[7] - by_days[30],
        by_days[14] - by_days[90],
        by_days[30] - by_days[90],
        np.where(np.isfinite(newest), newest, np.nan),
        np.where(np.isfinite(oldest), np.log1p(np.maximum(oldest, 0)), np.nan),
        np.log1p(buyers),
        _mean_log(bought.item, bought.price, n_items, ages < 90),
        _mean_log(bought.item, bought.quantity, n_items, ages < 90),
        share,
        gap,
        last_year,
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _relative(item: Ints, n_items: int) -> Floats:
    """log of the sales against those of the mean item, half a sale added to both: float32 [N]."""
    sales = np.bincount(item, minlength=n_items)
    mean = len(item) / max(n_items, 1)
    return np.log((sales + 0.5) / (mean + 0.5)).astype(np.float32)


def _mean_log(rows: Ints, values: Floats, n: int, recent: NDArray[np.bool_]) -> Floats:
    """Mean log1p of what is above 0, of recent events where there are any, NaN where nothing is known."""
    answer = np.full(n, np.nan)
    for mask in (values > 0, recent & (values > 0)):
        count = np.bincount(rows[mask], minlength=n)
        total = np.bincount(rows[mask], weights=np.log1p(values[mask].astype(np.float64)), minlength=n)
        answer = np.where(count > 0, total / np.maximum(count, 1), answer)
    return answer.astype(np.float32)


def _pairs(bought: Dataset, baskets: Ints) -> tuple[Ints, Floats, Floats, tuple[Floats, Floats, Floats]]:
    """Keys, times and days of each pair; buyers, share of repeaters and mean days between per item."""
    n_items = len(bought.items)
    known = bought.user >= 0
    pair = bought.user[known] * n_items + bought.item[known]
    basket, ages = baskets[known], bought.ages_days()[known]
    order = np.lexsort((-ages, basket, pair))
    pair, basket, ages = pair[order], basket[order], ages[order]
    first = np.ones(len(pair), dtype=np.bool_)
    first[1:] = (pair[1:] != pair[:-1]) | (basket[1:] != basket[:-1])
    pair, ages = pair[first], ages[first]
    keys, inverse, times = np.unique(pair, return_inverse=True, return_counts=True)
    newest, oldest = np.full(len(keys), np.inf), np.zeros(len(keys))
    np.minimum.at(newest, inverse, ages)
    np.maximum.at(oldest, inverse, ages)
    column = keys % n_items if n_items else keys
    buyers = np.bincount(column, minlength=n_items)
    again = times > 1
    repeaters = np.bincount(column[again], minlength=n_items)
    gaps = (oldest[again] - newest[again]) / (times[again] - 1)
    total = np.bincount(column[again], weights=gaps, minlength=n_items)
    overall = float(repeaters.sum()) / max(float(buyers.sum()), 1.0)
    share = (repeaters + 5.0 * overall) / (buyers + 5.0)
    usual = float(gaps.mean()) if len(gaps) else np.nan
    mean_gap = (total + 3.0 * usual) / (repeaters + 3.0)
    repeat = (buyers.astype(np.float32), share.astype(np.float32), mean_gap.astype(np.float32))
    return keys.astype(np.int64), times.astype(np.float32), newest.astype(np.float32), repeat


def _user_values(bought: Dataset, baskets: Ints) -> Floats:
    n_users = len(bought.users)
    known = bought.user >= 0
    user, item, basket, ages = (
        bought.user[known],
        bought.item[known],
        baskets[known],
        bought.ages_days()[known],
    )
    purchases = np.bincount(user, minlength=n_users)
    own = np.bincount(
        np.unique(user * max(len(bought.items), 1) + item) // max(len(bought.items), 1), minlength=n_users
    )
    visit = np.unique(np.stack([user, basket], axis=1), axis=0) if len(user) else np.zeros((0, 2), np.int64)
    visits = np.bincount(visit[:, 0], minlength=n_users)
    newest, oldest = np.full(n_users, np.inf), np.full(n_users, -np.inf)
    np.minimum.at(newest, user, ages)
    np.maximum.at(oldest, user, ages)
    gap = np.where(visits > 1, (oldest - newest) / np.maximum(visits - 1, 1), np.nan)
    columns = [
        np.log1p(purchases),
        np.log1p(own),
        np.log1p(visits),
        np.where(np.isfinite(newest), newest, np.nan),
        gap,
        np.log1p(purchases / np.maximum(visits, 1)),
        _mean_log(user, bought.price[known], n_users, ages < np.inf),
        own / np.maximum(purchases, 1),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _regions(bought: Dataset) -> tuple[NDArray[np.int16], Floats]:
    """Each shopper's region and how much more an item sells there than everywhere (log, smoothed)."""
    none = np.full(len(bought.users), -1, dtype=np.int16)
    if "region" not in bought.shoppers or not len(bought):
        return none, np.zeros((0, len(bought.items)), dtype=np.float32)
    names = bought.shoppers["region"].astype("object").to_numpy()
    active = np.unique(bought.user[bought.user >= 0])
    counts: dict[str, int] = {}
    for name in names[active]:
        if isinstance(name, str) and name:
            counts[name] = counts.get(name, 0) + 1
    largest = sorted(counts, key=lambda name: (-counts[name], name))[:REGIONS]
    codes = {name: code for code, name in enumerate(largest)}
    region = np.array(
        [codes.get(name, -1) if isinstance(name, str) else -1 for name in names], dtype=np.int16
    )
    known = bought.user >= 0
    item, place = bought.item[known], region[bought.user[known]]
    everywhere = np.bincount(item, minlength=len(bought.items)) / max(len(item), 1)
    lift = np.zeros((len(largest), len(bought.items)), dtype=np.float32)
    for code in range(len(largest)):
        local = np.bincount(item[place == code], minlength=len(bought.items))
        total = max(int(local.sum()), 1)
        lift[code] = np.log((local + 10 * everywhere + 1e-9) / ((total + 10) * everywhere + 1e-9))
    return region, lift
