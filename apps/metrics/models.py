"""Daily rollups: numerators and denominators only, so that any period adds up."""

from datetime import timedelta

from django.contrib.postgres.fields import ArrayField
from django.db import models


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
