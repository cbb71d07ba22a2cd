"""Damage does what it says, costs what it should, and the curves are ready for a chart."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest

from apps.ml.dataset import Dataset
from apps.ml.errors import InvalidValue
from apps.ml.protocols import split_at
from apps.ml.robustness import DAMAGES, RobustnessCurves, damaged, robustness_curves
from tests.ml.planted import interactions_frame, planted, planted_split

SHARES = (0.0, 0.3, 0.8)
FAMILIES = ("popular", "ease")


@cache
def curves() -> RobustnessCurves:
    tiny = {name: {"preset": "tiny"} for name in FAMILIES}
    return robustness_curves(planted_split(), FAMILIES, shares=SHARES, configs=tiny)


def test_damage_moves_drops_or_adds_its_share() -> None:
    data = planted_split().train
    noisy, _ = damaged(data, "noise", 0.2)
    assert len(noisy) == len(data)
    assert (noisy.item != data.item).mean() == pytest.approx(0.2, abs=0.03)
    np.testing.assert_array_equal(noisy.user, data.user)
    thin, _ = damaged(data, "missing", 0.2)
    assert len(thin) / len(data) == pytest.approx(0.8, abs=0.03)
    crowded, targets = damaged(data, "fake", 0.2)
    assert len(crowded) / len(data) == pytest.approx(1.2, abs=0.05)
    assert targets is not None
    np.testing.assert_array_equal(crowded.known_users[: len(data.known_users)], data.known_users)
    more, _ = damaged(data, "noise", 0.4)
    changed = noisy.item != data.item
    np.testing.assert_array_equal(more.item[changed], noisy.item[changed])


def test_more_damage_costs_more_and_the_first_point_is_clean() -> None:
    found = curves()
    assert set(found.curves) == set(FAMILIES)
    for by in found.curves.values():
        assert set(by) == set(DAMAGES)
        for points in by.values():
            assert [point.share for point in points] == list(SHARES)
            assert points[0].kept == 1.0
            assert all(point.low <= point.ndcg10 <= point.high for point in points)
    noise = [point.ndcg10 for point in found.curves["ease"]["noise"]]
    assert noise[0] > noise[1] * 0.98 > noise[2]
    assert noise[2] < 0.8 * noise[0]
    assert found.curves["ease"]["missing"][2].ndcg10 < noise[0]


def test_bots_reach_everyone_by_popularity_and_fewer_by_personal_lists() -> None:
    by = {family: curves().curves[family]["fake"][1] for family in FAMILIES}
    popular, personal = by["popular"].exposure, by["ease"].exposure
    assert popular is not None
    assert personal is not None
    assert popular > 0.95
    assert personal < 0.7
    assert curves().curves["ease"]["noise"][1].exposure is None


def test_a_chart_can_read_it() -> None:
    told = json.loads(json.dumps(curves().to_dict(), allow_nan=False))
    assert told["users"] > 100
    first = told["families"]["ease"]["missing"][0]
    assert set(first) == {"share", "ndcg10", "low", "high", "kept", "exposure"}


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidValue, match="shares"):
        robustness_curves(planted_split(), ["popular"], shares=[1.0])
    nobody = split_at(planted(), planted().end + 1)
    with pytest.raises(InvalidValue, match="No known shopper buys"):
        robustness_curves(nobody, ["popular"])


def test_an_empty_shop_has_nothing_to_damage() -> None:
    empty = Dataset.from_frames(interactions_frame().head(0))
    for damage in ("noise", "missing"):
        assert len(damaged(empty, damage, 0.5)[0]) == 0
