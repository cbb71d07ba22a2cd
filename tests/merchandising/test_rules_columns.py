"""The quick path of the rules gives what the explained one gives, also after products changed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.merchandising.rules import (
    Candidate,
    CandidateColumns,
    FactsTable,
    Hide,
    ProductFacts,
    ProductTarget,
    Rule,
    RuleContext,
    RuledSlate,
    RuleSet,
    columns,
    ranking,
    rules_apply,
    rules_apply_columns,
)
from tests.merchandising.strategies import NOW, situations

Situation = tuple[list[Candidate], FactsTable, tuple[Rule, ...], RuleContext]
EXAMPLES = settings(max_examples=120, deadline=None)


def as_columns(candidates: list[Candidate]) -> CandidateColumns:
    """The same candidates, arriving in this order."""
    return CandidateColumns(
        np.array([c.product_id for c in candidates], dtype=np.int64),
        np.array([c.score for c in candidates], dtype=np.float64),
        np.array([c.tier for c in candidates], dtype=np.int8),
        -np.arange(len(candidates), dtype=np.float64),
    )


def both_ways(situation: Situation, ruleset: RuleSet) -> tuple[RuledSlate, RuledSlate]:
    candidates, facts, _, context = situation
    context = replace(context, explain=False)
    return (
        rules_apply_columns(as_columns(candidates), facts, ruleset, context),
        rules_apply(candidates, facts, ruleset, context),
    )


@EXAMPLES
@given(situations(), st.booleans(), st.sampled_from([0, 1, 16]))
def test_the_quick_way_is_the_whole_way(situation: Situation, flat: bool, head: int) -> None:
    candidates, facts, rules, context = situation
    if flat:  # as of a blend: one tier, and order by head
        candidates = [Candidate(c.product_id, c.score) for c in candidates]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranking, "HEAD_PER_PLACE", 0)
        patch.setattr(ranking, "HEAD_MORE", head)
        quick, whole = both_ways((candidates, facts, rules, context), RuleSet(rules))
    assert (quick, quick.items) == (whole, whole.items)


@EXAMPLES
@given(situations(), st.data())
def test_so_it_is_after_products_changed(situation: Situation, data: st.DataObject) -> None:
    candidates, facts, rules, context = situation
    ruleset = RuleSet(rules)
    both_ways(situation, ruleset)
    by_id, by_sku = dict(facts.by_id), dict(facts.by_sku)
    table = FactsTable(by_id, by_sku)
    both_ways((candidates, table, rules, context), ruleset)
    for one in data.draw(st.lists(st.sampled_from(list(by_id.values())), max_size=4)) if by_id else ():
        stock = data.draw(st.sampled_from([None, 0, 9]))
        changed = replace(one, stock=stock, price=7.0, brand="Orbit", available_from=None)
        by_id[one.product_id] = by_sku[one.sku] = changed
        table.changed(changed)
    new = max(by_id, default=0) + data.draw(st.sampled_from([1, 1000, 10**9]))
    by_id[new] = by_sku["new"] = ProductFacts(new, "new")
    table.changed(by_id[new])
    quick, whole = both_ways(([*candidates, Candidate(new, 2.0)], table, rules, context), ruleset)
    assert (quick, quick.items) == (whole, whole.items)


def many(n: int, step: int = 1) -> FactsTable:
    return FactsTable.of(ProductFacts(1 + number * step, f"S{number}") for number in range(n))


@pytest.mark.parametrize("step", [1, 100_000])
def test_rows_are_found_whether_ids_are_dense_or_far_apart(step: int) -> None:
    table = many(500, step)
    ids = np.array([1, 1 + 499 * step, 7 * step + 1, 2 + 499 * step, 10**12])
    assert table.columns.rows(ids).tolist() == [0, 499, 7, -1, -1]
    repeated = ids[[0, 1, 0, 2, 2]]
    distinct, inverse = table.columns.distinct(repeated)
    assert sorted(distinct.tolist()) == sorted(ids[:3].tolist())
    assert distinct[inverse].tolist() == repeated.tolist()
    unknown, inverse = table.columns.distinct(ids[[4, 3, 4]])
    assert unknown[inverse].tolist() == ids[[4, 3, 4]].tolist()
    assert table.columns.among(ids, ids[1:4]).tolist() == [False, True, True, False, False]


def test_columns_grow_and_are_made_anew_when_there_is_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    by_id = {one.product_id: one for one in many(10).by_id.values()}
    table = FactsTable(by_id, {})
    first = table.columns
    for number in range(11, 300):
        by_id[number] = ProductFacts(number, f"S{number}", stock=number % 2)
        table.changed(by_id[number])
    rows = table.columns.rows(np.arange(1, 300))
    assert [table.columns.facts[row].product_id for row in rows] == list(range(1, 300))
    assert table.columns is not first
    monkeypatch.setattr(columns, "CHANGES_MAX", 0)
    kept = table.columns
    table.changed(by_id[12])
    assert table.columns is not kept


def test_a_changed_product_is_judged_again() -> None:
    table = many(3)
    products = table.columns
    judged = RuleSet([Hide(id="h", target=ProductTarget(("S1",)))]).plan(NOW).columns(products)
    rows = products.rows(np.array([1, 2, 3]))
    assert judged.opened(rows).tolist() == [True, False, True]
    products.put(replace(table.by_id[2], sku="other"))
    assert judged.opened(rows).tolist() == [True, True, True]
