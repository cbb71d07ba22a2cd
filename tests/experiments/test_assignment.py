"""The published hash: its vectors, uniform, independent, sticky, the same in SQL and for many at once."""

import doctest
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from django.db import connection
from scipy import stats

from apps.experiments import assignment
from apps.experiments.assignment import (
    BUCKETS,
    UNIFORM_SQL,
    Allocation,
    assign,
    assign_many,
    assign_slot,
    layer_bucket,
    slot_at,
    uniform,
    uniform_many,
)

# So unlikely for a sound hash that it happens to nobody, while a hash that is off by a percent does not pass.
ALARM = 1e-6
THIRDS = (("control", 1 / 3), ("b", 1 / 3), ("c", 1 / 3))
UNITS = [f"s{number:06}" for number in range(30_000)]
# Ids as shops have them: all of them are as even as counted ones.
KINDS_OF_UNITS = {
    "counted": UNITS,
    "sessions": [f"session:{number * 7919:x}" for number in range(20_000)],
    "mails": [f"kunde.{number}@läden.example" for number in range(20_000)],
    "long": ["x" * 60 + str(number) for number in range(20_000)],
}


def whole(salt: str = "one", **changes: Any) -> Allocation:
    plain = Allocation(salt, "main", 0, BUCKETS, 1.0, (("control", 0.5), ("b", 0.5)))
    return replace(plain, **changes)


def test_the_vectors_in_the_docstring_hold() -> None:
    assert doctest.testmod(assignment).attempted == 4
    assert doctest.testmod(assignment).failed == 0


@pytest.mark.parametrize("kind", KINDS_OF_UNITS)
@pytest.mark.parametrize("salt", ["a", "b:variant", "7f3c9a1e5d2b4680"])
def test_the_hash_is_uniform(kind: str, salt: str) -> None:
    drawn = uniform_many(salt, KINDS_OF_UNITS[kind])
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert stats.kstest(drawn, "uniform").pvalue > ALARM
    for parts in (2, 10, 1_000):
        counts = np.bincount((drawn * parts).astype(int), minlength=parts)
        assert stats.chisquare(counts).pvalue > ALARM


@pytest.mark.parametrize("variants", [(("control", 0.5), ("b", 0.5)), THIRDS, (("control", 0.9), ("b", 0.1))])
def test_variants_get_their_shares(variants: tuple[tuple[str, float], ...]) -> None:
    placed = assign_many(whole(variants=variants), UNITS)
    counts = np.bincount(placed, minlength=len(variants))
    assert stats.chisquare(counts, [share * len(UNITS) for _, share in variants]).pvalue > ALARM


def test_experiments_are_independent_of_each_other_and_of_layers() -> None:
    columns = {salt: assign_many(whole(salt, variants=THIRDS), UNITS) for salt in ("one", "two", "three")}
    columns["layer"] = (uniform_many("main", UNITS) * 3).astype(np.int64)
    columns["other layer"] = (uniform_many("second", UNITS) * 3).astype(np.int64)
    columns["traffic"] = (uniform_many("one:traffic", UNITS) * 3).astype(np.int64)
    names = list(columns)
    for place, first in enumerate(names):
        for second in names[place + 1 :]:
            table = np.zeros((3, 3))
            np.add.at(table, (columns[first], columns[second]), 1)
            assert stats.chi2_contingency(table).pvalue > ALARM, (first, second)


def test_pairs_of_salts_that_look_alike_are_independent_too() -> None:
    drawn = np.stack([uniform_many(f"experiment-{number}", UNITS[:5_000]) for number in range(20)])
    correlation = np.asarray(np.corrcoef(drawn))[np.triu_indices(20, 1)]
    assert np.abs(correlation).max() < stats.norm.isf(ALARM) / np.sqrt(5_000)


def test_more_traffic_adds_units_and_moves_none() -> None:
    before = np.full(len(UNITS), -1)
    for traffic in (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0):
        after = assign_many(whole(traffic=traffic, variants=THIRDS), UNITS)
        stayed = before >= 0
        assert (after[stayed] == before[stayed]).all()
        taking = int((after >= 0).sum())
        assert stats.binomtest(taking, len(UNITS), traffic).pvalue > ALARM
        before = after
    assert (before >= 0).all()


def test_a_wider_slice_moves_none_either() -> None:
    narrow = assign_many(whole(layer_from=2_000, layer_to=3_000), UNITS)
    wide = assign_many(whole(layer_from=2_000, layer_to=9_000), UNITS)
    assert (wide[narrow >= 0] == narrow[narrow >= 0]).all()


def test_shares_that_move_take_only_who_must_go() -> None:
    """What a bandit does: with two variants nobody moves but from the loser to the winner."""
    even = assign_many(whole(), UNITS)
    moved = assign_many(whole(variants=(("control", 0.3), ("b", 0.7))), UNITS)
    assert (moved[even == 1] == 1).all()
    assert stats.binomtest(int((moved != even).sum()), len(UNITS), 0.2).pvalue > ALARM


def test_slices_of_a_layer_exclude_each_other_and_fill_it() -> None:
    slices = [(0, 2_500), (2_500, 2_501), (2_501, 10_000)]
    taking = [
        assign_many(whole(f"salt {start}", layer_from=start, layer_to=end), UNITS) >= 0
        for start, end in slices
    ]
    assert (np.sum(taking, axis=0) == 1).all()


def test_one_at_a_time_is_the_same_as_many() -> None:
    allocation = whole(layer_from=500, layer_to=8_000, traffic=0.37, variants=THIRDS)
    codes = [code for code, _ in allocation.variants]
    units = [*UNITS[:3_000], "", ":", "ü", "session:", "a:b", "日本"]
    many = [codes[place] if place >= 0 else None for place in assign_many(allocation, units).tolist()]
    assert [assign(allocation, unit) for unit in units] == many
    assert None in many
    assert set(codes) < set(many)
    assert assign_many(allocation, []).tolist() == []


def test_a_share_of_nothing_gets_nobody_and_rounding_leaves_nobody_out() -> None:
    tenth = (*((f"v{number}", 0.1) for number in range(10)), ("none", 0.0))
    allocation = whole(variants=(("nobody", 0.0), *tenth))
    assert allocation.bounds[-2:] == (1.0, 1.0)
    counts = np.bincount(assign_many(allocation, UNITS), minlength=12)
    assert counts[0] == counts[11] == 0
    assert counts.sum() == len(UNITS)
    assert allocation.share_of("v3") == 0.1
    assert allocation.share_of("other") == 0.0


@pytest.mark.django_db
def test_postgres_computes_the_same() -> None:
    units = [*UNITS[:500], "", "ü", "日本", "session:a b", "a'b\\c"]
    formula = UNIFORM_SQL.format(salt="%(salt)s::text", unit="unit")
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {formula} FROM unnest(%(units)s::text[]) WITH ORDINALITY u(unit, place) ORDER BY place",
            {"salt": "x1:variant", "units": units},
        )
        found = [row[0] for row in cursor.fetchall()]
    assert found == [uniform("x1:variant", unit) for unit in units]


def test_a_bucket_and_the_slice_agree() -> None:
    for unit in UNITS[:200]:
        bucket = layer_bucket("main", unit)
        assert assign(whole(layer_from=bucket, layer_to=bucket + 1), unit)
        assert assign(whole(layer_from=bucket + 1), unit) is None
        assert assign(whole(layer_to=bucket), unit) is None


def test_slots_of_a_switchback_are_drawn_each_for_itself() -> None:
    assert slot_at(0, 60) == 0
    assert slot_at(3_599.9, 60) == 0
    assert slot_at(3_600, 60) == 1
    drawn = [assign_slot(whole("shop"), slot) for slot in range(20_000)]
    ones = np.asarray([code == "b" for code in drawn])
    assert stats.binomtest(int(ones.sum()), len(ones), 0.5).pvalue > ALARM
    same = int((ones[1:] == ones[:-1]).sum())
    assert stats.binomtest(same, len(ones) - 1, 0.5).pvalue > ALARM, "slots know nothing of their neighbours"
