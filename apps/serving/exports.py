"""Files of slates for e-mail: one slate for each shopper of a range, as CSV and JSON lines.

A job works through shards of shoppers; each writes its part, so that a job whose process dies goes on with
the parts that are missing. The files appear whole under their names, at the end. Shoppers who want nothing
personal are left out, and so are those whose identity was merged into another's.
"""

import csv
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import orjson
from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Collate

from apps.accounts.models import User
from apps.core import clock
from apps.core.errors import InvalidInput, NotFound
from apps.core.spreadsheets import cell_safe
from apps.events.models import Shopper
from apps.jobs.models import Job, JobStatus
from apps.jobs.running import RunningJob, job_running
from apps.jobs.services import job_create
from apps.merchandising.models import Placement
from apps.serving.decide import PAGE_MAX
from apps.serving.pipeline import recommend
from apps.serving.remembering import exposure_remember, exposures_flush
from apps.serving.slate import Slate, SlateRequest

JOB_KIND = "serving.export"
TASK = "serving.export_run"
SHOPPERS_PER_SHARD = 1_000
FORMATS = ("csv", "jsonl")
COLUMNS = (
    "shopper",
    "position",
    "sku",
    "title",
    "price",
    "currency",
    "image",
    "category",
    "brand",
    "request_id",
)


def exports_dir() -> Path:
    """Where this shop's exports are kept."""
    return Path(settings.SHOP_DIR) / "exports"


def export_create(
    *,
    placement: str,
    first: str = "",
    last: str = "",
    n: int | None = None,
    language: str = "",
    requested_by: User | None = None,
) -> Job:
    """Register an export; the caller enqueues the job, or runs `export_run`.

    first, last: external ids of the first and the last shopper, both included; "" for no bound. n: items a
    slate, None for the placement's page size. Raises InvalidInput.
    """
    if not Placement.objects.filter(code=placement, archived_at=None).exists():
        raise InvalidInput(field="placement", value=placement, remedy="Name a placement that is served.")
    if n is not None and not 1 <= n <= PAGE_MAX:
        raise InvalidInput(field="n", value=n, remedy=f"Ask for 1 to {PAGE_MAX} items.")
    if last and last < first:
        raise InvalidInput(field="last", value=last, remedy=f"Name one that comes after {first}.")
    params = {"placement": placement, "first": first, "last": last, "n": n, "language": language}
    return job_create(kind=JOB_KIND, title=f"Export {placement}", params=params, requested_by=requested_by)


def export_run(*, job_id: int) -> Job | None:
    """Run an export job in this process; None when it is final, taken or was cancelled."""
    with job_running(job_id=job_id) as running:
        if running is None:
            return None
        parts = exports_dir() / f"{job_id}.parts"
        parts.mkdir(parents=True, exist_ok=True)
        bounds = _bounds(parts, running.params)
        running.log(f"{len(bounds)} shards of up to {SHOPPERS_PER_SHARD} shoppers")
        for shard, (first, last) in enumerate(bounds):
            if not (parts / f"{shard:06d}.json").exists():
                _shard_write(parts, shard, running.params, first, last)
            message = f"{shard + 1:,} / {len(bounds):,}"
            running.progress("slates", 0.98 * (shard + 1) / len(bounds), message)
        _close(running, parts, len(bounds))
    return Job.objects.filter(pk=job_id, status=JobStatus.DONE).first()


def export_file(*, job_id: int, format: str) -> Path:
    """The file of a finished export; NotFound when there is none."""
    job = Job.objects.filter(pk=job_id, kind=JOB_KIND, status=JobStatus.DONE).first()
    name = str(job.result.get("files", {}).get(format, "")) if job else ""
    path = exports_dir() / Path(name).name
    if not name or not path.is_file():
        raise NotFound("There is no such file any more. Start the export again.")
    return path


def exports_prune(*, days: int) -> int:
    """Delete exported files, and parts of exports that never ended, older than `days`; returns how many."""
    oldest = clock.now().timestamp() - days * 86_400
    old = [path for path in exports_dir().glob("*") if path.stat().st_mtime < oldest]
    for path in old:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return len(old)


def _shoppers(params: dict[str, Any]) -> QuerySet[Shopper]:
    """The shoppers of the range; ids are compared by code point, whatever the database's collation."""
    named = Shopper.objects.filter(merged_into=None).annotate(name=Collate("external_id", "C"))
    named = named.filter(name__gte=params["first"])
    return named.filter(name__lte=params["last"]) if params["last"] else named


def _bounds(parts: Path, params: dict[str, Any]) -> list[tuple[int, int]]:
    """The first and last key of each shard; laid down once, so that a second run cuts alike."""
    plan = parts / "plan.json"
    if not plan.exists():
        keys = list(_shoppers(params).order_by("pk").values_list("pk", flat=True).iterator(chunk_size=10_000))
        shards = [keys[at : at + SHOPPERS_PER_SHARD] for at in range(0, len(keys), SHOPPERS_PER_SHARD)]
        _replace(plan, orjson.dumps([(shard[0], shard[-1]) for shard in shards]))
    return [(int(first), int(last)) for first, last in orjson.loads(plan.read_bytes())]


def _shard_write(parts: Path, shard: int, params: dict[str, Any], first: int, last: int) -> None:
    """Write one shard's parts, its mark last: without the mark it is done again."""
    found = _shoppers(params).filter(pk__gte=first, pk__lte=last).order_by("pk")
    shoppers = list(found.values_list("external_id", "opted_out"))
    counts = {"shoppers": 0, "opted_out": 0, "items": 0}
    with ExitStack() as stack:
        lines = stack.enter_context((parts / f"{shard:06d}.jsonl").open("wb"))
        table = stack.enter_context((parts / f"{shard:06d}.csv").open("w", newline="", encoding="utf-8"))
        for name, opted_out in shoppers:
            if opted_out:
                counts["opted_out"] += 1
                continue
            slate = recommend(_request(params, name))
            exposure_remember(slate)
            counts["shoppers"] += 1
            counts["items"] += len(slate.items)
            _slate_write(name, slate, lines, table)
    exposures_flush()
    _replace(parts / f"{shard:06d}.json", orjson.dumps(counts))


def _request(params: dict[str, Any], shopper: str) -> SlateRequest:
    return SlateRequest(
        placement=params["placement"], shopper=shopper, n=params["n"], language=params["language"]
    )


def _slate_write(shopper: str, slate: Slate, lines: IO[bytes], table: IO[str]) -> None:
    rows = [
        {"shopper": shopper}
        | {name: getattr(item, name) for name in COLUMNS[1:-1]}
        | {"request_id": str(slate.request_id)}
        for item in slate.items
    ]
    items = [{name: row[name] for name in COLUMNS[1:-1]} for row in rows]
    body = {"shopper": shopper, "request_id": str(slate.request_id), "rung": str(slate.rung), "items": items}
    lines.write(orjson.dumps(body) + b"\n")
    csv.writer(table).writerows([cell_safe(row[name]) for name in COLUMNS] for row in rows)


def _close(running: RunningJob, parts: Path, shards: int) -> None:
    """Put the parts together under their final names and drop them."""
    stem = f"{running.params['placement']}-{clock.now():%Y%m%d}-{running.id}"
    files = {}
    for format in FORMATS:
        files[format] = f"{stem}.{format}"
        target = exports_dir() / files[format]
        whole = parts / files[format]
        with whole.open("wb") as out:
            # a mark, so that spreadsheets read it as UTF-8
            out.write(("\ufeff" + ",".join(COLUMNS) + "\r\n").encode() if format == "csv" else b"")
            for path in _parts(parts, shards, format):
                with path.open("rb") as part:
                    shutil.copyfileobj(part, out)
            out.flush()
            os.fsync(out.fileno())
        whole.replace(target)
    counts = [orjson.loads(path.read_bytes()) for path in _parts(parts, shards, "json")]
    sums = {name: sum(count[name] for count in counts) for name in ("shoppers", "opted_out", "items")}
    running.finish({"files": files, **sums}, message=f"{sums['shoppers']:,}")
    shutil.rmtree(parts, ignore_errors=True)


def _parts(parts: Path, shards: int, format: str) -> Iterator[Path]:
    return (parts / f"{shard:06d}.{format}" for shard in range(shards))


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    fresh = path.with_suffix(".tmp")
    fresh.write_bytes(content)
    fresh.replace(path)
