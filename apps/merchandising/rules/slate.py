"""What goes into and comes out of the engine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from apps.merchandising.rules.types import Limit, Pin


class Candidate(NamedTuple):
    """A product with its blended score. tier: 0 is the blend; higher tiers are fallback fill and always rank
    behind lower ones, whatever their scores.
    """

    product_id: int
    score: float
    tier: int = 0


@dataclass(frozen=True, slots=True)
class RuleContext:
    """now: aware, decides schedules and availability. n: page size. excluded: products this request must not
    show, with the reason as a code ('bought', 'disliked', 'in_request', …). explain: fill the whole trace.
    """

    now: datetime
    n: int
    excluded: Mapping[int, str] = field(default_factory=dict)
    explain: bool = False


@dataclass(frozen=True, slots=True)
class Effect:
    """What one rule did to one item. code: 'pinned', 'boosted', 'buried' or 'admitted' (by a relaxed limit).

    moved_from: its position (1 is first) without this rule, None when it would not be listed or the slate was
    not explained. moved_to: its position now. strength: 0 for pins.
    """

    rule_id: str
    kind: str
    code: str
    moved_from: int | None
    moved_to: int
    strength: float = 0.0

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "rule": self.rule_id,
            "kind": self.kind,
            "code": self.code,
            "from": self.moved_from,
            "to": self.moved_to,
            "strength": self.strength,
        }


@dataclass(frozen=True, slots=True)
class RuledItem:
    """One place of the slate. score: as the candidate came, None for a pin from outside the candidates.
    adjusted: with boosts and buries. base_rank: its place among the candidates before any rule, None alike.
    """

    product_id: int
    position: int
    score: float | None
    adjusted: float | None
    base_rank: int | None
    tier: int
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class Drop:
    """Why a candidate is not on the page: the first gate that removed it, with a finer code.

    gate: availability, excluded, hide, filter, variant, limit or page.
    """

    product_id: int
    gate: str
    code: str
    rule_id: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "product_id": self.product_id,
            "gate": self.gate,
            "code": self.code,
            "rule": self.rule_id,
            "params": dict(self.params),
        }


class Shown(NamedTuple):
    """One place of the slate, without what explains it.

    score, adjusted, tier: as of `RuledItem`. pin: the rule that put it there. admitted_by: the limit that
    gave way for it.
    """

    product_id: int
    score: float | None
    adjusted: float | None
    tier: int
    pin: Pin | None = None
    admitted_by: Limit | None = None


@dataclass(slots=True)
class RuledSlate:
    """The engine's answer. shown: the page. trace is JSON-able:

    always  {"missing": places left empty, "relaxed": [{"rule", "admitted": [product ids]}]}
    explain {"items": [{"product_id", "position", "base_rank", "score", "adjusted", "tier", "effects"}],
             "dropped": [Drop], "rules": [{"rule", "kind", "state", "count"}]}

    state of a rule: disabled, not_started, ended, fired, idle, or for a pin why it could not be placed
    (a Drop's code, no_match, beyond_page, page_full).
    """

    shown: tuple[Shown, ...]
    trace: dict[str, Any]
    _explained: Callable[[], tuple[RuledItem, ...]] = field(default=tuple, compare=False, repr=False)
    _items: tuple[RuledItem, ...] | None = field(default=None, init=False, compare=False, repr=False)

    @property
    def items(self) -> tuple[RuledItem, ...]:
        """The page with what rules did to each; made when first asked, for few ask."""
        if self._items is None:
            self._items = self._explained()
        return self._items
