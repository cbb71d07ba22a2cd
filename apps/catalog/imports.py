"""One import of a product feed: stored file, job, upsert, error report. The commands and pages call these."""

import shutil
import uuid
from dataclasses import replace
from pathlib import Path
from typing import IO

from django.conf import settings
from django.db import transaction

from apps.accounts.models import User
from apps.accounts.selectors import shop_settings_get
from apps.catalog.feeds import FORMATS, feed_parse, format_guess
from apps.catalog.models import FeedImport
from apps.catalog.reports import errors_frame, report_write
from apps.catalog.results import UpsertResult
from apps.catalog.services import product_upsert_many
from apps.core.errors import InvalidInput, NotFound
from apps.jobs.models import Job
from apps.jobs.running import RunningJob, job_running
from apps.jobs.services import job_create

JOB_KIND = "feed_import"
TASK = "catalog.feed_import_run"
MAX_FILE_BYTES = 500_000_000


def uploads_dir() -> Path:
    """Where this shop's uploaded feeds are kept."""
    return Path(settings.SHOP_DIR) / "uploads"


@transaction.atomic
def feed_import_create(
    *, file_name: str, path: Path, format: str = "", requested_by: User | None = None
) -> tuple[FeedImport, Job]:
    """Register an import of the file at `path`; the caller enqueues the job, or runs feed_import_run."""
    kind = format or format_guess(file_name)
    if kind not in FORMATS:
        raise InvalidInput(field="format", value=kind, remedy=f"Choose one of {', '.join(FORMATS)}.")
    if not path.is_file():
        raise InvalidInput(field="path", value=path, remedy="Give the path of a file.")
    feed = FeedImport.objects.create(file_name=file_name[-300:], format=kind, path=str(path))
    job = job_create(
        kind=JOB_KIND, title=f"Import {file_name}", params={"feed_import": feed.pk}, requested_by=requested_by
    )
    feed.job_id = job.pk
    feed.save(update_fields=["job_id"])
    return feed, job


def feed_upload(
    *, file_name: str, content: IO[bytes], format: str = "", requested_by: User | None = None
) -> Job:
    """Keep an uploaded feed and register its import; the caller enqueues the job."""
    name = Path(file_name).name
    kind = format or format_guess(name)
    place = uploads_dir() / f"{uuid.uuid4().hex}.{kind}"
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        with place.open("wb") as file:
            shutil.copyfileobj(content, file)
        if place.stat().st_size > MAX_FILE_BYTES:
            remedy = f"Upload at most {MAX_FILE_BYTES // 1_000_000} MB, or use manage.py import_products."
            raise InvalidInput(field="file", value=name, remedy=remedy)
        _feed, job = feed_import_create(file_name=name, path=place, format=kind, requested_by=requested_by)
    except BaseException:
        place.unlink(missing_ok=True)
        raise
    return job


def feed_import_run(*, job_id: int) -> FeedImport | None:
    """Run the import of a job in this process; None when it is final, taken or was cancelled."""
    done: FeedImport | None = None
    with job_running(job_id=job_id) as running:
        if running is None:
            return None
        feed = FeedImport.objects.filter(pk=running.params["feed_import"]).first()
        if feed is None:
            raise NotFound(f"The import of job {job_id} is gone.")
        result = _load(feed, running)
        with transaction.atomic():
            feed.inserted, feed.updated = result.inserted, result.updated
            feed.unchanged, feed.rejected = result.unchanged, len(result.errors)
            feed.rows = result.rows
            feed.report_path = str(_report(feed, result)) if result.errors else ""
            feed.save()
            running.finish(feed_counts(feed), message=f"{feed.inserted + feed.updated:,} / {feed.rows:,}")
        done = feed
    return done


def feed_counts(feed: FeedImport) -> dict[str, int]:
    """The import's figures."""
    return {name: getattr(feed, name) for name in ("rows", "inserted", "updated", "unchanged", "rejected")}


def _load(feed: FeedImport, running: RunningJob) -> UpsertResult:
    running.progress("read", 0.0, feed.file_name)
    parsed = feed_parse(path=Path(feed.path), format=feed.format, zone=shop_settings_get().zone)
    for column, ours in parsed.columns.items():
        running.log(f"column {column} → {ours}")
    running.progress("products", 0.3, f"{len(parsed.frame):,} / {parsed.rows:,}")
    result = product_upsert_many(
        frame=parsed.frame,
        source=feed.file_name,
        on_progress=lambda fraction, message: running.progress("products", 0.3 + 0.65 * fraction, message),
    )
    return replace(result, errors=[*parsed.errors, *result.errors])


def _report(feed: FeedImport, result: UpsertResult) -> Path:
    return report_write(frame=errors_frame(result.errors), name=f"feed-{feed.pk}")
