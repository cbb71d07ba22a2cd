"""Experiments, their variants, what happened to them and what was measured."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from apps.core.models import TimestampedModel
from apps.merchandising.models import Placement, Publication

BUCKETS = 10_000


class ExperimentKind(models.TextChoices):
    """How an experiment gives units what they get."""

    AB = "ab", _("A/B test")
    BANDIT = "bandit", _("Bandit")
    INTERLEAVING = "interleaving", _("Interleaving")
    SWITCHBACK = "switchback", _("Switchback")
    HOLDOUT = "holdout", _("Holdout")


class ExperimentStatus(models.TextChoices):
    """Where an experiment is. A paused one takes no new part in any slate; a running one may be resumed."""

    DRAFT = "draft", _("Draft")
    RUNNING = "running", _("Running")
    PAUSED = "paused", _("Paused")
    ENDED = "ended", _("Ended")


class Decision(models.TextChoices):
    """What was made of an experiment that ended."""

    NONE = "", _("None yet")
    SHIP = "ship", _("Ship")
    ROLL_BACK = "roll_back", _("Roll back")
    KEEP_CONTROL = "keep_control", _("Keep control")


class Correction(models.TextChoices):
    """How p values are corrected for the number of comparisons."""

    NONE = "none", _("None")
    HOLM = "holm", _("Holm")
    BH = "bh", _("Benjamini-Hochberg")


class View(models.TextChoices):
    """Which intervals the verdict is read from."""

    SEQUENTIAL = "sequential", _("Sequential: safe to look at any time")
    FIXED = "fixed", _("Fixed: looked at once, at the end")
    BAYES = "bayes", _("Bayesian")


class Trigger(models.TextChoices):
    """Which slates count as exposed."""

    SERVED = "served", _("Every slate of the placement")
    DIFFERENT = "different", _("Only slates that the variants make different")


class Layer(TimestampedModel):
    """10,000 buckets of units. Experiments of one layer take disjoint slices; two layers are independent."""

    code = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=80)
    salt = models.CharField(max_length=32)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.name


class Experiment(TimestampedModel):
    """One question put to the shop's visitors."""

    code = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=80)
    hypothesis = models.TextField(blank=True, default="")
    kind = models.CharField(max_length=12, choices=ExperimentKind, default=ExperimentKind.AB)
    status = models.CharField(
        max_length=8, choices=ExperimentStatus, default=ExperimentStatus.DRAFT, db_index=True
    )
    decision = models.CharField(max_length=12, choices=Decision, blank=True, default=Decision.NONE)
    decision_reason = models.JSONField(default=dict, blank=True)
    winner = models.CharField(max_length=40, blank=True, default="")
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    placements = models.ManyToManyField(Placement, related_name="+", blank=True)
    audience = models.JSONField(default=dict, blank=True, help_text=_("Empty: everybody."))
    layer = models.ForeignKey(Layer, on_delete=models.PROTECT, related_name="experiments")
    layer_from = models.PositiveSmallIntegerField(default=0)
    layer_to = models.PositiveSmallIntegerField(default=BUCKETS)
    traffic = models.FloatField(default=1.0, help_text=_("Share of the slice that takes part now."))
    ramp = models.JSONField(default=list, blank=True, help_text=_("Shares to go through, rising."))
    ramp_hours = models.PositiveSmallIntegerField(default=24)
    ramp_step = models.PositiveSmallIntegerField(default=0)
    ramped_at = models.DateTimeField(null=True, blank=True)
    salt = models.CharField(max_length=32)
    primary = models.CharField(max_length=60, default="conversion")
    secondary = models.JSONField(default=list, blank=True)
    guardrails = models.JSONField(default=list, blank=True)
    mde = models.FloatField(default=0.05, help_text=_("Smallest relative change worth finding."))
    alpha = models.FloatField(default=0.05)
    power = models.FloatField(default=0.8)
    correction = models.CharField(max_length=4, choices=Correction, default=Correction.HOLM)
    view = models.CharField(max_length=10, choices=View, default=View.SEQUENTIAL)
    cuped = models.BooleanField(default=True)
    triggered = models.CharField(max_length=9, choices=Trigger, default=Trigger.SERVED)
    min_days = models.PositiveSmallIntegerField(default=7)
    min_units = models.PositiveIntegerField(default=150, help_text=_("For each variant."))
    planned_days = models.PositiveSmallIntegerField(default=14)
    ends_at = models.DateTimeField(null=True, blank=True)
    auto_rollback = models.BooleanField(default=True)
    auto_ship = models.BooleanField(default=False)
    webhook = models.URLField(max_length=300, blank=True, default="")
    emails = models.JSONField(default=list, blank=True)
    slot_minutes = models.PositiveSmallIntegerField(default=60, help_text=_("Of a switchback."))
    bandit_floor = models.FloatField(default=0.01, help_text=_("The least share of an arm of a bandit."))
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("-created_at", "-id")
        constraints = [
            models.CheckConstraint(
                condition=Q(layer_from__lt=F("layer_to")) & Q(layer_to__lte=BUCKETS),
                name="experiment_slice_in_layer",
            ),
            models.CheckConstraint(
                condition=Q(traffic__gte=0) & Q(traffic__lte=1), name="experiment_traffic_is_share"
            ),
            models.CheckConstraint(
                condition=Q(status="draft") | Q(started_at__isnull=False), name="experiment_started"
            ),
            models.CheckConstraint(
                condition=~Q(status="ended") | Q(ended_at__isnull=False), name="experiment_ended"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_open(self) -> bool:
        """Whether it holds its slice: running, or paused and able to run again."""
        return self.status in (ExperimentStatus.RUNNING, ExperimentStatus.PAUSED)


class Variant(models.Model):
    """One arm. Shares of an experiment's variants sum to 1."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="variants")
    code = models.SlugField(max_length=40)
    name = models.CharField(max_length=80)
    is_control = models.BooleanField(default=False)
    share = models.FloatField()
    position = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering = ("position", "id")
        constraints = [
            models.UniqueConstraint(fields=["experiment", "code"], name="variant_code_once"),
            models.UniqueConstraint(
                fields=["experiment"], condition=Q(is_control=True), name="variant_one_control"
            ),
            models.CheckConstraint(
                condition=Q(share__gte=0) & Q(share__lte=1), name="variant_share_is_share"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class VariantPublication(models.Model):
    """What a variant shows on one placement.

    page_size: items of a slate where the publication names none, kept from the launch on, so that a change of
    the placement's page size can't move one arm alone; None before.
    """

    variant = models.ForeignKey(Variant, on_delete=models.CASCADE, related_name="publications")
    placement = models.ForeignKey(Placement, on_delete=models.PROTECT, related_name="+")
    publication = models.ForeignKey(Publication, on_delete=models.PROTECT, related_name="+")
    page_size = models.PositiveSmallIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["variant", "placement"], name="variant_placement_once")
        ]

    def __str__(self) -> str:
        return f"{self.variant_id}: {self.publication_id}"


class ExperimentEvent(models.Model):
    """Something that happened to an experiment. details: JSON that `kind` gives its meaning."""

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="log")
    at = models.DateTimeField()
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    kind = models.CharField(max_length=24)
    details = models.JSONField(default=dict)

    class Meta:
        ordering = ("at", "id")
        default_permissions = ("view",)
        indexes = [models.Index(fields=["experiment", "kind", "at"], name="experiment_event_kind")]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.kind}"


class Readout(models.Model):
    """The last analysis of an experiment. analysis: `results.Analysis` as JSON; error: why there is none."""

    experiment = models.OneToOneField(Experiment, on_delete=models.CASCADE, related_name="readout")
    computed_at = models.DateTimeField()
    through = models.DateTimeField(null=True, help_text=_("Events up to here are in it."))
    seconds = models.FloatField(default=0)
    units = models.PositiveBigIntegerField(default=0)
    analysis: Any = models.JSONField(default=dict)
    error = models.TextField(blank=True, default="")

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.experiment_id} {self.computed_at:%Y-%m-%d %H:%M}"


class DayMoments(models.Model):
    """One metric of one variant (and segment), from the start through one day. day: 1 is the first.

    moments: `stats.moments.Moments` or `QuantileMoments` as JSON.
    """

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="moments")
    day = models.PositiveSmallIntegerField()
    metric = models.CharField(max_length=60)
    variant = models.CharField(max_length=40)
    segment = models.CharField(max_length=80, blank=True, default="")
    moments: Any = models.JSONField(default=dict)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(
                fields=["experiment", "day", "metric", "variant", "segment"], name="day_moments_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.experiment_id} {self.day} {self.metric} {self.variant}"


class DeliveryStatus(models.TextChoices):
    """Where a message stands."""

    PENDING = "pending", _("Pending")
    SENT = "sent", _("Sent")
    FAILED = "failed", _("Failed")


class Channel(models.TextChoices):
    """How a message goes out."""

    EMAIL = "email", _("E-mail")
    WEBHOOK = "webhook", _("Webhook")


class Delivery(TimestampedModel):
    """One message to one address, about one entry of the log or one day. `key` says which, so none goes
    twice.
    """

    experiment = models.ForeignKey(Experiment, on_delete=models.CASCADE, related_name="deliveries")
    key = models.CharField(max_length=40)
    kind = models.CharField(max_length=24)
    event = models.ForeignKey(
        ExperimentEvent, null=True, blank=True, on_delete=models.CASCADE, related_name="deliveries"
    )
    channel = models.CharField(max_length=7, choices=Channel)
    target = models.CharField(max_length=320)
    status = models.CharField(
        max_length=7, choices=DeliveryStatus, default=DeliveryStatus.PENDING, db_index=True
    )
    attempts = models.PositiveSmallIntegerField(default=0)
    error = models.CharField(max_length=300, blank=True, default="")
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["experiment", "key", "channel", "target"], name="delivery_once")
        ]

    def __str__(self) -> str:
        return f"{self.key} to {self.target}: {self.status}"
