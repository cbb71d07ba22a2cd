"""Immutable snapshots of the shop's data."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.models import TimestampedModel
from apps.events.models import Shopper


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


class LeftOutShopper(models.Model):
    """A shopper from whom nothing is learned, such as a bot: snapshots leave out all that they do."""

    shopper = models.OneToOneField(Shopper, primary_key=True, on_delete=models.CASCADE, related_name="+")
    reason = models.TextField(blank=True, default="", help_text=_("Why, in words."))
    left_out_at = models.DateTimeField()
    left_out_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("-left_out_at", "shopper")

    def __str__(self) -> str:
        return str(self.shopper)
