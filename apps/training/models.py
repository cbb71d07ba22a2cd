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
    archived_at = models.DateTimeField(null=True, blank=True)
    color = models.PositiveSmallIntegerField(
        default=0, help_text=_("Place among the sources; colours repeat after eight, with another texture.")
    )

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
    example = models.JSONField(default=dict, blank=True, help_text=_("Explained recommendations."))
    cost = models.JSONField(default=dict, blank=True, help_text=_("Core-seconds and memory of the fit."))
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


class Sampler(models.TextChoices):
    """How a study picks the next settings to try."""

    TPE = "tpe", _("Learning from the trials so far (TPE)")
    RANDOM = "random", _("At random")
    GRID = "grid", _("Every combination of a grid")


class Goal(models.TextChoices):
    """What a study's NDCG@10 is of."""

    MIX = "mix", _("First purchases and all purchases alike")
    NEW = "new", _("First purchases")
    ALL = "all", _("All purchases, repeats included")


class Study(TimestampedModel):
    """A search for better settings of a recipe. Its jobs work side by side; its trials are the truth."""

    recipe = models.ForeignKey(Recipe, on_delete=models.CASCADE, related_name="studies")
    snapshot = models.ForeignKey(Snapshot, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    jobs = models.ManyToManyField(Job, related_name="+")
    sampler = models.CharField(max_length=10, choices=Sampler, default=Sampler.TPE)
    goal = models.CharField(max_length=10, choices=Goal, default=Goal.MIX)
    pruning = models.BooleanField(default=True)
    space = models.JSONField(default=dict, help_text=_("By setting: kind, low, high, log, or choices."))
    base = models.JSONField(default=dict, help_text=_("The recipe's settings when the study began."))
    max_trials = models.PositiveIntegerField(default=20)
    budget_seconds = models.PositiveIntegerField(default=600, help_text=_("Seconds of trials, all workers."))
    workers = models.PositiveSmallIntegerField(default=1)
    seed = models.PositiveIntegerField(default=0)
    importances = models.JSONField(default=dict, blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    finished_at = models.DateTimeField(null=True, blank=True)
    applied_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-created_at",)
        verbose_name_plural = "studies"

    def __str__(self) -> str:
        return f"{self.recipe.code} study {self.pk}"


class TrialState(models.TextChoices):
    """Where a trial stands."""

    RUNNING = "running", _("Running")
    COMPLETE = "complete", _("Complete")
    PRUNED = "pruned", _("Stopped early")
    FAILED = "failed", _("Failed")


class StudyTrial(TimestampedModel):
    """One set of settings tried. A row is made by whichever worker claims it, and taken over if that dies."""

    study = models.ForeignKey(Study, on_delete=models.CASCADE, related_name="trials")
    number = models.PositiveIntegerField()
    job = models.ForeignKey(Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    claim = models.CharField(max_length=120, blank=True, default="")
    attempts = models.PositiveSmallIntegerField(default=1)
    state = models.CharField(max_length=10, choices=TrialState, default=TrialState.RUNNING)
    params = models.JSONField(default=dict, help_text=_("The settings that are searched."))
    sampler_notes = models.JSONField(default=dict, blank=True)
    steps = models.JSONField(default=dict, blank=True, help_text=_("Value by share of shoppers trained on."))
    value = models.FloatField(null=True, blank=True)
    metrics = models.JSONField(default=dict, blank=True)
    seconds = models.FloatField(default=0.0)
    error = models.TextField(blank=True, default="")

    class Meta:
        ordering = ("study", "number")
        constraints = [models.UniqueConstraint(fields=["study", "number"], name="trial_number_once")]

    def __str__(self) -> str:
        return f"{self.study} trial {self.number}"
