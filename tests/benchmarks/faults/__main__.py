"""`make bench-faults`: each fault under load, what it did to slates and events, and when all was well again.

Of each fault: `requests` for slates and how many were `answered`, with another rung than before (`degraded`),
not at all or by an error (`failed`), asked again because the connection broke (`asked_again`), and the
slowest of them; `events_acknowledged` by the API and `events_found`, each exactly once, in Postgres;
`events_refused` are posts answered 503 or not at all, which the sender repeats; `recovery_s` from the end of
the fault until slates stand on their rung again, every acknowledged event is stored and both web workers are
there.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from tests.benchmarks.faults.faults import FAULTS, MOMENTARY
from tests.benchmarks.faults.load import Caller, Load
from tests.benchmarks.faults.servers import WORKERS, Servers, servers

BEFORE_SECONDS = 1.0
RECOVERY_SECONDS = 40.0
# Events that were acknowledged so long after the end of a fault are stored, too, when all is well.
AFTER_SECONDS = 0.5
# So many slates in a row on their rung: all is well.
WELL = 8
STORED = """
SELECT count(*) FILTER (WHERE found = 1), count(*) FILTER (WHERE found > 1)
FROM (SELECT count(*) AS found FROM events_interaction WHERE client_event_id = ANY(%s)
      GROUP BY client_event_id) AS each
"""
EXPOSED = """
SELECT count(DISTINCT request_id), count(*) FROM events_exposure WHERE request_id::text = ANY(%s)
"""


def fault_run(running: Servers, name: str, seconds: float) -> dict[str, Any]:
    """Make one fault under load, take it away, wait until all is well."""
    load = Load(running.port, running.key, f"{name}-{time.time_ns()}")
    load.start()
    try:
        time.sleep(BEFORE_SECONDS)
        rung = load.answers[-1].rung
        with FAULTS[name](running, load):
            time.sleep(0.0 if name in MOMENTARY else seconds)
        gone = time.monotonic()
        recovered = _recovered(running, load, rung, gone)
    finally:
        load.stop()
    _wait(lambda: _stored(running, load.acknowledged)[0] >= len(load.acknowledged), 20.0)
    found, doubled = _stored(running, load.acknowledged)
    answered = [one for one in load.answers if one.status == 200]
    ids = [one.request_id for one in answered]
    _wait(lambda: running.ask(EXPOSED, [ids])[0][0] >= len(ids), 3.0)
    [(exposed, rows)] = running.ask(EXPOSED, [ids])
    return {
        "name": name,
        "requests": len(load.answers),
        "answered": len(answered),
        "degraded": sum(one.rung != rung for one in answered),
        "failed": len(load.answers) - len(answered),
        "asked_again": sum(one.again for one in load.answers),
        "slowest_s": round(max(one.seconds for one in load.answers), 2),
        "events_acknowledged": len(load.acknowledged),
        "events_found": found,
        "events_doubled": doubled,
        "events_refused": load.refused,
        "exposures_lost": len(ids) - exposed,
        "exposures_doubled": rows - exposed,
        "recovery_s": recovered,
    }


def _recovered(running: Servers, load: Load, rung: str, since: float) -> float | None:
    """Seconds until slates and events are well again; None when they are not in time."""

    known: list[str] = []

    def well() -> bool:
        last = [one for one in load.answers if one.at > since][-WELL:]
        if len(last) < WELL or any(one.rung != rung for one in last):
            return False
        if not known and time.monotonic() > since + AFTER_SECONDS:
            known.extend(load.acknowledged)
        return (
            bool(known)
            and sum(_stored(running, known)) == len(known)
            and len(running.web_workers()) >= WORKERS
        )

    return round(time.monotonic() - since, 1) if _wait(well, RECOVERY_SECONDS) else None


def _stored(running: Servers, ids: list[str]) -> tuple[int, int]:
    """How many of these events are stored once, and how many more often."""
    [(once, more)] = running.ask(STORED, [ids])
    return once, more


def _wait(what: Any, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def main() -> None:
    """Measure and print; ends with 1 when a slate failed or an event was lost or doubled."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="fault", help=f"of {', '.join(FAULTS)}; all without")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long each fault stays")
    options = parser.parse_args()
    results = []
    with servers() as running:
        warm = Load(running.port, running.key, "warm")
        for number in range(40):  # both workers know the shop, the key and the kinds of events
            caller = Caller(running.port, running.key)
            caller.call("GET", f"/api/v1/recommendations/home?n=10&shopper=s{number}")
            warm.post(caller, 1)
        for name in options.names or FAULTS:
            results.append(fault_run(running, name, options.seconds))
            print(json.dumps(results[-1]), file=sys.stderr, flush=True)
    print(json.dumps({"faults": results}))
    bad = [
        one["name"]
        for one in results
        if one["failed"] or one["events_found"] < one["events_acknowledged"] or one["events_doubled"]
    ]
    if bad:
        sys.exit(f"slates failed or events were lost: {', '.join(bad)}")


if __name__ == "__main__":
    main()
