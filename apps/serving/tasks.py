"""Thin shells around `batch`. Shards go to the queue `score`, for they load models."""

from celery import group, shared_task
from django.conf import settings

from apps.serving import batch, exports, traces


@shared_task
def lists_missing_build() -> None:
    """Give out the shards of live versions that have no lists (beat; or anybody who just promoted one)."""
    for version_id in batch.lists_missing():
        shards = batch.build_start(version_id=version_id)
        group(
            shard_build.s(version_id=version_id, shard=shard).set(queue="score") for shard in shards
        ).apply_async()


@shared_task
def shard_build(version_id: int, shard: int) -> None:
    """Build one shard of a version's lists."""
    batch.shard_build(version_id=version_id, shard=shard)


@shared_task(name=exports.TASK, ignore_result=True)
def export_run(job_id: int) -> None:
    """Run an export of slates (queue default: it needs no model)."""
    exports.export_run(job_id=job_id)


@shared_task
def exports_prune() -> None:
    """Delete exported files that are old (beat, once a day)."""
    exports.exports_prune(days=settings.JOB_DAYS)


@shared_task
def traces_prune() -> None:
    """Delete kept traces that are old (beat, once a day)."""
    traces.traces_prune()
