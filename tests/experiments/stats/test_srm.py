"""Sample ratio, fixed and sequential: as SciPy and gbstats have them; strays, and the other checks."""

import math

import numpy as np
import pytest
from gbstats.utils import check_srm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from apps.experiments.stats.frequentist import difference
from apps.experiments.stats.moments import Moments
from apps.experiments.stats.srm import (
    Srm,
    alarm_of,
    multiple_exposure,
    pre_exposure_bias,
    sequential_srm,
    sequential_srm_path,
    srm,
    srm_by_segment,
)
from tests.experiments.stats.reference import Floats

HALVES = {"a": 0.5, "b": 0.5}
COUNTS = st.lists(st.integers(0, 10**12), min_size=3, max_size=3)


def named(counts: list[int]) -> dict[str, int]:
    return {"abc"[at]: count for at, count in enumerate(counts)}


@pytest.mark.parametrize(
    ("counts", "shares"),
    [
        ([5000, 5100], [0.5, 0.5]),
        ([100, 90, 120], [1.0, 1.0, 1.0]),
        ([81_000, 9_300, 9_700], [0.8, 0.1, 0.1]),
        ([0, 40], [0.5, 0.5]),
        ([500_000_000_000, 500_003_000_000], [0.5, 0.5]),
    ],
)
def test_chi_square_as_in_scipy_and_gbstats(counts: list[int], shares: list[float]) -> None:
    found = srm(named(counts), dict(zip("abc", shares, strict=False)))
    expected = np.array(shares) / sum(shares) * sum(counts)
    theirs = stats.chisquare(counts, expected)
    assert (found.statistic, found.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)
    assert found.p == pytest.approx(check_srm(counts, shares))
    assert found.df == len(counts) - 1
    assert list(found.expected.values()) == pytest.approx(list(expected))


def test_an_arm_without_a_share_is_no_degree_of_freedom() -> None:
    with_it = srm({"a": 5100, "b": 4900, "c": 0}, {"a": 0.5, "b": 0.5, "c": 0.0})
    assert with_it.p == srm({"a": 5100, "b": 4900}, HALVES).p
    # gbstats counts it: its p is of two degrees of freedom
    assert check_srm([5100, 4900, 0], [0.5, 0.5, 0.0]) == pytest.approx(stats.chi2.sf(4.0, 2))
    assert with_it.p == pytest.approx(stats.chi2.sf(4.0, 1))


@pytest.mark.parametrize(("strays", "alarm"), [(1, "warning"), (10, "warning"), (11, "blocked"), (0, "none")])
def test_units_where_none_should_be_are_an_alarm_of_their_own(strays: int, alarm: str) -> None:
    found = srm({"a": 5000, "b": 5000 - strays, "old": strays}, {"a": 0.5, "b": 0.5, "old": 0.0})
    assert found.alarm == alarm
    assert found.stray == ({"old": strays} if strays else {})
    assert found.p is not None
    assert found.p > 0.5
    unknown = srm({"a": 5000, "b": 5000 - strays, "old": strays}, HALVES)
    assert (unknown.alarm, unknown.stray) == (found.alarm, found.stray)


def test_few_units_are_tested_exactly() -> None:
    found = srm({"a": 0, "b": 9}, HALVES)
    assert (found.exact, found.statistic) == (True, None)
    assert found.p == pytest.approx(stats.binomtest(0, 9, 0.5).pvalue) == pytest.approx(2 / 2**9)
    assert found.alarm == "warning"
    # an expected count below 5 in a large experiment: each arm against the rest, Bonferroni over three
    rare = srm({"a": 5000, "b": 5000, "c": 12}, {"a": 0.4999, "b": 0.4999, "c": 0.0002})
    one = stats.binomtest(12, 10_012, 0.0002).pvalue
    assert (rare.exact, rare.alarm) == (True, "blocked")
    assert rare.p == pytest.approx(3 * one)


def test_nothing_to_test() -> None:
    assert srm({}, HALVES) == Srm(None, "none", None, None, False, {}, {"a": 0.0, "b": 0.0}, {})
    assert srm({"a": 7}, {"a": 1.0}).p is None
    assert srm({"a": 1}, HALVES).p == 1.0
    assert srm({"x": 3}, HALVES).alarm == "blocked"


@pytest.mark.parametrize(
    ("observed", "shares"),
    [({"a": 3}, {"a": 0.0}), ({"a": 3}, {"a": 1.5, "b": -0.5}), ({"a": -3}, {"a": 1.0}), ({}, {})],
)
def test_what_cant_be_is_refused(observed: dict[str, int], shares: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="negative"):
        srm(observed, shares)


@pytest.mark.parametrize(
    ("p", "alarm"),
    [(None, "none"), (0.01, "none"), (0.0099, "warning"), (0.001, "warning"), (0.00099, "blocked")],
)
def test_thresholds(p: float | None, alarm: str) -> None:
    assert alarm_of(p) == alarm


@given(COUNTS)
def test_the_order_of_arms_is_no_matter(counts: list[int]) -> None:
    shares = {"a": 0.5, "b": 0.3, "c": 0.2}
    back = dict(reversed(shares.items()))
    found, turned = srm(named(counts), shares), srm(named(counts), back)
    assert found.p == pytest.approx(turned.p)
    assert found.p is None or 0 <= found.p <= 1
    one, other = sequential_srm(named(counts), shares), sequential_srm(named(counts), back)
    assert (one is None, other is None) == (not sum(counts), not sum(counts))
    assert one is None or one == pytest.approx(other, rel=1e-6)


def test_segments_are_corrected_together() -> None:
    segments = {
        "north": {"a": 500, "b": 590},
        "south": {"a": 400, "b": 410},
        "empty": {},
        "west": {"a": 50, "b": 50, "old": 40},
    }
    found = {one.segment: one for one in srm_by_segment(segments, HALVES)}
    assert list(found) == list(segments)
    raw = stats.chisquare([500, 590]).pvalue
    assert (found["north"].srm.p, found["north"].p_adjusted) == pytest.approx((raw, 3 * raw))
    assert (found["north"].srm.alarm, found["north"].alarm) == ("warning", "none")
    assert (found["empty"].p_adjusted, found["empty"].alarm) == (None, "none")
    assert found["west"].alarm == "blocked"


def log_evidence(counts: list[int], theta: Floats, concentration: float) -> float:
    mixed = stats.dirichlet_multinomial.logpmf(counts, concentration * theta, [sum(counts)])
    return float(np.ravel(mixed)[0] - stats.multinomial.logpmf(counts, sum(counts), theta))


@pytest.mark.parametrize("concentration", [1.0, 100.0, 10_000.0])
@pytest.mark.parametrize(
    ("counts", "shares"),
    [
        ([3, 9], [0.5, 0.5]),
        ([700, 600], [0.5, 0.5]),
        ([0, 25], [0.2, 0.8]),
        ([900, 130, 70], [0.8, 0.1, 0.1]),
    ],
)
def test_sequential_is_the_ratio_of_two_of_scipys_distributions(
    counts: list[int], shares: list[float], concentration: float
) -> None:
    theta = np.array(shares)
    log_e = log_evidence(counts, theta, concentration)
    found = sequential_srm(named(counts), dict(zip("abc", shares, strict=False)), concentration)
    assert found == pytest.approx(min(1.0, math.exp(-log_e)), rel=1e-8)


def test_sequential_is_a_martingale() -> None:
    # the mean of the e-values of the next unit, under the shares, is the e-value now
    shares = {"a": 0.3, "b": 0.7}

    def evidence(a: int, b: int) -> float:
        return math.exp(log_evidence([a, b], np.array([0.3, 0.7]), 50))

    assert 0.3 * evidence(61, 60) + 0.7 * evidence(60, 61) == pytest.approx(evidence(60, 60))
    assert sequential_srm({"a": 60, "b": 60}, shares, 50) == pytest.approx(1 / evidence(60, 60))


@pytest.mark.parametrize(
    ("a", "b", "p"),
    [  # from the definition in sixty-digit arithmetic (mpmath)
        (500_000, 503_000, 0.1184583733015374),
        (500_000_000_000, 500_006_000_000, 0.0001523205396877644),
        (500_000_000_000, 500_007_500_000, 6.103401146393286e-9),
    ],
)
def test_sequential_keeps_its_digits_for_huge_counts(a: int, b: int, p: float) -> None:
    assert sequential_srm({"a": a, "b": b}, HALVES) == pytest.approx(p, rel=1e-8)


def test_sequential_looks() -> None:
    looks = [{}, {"a": 10, "b": 20}, {"a": 300, "b": 900}, {"a": 3000, "b": 3600}]
    path = sequential_srm_path(looks, HALVES)
    assert path[0] is None
    known = [p for p in path if p is not None]
    assert known == sorted(known, reverse=True)
    assert path[2] == path[3] == sequential_srm(looks[2], HALVES)
    assert sequential_srm({"a": 9}, {"a": 1.0}) is None
    assert sequential_srm({"a": 5, "b": 5, "old": 90}, {**HALVES, "old": 0.0}) == sequential_srm(
        {"a": 5, "b": 5}, HALVES
    )
    assert sequential_srm({"a": 10**6}, HALVES) == 0.0


def test_bias_before_the_start() -> None:
    rng = np.random.default_rng(1)
    x = rng.gamma(2, 1, 3000)
    arms = {
        "control": Moments.of(np.zeros(1000), x=x[:1000]),
        "fair": Moments.of(np.zeros(1000), x=x[1000:2000]),
        "biased": Moments.of(np.zeros(1000), x=x[2000:] + 0.5),
    }
    bare = {"control": Moments(50, 1.0, 1.0), "fair": Moments(50, 1.0, 1.0)}
    found = pre_exposure_bias(
        {"revenue": arms, "no_covariate": bare, "no_control": {"fair": bare["fair"]}}, "control"
    )
    assert [(one.metric, one.variant, one.biased) for one in found] == [
        ("revenue", "fair", False),
        ("revenue", "biased", True),
    ]
    reference = difference(Moments.of(x[:1000]), Moments.of(x[2000:] + 0.5))
    assert (found[1].difference, found[1].p) == (reference.difference, reference.p)
    assert found[0].p is not None
    assert found[0].p_adjusted == min(1.0, 2 * found[0].p)


@pytest.mark.parametrize(
    ("multiple", "units", "alarm"),
    [(9, 100, False), (10, 100, True), (10, 1000, False), (11, 1000, True), (0, 0, False)],
)
def test_units_in_several_arms(multiple: int, units: int, alarm: bool) -> None:
    found = multiple_exposure(multiple, units)
    assert found.alarm is alarm
    assert found.share == (multiple / units if units else None)
