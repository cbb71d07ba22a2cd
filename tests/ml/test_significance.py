"""Paired tests against SciPy and at their nominal rate."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from apps.ml.significance import paired_test


def two_versions(gain: float, seed: int = 0, n: int = 120) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    base = rng.beta(0.5, 2.0, n)
    moved = rng.random(n) < 0.6
    return base + moved * rng.normal(gain, 0.1, n), base


@pytest.mark.parametrize("gain", [0.0, 0.012, 0.03])
def test_p_values_equal_those_of_scipy(gain: float) -> None:
    a, b = two_versions(gain)
    found = paired_test(a, b)
    reference = stats.permutation_test(
        (a, b),
        lambda x, y: np.mean(x - y),
        permutation_type="samples",
        n_resamples=4_000,
        rng=np.random.default_rng(1),
    )
    assert found.p_permutation == pytest.approx(reference.pvalue, abs=0.03)
    assert found.p_wilcoxon == pytest.approx(stats.wilcoxon(a - b).pvalue)
    assert found.difference.mean == pytest.approx(np.mean(a - b))
    assert found.relative == pytest.approx(a.mean() / b.mean() - 1)


def test_few_users_are_counted_out_exactly() -> None:
    a, b = np.array([0.3, 0.5, 0.2, 0.9]), np.array([0.1, 0.2, 0.1, 0.5])
    # of the 16 signs only all plus and all minus reach the mean found
    assert paired_test(a, b, permutations=20_000).p_permutation == pytest.approx(2 / 16, abs=0.01)


def test_equal_versions_are_called_different_at_the_nominal_rate() -> None:
    called = 0
    for seed in range(100):
        a, b = two_versions(0.0, seed)
        called += paired_test(a, b, seed, permutations=400).p_permutation < 0.05
    assert called / 100 <= 0.12


def test_a_real_gain_is_called_one_and_nothing_is_not() -> None:
    a, b = two_versions(0.05)
    found = paired_test(a, b)
    assert found.significant
    assert found.difference.low > 0
    same = paired_test(b, b)
    assert (same.p_permutation, same.p_wilcoxon, same.significant) == (1.0, 1.0, False)
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["significant"] is True


def test_what_cannot_be_paired_is_refused_and_nobody_differs_from_nobody() -> None:
    with pytest.raises(ValueError, match="same users"):
        paired_test(np.zeros(3), np.zeros(2))
    nobody = paired_test(np.zeros(0), np.zeros(0))
    assert (nobody.users, nobody.p_permutation, nobody.relative) == (0, 1.0, None)
