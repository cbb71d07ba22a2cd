"""Hints on rules that contradict each other or never do anything, before they are published."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import combinations
from typing import Any

from apps.merchandising.rules.facts import ProductFacts
from apps.merchandising.rules.table import FactsTable
from apps.merchandising.rules.types import (
    Boost,
    Bury,
    Condition,
    Filter,
    Hide,
    Limit,
    Pin,
    ProductTarget,
    Rule,
    Target,
)


@dataclass(frozen=True, slots=True)
class Hint:
    """Something to look at. level: 'warning' (it will not do what it says) or 'info'. rule_ids: whom it
    concerns, the rule to change first.

    codes: ended, unknown_sku, no_match, pin_unavailable, pin_hidden, pin_filtered, pin_same_position,
    pin_same_product, pin_variants, boost_and_bury, filters_leave_nothing, hides_everything.
    """

    code: str
    level: str
    rule_ids: tuple[str, ...]
    params: Mapping[str, Any] = field(default_factory=dict)

    def dump(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "code": self.code,
            "level": self.level,
            "rules": list(self.rule_ids),
            "params": dict(self.params),
        }


def rules_check(rules: Sequence[Rule], facts: FactsTable, now: datetime) -> list[Hint]:
    """What is odd about these rules at `now` or later; disabled rules are not looked at."""
    hints = [
        Hint("ended", "info", (rule.id,), {"end": rule.end.isoformat()})
        for rule in rules
        if rule.enabled and rule.end is not None and rule.end <= now
    ]
    alive = [rule for rule in rules if rule.state(now) in ("active", "not_started")]
    at = now.timestamp()
    for rule in alive:
        hints += _target_hints(rule, facts)
    for rule in alive:
        if isinstance(rule, Pin) and isinstance(rule.target, ProductTarget):
            hints += _pin_hints(rule, rule.target, alive, facts, at)
    for first, second in combinations(alive, 2):
        if _overlap(first, second):
            hints += _pair_hints(first, second, facts)
    return hints + _emptiness_hints(alive, facts, now)


def _overlap(first: Rule, second: Rule) -> bool:
    starts_late = first.end is not None and second.start is not None and second.start >= first.end
    ends_early = second.end is not None and first.start is not None and first.start >= second.end
    return not (starts_late or ends_early)


def _target(rule: Rule) -> Target | None:
    return rule.target if isinstance(rule, Pin | Boost | Bury | Hide | Limit) else None


def _matches(facts: FactsTable, test: Callable[[ProductFacts], bool]) -> bool:
    return any(test(row) for row in facts.by_id.values())


def _target_hints(rule: Rule, facts: FactsTable) -> list[Hint]:
    target = _target(rule)
    if target is None:
        return []
    if isinstance(target, ProductTarget):
        missing = [sku for sku in target.skus if sku not in facts.by_sku]
        return [Hint("unknown_sku", "warning", (rule.id,), {"skus": missing})] if missing else []
    return [] if _matches(facts, target.matches) else [Hint("no_match", "warning", (rule.id,))]


def _pin_hints(
    pin: Pin, target: ProductTarget, alive: Sequence[Rule], facts: FactsTable, at: float
) -> list[Hint]:
    known = [facts.by_sku[sku] for sku in target.skus if sku in facts.by_sku]
    if not known:
        return []
    reasons = {row.sku: row.unavailable(at) for row in known}
    hints = []
    if all(reasons.values()):
        hints.append(Hint("pin_unavailable", "warning", (pin.id,), {"reasons": reasons}))
    for rule in alive:
        if not _overlap(pin, rule):
            continue
        if isinstance(rule, Hide) and all(rule.target.matches(row) for row in known):
            hints.append(Hint("pin_hidden", "warning", (pin.id, rule.id)))
        if isinstance(rule, Filter) and not any(rule.condition.passes(row) for row in known):
            hints.append(Hint("pin_filtered", "warning", (pin.id, rule.id)))
    return hints


def _pair_hints(first: Rule, second: Rule, facts: FactsTable) -> list[Hint]:
    pair = (second.id, first.id)
    if isinstance(first, Pin) and isinstance(second, Pin):
        hints = []
        if first.position == second.position:
            hints.append(Hint("pin_same_position", "warning", pair, {"position": first.position}))
        if isinstance(first.target, ProductTarget) and isinstance(second.target, ProductTarget):
            shared = [sku for sku in second.target.skus if sku in first.target.skus]
            if shared:
                hints.append(Hint("pin_same_product", "warning", pair, {"skus": shared}))
            elif variants := _variants(first.target, second.target, facts):
                hints.append(Hint("pin_variants", "warning", pair, {"skus": variants}))
        return hints
    opposite = {first.kind, second.kind} == {"boost", "bury"}
    if opposite and _target(first) == _target(second):
        return [Hint("boost_and_bury", "info", pair)]
    return []


def _variants(first: ProductTarget, second: ProductTarget, facts: FactsTable) -> list[str]:
    groups = {facts.by_sku[sku].group for sku in first.skus if sku in facts.by_sku}
    return [sku for sku in second.skus if sku in facts.by_sku and facts.by_sku[sku].group in groups]


def _emptiness_hints(alive: Sequence[Rule], facts: FactsTable, now: datetime) -> list[Hint]:
    active = [rule for rule in alive if rule.state(now) == "active"]
    filters = [rule for rule in active if isinstance(rule, Filter)]
    hides = [rule for rule in active if isinstance(rule, Hide)]
    at = now.timestamp()
    sold = [row for row in facts.by_id.values() if row.unavailable(at) is None]
    if not sold:
        return []

    def passes(row: ProductFacts, conditions: Sequence[Condition]) -> bool:
        return all(condition.passes(row) for condition in conditions)

    kept = [row for row in sold if passes(row, [rule.condition for rule in filters])]
    if not kept:
        return [Hint("filters_leave_nothing", "warning", tuple(rule.id for rule in filters))]
    if all(any(rule.target.matches(row) for rule in hides) for row in kept):
        return [Hint("hides_everything", "warning", tuple(rule.id for rule in hides))]
    return []
