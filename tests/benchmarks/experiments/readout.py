"""How long a readout of a million units takes: from raw events, with CUPED and quantiles, from moments.

Runs in a process of its own (see `__main__`) on an empty database. Processor seconds are those of this
process and of all of Postgres together: they depend less on what else the machine does. Beside them, in the
same run, what a plain COPY of the same rows takes, and pandas with groupby over a fifth of the units.
"""

import contextlib
import io
import json
import os
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BEGAN = time.monotonic()
ROUNDS = 3
TEN = (
    "conversion", "revenue_per_shopper", "orders_per_shopper", "items_per_shopper", "margin_per_shopper",
    "cart_rate", "ctr", "aov", "return_rate", "sessions_per_shopper",
)  # fmt: skip
WITH_QUANTILE = (*TEN[:4], *TEN[5:], "revenue_median")
ROWS = """
SELECT coalesce(shopper_id, hashtextextended(session, 0)) AS who, occurred_at, kind_id,
       quantity * coalesce(price, 0)::float8 AS amount
FROM events_interaction WHERE occurred_at >= '2026-10-05' AND NOT bot
"""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Postgres:
    """Processor seconds and memory of all of a server's processes, looked at every 50 ms."""

    postmaster: int
    seconds: dict[int, float] = field(default_factory=dict)
    peak_mb: float = 0.0

    def look(self) -> None:
        """One look."""
        memory = 0.0
        for pid in (self.postmaster, *_children(self.postmaster)):
            with contextlib.suppress(OSError, ValueError, IndexError):
                parts = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                self.seconds[pid] = (int(parts[11]) + int(parts[12])) / TICKS
                status = Path(f"/proc/{pid}/status").read_text()
                memory += int(status.split("RssAnon:")[1].split()[0]) / 1024
        self.peak_mb = max(self.peak_mb, memory)

    @property
    def total(self) -> float:
        """Of all processes there ever were."""
        return sum(self.seconds.values())

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Looks while the block runs."""
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(0.05):
                self.look()

        self.look()
        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self.look()


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@dataclass(frozen=True)
class Taken:
    """Seconds by the clock, and of the processor here and in Postgres."""

    wall: float
    here: float
    server: float

    @property
    def cpu(self) -> float:
        """Both together."""
        return self.here + self.server


def taken(postgres: Postgres, work: Callable[[], object]) -> Taken:
    """What some work takes."""
    with postgres.watched():
        wall, here, server = time.perf_counter(), time.process_time(), postgres.total
        work()
        wall, here = time.perf_counter() - wall, time.process_time() - here
    return Taken(wall, here, postgres.total - server)


def say(text: str) -> None:
    """A line for people, beside the figures."""
    print(f"[{time.monotonic() - BEGAN:5.0f} s] {text}", flush=True, file=sys.stderr)


def measure() -> dict[str, Any]:
    """All figures."""
    from django.core.management import call_command
    from django.db import connection

    from apps.experiments.readouts import moments_readout, readout_refresh
    from tests.benchmarks.experiments import readout_rows

    call_command("migrate", verbosity=0)
    readout_rows.shop_make(say)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()[0]
        cursor.execute("SELECT count(*) FROM events_interaction WHERE occurred_at >= '2026-10-05'")
        events = cursor.fetchone()[0]
    postgres = Postgres(int(Path(f"/proc/{backend}/stat").read_text().rsplit(")", 1)[1].split()[1]))
    experiment = _experiment()
    figures: dict[str, Any] = {"units": 0, "events": events, "metrics": len(TEN)}

    def refresh() -> None:
        found = readout_refresh(experiment_id=experiment.pk, now=readout_rows.END)
        if found.error:
            raise RuntimeError(found.error)
        figures["units"] = found.units

    def rounds(name: str, work: Callable[[], object]) -> None:
        """The median round; fewer of them where time runs out."""
        found: list[Taken] = []
        for _round in range(ROUNDS):
            if found and not _left(3 * max(one.wall for one in found)):
                break
            found.append(taken(postgres, work))
            say(f"{name}: {found[-1]}")
        middle = sorted(found, key=lambda one: one.wall)[len(found) // 2]
        figures[f"{name}_s"] = round(middle.wall, 2)
        figures[f"{name}_cpu_s"] = round(statistics.median(one.cpu for one in found), 2)

    refresh()  # the first finds the disk's pages cold
    rounds("raw", refresh)
    experiment.cuped, experiment.secondary = True, list(WITH_QUANTILE[1:])
    experiment.save()
    rounds("with_cuped_quantiles", refresh)
    rounds("from_moments", lambda: moments_readout(experiment))
    figures["peak_rss_mb"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    figures["postgres_peak_mb"] = round(postgres.peak_mb)
    if _left(60):
        copied = taken(postgres, _copied)
        figures["copy_out_cpu_s"] = round(copied.cpu, 2)
        figures["raw_vs_copy_out_cpu"] = round(figures["raw_cpu_s"] / copied.cpu, 2)
    if _left(60):
        pandas = taken(postgres, _pandas)
        figures["pandas_a_fifth_cpu_s"] = round(pandas.cpu, 2)
        figures["pandas_vs_raw_cpu"] = round(5 * pandas.cpu / figures["raw_cpu_s"], 1)
    figures["load_average"] = os.getloadavg()[0]
    return figures


def _left(seconds: float) -> bool:
    """Whether that much is left of the time given."""
    return time.monotonic() - BEGAN + seconds < float(os.environ.get("READOUT_BENCH_SECONDS", "440"))


def _experiment() -> Any:
    from apps.experiments.layers import layer_main
    from apps.experiments.models import Experiment, Variant
    from apps.merchandising.models import PlacementKind
    from apps.merchandising.services import placement_create
    from tests.benchmarks.experiments import readout_rows

    made = Experiment.objects.create(
        pk=1, code="bench", name="Bench", layer=layer_main(), salt="bench", status="running",
        started_at=readout_rows.START, primary=TEN[0], secondary=list(TEN[1:]), cuped=False,
    )  # fmt: skip
    made.placements.add(placement_create(code="home", name="Home", kind=PlacementKind.SHOPPER))
    for position, code in enumerate(("control", "b")):
        Variant.objects.create(
            experiment=made, code=code, name=code, share=0.5, is_control=not position, position=position
        )
    return made


def _copied() -> None:
    """Every row of the two weeks, as it is, and nothing done with it."""
    from django.db import connection

    with connection.cursor() as cursor, cursor.copy(f"COPY ({ROWS}) TO STDOUT (FORMAT binary)") as copy:
        for _block in copy:
            pass


def _pandas() -> None:
    """The same rows of a fifth of the units as a frame: what each unit did, then moments by variant."""
    import pandas as pd
    from django.db import connection

    some = f"SELECT * FROM ({ROWS}) r WHERE who % 5 = 0"
    exposed = (
        "SELECT coalesce(shopper_id, hashtextextended(session, 0)) AS who, variant, served_at"
        " FROM events_exposure WHERE experiment_id = 1"
    )
    frames = []
    for sql in (some, f"SELECT * FROM ({exposed}) e WHERE who % 5 = 0"):
        buffer = io.BytesIO()
        with (
            connection.cursor() as cursor,
            cursor.copy(f"COPY ({sql}) TO STDOUT (FORMAT csv, HEADER)") as copy,
        ):
            for block in copy:
                buffer.write(block)
        buffer.seek(0)
        frames.append(pd.read_csv(buffer, parse_dates=[1 if sql is some else 2], date_format="ISO8601"))
    events, exposures = frames
    units = exposures.sort_values("served_at").groupby("who").agg({"served_at": "first", "variant": "first"})
    joined = events.join(units, on="who", how="inner")
    joined = joined[joined["occurred_at"] >= joined["served_at"]].sort_values(["who", "occurred_at"])
    gap = joined.groupby("who")["occurred_at"].diff() >= pd.Timedelta(minutes=30)
    joined["session"] = (gap | (joined["who"] != joined["who"].shift())).astype(int)
    for kind, count in joined["kind_id"].value_counts().items():
        if count:
            joined[f"kind_{kind}"] = (joined["kind_id"] == kind).astype(int)
    columns = ["amount", "session", *(one for one in joined.columns if str(one).startswith("kind_"))]
    totals = units.join(joined.groupby("who")[columns].sum()).fillna(0)
    totals.groupby("variant")[columns].agg(["mean", "var"])


if __name__ == "__main__":
    import django

    django.setup()
    print(json.dumps(measure()))
