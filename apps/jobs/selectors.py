"""Reads of the jobs table for the drawer, the pages and the pipeline picture."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from apps.jobs.models import Job, JobStatus

ACTIVE = (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class JobCounts:
    """How many jobs wait and run, and how many failed within the last day."""

    queued: int
    running: int
    failed_today: int


def job_get(*, job_id: int) -> Job | None:
    """The job, or None."""
    return Job.objects.filter(pk=job_id).select_related("requested_by").first()


def jobs_active(*, kind: str = "") -> QuerySet[Job]:
    """Queued and running jobs, the running ones first, then in order of arrival."""
    jobs = Job.objects.filter(status__in=ACTIVE).select_related("requested_by").defer("log")
    return (jobs.filter(kind=kind) if kind else jobs).order_by("-status", "created_at")


def jobs_drawer(*, recent: int = 10) -> list[Job]:
    """What the drawer shows: everything active, then the last `recent` that ended (newest first)."""
    ended = Job.objects.exclude(status__in=ACTIVE).select_related("requested_by").defer("log")
    return [*jobs_active(), *ended.order_by("-finished_at", "-id")[:recent]]


def jobs_recent(*, kind: str = "", limit: int = 50) -> QuerySet[Job]:
    """The newest jobs, of one kind if given."""
    jobs = Job.objects.select_related("requested_by").defer("log").order_by("-created_at", "-id")
    return (jobs.filter(kind=kind) if kind else jobs)[:limit]


def job_last(*, kind: str, final: bool = True) -> Job | None:
    """The newest job of this kind; only an ended one if `final`."""
    jobs = Job.objects.filter(kind=kind).defer("log")
    return (jobs.exclude(status__in=ACTIVE) if final else jobs).order_by("-created_at", "-id").first()


def job_counts() -> JobCounts:
    """Figures for the overview."""
    failed = Q(status=JobStatus.FAILED, finished_at__gt=Now() - timedelta(days=1))
    return JobCounts(
        queued=Job.objects.filter(status=JobStatus.QUEUED).count(),
        running=Job.objects.filter(status=JobStatus.RUNNING).count(),
        failed_today=Job.objects.filter(failed).count(),
    )


def job_eta_seconds(job: Job, *, at: datetime | None = None) -> float | None:
    """Seconds left at the pace so far; None before 2 % or when the job is not running."""
    if job.status != JobStatus.RUNNING or job.started_at is None or job.progress < 0.02:
        return None
    elapsed = ((at or datetime.now(UTC)) - job.started_at).total_seconds()
    return max(0.0, elapsed * (1.0 - job.progress) / job.progress)


def job_seconds(job: Job, *, at: datetime | None = None) -> float | None:
    """Seconds the job has run (so far); None before it started."""
    if job.started_at is None:
        return None
    return ((job.finished_at or at or datetime.now(UTC)) - job.started_at).total_seconds()
