"""The measurements. A round takes the ceiling and the real thing in turns; summaries take the best of each.

The best, because whatever else runs on the machine only ever takes time away.
"""

import io
import json
import math
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import orjson
import pandas as pd
from django.db import connection, transaction

from apps.core import clock
from apps.events.ingest import lines_store
from apps.events.kinds import kinds_by_code
from apps.events.lines import lines_of
from apps.events.services import event_record_many
from apps.events.stream import stream
from apps.events.validation import EventRules, events_check
from tests.benchmarks.ingest.processes import Running
from tests.benchmarks.ingest.rows import FINAL, events_make, final_rows

SECONDS = 4
CONNECTIONS = 8
BATCHES = 20
BULK_ROWS = 100_000
SIZES = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
PROBE_ROWS, PROBES = 5_000, 4
LUA = """
wrk.method = "POST"
wrk.headers["Authorization"] = "Api-Key %(key)s"
wrk.headers["Content-Type"] = "application/json"
local n = 0
request = function()
  n = n + 1
  return wrk.format(nil, nil, nil, string.format('{"kind":"view","client_event_id":"%(tag)s-%%d",'
    .. '"shopper":"s%%d","sku":"p%%d","session":"v%%d","channel":"web"}',
    n, n %% 20000, n %% 5000, n %% 20000))
end
done = function(summary, latency, requests)
  io.write(string.format("RESULT {\\"requests\\": %%d, \\"seconds\\": %%.3f, \\"errors\\": %%d, "
    .. "\\"p99_ms\\": %%.2f}\\n", summary.requests, summary.duration / 1e6,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout,
    latency:percentile(99) / 1e3))
end
"""


def stored_count() -> int:
    """How many events the tables hold."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM events_interaction")
        return int(cursor.fetchone()[0])


def drained_wait() -> None:
    """Wait until the consumer has nothing left."""
    inbox = stream()
    deadline = time.monotonic() + 120
    while inbox.client.xlen(inbox.events):
        if time.monotonic() > deadline:
            raise TimeoutError("the consumer does not come to an end")
        time.sleep(0.005)


def _wrk(site: Running, path: str) -> dict[str, Any]:
    script = LUA % {"key": site.key, "tag": f"w{time.time_ns()}"}
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        before = site.cpu_seconds()
        done = subprocess.run(
            ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", file.name, site.url + path],
            capture_output=True,
            text=True,
            check=True,
        )
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    figures: dict[str, Any] = json.loads(line.removeprefix("RESULT "))
    if figures["errors"]:
        raise RuntimeError(f"{path}: {figures['errors']} of {figures['requests']} requests failed")
    figures["cpu_us"] = 1e6 * (site.cpu_seconds() - before) / figures["requests"]
    return figures


def single_round(site: Running) -> dict[str, Any]:
    """Requests per second of the ceiling and of single events, the consumer working beside both."""
    ceiling = _wrk(site, "/bench/xadd")
    before = stored_count()
    began = time.perf_counter()
    events = _wrk(site, "/api/v1/events")
    drained_wait()
    seconds = time.perf_counter() - began
    return {"ceiling": ceiling, "events": events, "stored_per_s": (stored_count() - before) / seconds}


def single_summary(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The best of the rounds; CPU and p99 are medians."""

    def middle(part: str, name: str) -> float:
        return statistics.median(one[part][name] for one in rounds)

    def best(part: str) -> float:
        return max(one[part]["requests"] / one[part]["seconds"] for one in rounds)

    ceiling, events = best("ceiling"), best("events")
    return {
        "events_per_s": round(events),
        "ceiling_per_s": round(ceiling),
        "ratio": round(events / ceiling, 3),
        "cpu_ratio": round(middle("ceiling", "cpu_us") / middle("events", "cpu_us"), 3),
        "web_cpu_us": round(middle("events", "cpu_us")),
        "ceiling_web_cpu_us": round(middle("ceiling", "cpu_us")),
        "p99_ms": middle("events", "p99_ms"),
        "ceiling_p99_ms": middle("ceiling", "p99_ms"),
        "until_stored_per_s": round(statistics.median(one["stored_per_s"] for one in rounds)),
    }


def _copy(rows: bytes) -> float:
    """Seconds of one transaction that copies final rows."""
    began = time.perf_counter()
    statement = f"COPY events_interaction ({FINAL}) FROM STDIN"
    with transaction.atomic(), connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(rows)
    return time.perf_counter() - began


def batch_round(site: Running, consumer: Running) -> dict[str, float]:
    """Batches of 1,000: copied raw, and posted by two senders until the last is stored."""
    ceiling = sum(_copy(final_rows(events_make(1_000))) for _ in range(BATCHES))
    bodies = [orjson.dumps({"events": events_make(1_000)}) for _ in range(BATCHES)]
    before, web, eaten = stored_count(), site.cpu_seconds(), consumer.cpu_seconds()
    began = time.perf_counter()
    acknowledged = [0.0, 0.0]

    def send(half: int) -> None:
        for body in bodies[half::2]:
            if orjson.loads(site.post(body))["accepted"] != 1_000:
                raise RuntimeError("a batch was not accepted whole")
        acknowledged[half] = time.perf_counter() - began

    senders = [threading.Thread(target=send, args=(half,)) for half in (0, 1)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    drained_wait()
    seconds = time.perf_counter() - began
    rows = BATCHES * 1_000
    if stored_count() - before != rows:
        raise RuntimeError(f"{stored_count() - before} of {rows} acknowledged events are stored")
    return {
        "ceiling_per_s": rows / ceiling,
        "per_s": rows / seconds,
        "acknowledged_per_s": rows / max(acknowledged),
        "web_cpu_us": 1e6 * (site.cpu_seconds() - web) / rows,
        "consumer_cpu_us": 1e6 * (consumer.cpu_seconds() - eaten) / rows,
    }


def bulk_round() -> dict[str, float]:
    """A CSV file through the bulk path, and the same number of final rows copied at once."""
    ceiling = _copy(final_rows(events_make(BULK_ROWS)))
    file = io.BytesIO(pd.DataFrame(events_make(BULK_ROWS)).to_csv(index=False).encode())
    began, cpu = time.perf_counter(), time.process_time()
    frame = pd.read_csv(file, engine="pyarrow")
    frame["occurred_at"] = pd.to_datetime(frame["occurred_at"], utc=True, format="ISO8601")
    result = event_record_many(frame=frame, source="bench")
    seconds = time.perf_counter() - began
    if result.accepted != BULK_ROWS:
        raise RuntimeError(f"{result.accepted} of {BULK_ROWS} rows were stored: {result.rejected[:1]}")
    return {
        "ceiling_per_s": BULK_ROWS / ceiling,
        "per_s": BULK_ROWS / seconds,
        "client_cpu_us": 1e6 * (time.process_time() - cpu) / BULK_ROWS,
    }


def rates_summary(rounds: list[dict[str, float]]) -> dict[str, float]:
    """The best of the rounds (CPU: the least), and the ratio of the two rates."""
    best = {
        name: round((min if name.endswith("_us") else max)(one[name] for one in rounds), 1)
        for name in rounds[0]
    }
    return best | {"ratio": round(best["per_s"] / best["ceiling_per_s"], 3)}


FILL = """
INSERT INTO events_interaction
    (occurred_at, received_at, kind_id, shopper_id, product_id, quantity, price, session, channel, request_id,
     query, client_event_id)
SELECT now() - random() * interval '1 day', now(), 1, (random() * 20000)::int, (random() * 5000)::int, 1, 9.9,
       md5(n::text), 'web', gen_random_uuid(), '', md5(n::text || %(tag)s)
FROM generate_series(1, %(rows)s) n
"""
FILL_KEYS = """
INSERT INTO events_eventkey (client_event_id, occurred_at)
SELECT md5(n::text || %(tag)s), now() FROM generate_series(1, %(rows)s) n ORDER BY 1 ON CONFLICT DO NOTHING
"""


def growth(left: Callable[[], float], say: Callable[[str], None]) -> dict[str, Any]:
    """Microseconds to store one event, with more and more stored, as far as the time allows."""
    points: list[dict[str, float]] = []
    row_seconds = 60e-6  # of filling; then as measured
    for size in SIZES:
        missing = size - stored_count()
        if missing > 0:
            if 2 * missing * row_seconds > left():
                break
            began = time.perf_counter()
            with connection.cursor() as cursor:
                for statement in (FILL, FILL_KEYS):
                    cursor.execute(statement, {"rows": missing, "tag": f"g{time.time_ns()}"})
                cursor.execute("VACUUM ANALYZE events_interaction, events_eventkey")
                cursor.execute("CHECKPOINT")
            row_seconds = (time.perf_counter() - began) / missing
        stores, copies = [], []
        for _ in range(PROBES):
            now = clock.now()
            copies.append(_copy(final_rows(events_make(PROBE_ROWS))))
            rules = EventRules(kinds=kinds_by_code(), now=now)
            checked = events_check(rows=events_make(PROBE_ROWS), rules=rules)
            lines = lines_of(checked.good, received_at=now, source="bench")
            began = time.perf_counter()
            with transaction.atomic():
                lines_store(lines=lines, now=now)
            stores.append(time.perf_counter() - began)
        point = {
            "stored": stored_count(),
            "us_per_event": round(1e6 * min(stores) / PROBE_ROWS, 1),
            "copy_us_per_row": round(1e6 * min(copies) / PROBE_ROWS, 1),
        }
        say(f"growth: {point}")
        points.append(point)
    first, last = points[0], points[-1]
    steps = math.log10(last["stored"] / first["stored"])
    slope = (last["us_per_event"] - first["us_per_event"]) / steps if steps > 0.2 else 0.0
    beyond = last["us_per_event"] + slope * (8 - math.log10(last["stored"]))
    return {
        "points": points,
        # Both slow down when others use the machine: the same as multiples of a COPY in the same minute.
        "largest_vs_smallest_in_copies": round(
            last["us_per_event"] / last["copy_us_per_row"] * first["copy_us_per_row"] / first["us_per_event"],
            2,
        ),
        "largest_vs_smallest": round(last["us_per_event"] / first["us_per_event"], 2),
        "extrapolated_us_at_1e8": round(beyond, 1),
        "how": "straight line over log10(stored) through the first and the last point; not measured",
    }
