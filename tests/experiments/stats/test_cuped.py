"""CUPED and post-stratification: as statsmodels' regressions and gbstats have them, and at the edges."""

import math
from collections.abc import Mapping
from dataclasses import astuple, replace

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from apps.experiments.stats.cuped import adjusted, adjustment, linearised, post_stratified
from apps.experiments.stats.frequentist import covariance, difference, relative, standard_error
from apps.experiments.stats.moments import Moments, merged
from tests.experiments.stats.reference import Floats, cuped_statistic, gbstats_test, ratio_units


def arm(rng: np.random.Generator, n: int, lift: float, slope: float = 0.8) -> tuple[Floats, Floats]:
    """A metric and its covariate."""
    x = rng.gamma(2, 2, n)
    return 3.0 + lift + slope * x + rng.normal(0, 1, n), x


def test_difference_is_the_analysis_of_covariances() -> None:
    rng = np.random.default_rng(2)
    units = {"a": arm(rng, 60, 0.0), "b": arm(rng, 90, 0.4), "c": arm(rng, 45, -0.2)}
    found = adjustment({name: Moments.of(y, x=x) for name, (y, x) in units.items()})
    y, x = (np.concatenate([pair[at] for pair in units.values()]) for at in (0, 1))
    dummies = np.repeat(np.eye(3), [60, 90, 45], axis=0)
    fit = sm.OLS(y, np.column_stack([dummies, x])).fit()
    assert found.theta == pytest.approx(fit.params[3])
    means = [found.arms[name].mean_y for name in units]
    assert means == pytest.approx(list(fit.params[:3] + fit.params[3] * x.mean()))
    residual = sum((found.arms[name].n - 1) * found.arms[name].var_y for name in units)
    assert residual == pytest.approx(float(fit.resid @ fit.resid))
    whole = sum((pair[0].size - 1) * pair[0].var(ddof=1) for pair in units.values())
    assert found.variance_cut == pytest.approx(1 - residual / whole)
    assert found.correlation is not None
    assert found.variance_cut == pytest.approx(found.correlation**2)


def test_as_in_gbstats_where_the_arms_are_alike_before() -> None:
    rng = np.random.default_rng(7)
    control, treatment = arm(rng, 400, 0.0), arm(rng, 350, 0.3)
    treatment = (treatment[0], treatment[1] - treatment[1].mean() + control[1].mean())
    theirs = gbstats_test(cuped_statistic(*control), cuped_statistic(*treatment), "absolute")
    arms = adjusted(
        {"c": Moments.of(control[0], x=control[1]), "t": Moments.of(treatment[0], x=treatment[1])}
    )
    effect = difference(arms["c"], arms["t"])
    assert (effect.difference, effect.p) == pytest.approx((theirs.point_estimate, theirs.p_value))
    assert [effect.low, effect.high] == pytest.approx(theirs.confidence_interval)


def test_close_to_gbstats_in_any_case() -> None:
    rng = np.random.default_rng(7)
    control, treatment = arm(rng, 4000, 0.0), arm(rng, 3500, 0.1)
    arms = adjusted(
        {"c": Moments.of(control[0], x=control[1]), "t": Moments.of(treatment[0], x=treatment[1])}
    )
    statistics = cuped_statistic(*control), cuped_statistic(*treatment)
    effect, theirs = difference(arms["c"], arms["t"]), gbstats_test(*statistics, "absolute")
    assert [effect.low, effect.high] == pytest.approx(
        theirs.confidence_interval, abs=0.01 * float(effect.se or 0)
    )
    change, lift = relative(arms["c"], arms["t"]), gbstats_test(*statistics, "relative")
    assert [change.low, change.high] == pytest.approx(
        lift.confidence_interval, abs=0.05 * float(change.se or 0)
    )


def test_ratio_adjusts_the_units_influence() -> None:
    rng = np.random.default_rng(5)
    sides = [ratio_units(rng, 500, 0.2), ratio_units(rng, 450, 0.24)]
    before = [(y * 0.5 + rng.random(y.size), d + rng.poisson(1, d.size)) for y, d in sides]
    tops, bottoms = (np.concatenate([pair[at] for pair in before]) for at in (0, 1))
    x = np.split(linearised(tops, bottoms), [500])
    found = adjustment({str(at): Moments.of(*sides[at], x[at]) for at in (0, 1)})
    ratios = [float(y.sum() / d.sum()) for y, d in sides]
    psi = [(y - ratio * d) / d.mean() for (y, d), ratio in zip(sides, ratios, strict=True)]
    top = sum(np.cov(psi[at], x[at])[0, 1] * (psi[at].size - 1) for at in (0, 1))
    theta = top / sum(x[at].var(ddof=1) * (x[at].size - 1) for at in (0, 1))
    assert found.theta == pytest.approx(theta)
    centre = np.concatenate(x).mean()
    for at in (0, 1):
        one = found.arms[str(at)]
        assert not one.is_ratio
        assert one.mean_y == pytest.approx(ratios[at] - theta * (x[at].mean() - centre))
        assert one.var_y == pytest.approx((psi[at] - theta * x[at]).var(ddof=1))


def test_linearised_has_no_sum() -> None:
    x = linearised([1.0, 0.0, 5.0], [2.0, 1.0, 3.0])
    assert x.tolist() == [-1.0, -1.0, 2.0]
    assert linearised([1.0, 2.0], [0.0, 0.0]).tolist() == [1.0, 2.0]
    assert linearised([], []).size == 0


def test_shared_is_what_the_pooled_covariate_adds() -> None:
    # the adjusted means are linear in the four means (y and x of both arms), whose covariance matrix is known
    rng = np.random.default_rng(3)
    sides = [arm(rng, 300, 0.0), arm(rng, 200, 0.5, slope=1.4)]
    found = adjustment({str(at): Moments.of(y, x=x) for at, (y, x) in enumerate(sides)})
    matrix = np.zeros((4, 4))
    matrix[:2, :2], matrix[2:, 2:] = (np.cov(np.stack(pair)) / pair[0].size for pair in sides)
    theta = found.theta
    rows = np.array([[1.0, -0.4 * theta, 0.0, 0.4 * theta], [0.0, 0.6 * theta, 1.0, -0.6 * theta]])
    expected = rows @ matrix @ rows.T
    control, treatment = found.arms["0"], found.arms["1"]
    # ours takes the spread of x over all arms, this each arm's own
    assert standard_error(control) == pytest.approx(math.sqrt(expected[0, 0]), rel=0.02)
    assert standard_error(treatment) == pytest.approx(math.sqrt(expected[1, 1]), rel=0.02)
    assert covariance(control, treatment) == pytest.approx(expected[0, 1], rel=0.1)
    apart = expected[0, 0] + expected[1, 1] - 2 * expected[0, 1]
    assert difference(control, treatment).se == pytest.approx(math.sqrt(apart), rel=1e-9)


def test_a_base_stays_as_measured_and_differences_stay_as_they_are() -> None:
    rng = np.random.default_rng(3)
    sides = [arm(rng, 300, 0.0), arm(rng, 200, 0.5, slope=1.4)]
    arms = {str(at): Moments.of(y, x=x) for at, (y, x) in enumerate(sides)}
    pooled, found = adjustment(arms), adjustment(arms, "0")
    control, treatment = found.arms["0"], found.arms["1"]
    matrix = np.zeros((4, 4))
    matrix[:2, :2], matrix[2:, 2:] = (np.cov(np.stack(pair)) / pair[0].size for pair in sides)
    rows = np.array([[1.0, 0.0, 0.0, 0.0], [0.0, found.theta, 1.0, -found.theta]])
    expected = rows @ matrix @ rows.T
    assert control.mean_y == pytest.approx(float(sides[0][0].mean()))
    assert standard_error(control) == pytest.approx(math.sqrt(expected[0, 0]))
    assert standard_error(treatment) == pytest.approx(math.sqrt(expected[1, 1]))
    assert covariance(control, treatment) == pytest.approx(expected[0, 1])
    was, now = difference(pooled.arms["0"], pooled.arms["1"]), difference(control, treatment)
    assert (now.difference, now.se, now.df) == (pytest.approx(was.difference), was.se, was.df)
    assert adjustment(arms, "gone") == pooled


@given(st.floats(-100, 100), st.floats(0.01, 100))
def test_shift_and_scale_of_the_covariate_are_no_matter(shift: float, scale: float) -> None:
    rng = np.random.default_rng(1)
    sides = {"c": arm(rng, 80, 0.0), "t": arm(rng, 90, 0.5)}
    plain = adjusted({name: Moments.of(y, x=x) for name, (y, x) in sides.items()})
    moved = adjusted({name: Moments.of(y, x=x * scale + shift) for name, (y, x) in sides.items()})
    for name in sides:
        assert moved[name].mean_y == pytest.approx(plain[name].mean_y)
        assert moved[name].var_y == pytest.approx(plain[name].var_y)


@pytest.mark.parametrize(
    "arms",
    [
        {},
        {"c": Moments(0, 0.0, 0.0), "t": Moments(0, 0.0, 0.0)},
        {"c": Moments(1, 2.0, 0.0, mean_x=3.0), "t": Moments(1, 4.0, 0.0, mean_x=1.0)},
        {"c": Moments.of([1.0, 2.0, 4.0]), "t": Moments.of([2.0, 2.0, 3.0])},
        {"c": Moments.of([1.0, 2.0], x=[3.0, 3.0]), "t": Moments.of([2.0, 5.0], x=[3.0, 3.0])},
        {"c": Moments.of([1.0, 1.0], x=[3.0, 4.0]), "t": Moments.of([2.0, 2.0], x=[3.0, 5.0])},
    ],
)
def test_nothing_to_adjust_by_changes_nothing(arms: Mapping[str, Moments]) -> None:
    found = adjustment(arms)
    assert (found.arms, found.theta, found.variance_cut) == (arms, 0.0, None)


def test_a_covariate_that_explains_all_leaves_no_spread() -> None:
    x = np.array([1.0, 2.0, 3.0, 7.0])
    found = adjustment({"c": Moments.of(2 * x, x=x), "t": Moments.of(2 * x + 1, x=x + 1)})
    assert found.variance_cut == pytest.approx(1.0)
    assert [one.var_y for one in found.arms.values()] == [0.0, 0.0]
    assert difference(found.arms["c"], found.arms["t"]).p is None


def test_an_empty_arm_stays_empty() -> None:
    y, x = arm(np.random.default_rng(1), 50, 0.0)
    found = adjustment({"c": Moments.of(y, x=x), "t": Moments(0, 0.0, 0.0)})
    assert found.arms["t"].n == 0
    assert found.arms["c"].mean_y == pytest.approx(y.mean())


def test_huge_arms() -> None:
    huge = Moments(10**12, 5.0, 4.0, mean_x=5.0, var_x=4.0, cov_xy=3.0)
    found = adjustment({"c": huge, "t": replace(huge, mean_y=5.001)})
    assert found.variance_cut == pytest.approx(9 / 16)
    assert difference(found.arms["c"], found.arms["t"]).difference == pytest.approx(0.001)


def stratified_units(rng: np.random.Generator, sizes: Mapping[str, int], lift: float) -> dict[str, Floats]:
    return {
        name: at * 2.0 + lift * (at + 1) + rng.normal(0, 1 + at, n)
        for at, (name, n) in enumerate(sizes.items())
    }


def test_post_stratified_difference_is_the_saturated_regressions() -> None:
    rng = np.random.default_rng(11)
    control = stratified_units(rng, {"north": 80, "south": 30, "west": 45}, 0.0)
    treatment = stratified_units(rng, {"north": 50, "south": 60, "west": 40}, 0.3)
    found = post_stratified(
        {name: Moments.of(y) for name, y in control.items()},
        {name: Moments.of(y) for name, y in treatment.items()},
    )
    assert found is not None
    # y on arm x stratum, strata centred at their shares (Lin 2013); HC2 of a saturated model: var / n by cell
    names = list(control)
    sizes = np.array([control[name].size + treatment[name].size for name in names])
    shares = sizes / sizes.sum()
    cells = [(side, at, (control, treatment)[side][name]) for side in (0, 1) for at, name in enumerate(names)]
    y = np.concatenate([values for _, _, values in cells])
    treated = np.concatenate([np.full(values.size, float(side)) for side, _, values in cells])
    stratum = np.concatenate([np.full(values.size, at) for _, at, values in cells])
    dummies = np.eye(3)[stratum][:, 1:] - shares[1:]
    fit = sm.OLS(y, np.column_stack([np.ones(y.size), treated, dummies, dummies * treated[:, None]])).fit(
        cov_type="HC2"
    )
    effect = difference(found.control, found.treatment)
    gaps = np.array([treatment[name].mean() - control[name].mean() for name in names])
    between = shares @ (gaps - shares @ gaps) ** 2 / sizes.sum()
    assert effect.difference == pytest.approx(fit.params[1])
    assert effect.se == pytest.approx(math.sqrt(fit.bse[1] ** 2 + between))
    assert found.strata == 3
    assert (found.control.n, found.treatment.n) == (155, 150)


def test_one_stratum_is_the_plain_comparison() -> None:
    rng = np.random.default_rng(1)
    control, treatment = Moments.of(rng.normal(5, 1, 50)), Moments.of(rng.normal(6, 1, 70))
    found = post_stratified({"all": control}, {"all": treatment})
    assert found is not None
    assert astuple(difference(found.control, found.treatment)) == pytest.approx(
        astuple(difference(control, treatment))
    )
    assert relative(found.control, found.treatment).se == pytest.approx(relative(control, treatment).se)


def test_strata_too_small_stand_together() -> None:
    big, one, none = Moments.of([1.0, 2.0, 3.0]), Moments.of([9.0]), Moments(0, 0.0, 0.0)
    found = post_stratified({"a": big, "b": one, "c": one}, {"a": big, "b": one, "d": one})
    assert found is not None
    assert (found.strata, found.control.n, found.treatment.n) == (2, 5, 5)
    lone = post_stratified({"a": big, "b": one}, {"a": big, "b": none})
    assert lone is not None
    assert (lone.strata, lone.control.n) == (1, 4)
    assert lone.control.mean_y == pytest.approx(merged([big, one]).mean_y)
    assert post_stratified({"a": one}, {"a": one}) is None
    assert post_stratified({}, {}) is None
    no_denominator = Moments.of([1.0, 2.0], [0.0, 0.0])
    assert post_stratified({"a": no_denominator}, {"a": no_denominator}) is None


def test_post_stratified_ratio_is_a_ratio_of_stratified_means() -> None:
    rng = np.random.default_rng(9)
    control = {"a": ratio_units(rng, 200, 0.1), "b": ratio_units(rng, 100, 0.3)}
    treatment = {"a": ratio_units(rng, 150, 0.12), "b": ratio_units(rng, 180, 0.33)}
    found = post_stratified(
        {name: Moments.of(*pair) for name, pair in control.items()},
        {name: Moments.of(*pair) for name, pair in treatment.items()},
    )
    assert found is not None
    shares = {"a": 350 / 630, "b": 280 / 630}
    top = sum(shares[name] * control[name][0].mean() for name in shares)
    bottom = sum(shares[name] * control[name][1].mean() for name in shares)
    assert found.control.mean_y == pytest.approx(top / bottom)


def test_stratifying_ratio_units_alike_changes_nothing() -> None:
    rng = np.random.default_rng(9)
    y, d = ratio_units(rng, 400, 0.2)
    one = Moments.of(y, d)
    found = post_stratified({"all": one}, {"all": one})
    assert found is not None
    assert found.control.mean_y == pytest.approx(one.linear().mean_y)
    assert found.control.var_y == pytest.approx(one.linear().var_y)


def test_cuped_within_one_stratum_is_cuped() -> None:
    rng = np.random.default_rng(4)
    control, treatment = (Moments.of(y, x=x) for y, x in (arm(rng, 200, 0.0), arm(rng, 260, 0.2)))
    found = post_stratified({"all": control}, {"all": treatment}, cuped=True)
    plain = adjusted({"c": control, "t": treatment})
    assert found is not None
    assert found.control.mean_y == pytest.approx(plain["c"].mean_y)
    assert astuple(difference(found.control, found.treatment)) == pytest.approx(
        astuple(difference(plain["c"], plain["t"]))
    )
    assert found.control.shared == pytest.approx(plain["c"].shared)


def test_strata_that_explain_all_leave_only_what_their_shares_add() -> None:
    control = {"a": Moments(50, 0.0, 0.0), "b": Moments(50, 10.0, 0.0)}
    treatment = {"a": Moments(50, 0.0, 0.0), "b": Moments(50, 20.0, 0.0)}
    found = post_stratified(control, treatment)
    assert found is not None
    assert min(found.control.var_y, found.treatment.var_y) >= 0.0
    # means 5 and 10 and their covariance, from a share of one half whose variance is 1/4 / 200
    assert standard_error(found.control) == pytest.approx(10 * math.sqrt(0.25 / 200))
    assert standard_error(found.treatment) == pytest.approx(20 * math.sqrt(0.25 / 200))
    assert covariance(found.control, found.treatment) == pytest.approx(200 * 0.25 / 200)
    assert difference(found.control, found.treatment).se == pytest.approx(10 * math.sqrt(0.25 / 200))
    # twice control in either stratum, so twice control whatever their shares
    assert relative(found.control, found.treatment).se is None


def test_without_covariates_cuped_within_strata_changes_nothing() -> None:
    arms = {"a": Moments(50, 1.0, 2.0), "b": Moments(40, 3.0, 2.0)}
    assert post_stratified(arms, arms, cuped=True) == post_stratified(arms, arms)
