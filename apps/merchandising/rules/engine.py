"""rules_apply: candidates and rules in, the slate and its explanation out."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from apps.merchandising.rules.arrange import Arrangement, Arranger, Place
from apps.merchandising.rules.columns import CandidateColumns
from apps.merchandising.rules.plan import Plan, RuleSet
from apps.merchandising.rules.ranking import HeadRanking, WholeRanking
from apps.merchandising.rules.slate import Candidate, Drop, Effect, RuleContext, RuledItem, RuledSlate
from apps.merchandising.rules.table import FactsTable
from apps.merchandising.rules.types import Boost, Bury, Pin, Rule


def rules_apply(
    candidates: Sequence[Candidate],
    facts: FactsTable,
    rules: RuleSet | Sequence[Rule],
    context: RuleContext,
) -> RuledSlate:
    """Orders and cuts the candidates to a page of at most `context.n` items.

    The law: hide and availability > filter > pin > limits > boost and bury. The page never repeats a product
    or a group of variants, never shows an unavailable, excluded, hidden or filtered product, and is only
    shorter than n when no further candidate passes those gates; limits give way first, the last rule first.

    A pin may name a product outside the candidates. facts must hold every product that may be shown. Equal
    input gives an equal slate.
    """
    ruleset = rules if isinstance(rules, RuleSet) else RuleSet(rules)
    plan = ruleset.plan(context.now)
    arranger = _arranger(candidates, facts, plan, context)
    arrangement = arranger.arrange(whole=context.explain)
    trace = _trace(arrangement, context)
    if not context.explain:
        return RuledSlate(_items(arranger, arrangement, {}, {}), trace)
    base_ranks: dict[int, int] = {}
    for candidate in sorted(candidates, key=lambda c: (c.tier, -c.score)):
        base_ranks.setdefault(candidate.product_id, len(base_ranks) + 1)
    without = _ranks_without(candidates, facts, plan, context, arrangement)
    items = _items(arranger, arrangement, base_ranks, without)
    trace["items"] = [_item_dump(item) for item in items]
    trace["dropped"] = [drop.dump() for drop in _dropped(arrangement, context.n)]
    trace["rules"] = _rule_states(ruleset, candidates, facts, plan, context, arrangement)
    return RuledSlate(items, trace)


def rules_apply_columns(
    candidates: CandidateColumns, facts: FactsTable, ruleset: RuleSet, context: RuleContext
) -> RuledSlate:
    """`rules_apply` for a slate that nobody asked to explain: the same slate, for a fraction of the work."""
    plan = ruleset.plan(context.now)
    at = context.now.timestamp()
    excluded = np.fromiter(context.excluded, dtype=np.int64, count=len(context.excluded))
    ranking = HeadRanking(candidates, facts, plan, n=context.n, at=at, excluded=excluded)
    arranger = Arranger(ranking, facts, plan, n=context.n, at=at, excluded=context.excluded)
    arrangement = arranger.arrange(whole=False)
    return RuledSlate(_items(arranger, arrangement, {}, {}), _trace(arrangement, context))


def _trace(arrangement: Arrangement, context: RuleContext) -> dict[str, Any]:
    relaxed = [{"rule": limit.id, "admitted": admitted} for limit, admitted in arrangement.relaxed]
    return {"missing": context.n - arrangement.page, "relaxed": relaxed}


def _arranger(
    candidates: Sequence[Candidate], facts: FactsTable, plan: Plan, context: RuleContext
) -> Arranger:
    return Arranger(
        WholeRanking(candidates, facts, plan),
        facts,
        plan,
        n=context.n,
        at=context.now.timestamp(),
        excluded=context.excluded,
    )


def _moves(plan: Plan, place: Place) -> tuple[Boost | Bury, ...]:
    if not plan.moving or place.candidate is None:
        return ()
    return plan.verdict(place.facts).moves


def _items(
    arranger: Arranger,
    arrangement: Arrangement,
    base_ranks: dict[int, int],
    without: dict[str, dict[int, int]],
) -> tuple[RuledItem, ...]:
    items = []
    for position, place in enumerate(arrangement.places[: arrangement.page], 1):
        product_id, candidate = place.facts.product_id, place.candidate
        effects: list[Effect] = []
        if place.pin is not None:
            origin = _rank(without, place.pin.id, product_id)
            effects.append(Effect(place.pin.id, "pin", "pinned", origin, position))
        for rule in _moves(arranger.plan, place):
            code = "boosted" if isinstance(rule, Boost) else "buried"
            origin = _rank(without, rule.id, product_id)
            effects.append(Effect(rule.id, rule.kind, code, origin, position, rule.strength))
        if place.admitted_by is not None:
            effects.append(Effect(place.admitted_by.id, "limit", "admitted", None, position))
        items.append(
            RuledItem(
                product_id=product_id,
                position=position,
                score=candidate.score if candidate else None,
                adjusted=arranger.adjusted(candidate) if candidate else None,
                base_rank=base_ranks.get(product_id),
                tier=candidate.tier if candidate else 0,
                effects=tuple(effects),
            )
        )
    return tuple(items)


def _rank(without: dict[str, dict[int, int]], rule_id: str, product_id: int) -> int | None:
    ranks = without.get(rule_id)
    return ranks.get(product_id) if ranks else None


def _ranks_without(
    candidates: Sequence[Candidate],
    facts: FactsTable,
    plan: Plan,
    context: RuleContext,
    arrangement: Arrangement,
) -> dict[str, dict[int, int]]:
    """For each pin, boost and bury at work on the page: everyone's position if that rule were not there."""
    at_work: set[str] = set()
    for place in arrangement.places[: arrangement.page]:
        at_work.update(rule.id for rule in _moves(plan, place))
        if place.pin is not None:
            at_work.add(place.pin.id)
    return {
        rule_id: _arranger(candidates, facts, plan.without(rule_id), context).arrange(whole=True).ranks()
        for rule_id in sorted(at_work)
    }


def _dropped(arrangement: Arrangement, n: int) -> list[Drop]:
    behind = [
        Drop(place.facts.product_id, "page", "behind_page", None, {"rank": rank, "page_size": n})
        for rank, place in enumerate(arrangement.places[arrangement.page :], arrangement.page + 1)
    ]
    return behind + arrangement.dropped


def _rule_states(
    ruleset: RuleSet,
    candidates: Sequence[Candidate],
    facts: FactsTable,
    plan: Plan,
    context: RuleContext,
    arrangement: Arrangement,
) -> list[dict[str, Any]]:
    counts: Counter[str] = Counter(drop.rule_id for drop in arrangement.dropped if drop.rule_id)
    for candidate in {c.product_id: c for c in candidates}.values():
        known = facts.by_id.get(candidate.product_id)
        if known is not None and plan.moving:
            counts.update(rule.id for rule in plan.verdict(known).moves)
    counts.update(rule_id for rule_id, state in arrangement.pins.items() if state == "fired")
    relaxed = {limit.id for limit, _ in arrangement.relaxed}
    states = []
    for rule in ruleset.rules:
        state = rule.state(context.now)
        if state == "active":
            state = "fired" if counts[rule.id] or rule.id in relaxed else "idle"
            if isinstance(rule, Pin):
                state = arrangement.pins[rule.id]
        states.append({"rule": rule.id, "kind": rule.kind, "state": state, "count": counts[rule.id]})
    return states


def _item_dump(item: RuledItem) -> dict[str, Any]:
    return {
        "product_id": item.product_id,
        "position": item.position,
        "base_rank": item.base_rank,
        "score": item.score,
        "adjusted": item.adjusted,
        "tier": item.tier,
        "effects": [effect.dump() for effect in item.effects],
    }
