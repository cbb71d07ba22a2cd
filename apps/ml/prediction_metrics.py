"""How near predictions come to what happened: ratings and yes/no outcomes.

Accuracy applies here and not to ranked lists: a list of ten out of thousands is "right" about nearly every
item it leaves out, so its accuracy says nothing.

Ratings (explicit ratings predicted by matrix factorisation or kNN): rmse, mae (Herlocker et al. 2004);
accuracy: share of ratings met when the prediction is rounded to the nearest step of the scale; within_one:
share missed by at most one step.

Yes/no (clicks, purchases, "will they come back"): auc = chance that a yes is predicted above a no, ties half
(Hanley, McNeil 1982); log_loss = -mean(y log p + (1 - y) log(1 - p)), p kept off 0 and 1 by PROBABILITY_EDGE;
accuracy, precision, recall and f1 at a threshold; calibration_error = expected calibration error over ten
equal bins (Naeini, Cooper, Hauskrecht 2015).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from apps.ml.errors import InvalidValue

PROBABILITY_EDGE = 1e-7
BINS = 10


def rating_metrics(
    predicted: NDArray[Any], actual: NDArray[Any], scale: tuple[float, float] = (1.0, 5.0), step: float = 1.0
) -> dict[str, float]:
    """rmse, mae, accuracy and within_one of parallel arrays [n]; predictions are cut to the scale first.

    InvalidValue for unequal lengths, for nothing to judge and for values that are no numbers.
    """
    guess, truth = _parallel(predicted, actual)
    guess = np.clip(guess, *scale)
    gaps = np.abs(guess - truth)
    rounded = np.floor((guess - scale[0]) / step + 0.5) * step + scale[0]
    missed = np.abs(rounded - truth) / step
    return {
        "rmse": float(np.sqrt((gaps**2).mean())),
        "mae": float(gaps.mean()),
        "accuracy": float((missed < 0.5).mean()),
        "within_one": float((missed < 1.5).mean()),
    }


def outcome_metrics(
    probability: NDArray[Any], happened: NDArray[Any], threshold: float = 0.5
) -> dict[str, float]:
    """auc, log_loss, accuracy, precision, recall, f1 and calibration_error of parallel arrays [n].

    auc is left out where everything or nothing happened. InvalidValue as in `rating_metrics`, and for
    probabilities outside 0..1.
    """
    p, y = _parallel(probability, happened)
    if p.min() < 0 or p.max() > 1:
        raise InvalidValue("probability", [float(p.min()), float(p.max())], "Give values from 0 to 1.")
    yes = y > 0.5
    said = p >= threshold
    both, n_said, n_yes = int((yes & said).sum()), int(said.sum()), int(yes.sum())
    inside = np.clip(p, PROBABILITY_EDGE, 1 - PROBABILITY_EDGE)
    found = {
        "log_loss": float(-np.where(yes, np.log(inside), np.log1p(-inside)).mean()),
        "accuracy": float((yes == said).mean()),
        "precision": both / n_said if n_said else 0.0,
        "recall": both / n_yes if n_yes else 0.0,
        "f1": 2 * both / (n_said + n_yes) if n_said + n_yes else 0.0,
        "calibration_error": _calibration_error(p, yes),
    }
    n_no = len(y) - n_yes
    if n_yes and n_no:
        ranks = stats.rankdata(p)
        found["auc"] = float((ranks[yes].sum() - n_yes * (n_yes + 1) / 2) / (n_yes * n_no))
    return found


def _calibration_error(p: NDArray[np.float64], yes: NDArray[np.bool_]) -> float:
    bins = np.minimum((p * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, weights=p - yes, minlength=BINS)
    return float(np.abs(gaps).sum() / len(p))


def _parallel(left: NDArray[Any], right: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    a, b = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    if a.shape != b.shape or not a.size:
        raise InvalidValue("predicted", f"{a.shape} for {b.shape}", "Give one prediction for each value.")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InvalidValue("predicted", "NaN or infinite", "Leave out what the model cannot predict.")
    return a, b
