"""Rules prepared for one moment: targets indexed, what they say of a product remembered.

A process serves many slates between two publications, so the cost of a rule is paid once per product, not
once per request: `verdict` is remembered per product until its facts change.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from apps.merchandising.rules.columns import PlanColumns, ProductColumns
from apps.merchandising.rules.facts import ProductFacts, category_prefixes
from apps.merchandising.rules.types import (
    AttributeTarget,
    Boost,
    BrandTarget,
    Bury,
    CategoryTarget,
    Filter,
    Hide,
    Limit,
    Pin,
    ProductTarget,
    Rule,
    TagTarget,
)

REMEMBERED_MAX = 200_000


class Verdict(NamedTuple):
    """What hide and filter rules say of a product, and how far boosts and buries move it.

    gate: '', 'hide' or 'filter'. rule_id: the first rule that removed it. strength: boosts less buries.
    moves: the boost and bury rules that touch it, in rule order. buckets: for each limit of the plan the pot
    the product counts in, None where it does not.
    """

    gate: str
    rule_id: str
    strength: float
    moves: tuple[Boost | Bury, ...]
    buckets: tuple[str | None, ...]


class TargetIndex:
    """Finds which of many targeted rules touch a product without asking each one."""

    def __init__(self, rules: Iterable[Hide | Boost | Bury]) -> None:
        self._rules = list(rules)
        self._by: dict[str, dict[str, list[int]]] = {
            "sku": defaultdict(list),
            "category": defaultdict(list),
            "brand": defaultdict(list),
            "tag": defaultdict(list),
        }
        self._attributes: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for number, rule in enumerate(self._rules):
            match rule.target:
                case ProductTarget(skus):
                    for sku in skus:
                        self._by["sku"][sku].append(number)
                case CategoryTarget(path):
                    self._by["category"][path].append(number)
                case BrandTarget(brand):
                    self._by["brand"][brand.casefold()].append(number)
                case TagTarget(tag):
                    self._by["tag"][tag.casefold()].append(number)
                case AttributeTarget(name, value):
                    self._attributes[name][value.casefold()].append(number)

    def touching(self, facts: ProductFacts) -> list[Hide | Boost | Bury]:
        """The rules whose target matches, in rule order."""
        found: set[int] = set()
        found.update(self._by["sku"].get(facts.sku, ()))
        if self._by["category"]:
            for path in category_prefixes(facts.category):
                found.update(self._by["category"].get(path, ()))
        if self._by["brand"]:
            found.update(self._by["brand"].get(facts.brand.casefold(), ()))
        if self._by["tag"]:
            for tag in facts.tags:
                found.update(self._by["tag"].get(tag, ()))
        for name, values in self._attributes.items():
            if name in facts.attributes:
                for text in _texts(facts.attributes[name]):
                    found.update(values.get(text, ()))
        return [self._rules[number] for number in sorted(found)]


def _texts(value: Any) -> list[str]:
    if isinstance(value, list | tuple):
        return [text for part in value for text in _texts(part)]
    return [str(value).casefold()]


class Plan:
    """The rules that are active at one moment. Shared between threads: it only ever adds to its memory."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = tuple(rules)
        self.pins = [rule for rule in rules if isinstance(rule, Pin)]
        self.limits = [rule for rule in rules if isinstance(rule, Limit)]
        self.filters = [rule for rule in rules if isinstance(rule, Filter)]
        self.moving = any(isinstance(rule, Boost | Bury) for rule in rules)
        self._index = TargetIndex(rule for rule in rules if isinstance(rule, Hide | Boost | Bury))
        # Those whose product is looked for among the candidates.
        self.target_pins = [pin for pin in self.pins if not isinstance(pin.target, ProductTarget)]
        self._columns: PlanColumns | None = None
        self._remembered: dict[int, tuple[ProductFacts, Verdict]] = {}
        self._without: dict[str, Plan] = {}

    def verdict(self, facts: ProductFacts) -> Verdict:
        """What hide, filter, boost and bury rules say of this product."""
        known = self._remembered.get(facts.product_id)
        if known is not None and known[0] is facts:
            return known[1]
        verdict = self._judge(facts)
        if len(self._remembered) >= REMEMBERED_MAX:
            self._remembered = {}
        self._remembered[facts.product_id] = (facts, verdict)
        return verdict

    def _judge(self, facts: ProductFacts) -> Verdict:
        touching = self._index.touching(facts)
        moves = tuple(rule for rule in touching if isinstance(rule, Boost | Bury))
        strength = sum(rule.strength if isinstance(rule, Boost) else -rule.strength for rule in moves)
        buckets = tuple(limit.bucket(facts) for limit in self.limits)
        for rule in touching:
            if isinstance(rule, Hide):
                return Verdict("hide", rule.id, strength, moves, buckets)
        for test in self.filters:
            if not test.condition.passes(facts):
                return Verdict("filter", test.id, strength, moves, buckets)
        return Verdict("", "", strength, moves, buckets)

    def columns(self, products: ProductColumns) -> PlanColumns:
        """What this plan says of products, by row."""
        columns = self._columns
        if columns is None or columns.products is not products:
            columns = self._columns = PlanColumns(self, products)
        return columns

    def without(self, rule_id: str) -> "Plan":
        """The same rules less one: what the slate would be without it."""
        plan = self._without.get(rule_id)
        if plan is None:
            plan = Plan([rule for rule in self.rules if rule.id != rule_id])
            self._without[rule_id] = plan
        return plan


class RuleSet:
    """All rules of a publication or draft; gives the plan for a moment and remembers it until the next rule
    starts or ends.
    """

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self.rules = tuple(rules)
        enabled = [rule for rule in self.rules if rule.enabled]
        moments = {moment for rule in enabled for moment in (rule.start, rule.end) if moment is not None}
        self._changes = sorted(moments)
        self._plans: dict[int, Plan] = {}

    def plan(self, now: datetime) -> Plan:
        """The rules active at `now` (aware)."""
        era = sum(moment <= now for moment in self._changes) if self._changes else 0
        plan = self._plans.get(era)
        if plan is None:
            plan = Plan([rule for rule in self.rules if rule.state(now) == "active"])
            self._plans[era] = plan
        return plan
