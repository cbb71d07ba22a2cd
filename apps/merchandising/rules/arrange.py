"""The order law itself: candidates and active rules in, one arrangement out."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from apps.merchandising.rules.facts import ProductFacts
from apps.merchandising.rules.plan import Plan
from apps.merchandising.rules.ranking import Ranking
from apps.merchandising.rules.slate import Candidate, Drop
from apps.merchandising.rules.table import FactsTable
from apps.merchandising.rules.types import Limit, Pin, ProductTarget


@dataclass(slots=True)
class Place:
    """One product of an arrangement, on the page or behind it."""

    facts: ProductFacts
    candidate: Candidate | None
    pin: Pin | None = None
    admitted_by: Limit | None = None


@dataclass(slots=True)
class Arrangement:
    """places: the page, then (when all candidates were walked) everything that would follow it.

    page: how many of `places` are on the page. pins: what became of each pin, by rule id. moved: candidates
    touched by each boost and bury, by rule id.
    """

    places: list[Place]
    page: int
    dropped: list[Drop]
    relaxed: list[tuple[Limit, list[int]]]
    pins: dict[str, str]

    def ranks(self) -> dict[int, int]:
        """Position (1 is first) of every product that passed the gates."""
        return {place.facts.product_id: number for number, place in enumerate(self.places, 1)}


@dataclass(slots=True)
class _Pots:
    """How many items count against each limit."""

    plan: Plan
    limits: list[Limit]
    counts: dict[tuple[str, str], int] = field(default_factory=dict)

    def blocking(self, facts: ProductFacts) -> Limit | None:
        # The last limits may be gone: zip ends with those that are left.
        for limit, bucket in zip(self.limits, self.plan.verdict(facts).buckets, strict=False):
            if bucket is not None and self.counts.get((limit.id, bucket), 0) >= limit.max:
                return limit
        return None

    def add(self, facts: ProductFacts) -> None:
        if not self.limits:
            return
        for limit, bucket in zip(self.limits, self.plan.verdict(facts).buckets, strict=False):
            if bucket is not None:
                key = (limit.id, bucket)
                self.counts[key] = self.counts.get(key, 0) + 1


class Arranger:
    """One pass over the candidates of one request under one plan."""

    def __init__(
        self,
        ranking: Ranking,
        facts: FactsTable,
        plan: Plan,
        *,
        n: int,
        at: float,
        excluded: Mapping[int, str],
    ) -> None:
        self.facts, self.plan, self.n, self.at, self.excluded = facts, plan, n, at, excluded
        self.ranking = ranking
        self.groups: dict[str | int, int] = {}

    def adjusted(self, candidate: Candidate) -> float:
        """The candidate's score with boosts and buries."""
        facts = self.facts.by_id.get(candidate.product_id)
        if facts is None or not self.plan.moving:
            return candidate.score
        return candidate.score + self.plan.verdict(facts).strength * self.ranking.spread

    def gate(self, product_id: int) -> Drop | None:
        """The first gate that never relaxes and removes this product; None when it passes."""
        facts = self.facts.by_id.get(product_id)
        if facts is None:
            return Drop(product_id, "availability", "unknown")
        reason = facts.unavailable(self.at)
        if reason is not None:
            return Drop(product_id, "availability", reason)
        reason = self.excluded.get(product_id)
        if reason is not None:
            return Drop(product_id, "excluded", reason)
        verdict = self.plan.verdict(facts)
        if verdict.gate:
            code = "hidden" if verdict.gate == "hide" else "filtered"
            return Drop(product_id, verdict.gate, code, verdict.rule_id)
        return None

    def arrange(self, *, whole: bool) -> Arrangement:
        """The slate. whole: walk all candidates, to say what follows the page and why others are missing."""
        states: dict[str, str] = {}
        slots = self._pins_place(states)
        pots = _Pots(self.plan, list(self.plan.limits))
        for place in slots.values():
            pots.add(place.facts)
        needed = self.n - len(slots)
        fill, blocked, dropped = self._fill(pots, slots, needed=None if whole else needed)
        relaxed = self._relax(pots, fill, blocked, needed, dropped)
        places = assembled(slots, fill)
        return Arrangement(places, min(self.n, len(places)), dropped, relaxed, states)

    # -- pins ----------------------------------------------------------------------------------------------

    def _pins_place(self, states: dict[str, str]) -> dict[int, Place]:
        """Slot (1 is first) to pinned product. The earlier rule wins a slot; the later takes the nearest free
        one after it, else before it.
        """
        slots: dict[int, Place] = {}
        for pin in self.plan.pins:
            if pin.position > self.n:
                states[pin.id] = "beyond_page"
                continue
            slot = next((s for s in slots_from(pin.position, self.n) if s not in slots), None)
            if slot is None:
                states[pin.id] = "page_full"
                continue
            states[pin.id] = "no_match"
            for product_id in self._pin_choices(pin):
                drop = self.gate(product_id)
                facts = self.facts.by_id.get(product_id)
                if drop is None and facts is not None and facts.group in self.groups:
                    taken = self.groups[facts.group]
                    drop = Drop(product_id, "variant", "repeated" if taken == product_id else "variant")
                if drop is None and facts is not None:
                    slots[slot] = Place(facts, self.ranking.find(product_id), pin=pin)
                    self.groups[facts.group] = product_id
                    states[pin.id] = "fired"
                    break
                if drop is not None and states[pin.id] == "no_match":
                    states[pin.id] = drop.code
        return slots

    def _pin_choices(self, pin: Pin) -> Iterator[int]:
        if isinstance(pin.target, ProductTarget):
            for sku in pin.target.skus:
                named = self.facts.by_sku.get(sku)
                if named is not None:
                    yield named.product_id
            return
        yield from self.ranking.matching(pin)

    # -- fill and limits -----------------------------------------------------------------------------------

    def _fill(
        self, pots: _Pots, slots: Mapping[int, Place], *, needed: int | None
    ) -> tuple[list[Place], list[tuple[Place, Limit]], list[Drop]]:
        """Takes candidates in order under all limits, until `needed` are found (None: walks them all)."""
        seen = {place.facts.product_id for place in slots.values()}
        fill: list[Place] = []
        blocked: list[tuple[Place, Limit]] = []
        dropped: list[Drop] = []
        for candidate in self.ranking.walk():
            if needed is not None and len(fill) >= needed:
                break
            product_id = candidate.product_id
            if product_id in seen:
                continue
            seen.add(product_id)
            drop = None if self.ranking.gated else self.gate(product_id)
            if drop is not None:
                dropped.append(drop)
                continue
            facts = self.facts.by_id[product_id]
            if facts.group in self.groups:
                params = {"of": self.groups[facts.group]}
                dropped.append(Drop(product_id, "variant", "variant", None, params))
                continue
            place = Place(facts, candidate)
            limit = pots.blocking(facts) if pots.limits else None
            if limit is not None:
                blocked.append((place, limit))
                continue
            self._take(place, fill, pots)
        return fill, blocked, dropped

    def _take(self, place: Place, fill: list[Place], pots: _Pots) -> None:
        fill.append(place)
        self.groups[place.facts.group] = place.facts.product_id
        pots.add(place.facts)

    def _relax(
        self,
        pots: _Pots,
        fill: list[Place],
        blocked: list[tuple[Place, Limit]],
        needed: int,
        dropped: list[Drop],
    ) -> list[tuple[Limit, list[int]]]:
        """Drops limits, the last first, while places stay empty and a blocked product could take one."""
        relaxed: list[tuple[Limit, list[int]]] = []
        while len(fill) < needed and blocked and pots.limits:
            limit = pots.limits.pop()
            admitted: list[int] = []
            waiting, blocked = blocked, []
            for place, first in waiting:
                if place.facts.group in self.groups:
                    params = {"of": self.groups[place.facts.group]}
                    dropped.append(Drop(place.facts.product_id, "variant", "variant", None, params))
                elif len(fill) >= needed or (still := pots.blocking(place.facts)) is not None:
                    blocked.append((place, first if len(fill) >= needed else still or first))
                else:
                    place.admitted_by = limit
                    admitted.append(place.facts.product_id)
                    self._take(place, fill, pots)
            relaxed.append((limit, admitted))
        for place, limit in blocked:
            limited = {"max": limit.max, "by": limit.by, "bucket": limit.bucket(place.facts)}
            dropped.append(Drop(place.facts.product_id, "limit", "limited", limit.id, limited))
        return relaxed


T = TypeVar("T")


def assembled(slots: Mapping[int, T], fill: Sequence[T]) -> list[T]:
    """Pins at their slots (1 is first), fill between; where the fill runs out, later pins move up."""
    places: list[T] = []
    rest = iter(fill)
    for slot in sorted(slots):
        while len(places) + 1 < slot and (following := next(rest, None)) is not None:
            places.append(following)
        places.append(slots[slot])
    places.extend(rest)
    return places


def slots_from(position: int, n: int) -> Iterator[int]:
    """Slots in the order in which a pin of this position takes them."""
    yield from range(position, n + 1)
    yield from range(position - 1, 0, -1)
