"""One look at the end: false alarms, coverage, power, CUPED's cut, the sample ratio's alarms; by simulation.

Every run goes through the functions the readout calls. Shares are held to four Monte Carlo standard errors of
what they should be, plus what the approximation itself is known to be off (said where it is not 0).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pytest
from scipy import special

from apps.experiments.stats import sequential
from apps.experiments.stats.corrections import holm
from apps.experiments.stats.cuped import adjustment, post_stratified
from apps.experiments.stats.frequentist import Effect, Relative, difference, relative
from apps.experiments.stats.moments import Moments
from apps.experiments.stats.power import Baseline, Plan, sample_size
from apps.experiments.stats.quantiles import quantile_of, winsorise_cap, winsorised
from apps.experiments.stats.srm import sequential_srm_path, srm
from tests.experiments.stats.reference import Floats

ALPHA = 0.05
RUNS = 2_000
Pair = tuple[Moments, Moments]
Arms = Callable[[np.random.Generator, float], Pair]


def close(hits: Iterable[bool], target: float, off: float = 0.0) -> None:
    """The share of hits is the target, up to chance and what the approximation is off."""
    found = list(hits)
    assert abs(np.mean(found) - target) <= off + 4.0 * math.sqrt(target * (1 - target) / len(found)), np.mean(
        found
    )


def covers(found: Effect | Relative, truth: float) -> bool:
    return found.low is not None and found.high is not None and found.low <= truth <= found.high


def rejects(found: Effect) -> bool:
    return found.p is not None and found.p < ALPHA


def known(value: float | None) -> float:
    assert value is not None
    return value


# --- arms of one run: control, and a treatment whose true value is (1 + lift) times control's ---


def means(rng: np.random.Generator, lift: float) -> Pair:
    return Moments.of(rng.normal(10, 2, 60)), Moments.of(rng.normal(10 * (1 + lift), 6, 150))


def proportions(rng: np.random.Generator, lift: float) -> Pair:
    return Moments.of_count(int(rng.binomial(3000, 0.04)), 3000), Moments.of_count(
        int(rng.binomial(2000, 0.04 * (1 + lift))), 2000
    )


def revenue(rng: np.random.Generator, lift: float) -> Pair:
    spent = (rng.random(4000) < 0.1) * rng.lognormal(3, 0.8, 4000)
    return Moments.of(spent[:2000]), Moments.of(spent[2000:] * (1 + lift))


def ratios(rng: np.random.Generator, lift: float) -> Pair:
    own = rng.beta(2, 18, 1200)
    slates = 1 + rng.poisson(rng.exponential(4.0, 1200))
    own[600:] *= 1 + lift
    clicks = rng.binomial(slates, np.minimum(own, 1.0))
    return Moments.of(clicks[:600], slates[:600]), Moments.of(clicks[600:], slates[600:])


# .008: revenue of some 200 buyers an arm is still a little skewed
KINDS = [
    pytest.param(means, 0.0, id="mean"),
    pytest.param(proportions, 0.0, id="proportion"),
    pytest.param(revenue, 0.008, id="revenue"),
    pytest.param(ratios, 0.0, id="ratio"),
]


@pytest.mark.parametrize(("arms", "off"), KINDS)
def test_false_alarms_are_alpha(arms: Arms, off: float) -> None:
    rng = np.random.default_rng(51)
    close([rejects(difference(*arms(rng, 0.0))) for _ in range(RUNS)], ALPHA, off)


TRUTH: dict[Arms, float] = {means: 10.0, proportions: 0.04, revenue: 0.1 * math.exp(3 + 0.32), ratios: 0.1}


@pytest.mark.parametrize(("arms", "off"), KINDS)
def test_intervals_cover_the_truth(arms: Arms, off: float) -> None:
    rng = np.random.default_rng(52)
    runs = [arms(rng, 0.3) for _ in range(RUNS)]
    close([covers(difference(*pair), 0.3 * TRUTH[arms]) for pair in runs], 1 - ALPHA, off)
    close([covers(relative(*pair), 0.3) for pair in runs], 1 - ALPHA, off)
    close([covers(relative(*pair, method="fieller"), 0.3) for pair in runs], 1 - ALPHA, off)


def test_near_a_control_of_zero_only_fiellers_interval_covers() -> None:
    rng = np.random.default_rng(53)
    noisy = [(Moments.of(rng.normal(0.5, 1, 25)), Moments.of(rng.normal(2.0, 1, 25))) for _ in range(RUNS)]
    exact = [relative(*pair, method="fieller") for pair in noisy]
    # without bounds hardly any change can be ruled out: counted as covering, so there are somewhat too many
    assert np.mean([one.low is None or covers(one, 3.0) for one in exact]) >= 1 - ALPHA - 0.01
    assert np.mean([covers(relative(*pair), 3.0) for pair in noisy]) < 0.93
    assert all(one.near_zero for one in exact)


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_quantile_intervals_cover(q: float) -> None:
    rng = np.random.default_rng(54)
    truth = math.exp(float(special.ndtri(q)))
    found = []
    for _ in range(1000):
        spent = np.exp(rng.normal(size=1600))
        pair = quantile_of(spent[:800], q), quantile_of(spent[800:] * 1.2, q)
        found.append((covers(difference(*pair), 0.2 * truth), covers(relative(*pair), 0.2)))
    close([absolute for absolute, _ in found], 1 - ALPHA, off=0.005)
    close([lift for _, lift in found], 1 - ALPHA, off=0.005)


def test_winsorising_by_the_pooled_cap_keeps_alpha_and_cuts_the_error() -> None:
    rng = np.random.default_rng(55)
    alarms, errors = [], []
    for _ in range(1000):
        spent = (rng.random(4000) < 0.1) * rng.lognormal(3, 1.4, 4000)
        capped = winsorised(spent, winsorise_cap(spent, 0.99))
        plain, cut = (difference(Moments.of(one[:2000]), Moments.of(one[2000:])) for one in (spent, capped))
        alarms.append(rejects(cut))
        errors.append(known(cut.se) / known(plain.se))
    close(alarms, ALPHA, off=0.008)
    assert np.mean(errors) < 0.9


# --- with what was known before ---


def with_covariate(rng: np.random.Generator, n: int, lift: float, correlation: float) -> Moments:
    x = rng.gamma(4.0, 1.0, n)
    noise = rng.normal(0.0, 2.0 * math.sqrt(1 - correlation**2), n)
    return Moments.of((10.0 + correlation * (x - 4.0) + noise) * (1 + lift), x=x)


@pytest.mark.parametrize("lift", [0.0, 1.0])
def test_cuped_cuts_the_variance_by_the_squared_correlation(lift: float) -> None:
    # sd of x is 2 and that of the noise too, so correlation is the correlation
    rng, correlation = np.random.default_rng(56), 0.8
    plain, cut, cuts, covered, lifted = [], [], [], [], []
    for _ in range(RUNS):
        arms = {
            "c": with_covariate(rng, 150, 0.0, correlation),
            "t": with_covariate(rng, 150, lift, correlation),
        }
        found = adjustment(arms)
        effect = difference(found.arms["c"], found.arms["t"])
        plain.append(known(difference(arms["c"], arms["t"]).difference))
        cut.append(known(effect.difference))
        cuts.append(known(found.variance_cut))
        covered.append(covers(effect, 10.0 * lift))
        lifted.append(relative(found.arms["c"], found.arms["t"]))
    if not lift:  # a treatment that scales everything has a slope of its own, and less is left to one theta
        assert np.mean(cuts) == pytest.approx(correlation**2, abs=0.01)
        assert 1 - np.var(cut) / np.var(plain) == pytest.approx(correlation**2, abs=0.06)
    close(covered, 1 - ALPHA)
    close([covers(one, lift) for one in lifted], 1 - ALPHA, off=0.004)
    # the error of the relative change with what the pooled covariate adds
    spread = float(np.std([known(one.value) for one in lifted]))
    assert np.mean([known(one.se) for one in lifted]) == pytest.approx(spread, rel=0.06)


def test_cuped_of_a_ratio() -> None:
    rng = np.random.default_rng(57)
    covered, errors = [], []
    for _ in range(RUNS):
        own = rng.beta(2, 18, 1000)
        visits = rng.exponential(4.0, 1000)
        slates, before = 1 + rng.poisson(visits), 5 + rng.poisson(8 * visits)
        x = rng.binomial(before, own) - 0.1 * before
        own[500:] *= 1.2
        y = rng.binomial(slates, own)
        arms = {str(at): Moments.of(y[part], slates[part], x[part]) for at, part in enumerate(HALVES)}
        found = adjustment(arms)
        effect = difference(found.arms["0"], found.arms["1"])
        covered.append(covers(effect, 0.02))
        errors.append(known(effect.se) / known(difference(arms["0"], arms["1"]).se))
    close(covered, 1 - ALPHA)
    assert np.mean(errors) < 0.9


HALVES = (slice(0, 500), slice(500, 1000))


def test_post_stratified_intervals_cover_and_are_shorter() -> None:
    # strata differ in level and in effect; arms and strata sizes are random, as in a shop
    rng = np.random.default_rng(58)
    levels, lifts, shares = np.array([1.0, 4.0, 9.0]), np.array([0.0, 0.5, 2.0]), [0.5, 0.3, 0.2]
    truth, base = float(lifts @ shares), float(levels @ shares)
    covered, lifted, errors, values = [], [], [], []
    for _ in range(RUNS):
        stratum, treated = rng.choice(3, 400, p=shares), rng.random(400) < 0.5
        y = levels[stratum] + treated * lifts[stratum] + rng.normal(0, 1, 400)
        cells = [
            {str(at): Moments.of(y[(stratum == at) & (treated == arm)]) for at in range(3)} for arm in (0, 1)
        ]
        found = post_stratified(cells[0], cells[1])
        assert found is not None
        effect = difference(found.control, found.treatment)
        covered.append(covers(effect, truth))
        lifted.append(covers(relative(found.control, found.treatment), truth / base))
        values.append(known(effect.difference))
        errors.append(
            (known(effect.se), known(difference(Moments.of(y[~treated]), Moments.of(y[treated])).se))
        )
    close(covered, 1 - ALPHA)
    close(lifted, 1 - ALPHA)
    mine, plain = np.mean(errors, axis=0)
    assert mine == pytest.approx(float(np.std(values)), rel=0.06)
    assert mine < 0.5 * plain


# --- power as reckoned before the start ---


def sizes(base: Baseline, change: float, plan: Plan) -> Sequence[int]:
    found = sample_size(base, change, plan)
    assert found is not None
    return found.arms


def test_power_of_a_proportion_is_as_reckoned() -> None:
    rng = np.random.default_rng(59)
    n_c, n_t = sizes(Baseline.proportion(0.05), 0.3, Plan(shares=(0.6, 0.4)))
    bought = zip(rng.binomial(n_c, 0.05, RUNS), rng.binomial(n_t, 0.065, RUNS), strict=True)
    close([rejects(difference(Moments.of_count(a, n_c), Moments.of_count(b, n_t))) for a, b in bought], 0.8)


def test_power_of_a_ratio_with_its_own_history_is_as_reckoned() -> None:
    rng = np.random.default_rng(60)

    def units(n: int, lift: float) -> Moments:
        slates = 1 + rng.poisson(rng.exponential(4.0, n))
        return Moments.of(rng.binomial(slates, rng.beta(2, 18, n) * (1 + lift)), slates)

    base = Baseline.of(units(200_000, 0.0))
    assert base is not None
    n_c, n_t = sizes(base, 0.2, Plan())
    # clicks of a higher rate vary more: not in the plan, which takes control's variance for both
    close([rejects(difference(units(n_c, 0.0), units(n_t, 0.2))) for _ in range(RUNS)], 0.8, off=0.04)


def test_power_with_cuped_is_as_reckoned() -> None:
    rng, correlation = np.random.default_rng(61), 0.7
    n_c, n_t = sizes(Baseline(10.0, 4.0, correlation=correlation), 0.05, Plan())
    found = []
    for _ in range(RUNS):
        control = with_covariate(rng, n_c, 0.0, correlation)
        treatment = with_covariate(rng, n_t, 0.0, correlation)
        moved = Moments.from_json({**treatment.as_json(), "mean_y": treatment.mean_y + 0.5})
        arms = adjustment({"c": control, "t": moved}).arms
        found.append(rejects(difference(arms["c"], arms["t"])))
    close(found, 0.8, off=0.01)


def test_power_of_the_hardest_of_several_arms_is_as_reckoned() -> None:
    # only one arm is better: it has to pass Holm's first step, alpha / 3
    rng, shares = np.random.default_rng(62), (0.4, 0.2, 0.2, 0.2)
    n = sizes(Baseline(10.0, 4.0), 0.03, Plan(shares, correction="holm"))
    seen, alarms = [], []
    for _ in range(RUNS):
        arms = [Moments.of(rng.normal(10.3 if at == 3 else 10.0, 2.0, size)) for at, size in enumerate(n)]
        ps = holm([difference(arms[0], arm).p for arm in arms[1:]])
        seen.append(known(ps[2]) < ALPHA)
        alarms.append(min(known(ps[0]), known(ps[1])) < ALPHA)
    close(seen, 0.8, off=0.01)
    assert np.mean(alarms) < ALPHA + 4 * math.sqrt(ALPHA * (1 - ALPHA) / RUNS)


def test_power_of_the_sequential_view_is_reached_by_the_reckoned_size() -> None:
    rng = np.random.default_rng(63)
    plan = Plan(view="sequential")
    n_c, n_t = sizes(Baseline(10.0, 4.0), 0.05, plan)
    gap, errors = rng.normal(0.5, 2 * math.sqrt(1 / n_c + 1 / n_t), RUNS), 2 * math.sqrt(1 / n_c + 1 / n_t)
    looks = sequential.sequence(gap, np.full(RUNS, errors), n_c + n_t, ALPHA)
    close(looks.low > 0, 0.8, off=0.01)


# --- the sample ratio ---

SHARES = {"a": 0.5, "b": 0.3, "c": 0.2}


@pytest.mark.parametrize("n", [30, 200, 1_000_000])
def test_sample_ratio_alarms_are_as_rare_as_they_say(n: int) -> None:
    rng = np.random.default_rng(n)
    draws = rng.multinomial(n, list(SHARES.values()), 8000)
    ps = np.array([known(srm(dict(zip(SHARES, draw, strict=True)), SHARES).p) for draw in draws.tolist()])
    # with 30 units chi-square is a little off far out
    for level in (0.05, 0.01, 0.001):
        close(ps < level, level, off=0.002 if n == 30 else 0.0)


def test_few_units_in_a_small_arm_raise_no_more_alarms_than_said() -> None:
    rng = np.random.default_rng(64)
    shares = {"a": 0.97, "b": 0.02, "c": 0.01}
    draws = rng.multinomial(100, list(shares.values()), 2000)
    ps = np.array([known(srm(dict(zip(shares, draw, strict=True)), shares).p) for draw in draws.tolist()])
    assert np.mean(ps < 0.01) < 0.01 + 4 * math.sqrt(0.01 / 2000)


def _paths(rng: np.random.Generator, truth: Sequence[float], runs: int, looks: int) -> list[list[float]]:
    daily = np.cumsum(rng.multinomial(400, truth, (runs, looks)), axis=1).tolist()
    return [
        [known(p) for p in sequential_srm_path([dict(zip(SHARES, day, strict=True)) for day in run], SHARES)]
        for run in daily
    ]


def test_looking_at_the_sample_ratio_every_day() -> None:
    rng = np.random.default_rng(65)
    fair = np.array(_paths(rng, list(SHARES.values()), 500, 28))
    for level in (0.05, 0.01):
        assert np.mean(fair[:, -1] < level) <= level + 3 * math.sqrt(level / 500)
    # one in six of the third arm is lost
    bent = np.array(_paths(rng, [0.52, 0.312, 0.168], 100, 28))
    assert np.mean(bent[:, -1] < 0.001) > 0.9
    # the usual test looked at daily cries wolf far more often
    counts: Floats = np.cumsum(rng.multinomial(400, list(SHARES.values()), (500, 28)), axis=1).astype(
        np.float64
    )
    expected = counts.sum(axis=2, keepdims=True) * np.array(list(SHARES.values()))
    naive = special.chdtrc(2, ((counts - expected) ** 2 / expected).sum(axis=2))
    assert np.mean(naive.min(axis=1) < ALPHA) > 0.15
