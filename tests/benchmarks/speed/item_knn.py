"""Item neighbours beside implicit's cosine: fit, and top-20 for every shopper.

    python -m tests.benchmarks.speed.item_knn [--rounds 5] [--threads 2] [--events 11400000]

Ours makes two kinds of neighbours in a fit, for shoppers and beside products; implicit one.
"""

from __future__ import annotations

import argparse
import json

from tests.benchmarks.speed.interleaved import OWN, Side, compare, threads_default
from tests.benchmarks.speed.synthetic import power_law

K, NEIGHBOURS = 20, 200
OWN_SETTINGS = {"neighbours": NEIGHBOURS, "row_half_life_days": None, "profile_half_life_days": None, "k": K}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.speed.item_knn", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=threads_default())
    parser.add_argument("--events", type=int, default=11_400_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--items", type=int, default=10_000)
    given = parser.parse_args()
    sides = [
        Side("recoportal", OWN, "item_knn", OWN_SETTINGS),
        Side("implicit", "implicit", "cosine", {"K": NEIGHBOURS, "k": K}),
    ]
    arrays = power_law(given.events, given.users, given.items)
    found = compare(sides, arrays, given.threads, given.rounds)
    print(json.dumps({"events": given.events, "sides": found.sides, "ratios": found.ratios}))


if __name__ == "__main__":
    main()
