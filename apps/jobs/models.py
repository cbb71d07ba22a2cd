"""One table for everything that takes long."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.models import TimestampedModel


class JobStatus(models.TextChoices):
    """Where a job stands; the last three are final."""

    QUEUED = "queued", _("Queued")
    RUNNING = "running", _("Running")
    DONE = "done", _("Done")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


class Job(TimestampedModel):
    """One long piece of work. The row is the truth; the queue's message is only a wake-up."""

    kind = models.CharField(max_length=40, db_index=True)
    title = models.CharField(max_length=200)
    status = models.CharField(max_length=12, choices=JobStatus, default=JobStatus.QUEUED, db_index=True)
    stage = models.CharField(max_length=80, blank=True, default="")
    progress = models.FloatField(default=0.0, help_text=_("0 to 1."))
    message = models.CharField(max_length=300, blank=True, default="")
    log = models.TextField(blank=True, default="")
    params = models.JSONField(default=dict, blank=True)
    result = models.JSONField(default=dict, blank=True)
    error = models.TextField(blank=True, default="")
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    worker = models.CharField(max_length=120, blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    cancel_requested_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = [
            models.CheckConstraint(
                condition=models.Q(progress__gte=0.0) & models.Q(progress__lte=1.0),
                name="job_progress_0_to_1",
            )
        ]

    def __str__(self) -> str:
        return f"{self.title} ({self.status})"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to this job."""
        return self.status in (JobStatus.DONE, JobStatus.FAILED, JobStatus.CANCELLED)
