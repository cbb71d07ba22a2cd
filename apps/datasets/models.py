"""Immutable snapshots of the shop's data."""

from django.db import models

from apps.core.models import TimestampedModel


class Snapshot(TimestampedModel):
    """A folder of Parquet files and a manifest; `content_hash` makes equal data recognisable."""

    content_hash = models.CharField(max_length=64, unique=True)
    path = models.CharField(max_length=500)
    window_start = models.DateTimeField(null=True, blank=True)
    window_end = models.DateTimeField()
    interactions = models.PositiveBigIntegerField(default=0)
    items = models.PositiveIntegerField(default=0)
    shoppers = models.PositiveIntegerField(default=0)
    manifest = models.JSONField(default=dict)
    seconds = models.FloatField(default=0.0)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.content_hash[:12]} ({self.interactions} events)"
