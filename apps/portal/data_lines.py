"""What the data pages show: counts, imports in one shape, refused rows."""

import csv
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from django.urls import reverse
from django.utils.translation import gettext as _

from apps.catalog.models import Category, FeedImport, Product
from apps.catalog.reports import report_find
from apps.core.clock import now
from apps.core.errors import NotFound
from apps.events.models import ImportReport, Review, Shopper
from apps.jobs.models import Job, JobStatus
from apps.jobs.selectors import job_eta_seconds, job_seconds
from apps.monitoring.pipeline import interactions_total


@dataclass(frozen=True, slots=True)
class Count:
    """How many of something, and where its raw records are."""

    title: str
    count: int
    link: str


@dataclass(frozen=True, slots=True)
class FeedLine:
    """A feed import with its job; `left` and `seconds` as in the jobs drawer."""

    feed: FeedImport
    job: Job | None
    seconds: float | None
    left: float | None

    @property
    def percent(self) -> int:
        """How far, 0 to 100."""
        return round(100 * self.job.progress) if self.job else 100

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self.job is None or self.job.is_final


@dataclass(frozen=True, slots=True)
class ImportLine:
    """A feed or data-set import as one row of the history; `report` leads to its refused rows."""

    name: str
    kind: str
    at: datetime
    status: str
    rows: int
    brought: int
    refused: int
    seconds: float | None
    link: str
    report: str


def shop_counts() -> list[Count]:
    """Products, categories, shoppers, events and reviews."""
    places = (
        (
            _("Products"),
            Product.objects.filter(placeholder=False).count(),
            "admin:catalog_product_changelist",
        ),
        (_("Categories"), Category.objects.count(), "admin:catalog_category_changelist"),
        (_("Shoppers"), Shopper.objects.filter(merged_into=None).count(), "admin:events_shopper_changelist"),
        (_("Events"), interactions_total(), "admin:events_interaction_changelist"),
        (_("Reviews"), Review.objects.count(), "admin:events_review_changelist"),
    )
    return [Count(title, count, reverse(route)) for title, count, route in places]


def feed_line(feed: FeedImport, job: Job | None = None) -> FeedLine:
    """A feed import with its job."""
    found = job or Job.objects.filter(pk=feed.job_id or 0).first()
    at = now()
    return FeedLine(
        feed,
        found,
        job_seconds(found, at=at) if found else None,
        job_eta_seconds(found, at=at) if found else None,
    )


def import_lines(*, limit: int) -> list[ImportLine]:
    """The latest imports of either kind, newest first."""
    feeds = list(FeedImport.objects.order_by("-created_at")[:limit])
    jobs = Job.objects.in_bulk([feed.job_id for feed in feeds if feed.job_id])
    lines = [_feed_import(feed, jobs.get(feed.job_id or 0)) for feed in feeds]
    lines += [_dataset_import(one) for one in ImportReport.objects.order_by("-created_at")[:limit]]
    return sorted(lines, key=lambda line: line.at, reverse=True)[:limit]


def _feed_import(feed: FeedImport, job: Job | None) -> ImportLine:
    return ImportLine(
        name=feed.file_name,
        kind=_("Product feed"),
        at=feed.created_at,
        status=job.status if job else JobStatus.DONE,
        rows=feed.rows,
        brought=feed.inserted + feed.updated,
        refused=feed.rejected,
        seconds=job_seconds(job) if job else None,
        link=reverse("portal:feed", args=[feed.pk]),
        report=reverse("portal:feed_report", args=[feed.pk]) if feed.report_path else "",
    )


def _dataset_import(report: ImportReport) -> ImportLine:
    counts = report.counts
    return ImportLine(
        name=report.name,
        kind=_("Data set"),
        at=report.created_at,
        status=JobStatus.DONE,
        rows=int(counts.get("rows", 0)),
        brought=int(counts.get("interactions", 0)) or int(counts.get("products", 0)),
        refused=sum(int(count) for count in report.skipped.values()),
        seconds=report.seconds,
        link="",
        report=reverse("portal:import_report", args=[report.pk]) if report.report_path else "",
    )


def report_rows(path: str, *, limit: int) -> list[dict[str, str]]:
    """The first refused rows of a stored report (line, field, value, remedy); none when it is gone."""
    try:
        place = report_find(path)
    except NotFound:
        return []
    with place.open(encoding="utf-8-sig", newline="") as file:
        return list(islice(csv.DictReader(file), limit))
