"""The sample ratio watched every day of a ramp, by the sequence and by chi-square."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from apps.experiments.stats.srm import sequential_srm

LOOKS, RUNS = 35, 400
RAMP = np.repeat([10, 50, 100, 250, 500, 1_000, 1_000], 5)
"""Units a day: 1-5-10-25-50-100 % of a thousand."""


def counts(seed: int, shares: list[float], runs: int = RUNS) -> NDArray[np.int64]:
    """Cumulative units by day and arm: [runs, looks, arms]."""
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.multinomial(np.tile(RAMP, (runs, 1)), shares), axis=1)


def least_p(found: NDArray[np.int64], shares: list[float]) -> NDArray[np.float64]:
    """The least p of all looks of each run."""
    plan = {str(arm): share for arm, share in enumerate(shares)}
    return np.array(
        [
            min(
                p
                for day in run.tolist()
                if (p := sequential_srm({str(arm): n for arm, n in enumerate(day)}, plan)) is not None
            )
            for run in found
        ]
    )


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.95, 0.05], [0.4, 0.3, 0.2, 0.1]])
def test_watching_a_fair_split_alarms_at_most_as_often_as_said(shares: list[float]) -> None:
    p = least_p(counts(len(shares), shares), shares)

    for level in (0.05, 0.01):
        assert np.mean(p < level) <= level


def test_chi_square_watched_every_day_alarms_far_more_often() -> None:
    found = counts(7, [0.5, 0.5], 2_000)
    n = found.sum(axis=2)
    p = stats.chi2.sf((found[:, :, 0] - found[:, :, 1]) ** 2 / n, 1)

    assert np.mean(p.min(axis=1) < 0.01) > 3 * 0.01


def test_a_lost_tenth_of_an_arm_is_found_before_the_end() -> None:
    whole, lost = 0.5 / 0.95, 0.45 / 0.95
    p = least_p(counts(9, [whole, lost], 100), [0.5, 0.5])

    assert np.mean(p < 0.001) > 0.8
