"""Raw records of the daily counts."""

from django.contrib import admin

from apps.accounts.records import ReadOnlyRecordAdmin
from apps.metrics.models import DailyMetric


@admin.register(DailyMetric)
class DailyMetricAdmin(ReadOnlyRecordAdmin):
    """Daily rollups; rebuilt from events, never typed in."""

    list_display = ("day", "placement", "counts", "built_at")
    list_filter = ("placement",)
    date_hierarchy = "day"
