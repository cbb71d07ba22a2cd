"""The pipeline as one picture: collect → clean → features → train → deploy → evaluate, each with its last
run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from django.db import connection
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.catalog.models import FeedImport
from apps.core import clock
from apps.datasets.models import Snapshot
from apps.events.models import ImportReport, Interaction
from apps.jobs.models import Job, JobStatus
from apps.jobs.selectors import job_seconds
from apps.metrics.selectors import rollup_state
from apps.serving.models import ListBuild
from apps.training.hybrid import hybrid_get
from apps.training.models import ModelVersion, TrainingRun, VersionStatus

StageState = Literal["never", "ok", "running", "failed"]
Page = Literal["data", "pipeline", "models", "weights", "overview"]
TRAIN_KINDS = ("training.run",)


@dataclass(frozen=True, slots=True)
class Fact:
    """One more figure of a stage."""

    label: str | Promise
    value: str


@dataclass(frozen=True, slots=True)
class Stage:
    """One box of the picture. `rows_*` are None where the stage counts no rows; `page` is where a click leads
    and `job_id` the job to show there, if any.
    """

    code: str
    title: str | Promise
    unit: str | Promise
    state: StageState = "never"
    at: datetime | None = None
    rows_in: int | None = None
    rows_out: int | None = None
    rejected: int | None = None
    seconds: float | None = None
    error: str = ""
    page: Page = "pipeline"
    job_id: int | None = None
    progress: float | None = None
    facts: Sequence[Fact] = ()


def pipeline_stages() -> list[Stage]:
    """The six stages in order."""
    return [_collect(), _clean(), _features(), _train(), _deploy(), _evaluate()]


@dataclass(frozen=True, slots=True)
class _Import:
    """The last import, of a feed or of a data set, in one shape."""

    at: datetime
    rows: int
    rejected: int
    name: str
    seconds: float | None
    job: Job | None


def _last_import() -> _Import | None:
    feed = FeedImport.objects.order_by("-created_at").first()
    report = ImportReport.objects.order_by("-created_at").first()
    if feed is not None and (report is None or feed.created_at > report.created_at):
        job = Job.objects.filter(pk=feed.job_id).first() if feed.job_id else None
        seconds = job_seconds(job) if job else None
        return _Import(feed.created_at, feed.rows, feed.rejected, feed.file_name, seconds, job)
    if report is not None:
        rows = int(report.counts.get("rows", 0))
        skipped = sum(int(count) for count in report.skipped.values())
        return _Import(report.created_at, rows, skipped, report.name, report.seconds, None)
    return None


def _job_state(job: Job | None, *, done: bool) -> StageState:
    if job is None:
        return "ok" if done else "never"
    if not job.is_final:
        return "running"
    return "failed" if job.status == JobStatus.FAILED else "ok"


def _arrivals() -> tuple[int, datetime | None]:
    """Events received within a day, and when the last came."""
    since = clock.now() - timedelta(days=1)
    with connection.cursor() as cursor:
        # Events are stored in order of arrival: looking at the newest ids is enough, and quick in any shop.
        cursor.execute(
            "SELECT count(*) FILTER (WHERE received_at > %s), max(received_at) FROM ("
            " SELECT received_at FROM events_interaction WHERE occurred_at > %s) newest",
            [since, since - timedelta(days=1)],
        )
        count, last = cursor.fetchone()
    return count, last


def interactions_total() -> int:
    """How many events are stored, by the planner's estimate where there are many."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint FROM pg_inherits i"
            " JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'events_interaction'::regclass"
        )
        estimate = int(cursor.fetchone()[0])
    return estimate if estimate > 200_000 else Interaction.objects.count()


def _collect() -> Stage:
    arrived, last = _arrivals()
    imported = _last_import()
    at = max((moment for moment in (last, imported.at if imported else None) if moment), default=None)
    facts = [Fact(gettext_lazy("Events in the last 24 h"), f"{arrived:,}")]
    if imported:
        facts.append(Fact(gettext_lazy("Last import"), imported.name))
    return Stage(
        code="collect",
        title=gettext_lazy("Collect"),
        unit=gettext_lazy("events"),
        state=_job_state(imported.job if imported else None, done=at is not None),
        at=at,
        rows_in=imported.rows if imported else arrived,
        rows_out=interactions_total(),
        error=imported.job.error if imported and imported.job else "",
        page="data",
        job_id=imported.job.pk if imported and imported.job else None,
        progress=imported.job.progress if imported and imported.job else None,
        facts=facts,
    )


def _clean() -> Stage:
    imported = _last_import()
    stage = Stage(code="clean", title=gettext_lazy("Clean"), unit=gettext_lazy("rows"), page="data")
    if imported is None:
        return stage
    return replace(
        stage,
        state=_job_state(imported.job, done=True),
        at=imported.at,
        rows_in=imported.rows,
        rows_out=imported.rows - imported.rejected,
        rejected=imported.rejected,
        seconds=imported.seconds,
        error=imported.job.error if imported.job else "",
        job_id=imported.job.pk if imported.job else None,
    )


def _features() -> Stage:
    snapshot = Snapshot.objects.order_by("-created_at").first()
    title, unit = gettext_lazy("Features"), gettext_lazy("events")
    if snapshot is None:
        return Stage(code="features", title=title, unit=unit, page="data")
    left_out = sum(snapshot.manifest.get("counts", {}).get("left_out", {}).values())
    return Stage(
        code="features",
        title=title,
        unit=unit,
        state="ok",
        at=snapshot.created_at,
        rows_in=snapshot.interactions + left_out,
        rows_out=snapshot.interactions,
        rejected=left_out,
        seconds=snapshot.seconds,
        page="data",
        facts=[
            Fact(gettext_lazy("Snapshot"), snapshot.content_hash[:12]),
            Fact(gettext_lazy("Products"), f"{snapshot.items:,}"),
            Fact(gettext_lazy("Shoppers"), f"{snapshot.shoppers:,}"),
        ],
    )


def _train() -> Stage:
    title, unit = gettext_lazy("Train"), gettext_lazy("models")
    run = TrainingRun.objects.select_related("recipe", "job", "snapshot").order_by("-job__updated_at").first()
    if run is None:
        return Stage(code="train", title=title, unit=unit, page="models")
    # The runs of one batch share a snapshot and are one picture.
    batch = [run]
    if run.snapshot_id:
        batch = list(TrainingRun.objects.filter(snapshot_id=run.snapshot_id).select_related("recipe", "job"))
    failed = [one for one in batch if one.job.status == JobStatus.FAILED]
    running = [one for one in batch if not one.job.is_final]
    versions = ModelVersion.objects.filter(run__in=batch)
    state: StageState = "running" if running else "failed" if failed else "ok"
    return Stage(
        code="train",
        title=title,
        unit=unit,
        state=state,
        at=run.job.finished_at or run.job.started_at or run.created_at,
        rows_in=len(batch),
        rows_out=versions.count(),
        rejected=versions.filter(status=VersionStatus.REFUSED).count(),
        seconds=sum(job_seconds(one.job) or 0.0 for one in batch),
        error="; ".join(f"{one.recipe.name}: {one.job.error}" for one in failed),
        page="models",
        job_id=run.job_id,
        progress=sum(one.job.progress if not one.job.is_final else 1.0 for one in batch) / len(batch),
        facts=[
            Fact(
                gettext_lazy("Refused by the gate"),
                str(versions.filter(status=VersionStatus.REFUSED).count()),
            )
        ],
    )


def _deploy() -> Stage:
    title, unit = gettext_lazy("Deploy"), gettext_lazy("lists")
    live = ModelVersion.objects.filter(status=VersionStatus.LIVE)
    live_ids = list(live.values_list("pk", flat=True))
    builds = list(ListBuild.objects.filter(version_id__in=live_ids).order_by("started_at"))
    if not live_ids:
        return Stage(code="deploy", title=title, unit=unit, page="models")
    waiting = [build for build in builds if build.completed_at is None]
    complete = [build for build in builds if build.completed_at is not None]
    shards = sum(build.shards for build in builds)
    return Stage(
        code="deploy",
        title=title,
        unit=unit,
        state="running" if waiting or len(builds) < len(live_ids) else "ok",
        at=max((build.completed_at for build in complete if build.completed_at), default=None),
        rows_in=len(live_ids),
        rows_out=sum(build.lists for build in builds),
        seconds=_span(complete),
        page="models",
        progress=sum(build.shards_done for build in builds) / shards if shards else 0.0,
        facts=[
            Fact(gettext_lazy("Live models"), str(len(live_ids))),
            Fact(gettext_lazy("Lists ready"), f"{len(complete)} / {len(live_ids)}"),
        ],
    )


def _span(builds: Sequence[ListBuild]) -> float | None:
    """Seconds the last build took."""
    spans = [
        (b.completed_at, (b.completed_at - b.started_at).total_seconds()) for b in builds if b.completed_at
    ]
    return max(spans)[1] if spans else None


def _evaluate() -> Stage:
    title, unit = gettext_lazy("Evaluate"), gettext_lazy("days")
    state = rollup_state()
    if state is None:
        return Stage(code="evaluate", title=title, unit=unit, page="overview")
    hybrid = hybrid_get()
    facts = []
    if hybrid is not None:
        figures = hybrid.metrics.get("new", {})
        facts.append(Fact(_("Hybrid NDCG@10 (new)"), f"{figures.get('ndcg10', 0.0):.4f}"))
        facts.append(Fact(_("Test shoppers"), f"{figures.get('users', 0):,}"))
    return Stage(
        code="evaluate",
        title=title,
        unit=unit,
        state="ok",
        at=state.built_at,
        rows_out=state.days,
        seconds=state.seconds,
        page="overview",
        facts=facts,
    )
