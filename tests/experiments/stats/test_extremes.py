"""Whatever the moments, an answer is finite or None and nothing raises: 1e-320 to 1e308, 0 to 1e12 units."""

import math
import random
import warnings
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass

import pytest

from apps.experiments.stats import bayes, cuped, frequentist, power, sequential, srm
from apps.experiments.stats.moments import Moments

Asked = Callable[[Moments, Moments, Moments, Moments], object]


def arm(dice: random.Random) -> Moments:
    """Moments that can be, if of an odd shop: each covariance within its variances."""

    def number() -> float:
        size = dice.random()
        if size < 0.2:
            return 0.0
        return dice.choice([-1, 1]) * 10 ** dice.uniform(-320, 308) if size < 0.4 else dice.uniform(-10, 10)

    def between(first: float, other: float) -> float:
        return dice.uniform(-1, 1) * math.sqrt(first) * math.sqrt(other)

    y, d, x = abs(number()), dice.choice([0.0, abs(number())]), dice.choice([0.0, abs(number())])
    return Moments(
        n=dice.choice([0, 1, 2, 3, 50, 10**6, 10**12]),
        mean_y=number(),
        var_y=y,
        mean_d=dice.choice([1.0, number()]),
        var_d=d,
        cov_yd=between(y, d),
        mean_x=number(),
        var_x=x,
        cov_xy=between(x, y),
        cov_xd=between(x, d),
    )


def adjusted(a: Moments, b: Moments, *_: Moments) -> object:
    arms = cuped.adjusted({"a": a, "b": b})
    return frequentist.difference(arms["a"], arms["b"]), frequentist.relative(arms["a"], arms["b"])


def stratified(a: Moments, b: Moments, c: Moments, d: Moments) -> object:
    found = [cuped.post_stratified({"x": a, "y": b}, {"x": c, "y": d}, cuped=one) for one in (True, False)]
    return [
        (frequentist.difference(one.control, one.treatment), frequentist.relative(one.control, one.treatment))
        for one in found
        if one is not None
    ]


def planned(a: Moments, *_: Moments) -> object:
    base = power.Baseline.of(a)
    plans = [power.Plan(), power.Plan(relative=True), power.Plan(view="sequential"), power.Plan(view="bayes")]
    return base and [power.power_of(base, change, 1e4, plan) for change in (0.1, -0.1, 1e3) for plan in plans]


def sized(a: Moments, *_: Moments) -> object:
    base = power.Baseline.of(a)
    plan = power.Plan((0.8, 0.1, 0.1), correction="holm", view="sequential")
    return base and (
        power.sample_size(base, 0.1),
        power.sample_size(base, -0.1, plan),
        power.least_change(base, 1e4),
    )


def watched(a: Moments, b: Moments, *_: Moments) -> object:
    n, skew = a.n + b.n, sequential.small_sample(a, b)
    arms = (a.mean_y, math.sqrt(a.var_y), b.mean_y, math.sqrt(b.var_y), n)
    return (
        sequential.interval(a.mean_y, math.sqrt(a.var_y), n, skew=skew.skew if skew.settled else 0.0),
        sequential.one_sided(a.mean_y, math.sqrt(a.var_y), n, side="upper"),
        sequential.relative_interval(*arms),
        sequential.relative_bound(*arms, side="lower", null=-0.02),
        skew.events,
    )


def believed(a: Moments, *_: Moments) -> object:
    priors = (None, bayes.PROPER)
    return [bayes.posterior(a.mean_y, math.sqrt(a.var_y), prior=prior) for prior in priors]


def numbers(found: object) -> Iterator[float]:
    if is_dataclass(found):
        for field in fields(found):
            yield from numbers(getattr(found, field.name))
    elif isinstance(found, list | tuple):
        for one in found:
            yield from numbers(one)
    elif isinstance(found, float):
        yield found


@pytest.mark.parametrize(
    ("asked", "times"),
    [
        pytest.param(lambda a, b, *_: frequentist.difference(a, b), 3000, id="difference"),
        pytest.param(lambda a, b, *_: frequentist.relative(a, b), 3000, id="relative"),
        pytest.param(lambda a, b, *_: frequentist.relative(a, b, method="fieller"), 3000, id="fieller"),
        pytest.param(lambda a, *_: (a.value, frequentist.mean_interval(a)), 3000, id="one arm"),
        pytest.param(adjusted, 2000, id="cuped"),
        pytest.param(stratified, 2000, id="post-stratified"),
        pytest.param(lambda a, b, *_: srm.pre_exposure_bias({"m": {"c": a, "t": b}}, "c"), 2000, id="bias"),
        pytest.param(watched, 2000, id="sequential"),
        pytest.param(believed, 2000, id="bayes"),
        pytest.param(planned, 500, id="power"),
        pytest.param(sized, 100, id="size"),
    ],
)
def test_finite_or_none(asked: Asked, times: int) -> None:
    dice = random.Random(times)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(times):
            arms = arm(dice), arm(dice), arm(dice), arm(dice)
            assert all(math.isfinite(number) for number in numbers(asked(*arms))), arms
