"""BPR beside implicit's on Online Retail: quality on what is new to the shopper, and seconds.

    python -m tests.benchmarks.speed.bpr [--rounds 5] [--threads 1]

implicit runs with its own defaults (100 epochs) and at a second, smaller setting.
"""

from __future__ import annotations

import argparse
import json

from tests.benchmarks.speed.interleaved import OWN, Side, compare
from tests.benchmarks.speed.retail import retail

K = 20
SIDES = (
    Side("recoportal", OWN, "bpr", {"half_life_days": None, "k": K}),
    Side("recoportal-decayed", OWN, "bpr", {"k": K}),
    Side("implicit", "implicit", "bpr", {"factors": 64, "k": K}),
    Side(
        "implicit-slow", "implicit", "bpr", {"factors": 64, "iterations": 300, "learning_rate": 0.02, "k": K}
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.speed.bpr", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    real = retail()
    found = compare(SIDES, real.arrays, given.threads, given.rounds)
    quality = {name: real.ndcg(lists) for name, lists in found.lists.items()}
    print(json.dumps({"sides": found.sides, "quality": quality}))


if __name__ == "__main__":
    main()
