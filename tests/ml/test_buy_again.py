from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate

from apps.ml.configs.repeat import BuyAgainConfig
from apps.ml.dataset import DAY, Dataset
from apps.ml.models.buy_again import EDGES, BuyAgainModel, Gaps, shrunk
from apps.ml.train import train
from tests.ml.conformance import Conformance


class TestBuyAgain(Conformance):
    family = "buy_again"
    floors = {"all": 0.38}
    beats = ("all",)
    says = ("users",)
    tells_new = False
    adds_up = 1e-6


def sales(rows: list[tuple[int, int, float]], categories: dict[int, str] | None = None) -> Dataset:
    """(user, item, age in days) as purchases; the data ends at age 0."""
    frame = pd.DataFrame(rows, columns=["user_id", "item_id", "age"])
    frame["timestamp"] = 1.7e9 - frame.pop("age") * DAY
    items = None
    if categories is not None:
        items = pd.DataFrame({"item_id": list(categories), "category": list(categories.values())})
    return Dataset.from_frames(frame, items)


def fit(dataset: Dataset, **settings: float | None) -> BuyAgainModel:
    model = train("buy_again", settings, dataset)
    assert isinstance(model, BuyAgainModel)
    return model


def test_gaps_are_days_between_purchases_and_the_open_days_after_the_last() -> None:
    gaps = Gaps.of(sales([(1, 10, 50), (1, 10, 20), (1, 10, 19.9), (1, 20, 5), (2, 10, 0)]))
    assert gaps.users.tolist() == [0, 0, 1]
    assert gaps.items.tolist() == [0, 1, 0]
    assert gaps.length.tolist() == [30, 1, 19, 5, 0]
    assert gaps.repeat.tolist() == [True, True, False, False, False]
    assert gaps.since.tolist() == [19, 5, 0]
    risk = sum(gaps.at_risk(span, None) for span in range(len(EDGES) - 1))
    np.testing.assert_allclose(risk, gaps.length)


def test_days_at_risk_decay_by_their_own_age() -> None:
    gaps = Gaps.of(sales([(1, 10, 200), (2, 20, 0)]))
    found = sum(float(gaps.at_risk(span, 60.0)[0]) for span in range(len(EDGES) - 1))
    exact, _ = integrate.quad(lambda age: 0.5 ** (age / 60.0), 0, 200)
    assert found == pytest.approx(exact, rel=0.02)


def test_rates_are_the_mean_of_a_gamma_posterior() -> None:
    repeats, risk = np.array([[3.0, 1.0]]), np.array([[100.0, 300.0]])
    prior = np.array([[0.01, 0.02]])
    level = prior * (4 + 2) / (100 * 0.01 + 300 * 0.02 + 2)
    expected = level * (repeats + 5) / (risk * level + 5)
    np.testing.assert_allclose(shrunk(repeats, risk, prior, 2.0, 5.0), expected)
    plenty = shrunk(repeats * 1e6, risk * 1e6, prior, 2.0, 5.0)
    np.testing.assert_allclose(plenty, repeats / risk, rtol=1e-3)
    nothing = shrunk(repeats * 0, risk * 0, prior, 2.0, 5.0)
    np.testing.assert_allclose(nothing, prior)


def monthly_and_weekly() -> list[tuple[int, int, float]]:
    """Forty shoppers: item 10 every 30 days, item 20 every 7; both bought 9 days ago or 29 by one more."""
    rows = [(user, 10, 30.0 * step + user % 5) for user in range(40) for step in range(8)]
    rows += [(user, 20, 7.0 * step + user % 5) for user in range(40) for step in range(34)]
    return rows


def test_an_item_is_due_when_its_interval_has_passed() -> None:
    early = fit(sales([*monthly_and_weekly(), (99, 10, 9), (99, 20, 9)]), horizon_days=5.0)
    assert early.recommend([99], 2, exclude="none").ids[0].tolist() == [20, 10]
    late = fit(sales([*monthly_and_weekly(), (99, 10, 29), (99, 20, 59)]), horizon_days=5.0)
    assert late.recommend([99], 2, exclude="none").ids[0].tolist() == [10, 20]
    assert late.repeat_days[0] == pytest.approx(30, rel=0.1)
    assert late.repeat_days[1] == pytest.approx(7, rel=0.1)


def test_an_item_nobody_knows_well_follows_its_category() -> None:
    rows = [*monthly_and_weekly(), (99, 11, 9), (99, 21, 9)]
    model = fit(sales(rows, {10: "Slow", 11: "Slow", 20: "Fast", 21: "Fast"}), horizon_days=5.0)
    assert model.recommend([99], 2, exclude="none").ids[0].tolist() == [21, 11]
    plain = fit(sales(rows), horizon_days=5.0)
    top = plain.recommend([99], 2, exclude="none")
    assert top.scores[0, 0] == pytest.approx(top.scores[0, 1])


def test_a_shoppers_own_rhythm_counts_more_the_longer_it_is_known() -> None:
    rows = monthly_and_weekly()
    rows += [(99, 10, 60.0 * step + 3) for step in range(4)]
    rows += [(98, 10, 30.0 * step + 3) for step in range(8)]
    model = fit(sales(rows))
    slow, usual = (float(model.recommend([user], 1, exclude="none").scores[0, 0]) for user in (99, 98))
    assert slow < 0.8 * usual
    stiff = fit(sales(rows), pair_prior=1e6, shopper_prior=1e6)
    slow, usual = (float(stiff.recommend([user], 1, exclude="none").scores[0, 0]) for user in (99, 98))
    assert slow == pytest.approx(usual, rel=1e-3)


def test_lines_of_one_day_are_no_repeats() -> None:
    once = fit(sales([(1, 10, 5), (1, 20, 5), (2, 10, 40)]))
    lines = fit(sales([(1, 10, 5), (1, 10, 5), (1, 20, 5), (2, 10, 40)]))
    np.testing.assert_allclose(once.interest.toarray(), lines.interest.toarray())


def test_without_any_repeat_the_latest_come_first() -> None:
    model = fit(sales([(1, 10, 5), (1, 20, 50), (1, 30, 200)]))
    assert model.recommend([1], 3, exclude="none").ids[0].tolist() == [10, 20, 30]
    assert model.metrics["repeat_days"] == 0.0
    assert model.metrics["repeat_share"] == 0.0


def test_the_repeat_interval_is_among_the_metrics() -> None:
    model = fit(sales([(user, 10, 31.0 * step) for user in range(5) for step in range(4)]))
    assert model.metrics["repeat_days"] == pytest.approx(31, abs=0.1)
    assert model.metrics["repeat_share"] == 1.0
    assert model.config == BuyAgainConfig()
