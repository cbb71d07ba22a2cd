"""The verdict on weights stands on the same shoppers, pair by pair."""

import numpy as np
import pytest
from django.utils import translation

from apps.ml.evaluate import Evaluation, PerUser
from apps.portal.offline import verdict_of
from apps.serving.offline import OfflineFigures


def figures(ndcg10: PerUser) -> OfflineFigures:
    evaluation = Evaluation({"ndcg10": ndcg10}, 0.5)
    interval = evaluation.intervals["ndcg10"]
    intervals = {"ndcg10": (interval.low, interval.high)}
    return OfflineFigures(
        "new", len(ndcg10), {"ndcg10": interval.mean}, intervals, ("als",), (), evaluation.per_user
    )


@pytest.fixture
def live() -> PerUser:
    """Shoppers differ far more from one another than two blends do for one shopper."""
    return np.random.default_rng(0).beta(0.5, 2.0, size=400)


def test_a_small_gain_for_nearly_everybody_is_better_though_the_intervals_meet(live: PerUser) -> None:
    gain = np.random.default_rng(1).normal(0.01, 0.02, size=len(live))
    draft, now = figures(live + gain), figures(live)
    assert draft.intervals["ndcg10"][0] < now.intervals["ndcg10"][1], "unpaired, it might be chance"
    with translation.override("en"):
        assert verdict_of(draft, now) == ("▲ Better than live on past purchases.", "good")
        assert verdict_of(now, draft) == ("▼ Worse than live on past purchases.", "bad")


def test_noise_is_no_clear_difference_and_nothing_is_the_same(live: PerUser) -> None:
    noise = np.random.default_rng(2).normal(0.0, 0.05, size=len(live))
    with translation.override("en"):
        text, tone = verdict_of(figures(live + noise - noise.mean()), figures(live))
        assert (text, tone) == ("No clear difference from live: it may be chance.", "muted")
        assert verdict_of(figures(live), figures(live)) == ("The same as live.", "muted")
