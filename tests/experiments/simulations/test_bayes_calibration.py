"""Posteriors where the prior is true: what they say happens as often as they say, stopping or not."""

from __future__ import annotations

import numpy as np

from apps.experiments.stats import bayes
from apps.experiments.stats.bayes import PROPER, Posterior

RUNS = 4_000


def made(rng: np.random.Generator, se: float, sd: float = PROPER.sd) -> tuple[float, Posterior]:
    """A true relative change from the prior, and the posterior of one estimate of it."""
    truth = rng.normal(PROPER.mean, sd)
    found = bayes.posterior(rng.normal(truth, se), se, prior=PROPER)
    assert found is not None
    return truth, found


def test_intervals_hold_the_truth_at_every_amount_of_data() -> None:
    rng = np.random.default_rng(1)
    for se in (0.01, 0.2, 1.0):
        held = [found.low <= truth <= found.high for truth, found in (made(rng, se) for _ in range(RUNS))]

        assert abs(np.mean(held) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / RUNS)


def test_chances_to_win_and_losses_are_what_happens() -> None:
    rng = np.random.default_rng(2)
    pairs = [made(rng, 0.2) for _ in range(3 * RUNS)]
    truth = np.array([one for one, _ in pairs])
    chance = np.array([found.chance_to_win for _, found in pairs])
    for low, high in ((0.0, 0.1), (0.3, 0.5), (0.5, 0.7), (0.9, 1.0)):
        there = (chance >= low) & (chance < high)
        error = np.sqrt(0.25 / there.sum())
        assert abs((truth[there] > 0).mean() - chance[there].mean()) < 4 * error

    lost = np.maximum(-truth, 0) - np.array([found.expected_loss for _, found in pairs])
    kept = np.maximum(truth, 0) - np.array([found.control_loss for _, found in pairs])
    for gap in (lost, kept):
        assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(len(gap))


def peeked(rng: np.random.Generator, truth: float, prior: bayes.Normal | None) -> Posterior | None:
    """The first of 30 looks at which the treatment has a 95 % chance to win."""
    total = 0.0
    for look in range(1, 31):
        total += rng.normal(truth, 0.5)
        found = bayes.posterior(total / look, 0.5 / np.sqrt(look), prior=prior)
        if found is not None and found.chance_to_win > 0.95:
            return found
    return None


def test_stopping_early_is_harmless_under_the_prior_and_not_without_one() -> None:
    """Who stops at 95 % is right 95 times in 100 if effects come as the prior says. With a flat prior and no
    effect, peeking declares winners far too often: the sequential view is there for that.
    """
    rng = np.random.default_rng(3)
    effects = rng.normal(PROPER.mean, PROPER.sd, 1_500)
    right = [truth > 0 for truth in effects if peeked(rng, truth, PROPER) is not None]
    assert len(right) > 300
    assert np.mean(right) > 0.95 - 4 * np.sqrt(0.95 * 0.05 / len(right))

    winners = np.mean([peeked(rng, 0.0, None) is not None for _ in range(500)])
    assert winners > 0.15


def test_the_best_of_several_arms_is_best_as_often_as_said() -> None:
    rng = np.random.default_rng(4)
    ses = np.array([0.1, 0.2, 0.05, 0.1])
    said, hit, expected, lost = [], [], [], []
    for _ in range(1_500):
        truth = rng.normal(0, 0.1, 4)
        estimate = rng.normal(truth, ses)
        weight = 0.1**2 / (0.1**2 + ses**2)
        found = bayes.best_of_normals((weight * estimate).tolist(), (ses * np.sqrt(weight)).tolist())
        said.append(found.chances)
        hit.append(np.arange(4) == truth.argmax())
        expected.append(found.losses)
        lost.append(truth.max() - truth)
    gap = np.array(hit, dtype=np.float64) - np.array(said)
    assert np.all(np.abs(gap.mean(axis=0)) < 4 * gap.std(axis=0) / np.sqrt(len(gap)))
    missed = np.array(lost) - np.array(expected)
    assert np.all(np.abs(missed.mean(axis=0)) < 4 * missed.std(axis=0) / np.sqrt(len(missed)))


def test_small_counts_are_covered_by_the_exact_posterior_where_the_normal_one_fails() -> None:
    """Rates from the uniform prior, ten to forty units an arm."""
    rng = np.random.default_rng(5)
    exact, normal = [], []
    for _ in range(600):
        n = rng.integers(10, 40, 2)
        rates = rng.beta(1, 20, 2)  # rare conversions
        won = rng.binomial(n, rates)
        arms = [bayes.beta(float(w), float(m), prior=(1.0, 20.0)) for w, m in zip(won, n, strict=True)]
        found = bayes.difference_of(arms[0], arms[1])
        truth = rates[1] - rates[0]
        exact.append(found.low <= truth <= found.high)
        shares = won / n
        se = float(np.sqrt((shares * (1 - shares) / n).sum()))
        flat = bayes.posterior(float(shares[1] - shares[0]), se)
        normal.append(flat is not None and flat.low <= truth <= flat.high)
    assert abs(np.mean(exact) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 600)
    assert np.mean(normal) < 0.8
