from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from efficient_apriori import apriori

from apps.ml import association_rules
from apps.ml.association_rules import Rule, basket_matrix, frequent_itemsets, rules
from apps.ml.errors import Cancelled, DataMissing, InvalidValue

BREAD, BUTTER, MILK, TEA = range(4)
BASKETS = [[BREAD, BUTTER], [BREAD, BUTTER, MILK], [BREAD, MILK], [TEA], [BREAD, BUTTER, MILK, TEA]]


def test_figures_by_hand() -> None:
    found = rules(basket_matrix(BASKETS, 4), min_support="0.4", min_confidence="0.7")
    by_sides = {(rule.antecedent, rule.consequent): rule for rule in found}
    assert set(by_sides) == {
        ((BREAD,), BUTTER),
        ((BREAD,), MILK),
        ((BUTTER,), BREAD),
        ((MILK,), BREAD),
        ((BUTTER, MILK), BREAD),
    }
    assert by_sides[(BUTTER, MILK), BREAD] == Rule((BUTTER, MILK), BREAD, 2, 0.4, 1.0, 1.25)
    rule = by_sides[(BREAD,), BUTTER]
    assert (rule.count, rule.support, rule.confidence) == (3, 0.6, 0.75)
    assert rule.lift == pytest.approx(0.75 / 0.6)
    assert [rule.lift for rule in found] == sorted((rule.lift for rule in found), reverse=True)


def test_length_counts_both_sides() -> None:
    matrix = basket_matrix(BASKETS, 4)
    longer = rules(matrix, min_support="0.4", min_confidence="0", min_length=3)
    assert {rule.length for rule in longer} == {3}
    with_empty = rules(matrix, min_support="0.4", min_confidence="0.8", min_length=1)
    assert [rule for rule in with_empty if not rule.antecedent] == [Rule((), BREAD, 4, 0.8, 0.8, 1.0)]
    assert {r.length for r in rules(matrix, min_support="0.2", min_confidence="0", longest=2)} == {2}


@pytest.mark.parametrize("n", [10, 30, 70, 1000])
def test_thresholds_are_inclusive_where_binary_fractions_are_not(n: int) -> None:
    hits = n // 10
    baskets = [[0, 1]] * hits + [[2]] * (n - hits)
    assert len(rules(basket_matrix(baskets, 3), min_support="0.1", min_confidence=1)) == 2
    assert not rules(basket_matrix([*baskets, [2]], 3), min_support="0.1", min_confidence=1)
    confident = [[0, 1]] * 7 + [[0, 2]] * 3
    sides = {
        (r.antecedent, r.consequent)
        for r in rules(basket_matrix(confident * n, 3), min_support="0.3", min_confidence="0.7")
    }
    assert ((0,), 1) in sides
    assert ((0,), 2) not in sides


@pytest.mark.parametrize("seed", range(3))
def test_the_same_rules_as_an_independent_library(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = 1 / np.arange(1, 31) ** 0.7
    baskets = [
        sorted(set(rng.choice(30, size=1 + rng.poisson(5), p=weights / weights.sum()).tolist()))
        for _ in range(400)
    ]
    _, expected = apriori([tuple(basket) for basket in baskets], min_support=0.02, min_confidence=0.3)
    theirs = {
        (tuple(sorted(rule.lhs)), rule.rhs[0]): (rule.support, rule.confidence, rule.lift)
        for rule in expected
        if len(rule.rhs) == 1
    }
    found = rules(basket_matrix(baskets, 30), min_support="0.02", min_confidence="0.3")
    ours = {(r.antecedent, r.consequent): (r.support, r.confidence, r.lift) for r in found}
    assert len(ours) > 200
    assert max(rule.length for rule in found) >= 4
    assert ours.keys() == theirs.keys()
    for sides, figures in ours.items():
        assert figures == pytest.approx(theirs[sides])


def test_itemsets_stop_at_the_longest_asked_for() -> None:
    matrix = basket_matrix([list(range(14))] * 2, 14)
    assert max(map(len, frequent_itemsets(matrix, 2, longest=10))) == 10
    assert len(frequent_itemsets(matrix, 3)) == 0


def test_what_cannot_be_used_is_named() -> None:
    matrix = basket_matrix(BASKETS, 4)
    for support in ("-0.1", "1.5", "much", "1/0", "nan"):
        with pytest.raises(InvalidValue, match="min-support"):
            rules(matrix, min_support=support, min_confidence="0.5")
    with pytest.raises(InvalidValue, match="min-length"):
        rules(matrix, min_support=Fraction(1, 10), min_confidence="0.5", min_length=11)
    with pytest.raises(DataMissing, match="no baskets"):
        rules(basket_matrix([], 4), min_support="0.1", min_confidence="0.5")


def test_a_support_that_lets_everything_in_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(association_rules, "ITEMSETS_LIMIT", 50)
    with pytest.raises(InvalidValue, match="min-support"):
        rules(basket_matrix([list(range(12))], 12), min_support="0", min_confidence="0")


def test_mining_can_be_cancelled() -> None:
    def stop() -> None:
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        rules(basket_matrix(BASKETS, 4), min_support="0.1", min_confidence="0", check=stop)
