"""Recipes, runs and the registry of model versions."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.models import TimestampedModel
from apps.datasets.models import Snapshot
from apps.jobs.models import Job


class Schedule(models.TextChoices):
    """How often a recipe trains by itself."""

    MANUAL = "manual", _("Only by hand")
    HOURLY = "hourly", _("Every hour")
    DAILY = "daily", _("Every day")
    WEEKLY = "weekly", _("Every week")


class Recipe(TimestampedModel):
    """How one source is made: family, config, window and schedule. `code` names the source in blends."""

    code = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=80)
    family = models.CharField(max_length=40)
    config = models.JSONField(default=dict, blank=True, help_text=_("Overrides of the preset."))
    preset = models.CharField(max_length=10, default="small")
    window_days = models.PositiveIntegerField(null=True, blank=True, help_text=_("Empty: all history."))
    schedule = models.CharField(max_length=10, choices=Schedule, default=Schedule.DAILY)
    next_run_at = models.DateTimeField(null=True, blank=True)
    seed = models.PositiveIntegerField(default=0)
    active = models.BooleanField(default=True)
    color = models.PositiveSmallIntegerField(default=0, help_text=_("Index into the eight source colours."))

    class Meta:
        ordering = ("color", "code")

    def __str__(self) -> str:
        return self.name


class TrainingRun(TimestampedModel):
    """One attempt to train a recipe; progress and log are its job's."""

    recipe = models.ForeignKey(Recipe, on_delete=models.CASCADE, related_name="runs")
    job = models.OneToOneField(Job, on_delete=models.CASCADE, related_name="+")
    snapshot = models.ForeignKey(Snapshot, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    config = models.JSONField(default=dict)
    history = models.JSONField(default=list, blank=True, help_text=_("One object per epoch."))
    seconds = models.JSONField(default=dict, blank=True, help_text=_("Seconds by step."))
    auto_promote = models.BooleanField(default=True)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.recipe.code} run {self.pk}"


class VersionStatus(models.TextChoices):
    """Where a version stands. At most one per recipe is live."""

    CANDIDATE = "candidate", _("Candidate")
    REFUSED = "refused", _("Refused by the gate")
    LIVE = "live", _("Live")
    RETIRED = "retired", _("Retired")


class ModelVersion(TimestampedModel):
    """A trained artifact with its metrics and everything needed to repeat it."""

    recipe = models.ForeignKey(Recipe, on_delete=models.CASCADE, related_name="versions")
    run = models.OneToOneField(
        TrainingRun, null=True, blank=True, on_delete=models.SET_NULL, related_name="version"
    )
    number = models.PositiveIntegerField()
    status = models.CharField(
        max_length=12, choices=VersionStatus, default=VersionStatus.CANDIDATE, db_index=True
    )
    artifact_path = models.CharField(max_length=500)
    config = models.JSONField(default=dict)
    metrics = models.JSONField(default=dict, help_text=_("By protocol: new, all."))
    gate = models.JSONField(default=dict, blank=True, help_text=_("The gate's verdict and figures."))
    snapshot_hash = models.CharField(max_length=64)
    code_version = models.CharField(max_length=40, blank=True, default="")
    seed = models.PositiveIntegerField(default=0)
    promoted_at = models.DateTimeField(null=True, blank=True)
    promoted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    override_reason = models.TextField(blank=True, default="")

    class Meta:
        ordering = ("-created_at",)
        constraints = [
            models.UniqueConstraint(fields=["recipe", "number"], name="version_number_once"),
            models.UniqueConstraint(
                fields=["recipe"], condition=models.Q(status="live"), name="version_one_live_per_recipe"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.recipe.code} v{self.number}"
