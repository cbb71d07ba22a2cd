"""Raw records of serving. Candidate lists have a composite key and no page; their builds have."""

from django.contrib import admin

from apps.accounts.records import ReadOnlyRecordAdmin
from apps.serving.models import ListBuild


@admin.register(ListBuild)
class ListBuildAdmin(ReadOnlyRecordAdmin):
    """Builds of candidate lists."""

    list_display = ("version_id", "shards_done", "shards", "lists", "started_at", "completed_at")
