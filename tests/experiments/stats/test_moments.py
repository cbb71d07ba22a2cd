"""Moments: as NumPy takes them, stable far from zero, merging as if taken at once, and back from JSON."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.experiments.stats.moments import Moments, QuantileMoments, merged, moments_read

VALUES = st.floats(-1e6, 1e6, allow_nan=False, width=32)
TRIPLES = st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=12)


def taken(triples: Sequence[tuple[float, float, float]]) -> Moments:
    y, d, x = np.array(triples, dtype=float).reshape(-1, 3).T
    return Moments.of(y, d, x)


def assert_close(left: Moments, right: Moments, scale: float = 1.0) -> None:
    assert left.n == right.n
    for name in Moments.__slots__:
        assert getattr(left, name) == pytest.approx(getattr(right, name), rel=1e-9, abs=1e-9 * scale), name


def test_moments_are_numpys() -> None:
    rng = np.random.default_rng(5)
    y, d, x = rng.gamma(2, size=500), rng.poisson(3, 500).astype(float), rng.normal(size=500)
    cov = np.cov(np.stack([y, d, x]))
    assert_close(
        Moments.of(y, d, x),
        Moments(
            500,
            y.mean(),
            cov[0, 0],
            d.mean(),
            cov[1, 1],
            cov[0, 1],
            x.mean(),
            cov[2, 2],
            cov[0, 2],
            cov[1, 2],
        ),
    )


def test_without_denominator_and_covariate_the_defaults_stay() -> None:
    assert_close(Moments.of([1.0, 2.0, 4.0]), Moments(3, 7 / 3, 7 / 3))
    assert not Moments.of([1.0, 2.0]).is_ratio
    assert Moments.of([1.0, 2.0], [2.0, 2.0]).is_ratio


def test_covariate_without_denominator() -> None:
    moments = Moments.of([1.0, 2.0, 3.0], x=[2.0, 4.0, 6.0])
    assert (moments.mean_d, moments.var_d, moments.cov_xd) == (1.0, 0.0, 0.0)
    assert (moments.mean_x, moments.var_x, moments.cov_xy) == pytest.approx((4.0, 4.0, 2.0))


@pytest.mark.parametrize("offset", [0.0, 1e6, -1e9, 1e12])
def test_a_small_spread_far_from_zero_keeps_its_variance(offset: float) -> None:
    assert Moments.of(offset + np.array([0.0, 1.0, 2.0, 3.0])).var_y == pytest.approx(5 / 3, rel=1e-12)


def test_none_and_one() -> None:
    assert Moments.of([]) == Moments(0, 0.0, 0.0)
    assert Moments.of([7.0], [2.0], [3.0]) == Moments(1, 7.0, 0.0, 2.0, mean_x=3.0)
    assert Moments.of([]).value is None
    assert Moments.of([3.0], [0.0]).value is None
    assert Moments.of([3.0, 5.0], [2.0, 2.0]).value == 2.0


@given(st.integers(0, 60), st.integers(0, 60))
def test_counts_are_moments_of_zeros_and_ones(ones: int, zeros: int) -> None:
    assert_close(Moments.of_count(ones, ones + zeros), Moments.of(np.repeat([1.0, 0.0], [ones, zeros])))


def test_a_count_that_cant_be() -> None:
    with pytest.raises(ValueError, match="successes = 3"):
        Moments.of_count(3, 2)
    assert Moments.of_count(10**12 // 4, 10**12).var_y == pytest.approx(3 / 16)


@given(TRIPLES, TRIPLES)
def test_merging_is_taking_at_once(
    first: list[tuple[float, float, float]], other: list[tuple[float, float, float]]
) -> None:
    both = taken(first).merged(taken(other))
    if first or other:
        assert_close(both, taken([*first, *other]), scale=1e12)


@given(TRIPLES, TRIPLES, TRIPLES)
def test_the_order_of_merging_is_no_matter(
    a: list[tuple[float, float, float]],
    b: list[tuple[float, float, float]],
    c: list[tuple[float, float, float]],
) -> None:
    parts = [taken(part) for part in (a, b, c) if part]
    assert_close(merged(parts), merged(reversed(parts)), scale=1e12)


def test_merging_with_none_changes_nothing() -> None:
    some, none = Moments.of([1.0, 5.0], [1.0, 3.0]), Moments(0, 0.0, 0.0)
    assert some.merged(none) == some == none.merged(some)
    assert merged([]) == none


def test_merging_huge_sets() -> None:
    half = Moments(10**12, 5.0, 2.0)
    assert_close(half.merged(half), Moments(2 * 10**12, 5.0, 2.0))


def test_adjusted_moments_are_not_merged() -> None:
    with pytest.raises(ValueError, match="merge first"):
        Moments(3, 1.0, 1.0, shared=0.1).merged(Moments(3, 1.0, 1.0))


@given(TRIPLES)
def test_json_keeps_every_digit(triples: list[tuple[float, float, float]]) -> None:
    moments = taken(triples) if triples else Moments.of([])
    assert moments_read(json.loads(json.dumps(moments.as_json()))) == moments


def test_json_of_quantiles_and_of_strangers() -> None:
    for quantile in (QuantileMoments(10, 0.5, 3.25, 0.125), QuantileMoments(0, 0.9, None, None)):
        assert moments_read(json.loads(json.dumps(quantile.as_json()))) == quantile
    with pytest.raises(ValueError, match="sum_y"):
        Moments.from_json({"n": 3, "mean_y": 1.0, "var_y": 1.0, "sum_y": 3.0})


@pytest.mark.parametrize("bad", [[1.0, float("nan")], [float("inf")], [[1.0, 2.0]]])
def test_values_that_are_none_are_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="one dimension|finite"):
        Moments.of(bad)


def test_columns_must_match() -> None:
    with pytest.raises(ValueError, match="one value for each unit"):
        Moments.of([1.0, 2.0], [1.0])
