"""python -m tests.benchmarks.ingest: prints its figures, the last line as one JSON object.

Everything runs on one throw-away Postgres (fsync on) and Valkey (append-only file, everysec); each figure has
its ceiling beside it, taken in turns in the same run:

growth      storing 5,000 events, with more and more stored, per event (first: the rest meets full tables)
single      POST of one event           : the same endpoint doing one bare XADD
batch_1000  POST of 1,000, until stored : COPY of the same rows into the same table, 1,000 a transaction
bulk_file   a CSV file of 100,000 events: COPY of the same rows, all at once
"""

import json
import os
import shutil
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from recoportal.embedded import services_destroy, services_ensure

BEGAN = time.monotonic()
# Filling the tables ends by then; the rest takes about two minutes, more on a busy machine.
GROWTH_UNTIL_SECONDS = 180.0
ROUNDS = 3


def main() -> None:
    """Start the servers, measure, clean up."""
    data_dir = Path(tempfile.mkdtemp(prefix="recoportal-bench-ingest-", dir="/var/tmp"))
    data_dir.chmod(0o755)
    try:
        for name in [name for name in os.environ if name.startswith("RECOPORTAL_")]:
            del os.environ[name]
        os.environ.update(
            services_ensure(data_dir),
            RECOPORTAL_DATA_DIR=str(data_dir),
            RECOPORTAL_DEBUG="0",
            RECOPORTAL_LOG_LEVEL="WARNING",
            RECOPORTAL_DB_POOL_MAX="0",
            DJANGO_SETTINGS_MODULE="recoportal.settings.dev",
        )
        import django

        django.setup()
        print(json.dumps(measure()))
    finally:
        services_destroy(data_dir)
        shutil.rmtree(data_dir, ignore_errors=True)


def say(text: str) -> None:
    """A line for people."""
    print(f"[{time.monotonic() - BEGAN:5.0f} s] {text}", flush=True)


def measure() -> dict[str, Any]:
    """All parts."""
    from django.core.management import call_command

    from apps.accounts.services import api_client_create
    from apps.catalog.services import product_placeholders_make
    from apps.core import clock
    from apps.events.partitions import month_of, partitions_make
    from tests.benchmarks.ingest import parts, processes, rows

    call_command("migrate", verbosity=0)
    now = clock.now()
    partitions_make(months={month_of(now), month_of(now - timedelta(days=2))})
    product_placeholders_make(
        skus=[f"p{number}" for number in range(rows.PRODUCTS)], source="bench", first_seen_at=now
    )
    _client, key = api_client_create(name="bench", scopes=["events"], requests_per_minute=100_000_000)
    figures: dict[str, Any] = {"ratios": {}, "load_average_at_start": os.getloadavg()[0]}
    figures["growth"] = parts.growth(lambda: GROWTH_UNTIL_SECONDS - (time.monotonic() - BEGAN), say)
    for name in ("largest_vs_smallest", "largest_vs_smallest_in_copies"):
        figures["ratios"][f"time_per_event_{name}"] = figures["growth"][name]
    with processes.site(key) as site, processes.consumer() as consumer:
        single = [parts.single_round(site) for _ in range(ROUNDS)]
        figures["single"] = parts.single_summary(single)
        figures["ratios"]["single_vs_xadd"] = figures["single"]["ratio"]
        say(f"single: {figures['single']}")
        batches = [parts.batch_round(site, consumer) for _ in range(ROUNDS)]
        figures["batch_1000"] = parts.rates_summary(batches)
        figures["ratios"]["batch_1000_vs_copy"] = figures["batch_1000"]["ratio"]
        say(f"batch_1000: {figures['batch_1000']}")
    bulk = [parts.bulk_round() for _ in range(ROUNDS)]
    figures["bulk_file"] = parts.rates_summary(bulk)
    figures["ratios"]["bulk_file_vs_copy"] = figures["bulk_file"]["ratio"]
    say(f"bulk_file: {figures['bulk_file']}")
    return figures


if __name__ == "__main__":
    main()
