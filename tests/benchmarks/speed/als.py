"""iALS beside implicit's, on a made-up shop and on Online Retail, with equal settings.

    python -m tests.benchmarks.speed.als [--rounds 5] [--threads 2] [--only synthetic|retail]

Both minimise the same sum: implicit is given the confidences 1 + alpha * log 2 of a pair chosen once.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from tests.benchmarks.speed.interleaved import OWN, Side, compare, threads_default
from tests.benchmarks.speed.retail import retail
from tests.benchmarks.speed.synthetic import power_law

FACTORS, ALPHA = 64, 10.0
SHOPS = {"synthetic": (10, 4.0, 20), "retail": (15, 20.0, 20)}
"""Epochs, regularisation and list length."""


def sides(epochs: int, regularisation: float, k: int) -> list[Side]:
    own = {
        "factors": FACTORS, "epochs": epochs, "regularisation": regularisation, "k": k, "alpha": ALPHA,
        "frequency_exponent": 0.0, "half_life_days": None, "tolerance": 0.0,
    }  # fmt: skip
    peer = {"factors": FACTORS, "iterations": epochs, "regularization": regularisation, "k": k}
    return [Side("recoportal", OWN, "als", own), Side("implicit", "implicit", "als", peer)]


def measure(shop: str, threads: int, rounds: int) -> dict[str, Any]:
    real = retail() if shop == "retail" else None
    arrays = power_law(1_300_000, 100_000, 50_000) if real is None else real.arrays
    pairs = np.unique(arrays["user"] * arrays["shape"][1] + arrays["item"], return_counts=True)
    users, items = np.divmod(pairs[0], arrays["shape"][1])
    value = (1.0 + ALPHA * np.log1p(pairs[1])).astype(np.float32)
    # ours sums the events of a pair itself
    given = {**arrays, "pair_user": users, "pair_item": items, "pair_value": value}
    found = compare(sides(*SHOPS[shop]), given, threads, rounds)
    report: dict[str, Any] = {"sides": found.sides, "ratios": found.ratios}
    if real is not None:
        report["quality"] = {name: real.ndcg(lists) for name, lists in found.lists.items()}
    return report


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.speed.als", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=threads_default())
    parser.add_argument("--only", choices=sorted(SHOPS))
    given = parser.parse_args()
    shops = [given.only] if given.only else list(SHOPS)
    print(json.dumps({shop: measure(shop, given.threads, given.rounds) for shop in shops}))


if __name__ == "__main__":
    main()
