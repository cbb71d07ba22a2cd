"""EASE beside cornac's and RecTools': the time of an exact fit.

python -m tests.benchmarks.speed.ease [--rounds 5] [--threads 2] [--only synthetic|retail]
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from tests.benchmarks.speed.interleaved import OWN, Side, compare, threads_default
from tests.benchmarks.speed.retail import retail
from tests.benchmarks.speed.synthetic import power_law

K, REGULARISATION = 20, 300.0
OWN_SETTINGS = {
    "regularisation": REGULARISATION, "row_half_life_days": None, "profile_half_life_days": None,
    "max_items": 12_000, "k": K,
}  # fmt: skip
SIDES = (
    Side("recoportal", OWN, "ease", OWN_SETTINGS),
    Side("cornac", "cornac", "ease", {"lamb": REGULARISATION, "posB": False}),
    Side("rectools", "rectools", "ease", {"regularization": REGULARISATION}),
)
SHOPS = ("synthetic", "retail")


def measure(shop: str, threads: int, rounds: int) -> dict[str, Any]:
    arrays = power_law(1_000_000, 50_000, 5_000) if shop == "synthetic" else retail().arrays
    found = compare(SIDES, arrays, threads, rounds)
    return {"sides": found.sides, "ratios": found.ratios}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.speed.ease", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=threads_default())
    parser.add_argument("--only", choices=SHOPS)
    given = parser.parse_args()
    shops = [given.only] if given.only else list(SHOPS)
    print(json.dumps({shop: measure(shop, given.threads, given.rounds) for shop in shops}))


if __name__ == "__main__":
    main()
