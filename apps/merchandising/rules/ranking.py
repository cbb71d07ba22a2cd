"""Candidates in the order in which places are given: all of them, or only as many as are looked at.

The order: tier, then the score with boosts and buries, then the order of arrival; so that equal input gives
an equal slate.
"""

import math
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from apps.merchandising.rules.columns import PIN_BITS, CandidateColumns, Entry, Ids
from apps.merchandising.rules.plan import Plan
from apps.merchandising.rules.slate import Candidate
from apps.merchandising.rules.table import FactsTable
from apps.merchandising.rules.types import Pin

# So many candidates per place, and some more, are put in order at first: limits and variants skip a few.
HEAD_PER_PLACE, HEAD_MORE = 2, 16
Places = NDArray[np.intp]


class Head(NamedTuple):
    """The first candidates in order; all equally long.

    entries: see `PlanColumns`. adjusted: score with boosts and buries. whole: these are all candidates.
    """

    entries: list[Entry]
    scores: list[float]
    adjusted: list[float]
    tiers: list[int]
    whole: bool


class Ranking(Protocol):
    """spread: distance between the best and the worst score of the blend (tier 0); 1 when they do not differ
    or nothing is moved by it. gated: `walk` and `matching` give only what passes the gates that never relax.
    """

    spread: float
    gated: bool

    def walk(self) -> Iterator[Candidate]:
        """Candidates in order; a product may come twice."""

    def matching(self, pin: Pin) -> Iterator[int]:
        """The products among them that a pin's target names, in order."""

    def find(self, product_id: int) -> Candidate | None:
        """The product's first candidate in the order."""


class WholeRanking:
    """Every candidate, whatever the gates say: for slates that are explained."""

    gated = False

    def __init__(self, candidates: Sequence[Candidate], facts: FactsTable, plan: Plan) -> None:
        self.facts = facts
        self.spread = spread_of(candidates) if plan.moving else 1.0
        self._ordered = self._order(candidates, plan)
        self._by_product = {c.product_id: c for c in reversed(self._ordered)} if plan.pins else {}

    def _order(self, candidates: Sequence[Candidate], plan: Plan) -> list[Candidate]:
        if not plan.moving:
            return sorted(sorted(candidates, key=itemgetter(1), reverse=True), key=itemgetter(2))
        known = [self.facts.by_id.get(candidate.product_id) for candidate in candidates]
        strengths = [plan.verdict(facts).strength if facts is not None else 0.0 for facts in known]
        keys = [
            (c.tier, -(c.score + strength * self.spread), number)
            for number, (c, strength) in enumerate(zip(candidates, strengths, strict=True))
        ]
        keys.sort()
        return [candidates[key[2]] for key in keys]

    def walk(self) -> Iterator[Candidate]:
        """See `Ranking`."""
        return iter(self._ordered)

    def matching(self, pin: Pin) -> Iterator[int]:
        """See `Ranking`."""
        for candidate in self._ordered:
            facts = self.facts.by_id.get(candidate.product_id)
            if facts is not None and pin.target.matches(facts):
                yield candidate.product_id

    def find(self, product_id: int) -> Candidate | None:
        """See `Ranking`."""
        return self._by_product.get(product_id)


class HeadRanking:
    """Only what passes the gates, put in order as far as it is looked at; never for a slate to explain."""

    gated = True

    def __init__(
        self,
        candidates: CandidateColumns,
        facts: FactsTable,
        plan: Plan,
        *,
        n: int,
        at: float,
        excluded: Ids,
    ) -> None:
        products = facts.columns
        self._all = candidates
        self._plan = plan
        self.columns = plan.columns(products)
        self._rows = products.rows(candidates.ids)
        self._head_size = HEAD_PER_PLACE * n + HEAD_MORE
        scores = candidates.scores
        self._flat = not candidates.tiers.any()
        self.spread = 1.0
        if plan.moving:
            blended = scores if self._flat else scores[candidates.tiers == 0]
            if len(blended):
                self.spread = float(blended.max() - blended.min()) or 1.0
        opened = self.columns.opened(self._rows) & products.may_be_sold(self._rows, at)
        if len(excluded):
            opened &= ~products.among(candidates.ids, excluded)
        # The row of what is no product is the last one, which says nothing.
        opened &= self._rows >= 0
        self._key = -(scores + self.columns.strength[self._rows] * self.spread) if plan.moving else -scores
        self._open: Places = np.flatnonzero(opened)

    def _ordered(self, places: Places) -> Places:
        """These candidates in order."""
        every = self._all
        keys = (every.ids[places], -every.arrival[places], self._key[places])
        return places[np.lexsort(keys if self._flat else (*keys, every.tiers[places]))]

    def _candidates(self, places: Places) -> Iterator[Candidate]:
        every = self._all
        return map(
            Candidate, every.ids[places].tolist(), every.scores[places].tolist(), every.tiers[places].tolist()
        )

    def _in_head(self) -> NDArray[np.bool_] | None:
        """Which of the open ones belong to the head; None when they all do. All that share the last key of
        the head belong to it, else equals would be torn apart.
        """
        size = self._head_size
        if not self._flat or len(self._open) <= 2 * size:
            return None
        keys = self._key[self._open]
        in_head: NDArray[np.bool_] = keys <= np.partition(keys, size)[size]
        return in_head

    def walk(self) -> Iterator[Candidate]:
        """See `Ranking`."""
        places, in_head = self._open, self._in_head()
        if in_head is None:
            yield from self._candidates(self._ordered(places))
            return
        yield from self._candidates(self._ordered(places[in_head]))
        yield from self._candidates(self._ordered(places[~in_head]))

    def head(self) -> "Head":
        """The first candidates in order, as columns."""
        in_head, every, columns = self._in_head(), self._all, self.columns
        places = self._ordered(self._open if in_head is None else self._open[in_head])
        entries = columns.entries
        return Head(
            [entries[row] for row in self._rows[places].tolist()],
            every.scores[places].tolist(),
            (-self._key[places]).tolist(),
            [0] * len(places) if self._flat else every.tiers[places].tolist(),
            in_head is None,
        )

    def matching(self, pin: Pin) -> Iterator[int]:
        """See `Ranking`."""
        bit = self._plan.target_pins.index(pin)
        if bit >= PIN_BITS:
            facts = self.columns.products.facts
            rows = self._rows[self._open].tolist()
            found = self._open[[pin.target.matches(facts[row]) for row in rows]]
        else:
            wanted = self.columns.pins[self._rows[self._open]] & np.uint64(1 << bit)
            found = self._open[wanted != 0]
        if not len(found):
            return
        if self._flat:
            keys = self._key[found]
            best = found[keys <= keys.min()]
            yield from self._all.ids[self._ordered(best)].tolist()
            found = found[keys > keys.min()]
        yield from self._all.ids[self._ordered(found)].tolist()

    def find(self, product_id: int) -> Candidate | None:
        """See `Ranking`."""
        found = np.flatnonzero(self._all.ids == product_id)
        if not len(found):
            return None
        return next(self._candidates(self._ordered(found) if len(found) > 1 else found))

    def adjusted(self, candidate: Candidate) -> float:
        """The candidate's score with boosts and buries."""
        if not self._plan.moving:
            return candidate.score
        row = self.columns.products.row(candidate.product_id)
        return candidate.score + float(self.columns.strength[row]) * self.spread


def spread_of(candidates: Sequence[Candidate]) -> float:
    """Distance between the best and the worst score of the blend (tier 0); 1 when they do not differ."""
    scores = [c.score for c in candidates if c.tier == 0 and math.isfinite(c.score)]
    spread = max(scores) - min(scores) if scores else 0.0
    return spread or 1.0
