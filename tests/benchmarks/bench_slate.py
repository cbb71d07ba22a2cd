"""How fast slates come over HTTP, beside what this machine allows.

    python tests/benchmarks/bench_slate.py --base-url http://127.0.0.1:8000 --api-key KEY --shoppers c1,c2

Prints one JSON object as its last line: p50 and p99 in ms and requests per second at 1 and 16 connections,
for the slate and, where the server is `tests.benchmarks.ceilings:application`, for its two yardsticks. Uses
wrk where there is one: a client in Python measures itself.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

CONNECTIONS = (1, 16)
LUA = """
local paths = {%(paths)s}
local turn = 0
wrk.headers["Authorization"] = "Api-Key %(key)s"
request = function()
  turn = turn + 1
  return wrk.format("GET", paths[turn %% #paths + 1])
end
done = function(summary, latency, requests)
  io.write(string.format("RESULT {\\"requests\\": %%d, \\"seconds\\": %%.3f, \\"errors\\": %%d, "
    .. "\\"p50_ms\\": %%.3f, \\"p99_ms\\": %%.3f}\\n", summary.requests, summary.duration / 1e6,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))
end
"""


def by_wrk(base_url: str, key: str, paths: list[str], connections: int, seconds: float) -> dict[str, Any]:
    """One run of wrk over these paths."""
    listed = ", ".join(json.dumps(path) for path in paths)
    with tempfile.NamedTemporaryFile("w", suffix=".lua", delete=False) as script:
        script.write(LUA % {"paths": listed, "key": key})
    try:
        done = subprocess.run(
            ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "-s", script.name, base_url],
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        Path(script.name).unlink()
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    figures: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    return figures


def by_threads(base_url: str, key: str, paths: list[str], connections: int, seconds: float) -> dict[str, Any]:
    """The same with threads of this process; its own work is in the figures."""
    times: list[float] = []
    errors: list[str] = []
    stop_at = time.perf_counter() + seconds

    def work(turn: int) -> None:
        while time.perf_counter() < stop_at:
            turn += 1
            address = base_url + paths[turn % len(paths)]
            request = urllib.request.Request(address, headers={"Authorization": f"Api-Key {key}"})
            started = time.perf_counter()
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    answer.read()
            except OSError as error:
                errors.append(str(error))
            times.append((time.perf_counter() - started) * 1e3)

    threads = [threading.Thread(target=work, args=(number * 7,)) for number in range(connections)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cuts = statistics.quantiles(times, n=100)
    return {
        "requests": len(times),
        "seconds": round(time.perf_counter() - started, 3),
        "errors": len(errors),
        "p50_ms": round(cuts[49], 3),
        "p99_ms": round(cuts[98], 3),
    }


def measure(base_url: str, key: str, paths: list[str], seconds: float) -> dict[str, Any]:
    """Figures by number of connections, after a short warm-up."""
    run = by_wrk if shutil.which("wrk") else by_threads
    run(base_url, key, paths, 4, min(1.0, seconds))
    figures = {}
    for connections in CONNECTIONS:
        result = run(base_url, key, paths, connections, seconds)
        result["per_second"] = round(result["requests"] / result["seconds"], 1)
        figures[str(connections)] = result
    return figures


def answers(base_url: str, key: str, path: str) -> bool:
    """Whether the server knows this address."""
    request = urllib.request.Request(base_url + path, headers={"Authorization": f"Api-Key {key}"})
    try:
        with urllib.request.urlopen(request, timeout=30):
            return True
    except urllib.error.HTTPError:
        return False


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--api-key", required=True)
    parser.add_argument("--placement", default="home")
    parser.add_argument("--shoppers", default="", help="external ids, separated by commas; empty: strangers")
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    base = f"/api/v1/recommendations/{options.placement}?n={options.n}"
    shoppers = [name for name in options.shoppers.split(",") if name]
    slates = [f"{base}&shopper={name}" for name in shoppers] or [base]
    if not answers(options.base_url, options.api_key, slates[0]):
        sys.exit(f"{options.base_url}{slates[0]} does not answer; check the address and the key")
    report: dict[str, Any] = {"client": "wrk" if shutil.which("wrk") else "threads"}
    for name, paths in (("lookup", ["/bench/lookup"]), ("constant", ["/bench/constant"])):
        if answers(options.base_url, options.api_key, paths[0]):
            report[name] = measure(options.base_url, options.api_key, paths, options.seconds)
    report["slate"] = measure(options.base_url, options.api_key, slates, options.seconds)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
