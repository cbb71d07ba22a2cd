"""Products and candidates as columns: what most candidates are asked is answered for all of them at once.

A product has a row number here. Gates and strengths of a plan are judged once per product and kept by row
until its facts change, so that a request gathers them instead of asking each rule.
"""

import itertools
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from apps.merchandising.rules.facts import ProductFacts

if TYPE_CHECKING:
    from apps.merchandising.rules.plan import Plan

Ids = NDArray[np.int64]
Rows = NDArray[np.int32]
Doubles = NDArray[np.float64]
Mask = NDArray[np.bool_]
UNKNOWN = -1
# Ids above this many times the number of products are found by a search instead of a look-up.
SPARSE = 64
GROWTH = 1.25
CHANGES_MAX = 500_000
# Pins of a category, brand, attribute or tag that are looked up by bit.
PIN_BITS = 64
# Limits whose pots are kept by row; of more than these slates are arranged by asking each product.
POT_LIMITS = 8
NO_POT = -1


class CandidateColumns(NamedTuple):
    """Candidates of one request. ids: int64 [n]. scores, arrival: float64 [n]; tiers: int8 [n].

    Of two with one tier and one adjusted score the one with the higher arrival comes first, then the lower
    id.
    """

    ids: Ids
    scores: Doubles
    tiers: NDArray[np.int8]
    arrival: Doubles


class ProductColumns:
    """Facts by row. facts: the product of each row. sellable: listed and in stock; begins, ends: between
    which epoch seconds it may be sold. The last row is that of UNKNOWN and never taken.

    One thread writes, many read: a row is written before it can be found.
    """

    def __init__(self, facts: Iterable[ProductFacts]) -> None:
        self.facts = list(facts)
        size = int(len(self.facts) * GROWTH) + 64
        self.ids = np.full(size, UNKNOWN, dtype=np.int64)
        self.sellable = np.zeros(size, dtype=np.bool_)
        self.begins = np.full(size, -np.inf)
        self.ends = np.full(size, np.inf)
        # Equal for variants of one product, of which a page shows one: below zero; else the product's id.
        self.groups = np.zeros(size, dtype=np.int64)
        self._group_codes: dict[str, int] = {}
        # Rows whose facts were replaced, in order; plans catch up with it.
        self.changes: list[int] = []
        self._windows = False
        self._local = threading.local()
        for row, one in enumerate(self.facts):
            self._write(row, one)
        self._index()

    @property
    def size(self) -> int:
        """Rows there is room for."""
        return len(self.ids)

    def _write(self, row: int, facts: ProductFacts) -> None:
        self.ids[row] = facts.product_id
        self.sellable[row] = facts.unavailable_ever is None
        group, codes = facts.group_key, self._group_codes
        self.groups[row] = codes.setdefault(group, -len(codes) - 1) if group else facts.product_id
        if facts.available_from is not None or facts.available_until is not None:
            self._windows = True
        self.begins[row] = -np.inf if facts.available_from is None else facts.available_from
        self.ends[row] = np.inf if facts.available_until is None else facts.available_until

    def _index(self) -> None:
        known = self.ids[: len(self.facts)]
        top = int(known.max(initial=0))
        self._sorted: Ids | None = None
        if top > SPARSE * (len(known) + 1_000):
            order = np.argsort(known)
            self._sorted, self._order = known[order], order.astype(np.int32)
            return
        # The last place stands for every id beyond.
        look_up = np.full(int(top * GROWTH) + 64, UNKNOWN, dtype=np.int32)
        look_up[known] = np.arange(len(known), dtype=np.int32)
        self._look_up = look_up

    def put(self, facts: ProductFacts) -> bool:
        """Replace or add a product; False when there is no room left and new columns must be made."""
        row = self.row(facts.product_id)
        if row != UNKNOWN and len(self.changes) < CHANGES_MAX:
            self.facts[row] = facts
            self._write(row, facts)
            self.changes.append(row)
            return True
        row = len(self.facts)
        full = row >= self.size - 1 or len(self.changes) >= CHANGES_MAX
        if full or self._sorted is not None or facts.product_id >= len(self._look_up) - 1:
            return False
        self.facts.append(facts)
        self._write(row, facts)
        self._look_up[facts.product_id] = row
        return True

    def rows(self, ids: Ids) -> Rows:
        """Row of each product id (not negative), UNKNOWN for those that are no product: int32 [n]."""
        if self._sorted is None:
            return self._look_up.take(ids, mode="clip")
        places = np.searchsorted(self._sorted, ids).clip(max=len(self._sorted) - 1)
        return np.where(self._sorted[places] == ids, self._order[places], np.int32(UNKNOWN))

    def row(self, product_id: int) -> int:
        """The row of one product, UNKNOWN if it is none."""
        if self._sorted is None and product_id < len(self._look_up):
            return int(self._look_up[product_id])
        return int(self.rows(np.array([product_id]))[0])

    def may_be_sold(self, rows: Rows, at: float) -> Mask:
        """Whether each of these products can be sold at this moment (epoch seconds)."""
        open_ = self.sellable[rows]
        if self._windows:
            open_ &= (self.begins[rows] <= at) & (at < self.ends[rows])
        return open_

    def scratch(self) -> NDArray[np.int32]:
        """int32 [size + 1] of this thread, to write into and read back; what stood in it means nothing."""
        scratch: NDArray[np.int32] | None = getattr(self._local, "scratch", None)
        if scratch is None:
            scratch = self._local.scratch = np.zeros(self.size + 1, dtype=np.int32)
        return scratch

    def distinct(self, ids: Ids) -> tuple[Ids, NDArray[np.int32]]:
        """Each id once, in any order, and for every given one its place among them (np.unique's inverse)."""
        rows = self.rows(ids)
        if len(rows) and rows.min() < 0:
            candidates, inverse = np.unique(ids, return_inverse=True)
            return candidates, inverse.astype(np.int32)
        scratch, numbers = self.scratch(), np.arange(len(rows), dtype=np.int32)
        scratch[rows] = numbers
        first = np.flatnonzero(scratch[rows] == numbers)
        chosen = rows[first]
        scratch[chosen] = numbers[: len(first)]
        return ids[first], scratch[rows]

    def among(self, ids: Ids, wanted: Ids) -> Mask:
        """For each of `ids` whether it is one of `wanted`; ids that are no product are not."""
        scratch = self.scratch()
        rows = self.rows(ids)
        scratch[rows] = 0
        scratch[self.rows(wanted)] = 1
        scratch[UNKNOWN] = 0
        found: Mask = scratch[rows] == 1
        return found


Entry = tuple[int, int, int, list[int]]
NO_ENTRY: Entry = (UNKNOWN, 0, 0, [])


class PlanColumns:
    """What a plan says of products, by row of `products`; judged when first asked.

    strength: boosts less buries. pins: bit k is set where pin k of `plan.target_pins` names the product.
    pots: int32 [rows, limits], the number of the pot in which the product counts against each limit, NO_POT
    where it does not; only of the first POT_LIMITS limits.
    """

    def __init__(self, plan: "Plan", products: ProductColumns) -> None:
        self.plan, self.products = plan, products
        self._judged = np.zeros(products.size, dtype=np.bool_)
        self._open = np.zeros(products.size, dtype=np.bool_)
        self.strength = np.zeros(products.size)
        self.pins = np.zeros(products.size, dtype=np.uint64)
        self.pots = np.full((products.size, len(plan.limits[:POT_LIMITS])), NO_POT, dtype=np.int32)
        # Of each row what arranging a page asks: id, group, pins and pots.
        self.entries: list[Entry] = [NO_ENTRY] * products.size
        self._pot_numbers: dict[tuple[int, str], int] = {}
        self._next_pot = itertools.count()
        self._changes_seen = 0

    def opened(self, rows: Rows) -> Mask:
        """Which of these products no hide or filter rule removes; their strength and pins are known then."""
        changes = self.products.changes
        if self._changes_seen != len(changes):
            seen, self._changes_seen = self._changes_seen, len(changes)
            self._judged[changes[seen:]] = False
        judged = self._judged[rows]
        if not judged.all():
            for row in rows[~judged].tolist():
                self._judge(row)
        return self._open[rows]

    def judge(self, row: int) -> None:
        """Let what the plan says of this product be known."""
        if not self._judged[row]:
            self._judge(row)

    def _judge(self, row: int) -> None:
        if row == UNKNOWN:
            self._judged[row] = True  # and not open
            return
        facts = self.products.facts[row]
        verdict = self.plan.verdict(facts)
        self._open[row] = not verdict.gate
        self.strength[row] = verdict.strength
        self.pins[row] = sum(
            1 << bit for bit, pin in enumerate(self.plan.target_pins) if pin.target.matches(facts)
        )
        for place, bucket in enumerate(verdict.buckets[:POT_LIMITS]):
            self.pots[row, place] = NO_POT if bucket is None else self._pot_number(place, bucket)
        product_id, group = facts.product_id, int(self.products.groups[row])
        self.entries[row] = (product_id, group, int(self.pins[row]), self.pots[row].tolist())
        self._judged[row] = True
        if self.products.facts[row] is not facts:  # replaced meanwhile: that it is in `changes` may be seen
            self._judged[row] = False

    def _pot_number(self, place: int, bucket: str) -> int:
        known = self._pot_numbers.get((place, bucket))
        if known is None:  # a number is never given twice, even if two threads judge
            known = self._pot_numbers.setdefault((place, bucket), next(self._next_pot))
        return known
