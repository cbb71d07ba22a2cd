"""Raw records of serving. Candidate lists have a composite key and no page; their builds have."""

from django.contrib import admin

from apps.accounts.records import ReadOnlyRecordAdmin
from apps.serving.models import ListBuild, SlateTrace


@admin.register(ListBuild)
class ListBuildAdmin(ReadOnlyRecordAdmin):
    """Builds of candidate lists."""

    list_display = ("version_id", "shards_done", "shards", "lists", "started_at", "completed_at")


@admin.register(SlateTrace)
class SlateTraceAdmin(ReadOnlyRecordAdmin):
    """Kept traces: the whole waterfall of a slate."""

    list_display = ("at", "placement", "rung", "shopper_id", "for_staff", "request_id")
    list_filter = ("placement", "rung", "for_staff")
    search_fields = ("request_id",)
    date_hierarchy = "at"
