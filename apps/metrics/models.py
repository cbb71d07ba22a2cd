"""Daily rollups (numerators and denominators only, so that any period adds up), and metrics staff define."""

from datetime import timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.accounts.models import User
from apps.core.models import TimestampedModel


class DailyMetric(models.Model):
    """Counts of one day (the shop's time zone) in one scope: the whole shop ('') or a placement code."""

    day = models.DateField(db_index=True)
    placement = models.CharField(max_length=40, blank=True, default="")
    counts = models.JSONField(default=dict)
    built_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ("-day", "placement")
        constraints = [models.UniqueConstraint(fields=["day", "placement"], name="daily_metric_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.placement or 'shop'}"


class DailyItems(models.Model):
    """What the products had of a day in one scope; coverage, Gini and novelty of any period add up from it.

    The arrays share one order. Scope '' carries `events` (how much is done with each product at all), a
    placement carries `seen` and `clicked`. One row a day and scope: a row a product would be a hundred times
    as much to write.
    """

    day = models.DateField()
    placement = models.CharField(max_length=40, blank=True, default="")
    product_ids = ArrayField(models.BigIntegerField(), default=list)
    seen = ArrayField(models.IntegerField(), default=list)
    clicked = ArrayField(models.IntegerField(), default=list)
    events = ArrayField(models.IntegerField(), default=list)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["day", "placement"], name="daily_items_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.placement or 'shop'}"


class RollupState(models.Model):
    """How far the rollups have come, and by which time zone and attribution window: one row."""

    through_id = models.BigIntegerField(default=0, help_text="Interactions up to this id are in the rollups.")
    time_zone = models.CharField(max_length=64, default="")
    attribution_seconds = models.PositiveIntegerField(default=0)
    built_at = models.DateTimeField(auto_now=True)
    seconds = models.FloatField(default=0.0)
    days = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"through event {self.through_id}"

    def describes(self, *, zone: str, window: timedelta) -> bool:
        """Whether the rollups were built with this time zone and attribution window (never built: no)."""
        return (self.time_zone, self.attribution_seconds) == (zone, int(window.total_seconds()))


class MetricDefinition(TimestampedModel):
    """A metric over units that staff defined; `apps.metrics.units` says what the fields mean.

    What it measures never changes once defined, so that two readouts of one code mean the same; archived
    ones go on being read by the experiments that use them.
    """

    code = models.SlugField(_("code"), max_length=40, unique=True)
    name = models.CharField(_("name"), max_length=80)
    kind = models.CharField(_("kind"), max_length=12)
    numerator = models.JSONField(_("numerator"), default=dict)
    denominator = models.JSONField(_("denominator"), null=True, blank=True)
    window_hours = models.PositiveIntegerField(_("conversion window (hours)"), null=True, blank=True)
    winsorise = models.FloatField(_("winsorise at"), null=True, blank=True)
    quantile = models.FloatField(_("quantile"), null=True, blank=True)
    higher_is_better = models.BooleanField(_("higher is better"), default=True)
    unit = models.CharField(_("unit"), max_length=8, default="number")
    active = models.BooleanField(_("active"), default=True)
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ("name",)
        verbose_name = _("metric")

    def __str__(self) -> str:
        return self.name
