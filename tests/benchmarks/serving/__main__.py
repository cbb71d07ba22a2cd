"""`make bench-serving`: ceilings and slates on one server in turns; one JSON object as the last line.

CPU per request is that of the web process (user and system, from /proc), so it hardly depends on what else
the machine does; rates and percentiles do. A run says "valid": false when its load generator is not clearly
faster than the quickest Django view, or when the machine was too busy to answer enough requests.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

from recoportal.env import BASE_DIR
from tests.benchmarks.bench_slate import by_wrk
from tests.benchmarks.serving.servers import Shop, Site, services, shop_ensure, site
from tests.benchmarks.serving.shop_sizes import RULES_GROWTH, SOURCES_GROWTH

APPLICATION = "tests.benchmarks.ceilings:application"
SLATES = "/api/v1/recommendations/"
FIRST = f"{SLATES}home?n=20"
PRODUCTS, SHOPPERS = 5_000, 20_000
CATALOGUES = (1_000, 100_000)
# So many shoppers are asked in one run, others in the next, so that nothing of them is remembered.
FRESH, WARM = 4_000, 8
# Of fewer in a run the CPU is mostly what the process does every second anyway, and the clock too coarse.
REQUESTS_MIN = 300
COUNT = "import django; django.setup(); from tests.benchmarks.serving.counting import main; main({!r})"
Figures = dict[str, Any]


class Load:
    """wrk against one site."""

    def __init__(self, running: Site, shoppers: int, seconds: int) -> None:
        self.site, self.shoppers, self.seconds = running, shoppers, seconds
        self._next = 0

    def fresh(self, placement: str, among: int | None = None) -> list[str]:
        """Addresses of slates for shoppers who were not asked for lately."""
        among = among or self.shoppers
        numbers = [1 + (self._next + number) % among for number in range(min(FRESH, among))]
        self._next += FRESH
        return [f"{SLATES}{placement}?n=20&shopper=s{number}" for number in numbers]

    def run(self, paths: Sequence[str], connections: int) -> Figures:
        """One run: rate, percentiles in ms, and CPU of the web process in microseconds per request."""
        before = self.site.cpu_seconds()
        figures = by_wrk(self.site.url, self.site.key, list(paths), connections, self.seconds)
        used = self.site.cpu_seconds() - before
        if figures["errors"]:
            sys.exit(f"{figures['errors']} of {figures['requests']} requests to {paths[0]} failed")
        return {
            "cpu_us": round(used / max(figures["requests"], 1) * 1e6, 1),
            "requests": figures["requests"],
            "per_second": round(figures["requests"] / figures["seconds"], 1),
            "p50_ms": figures["p50_ms"],
            "p99_ms": figures["p99_ms"],
        }


def median(rounds: Sequence[Figures]) -> Figures:
    """The median of each figure."""
    return {name: round(statistics.median(one[name] for one in rounds), 3) for name in rounds[0]}


def interleaved(load: Load, rounds: int) -> dict[str, Figures]:
    """Every yardstick and slate in turns, at eight connections and at one."""
    lookups = [f"/bench/lookup?id={number}" for number in range(1, 500)]
    warm = [f"{SLATES}home?n=20&shopper=s{number}" for number in range(1, WARM + 1)]
    kept: dict[str, list[Figures]] = {}
    for connections in [8] * rounds + [1]:
        turns = {
            "hello": ["/bench/hello"],
            "constant": ["/bench/constant"],
            "lookup": lookups,
            "full": load.fresh("home"),
            "warm": warm,
        }
        for name, paths in turns.items():
            key = name if connections == 8 else f"{name}_alone"
            kept.setdefault(key, []).append(load.run(paths, connections))
    return {name: median(figures) for name, figures in kept.items()}


def growth_of(load: Load) -> dict[str, Figures]:
    """CPU of a full slate by number of sources and of rules."""
    sources = {str(n): load.run(load.fresh(f"sources-{n}", SHOPPERS // 10), 8) for n in SOURCES_GROWTH}
    rules = {str(n): load.run(load.fresh(f"rules-{n}"), 8) for n in RULES_GROWTH}
    return {"sources": sources, "rules": rules}


def queries_of(shop: Shop) -> dict[str, int]:
    """Queries of one slate by placement."""
    placements = ["home", *(f"sources-{n}" for n in SOURCES_GROWTH), *(f"rules-{n}" for n in RULES_GROWTH)]
    counted = subprocess.run(
        [sys.executable, "-c", COUNT.format(placements)],
        cwd=BASE_DIR,
        env={**shop.environment, "RECOPORTAL_DB_POOL_MAX": "0"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    counts: dict[str, int] = json.loads(counted.stdout.splitlines()[-1])
    return counts


def report(options: argparse.Namespace) -> Figures:
    """Everything, as printed."""
    with services() as urls:
        shop = shop_ensure(urls, products=PRODUCTS, shoppers=SHOPPERS)
        queries = queries_of(shop)
        with site(shop, APPLICATION, FIRST) as running:
            load = Load(running, SHOPPERS, options.seconds)
            load.run(load.fresh("home"), 4)  # rules judge a product when they first meet it
            memory_started = running.memory_mb()
            figures = interleaved(load, options.rounds)
            growth: Figures = {} if options.quick else growth_of(load)
            started, memory = running.start_seconds, running.memory_mb()
        for products in () if options.quick else CATALOGUES:
            tell(f"a catalogue of {products:,}")
            other = shop_ensure(urls, products=products, shoppers=2_000)
            with site(other, APPLICATION, FIRST) as running:
                load = Load(running, 2_000, options.seconds)
                load.run(load.fresh("home"), 4)
                time.sleep(2.0)  # what was remembered of these shoppers' visit is read again
                growth.setdefault("products", {})[str(products)] = {
                    **load.run(load.fresh("home"), 8),
                    "start_seconds": running.start_seconds,
                    "memory_mb": running.memory_mb(),
                }
    ceilings = {
        name: figures[name] for name in figures if name.split("_")[0] in ("hello", "constant", "lookup")
    }
    slate = {name: figures[name] for name in figures if name not in ceilings}
    growth["queries"] = queries
    return {
        "valid": figures["hello"]["per_second"] >= 2 * figures["constant"]["per_second"]
        and min(one["requests"] for one in figures.values()) >= REQUESTS_MIN,
        "ceilings": ceilings,
        "slate": {
            **slate,
            "queries": queries["home"],
            "start_seconds": started,
            "memory_mb": memory,
            "memory_mb_started": memory_started,
        },
        "ratios": {
            "full_cpu_vs_lookup": round(figures["full"]["cpu_us"] / figures["lookup"]["cpu_us"], 3),
            "warm_cpu_vs_constant": round(figures["warm"]["cpu_us"] / figures["constant"]["cpu_us"], 3),
            "p99_vs_lookup": round(figures["full"]["p99_ms"] / figures["lookup"]["p99_ms"], 3),
        },
        "growth": growth,
    }


def tell(text: str) -> None:
    """Say what is being done."""
    print(f"bench-serving: {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.serving", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="turns of every yardstick and slate")
    parser.add_argument("--seconds", type=int, default=2, help="of one run of wrk")
    parser.add_argument("--quick", action="store_true", help="no growth")
    print(json.dumps(report(parser.parse_args())))


if __name__ == "__main__":
    main()
