"""The words of `apps.metrics.definitions` unit by unit, over arrays that `apps.metrics.unit_rows` reads.

The rollups lay the words out as temporary tables; for the five million events of a large experiment those
take minutes. So the laws that need all events at once (sessions, the last click before a purchase, what of a
slate counts) stand here a second time, in NumPy, and a test holds that both say the same of the same shop.
What an event is worth (`steps.EVENT_VALUES`, `steps.AMOUNT`), who acts (`steps.WHO`) and what a return undoes
(`steps.TRADE`, `UNDONE`, `RETURN`) are the rollups' own statements.

Times are microseconds as `unit_rows.micros` has them.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from apps.events.sessionize import sessions_begin
from apps.metrics.unit_rows import Details, EventRows, Exposures, Floats, Ints, Shorts, Stretch
from apps.metrics.units import SLATE_WORDS, Measure, UnitMetric

Mask = NDArray[np.bool_]
GAP = timedelta(minutes=30) // timedelta(microseconds=1)
BLOCK = 500_000


@dataclass(frozen=True, slots=True)
class Reach:
    """What is read for an experiment from `start` to `end`. pre: how long before a unit's first exposure its
    covariate is taken (zero: there are none). window: attribution. placements: of the experiment, None: all.
    """

    start: datetime
    end: datetime
    zone: ZoneInfo
    window: timedelta
    placements: tuple[str, ...] | None = None
    pre: timedelta = timedelta(0)

    def stretch(self, metrics: Iterable[UnitMetric]) -> Stretch:
        """The rows these metrics need: sessions and clicks reach back from the first moment that counts, and
        whether slates are reported at all is a matter of a whole day.
        """
        back = timedelta(minutes=30)
        if any(measure.attributed for metric in metrics for measure in metric.measures):
            back = max(back, self.window)
        day = (self.start - self.pre - back).astimezone(self.zone).date()
        return Stretch(datetime(day.year, day.month, day.day, tzinfo=self.zone), self.end)


@dataclass(frozen=True, slots=True)
class Units:
    """Who takes part. who: ascending; first: the first exposure."""

    who: Ints
    first: Ints

    def __len__(self) -> int:
        return len(self.who)

    def taken(self, mask: Mask) -> "Units":
        """Only these."""
        return Units(self.who[mask], self.first[mask])

    def locator(self) -> Callable[[Ints], Shorts]:
        """Tells the place of each, -1 for one who is no unit.

        Shoppers' ids lie close together: a table of all between the least and the greatest is read ten times
        as fast as the units are searched.
        """
        shoppers = self.who[(known := int(np.searchsorted(self.who, 0))) :]
        spread = int(shoppers[-1] - shoppers[0]) + 1 if len(shoppers) else 0
        if not spread or spread > 16 * len(shoppers) + 1_000_000:
            return self._searched
        least = int(shoppers[0])
        table = np.full(spread + 1, -1, dtype=np.int32)  # the last place is everybody else's
        table[shoppers - least] = np.arange(known, len(self.who), dtype=np.int32)

        def located(who: Ints) -> Shorts:
            offset = who - least
            places = table[np.where((offset >= 0) & (offset < spread), offset, spread)]
            others = np.flatnonzero(who < 0)
            places[others] = self._searched(who[others])
            return places

        return located

    def locate(self, who: Ints) -> Shorts:
        """The same, once."""
        return self._searched(who) if len(who) < len(self.who) // 16 else self.locator()(who)

    def _searched(self, who: Ints) -> Shorts:
        place, known = found_at(self.who, who)
        return np.where(known, place, -1).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Added:
    """What a measure adds: `value` to `unit` at `at`, in no order."""

    unit: Shorts
    at: Ints
    value: Floats

    @classmethod
    def once(cls, unit: Shorts, at: Ints) -> "Added":
        """One each."""
        return cls(unit, at, np.broadcast_to(np.float64(1.0), len(at)))  # one number, whatever its length

    def taken(self, mask: Mask) -> "Added":
        """Only these."""
        return Added(self.unit[mask], self.at[mask], self.value[mask])


@dataclass(frozen=True, slots=True)
class UnitValues:
    """A metric's parts: what it adds from the first exposure on, and the covariates by unit (None: none)."""

    numerator: Added
    denominator: Added | None
    before: Floats | None
    before_denominator: Floats | None


class Keys:
    """(unit, moment) as one number that sorts the same way: 64 bits where they are enough, which sort five
    times as fast, else complex numbers, which NumPy compares part by part.
    """

    def __init__(self, *, units: int, low: int, high: int) -> None:
        self.low = low
        self.bits = max(high - low, 1).bit_length()
        self.packed = max(units, 1).bit_length() + self.bits <= 63

    def of(self, unit: NDArray[Any], at: Ints) -> NDArray[Any]:
        """The keys."""
        if self.packed:
            keys = unit.astype(np.int64)
            keys <<= self.bits
            keys += at
            keys -= self.low
            return keys
        return unit + 1j * (at - self.low)

    def split(self, keys: NDArray[Any]) -> tuple[Shorts, Ints]:
        """Units and moments of keys."""
        if self.packed:
            return (keys >> self.bits).astype(np.int32), (keys & ((1 << self.bits) - 1)) + self.low
        return keys.real.astype(np.int32), keys.imag.astype(np.int64) + self.low


@dataclass(frozen=True, slots=True)
class Sessions:
    """Sessions ordered by unit and start; end is that of the last event. keys: of (unit, start)."""

    unit: Shorts
    start: Ints
    end: Ints
    keys: NDArray[Any]


@dataclass(frozen=True, slots=True)
class Slates:
    """Slates of the units on the experiment's placements that count (the base)."""

    unit: Shorts
    at: Ints
    clicked: Mask
    items: Shorts
    items_clicked: Shorts


@dataclass(slots=True)
class UnitTables:
    """Everything read for some metrics of some units, and what follows from it; made by `unit_tables`."""

    units: Units
    reach: Reach
    rows: EventRows
    exposures: Exposures
    keys: Keys
    roles: Mapping[str, Sequence[int]]
    kinds: Mapping[str, int]
    products: Mapping[tuple[str, str], Ints]
    placements: Ints | None
    slates: Slates | None = None
    undone: Added | None = None
    sessions: Sessions | None = None
    _added: dict[Measure, Added] = field(default_factory=dict)

    @property
    def events(self) -> Ints:
        """How many events each unit has since its first exposure."""
        acts = self.rows.acts
        since = acts.at >= self.units.first[acts.unit]
        return np.bincount(acts.unit[since], minlength=len(self.units))

    @property
    def bots(self) -> Mask:
        """Which units were marked as bots at least once."""
        found = np.zeros(len(self.units), dtype=np.bool_)
        places = self.units.locate(self.rows.bots)
        found[places[places >= 0]] = True
        return found

    def values(self, metric: UnitMetric) -> UnitValues:
        """A metric's values, by event."""
        parts = [self._split(metric, measure) for measure in metric.measures]
        (numerator, before), rest = parts[0], parts[1:]
        denominator, before_denominator = rest[0] if rest else (None, None)
        return UnitValues(numerator, denominator, before, before_denominator)

    def _split(self, metric: UnitMetric, measure: Measure) -> tuple[Added, Floats | None]:
        """What counts from the first exposure on, and the sums by unit of the time before."""
        added = self.added(measure)
        first = self.units.first[added.unit]
        since = added.at >= first
        if metric.window_hours is not None:
            since &= added.at < first + metric.window_hours * 3_600_000_000
        before = None
        if self.reach.pre:
            pre = self.reach.pre // timedelta(microseconds=1)
            earlier = (added.at < first) & (added.at >= first - pre)
            before = np.zeros(len(self.units))
            before += np.bincount(added.unit[earlier], added.value[earlier], minlength=len(self.units))
        return added.taken(since), before

    def added(self, measure: Measure) -> Added:
        """What a measure adds, whenever."""
        if measure not in self._added:
            self._added[measure] = self._added_now(measure)
        return self._added[measure]

    def _added_now(self, measure: Measure) -> Added:
        if measure.of in SLATE_WORDS:
            return self._slates_added(measure)
        if measure.of == "session":
            sessions = self._sessions()
            return Added.once(sessions.unit, self._session_moments(sessions))
        if measure.of == "session_bought":
            return self._sessions_bought()
        if measure.of == "order":
            return self._orders()
        return self._events_added(measure)

    # --- events ---

    def _kinds(self, measure: Measure) -> list[int]:
        if measure.kind:
            return [self.kinds[measure.kind]] if measure.kind in self.kinds else []
        return list(self.roles.get(measure.role, ()))

    def _events_added(self, measure: Measure) -> Added:
        kinds = self._kinds(measure)
        if not is_detailed(measure):
            mask = np.isin(self.rows.acts.kind, kinds)
            return Added.once(self.rows.acts.unit[mask], self.rows.acts.at[mask])
        details = self.rows.details
        mask = np.isin(details.kind, kinds) & self._of_product(measure, details)
        if measure.attributed:
            mask &= self._attributed(details)
        added = _value_of(measure, details, mask)
        if not measure.net:
            return added
        if measure.attributed:
            less = self.undone
        else:
            back = np.isin(details.kind, self.roles.get("return", ()))
            less = _value_of(measure, details, back & self._of_product(measure, details))
        assert less is not None
        return Added(
            np.concatenate([added.unit, less.unit]),
            np.concatenate([added.at, less.at]),
            np.concatenate([added.value, -less.value]),
        )

    def _of_product(self, measure: Measure, details: Details) -> Mask:
        if not measure.category and not measure.brand:
            return np.ones(len(details), dtype=np.bool_)
        return np.isin(details.product, self.products[measure.category, measure.brand])

    def _attributed(self, details: Details) -> Mask:
        """Purchases whose last click on a slate within the window was on one of the placements."""
        links, exposures = self.rows.links, self.exposures
        clicks = links.taken(np.isin(links.kind, self.roles.get("click", ())) & (links.unit >= 0))
        by_request = np.argsort(exposures.request)
        slate, known = found_at(exposures.request[by_request], clicks.request)
        clicks, placement = clicks.taken(known), exposures.placement[by_request[slate[known]]]
        order = np.argsort(keys := self.keys.of(clicks.unit, clicks.at), kind="stable")
        if not len(order):
            return np.zeros(len(details), dtype=np.bool_)
        last = np.searchsorted(keys[order], self.keys.of(details.unit, details.at), side="right") - 1
        click = order[last.clip(min=0)]
        window = self.reach.window // timedelta(microseconds=1)
        mine = (last >= 0) & (clicks.unit[click] == details.unit) & (details.at - clicks.at[click] <= window)
        return mine & among(placement[click], self.placements)

    # --- sessions and orders ---

    def _sessions(self) -> Sessions:
        if self.sessions is None:
            acts = self.rows.acts
            returns = np.isin(acts.kind, self.roles.get("return", ()))
            keys = self.keys.of(acts.unit, acts.at)
            keys[returns] = np.iinfo(np.int64).max if self.keys.packed else np.inf
            keys.sort()
            keys = keys[: len(keys) - np.count_nonzero(returns)]
            begins = np.flatnonzero(self._beginnings(keys))
            ends = np.append(begins[1:], len(keys))[: len(begins)] - 1
            unit, start = self.keys.split(keys[begins])
            self.sessions = Sessions(unit, start, self.keys.split(keys[ends])[1], keys[begins])
        return self.sessions

    def _beginnings(self, keys: NDArray[Any]) -> Mask:
        """Whether each of the ordered keys begins a session; block by block, which needs little memory."""
        found = np.zeros(len(keys), dtype=np.bool_)
        for start in range(0, len(keys), BLOCK):
            before = max(start - 1, 0)
            unit, at = self.keys.split(keys[before : start + BLOCK])
            found[start : start + BLOCK] = sessions_begin(who=unit, at=at, gap=GAP)[start - before :]
        return found

    def _session_moments(self, sessions: Sessions) -> Ints:
        """When a session counts: at its start; the one that runs at the first exposure, then."""
        first = self.units.first[sessions.unit]
        running = (sessions.start < first) & (first < sessions.end + GAP)
        return np.where(running, first, sessions.start)

    def _bought(self) -> tuple[Details, Ints]:
        """Purchases, and the places of their sessions."""
        purchases = self.rows.details.taken(np.isin(self.rows.details.kind, self.roles.get("purchase", ())))
        keys = self.keys.of(purchases.unit, purchases.at)
        return purchases, np.searchsorted(self._sessions().keys, keys, side="right") - 1

    def _sessions_bought(self) -> Added:
        """Sessions with a purchase; one before the first exposure says nothing of the session after it."""
        sessions = self._sessions()
        purchases, session = self._bought()
        moments = self._session_moments(sessions)
        counts = (purchases.at >= self.units.first[purchases.unit]) | (
            moments[session] < self.units.first[purchases.unit]
        )
        bought = np.unique(session[counts])
        return Added.once(sessions.unit[bought], moments[bought])

    def _orders(self) -> Added:
        """Orders at their first purchase; what was bought before the first exposure is another order."""
        purchases, session = self._bought()
        since = purchases.at >= self.units.first[purchases.unit]
        order = np.lexsort((purchases.at, since, purchases.order, session))
        ordered = (session[order], purchases.order[order], since[order])
        new = np.ones(len(order), dtype=np.bool_)
        new[1:] = np.logical_or.reduce([part[1:] != part[:-1] for part in ordered])
        at = order[new]
        return Added.once(purchases.unit[at], purchases.at[at])

    # --- slates ---

    def _slates_added(self, measure: Measure) -> Added:
        slates = self.slates
        assert slates is not None
        match measure.of:
            case "slate":
                return Added.once(slates.unit, slates.at)
            case "slate_clicked":
                return Added.once(slates.unit[slates.clicked], slates.at[slates.clicked])
            case "item_seen":
                return Added(slates.unit, slates.at, slates.items.astype(np.float64))
            case _:
                return Added(slates.unit, slates.at, slates.items_clicked.astype(np.float64))


def is_detailed(measure: Measure) -> bool:
    """Whether a measure needs more of an event than who, when and what kind."""
    return measure.of == "event" and (
        measure.value != "count" or bool(measure.category or measure.brand) or measure.attributed
    )


def _value_of(measure: Measure, details: Details, mask: Mask) -> Added:
    match measure.value:
        case "count":
            value = np.ones(len(details))
        case "quantity":
            value = details.quantity
        case "amount":
            value = details.amount
        case "margin":
            value = details.amount - details.cost
        case _:
            value = details.value
    mask = mask & ~np.isnan(value)
    return Added(details.unit[mask], details.at[mask], value[mask])


def found_at(ascending: Ints, wanted: Ints) -> tuple[Ints, Mask]:
    """The place of each wanted value, and whether it is there."""
    if not len(ascending):
        return np.zeros(len(wanted), dtype=np.int64), np.zeros(len(wanted), dtype=np.bool_)
    at = np.searchsorted(ascending, wanted).clip(max=len(ascending) - 1)
    return at, ascending[at] == wanted


def among(values: NDArray[Any], wanted: Ints | None) -> Mask:
    """Which are wanted; None wants all."""
    return np.ones(len(values), dtype=np.bool_) if wanted is None else np.isin(values, wanted)
