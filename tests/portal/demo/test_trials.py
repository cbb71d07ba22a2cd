"""Coupons and sponsored slots are randomised, and what an analyst would find agrees with the stored truth."""

import numpy as np
import pandas as pd

from apps.portal.demo.trials import COUPON_DAYS
from apps.portal.demo.world import World


def test_coupon_arms_are_fair_and_their_effect_is_found(world: World) -> None:
    events, truths = world.events, world.history.coupons.truths()
    coupons = events[events["kind"] == "coupon"]
    bought = events[events["kind"] == "purchase"]
    gaps, errors = [], []
    for name, truth in truths.items():
        wave = coupons[coupons["context"].map(lambda context, name=name: context["coupon"] == name)]
        assert len(wave) == truth["shoppers"]
        treated = wave["context"].map(lambda context: context["arm"] == "treated").to_numpy()
        assert treated.sum() == truth["treated"]
        assert 0.38 < treated.mean() < 0.62
        start = world.start + pd.Timedelta(days=truth["day"])
        inside = bought["occurred_at"].between(start, start + pd.Timedelta(days=COUPON_DAYS))
        outcome = wave["shopper"].isin(bought.loc[inside, "shopper"]).to_numpy()
        one, none = outcome[treated], outcome[~treated]
        gaps.append(one.mean() - none.mean() - truth["effect"])
        errors.append(one.var() / len(one) + none.var() / len(none))
    assert abs(np.mean(gaps)) < 4 * np.sqrt(np.sum(errors)) / len(gaps)


def test_coupons_help_some_and_not_others(world: World) -> None:
    effect = world.population.tastes.coupon
    assert (effect > 0.3).mean() > 0.2
    assert (effect < 0).mean() > 0.1
    assert np.mean([truth["effect"] for truth in world.history.coupons.truths().values()]) > 0


def test_a_sponsored_slot_brings_the_clicks_the_truth_says(world: World) -> None:
    events = world.events
    shown = events[events["kind"] == "sponsored_impression"]
    arm = shown["context"].map(lambda context: context["arm"] == "shown").to_numpy()
    assert 0.42 < arm.mean() < 0.58
    views = events[events["kind"] == "view"]
    opened = set(zip(views["session"], views["sku"], strict=True))
    clicked = np.array([key in opened for key in zip(shown["session"], shown["sku"], strict=True)])
    truths = world.history.sponsors.truths(world.products["sku"].tolist())
    expected = np.average(
        [truth["click_effect"] for truth in truths.values()], weights=[t["pages"] for t in truths.values()]
    )
    one, none = clicked[arm], clicked[~arm]
    error = np.sqrt(one.var() / len(one) + none.var() / len(none))
    assert expected > 0
    assert abs(one.mean() - none.mean() - expected) < 4 * error
