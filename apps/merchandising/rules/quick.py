"""The page of a slate that nobody asked to explain, by columns.

`arrange` is the law; this gives the same page where no limit has to give way and the first candidates are
enough, which is nearly always, and says so where it is not.
"""

from collections.abc import Mapping

from apps.merchandising.rules.arrange import assembled, slots_from
from apps.merchandising.rules.columns import NO_POT, PIN_BITS, POT_LIMITS, UNKNOWN
from apps.merchandising.rules.plan import Plan
from apps.merchandising.rules.ranking import Head, HeadRanking
from apps.merchandising.rules.slate import Shown
from apps.merchandising.rules.table import FactsTable
from apps.merchandising.rules.types import Pin, ProductTarget


def page_quick(
    ranking: HeadRanking,
    facts: FactsTable,
    plan: Plan,
    *,
    n: int,
    at: float,
    excluded: Mapping[int, str],
) -> tuple[Shown, ...] | None:
    """The page; None when it takes the whole law to make it."""
    if len(plan.limits) > POT_LIMITS or len(plan.target_pins) > PIN_BITS:
        return None
    head = ranking.head()
    pots = _Pots(plan)
    groups: set[int] = set()
    slots: dict[int, Shown] = {}
    if plan.pins:
        _Pinning(ranking, facts, plan, head, groups, pots).place(slots, n=n, at=at, excluded=excluded)
    needed, blocked = n - len(slots), False
    fill: list[Shown] = []
    for place, (product_id, group, _pins, counted) in enumerate(head.entries):
        if len(fill) >= needed:
            break
        if group in groups:
            continue
        if pots.limits:
            if pots.full(counted):
                blocked = True
                continue
            pots.add(counted)
        groups.add(group)
        fill.append(Shown(product_id, head.scores[place], head.adjusted[place], head.tiers[place]))
    if len(fill) < needed and (blocked or not head.whole):
        return None  # a limit must give way, or there is more to look at
    return tuple(assembled(slots, fill))


class _Pots:
    """How many items count against each limit."""

    def __init__(self, plan: Plan) -> None:
        self.limits = [limit.max for limit in plan.limits]
        self._counts: dict[int, int] = {}

    def full(self, pots: list[int]) -> bool:
        """Whether a product of these pots would exceed a limit."""
        counts = self._counts
        for pot, most in zip(pots, self.limits, strict=True):
            if pot != NO_POT and counts.get(pot, 0) >= most:
                return True
        return False

    def add(self, pots: list[int]) -> None:
        """Count a product of these pots."""
        counts = self._counts
        for pot in pots:
            if pot != NO_POT:
                counts[pot] = counts.get(pot, 0) + 1


class _Pinning:
    """Gives pins their places. groups, pots: what is taken so far."""

    def __init__(
        self,
        ranking: HeadRanking,
        facts: FactsTable,
        plan: Plan,
        head: Head,
        groups: set[int],
        pots: _Pots,
    ) -> None:
        self.ranking, self.facts, self.plan, self.head = ranking, facts, plan, head
        self.groups, self.pots = groups, pots

    def place(self, slots: dict[int, Shown], *, n: int, at: float, excluded: Mapping[int, str]) -> None:
        """Fill `slots` (1 is first)."""
        bit = 0
        for pin in self.plan.pins:
            named = isinstance(pin.target, ProductTarget)
            mine, bit = bit, bit + (not named)
            if pin.position > n:
                continue
            slot = pin.position if pin.position not in slots else _free(pin.position, n, slots)
            if slot is None:
                continue
            shown = self._named(pin, at, excluded) if named else self._best(pin, 1 << mine)
            if shown is not None:
                slots[slot] = shown

    def _best(self, pin: Pin, bit: int) -> Shown | None:
        """The first candidate that the pin's target names."""
        head, groups = self.head, self.groups
        for place, (product_id, group, pins, pots) in enumerate(head.entries):
            if pins & bit and group not in groups:
                self._take(group, pots)
                shown = product_id, head.scores[place], head.adjusted[place], head.tiers[place]
                return Shown(*shown, pin)
        for product_id in () if head.whole else self.ranking.matching(pin):
            if self._taken(product_id):
                return self._found(product_id, pin)
        return None

    def _named(self, pin: Pin, at: float, excluded: Mapping[int, str]) -> Shown | None:
        """The first named product that passes the gates, candidate or not."""
        by_sku = self.facts.by_sku
        for sku in pin.target.skus if isinstance(pin.target, ProductTarget) else ():
            known = by_sku.get(sku)
            if known is None or known.product_id in excluded or known.unavailable(at) is not None:
                continue
            if self.plan.verdict(known).gate:
                continue
            if self._taken(known.product_id):
                return self._found(known.product_id, pin)
        return None

    def _taken(self, product_id: int) -> bool:
        """Take this product, unless it or a variant of it is on the page."""
        columns = self.ranking.columns
        row = columns.products.row(product_id)
        if row == UNKNOWN or (group := int(columns.products.groups[row])) in self.groups:
            return False
        columns.judge(row)
        self._take(group, columns.pots[row].tolist())
        return True

    def _found(self, product_id: int, pin: Pin) -> Shown:
        place = next((at for at, entry in enumerate(self.head.entries) if entry[0] == product_id), None)
        if place is not None:
            head = self.head
            return Shown(product_id, head.scores[place], head.adjusted[place], head.tiers[place], pin)
        candidate = None if self.head.whole else self.ranking.find(product_id)
        if candidate is None:
            return Shown(product_id, None, None, 0, pin)
        return Shown(product_id, candidate.score, self.ranking.adjusted(candidate), candidate.tier, pin)

    def _take(self, group: int, pots: list[int]) -> None:
        self.groups.add(group)
        self.pots.add(pots)


def _free(position: int, n: int, slots: Mapping[int, Shown]) -> int | None:
    """The nearest free slot after this position, else before it."""
    return next((slot for slot in slots_from(position, n) if slot not in slots), None)
