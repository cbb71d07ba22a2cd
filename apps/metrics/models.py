"""Daily rollups: numerators and denominators only, so that any period adds up."""

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
