"""Raw records of long work."""

from django.contrib import admin

from apps.accounts.records import ReadOnlyRecordAdmin
from apps.jobs.models import Job


@admin.register(Job)
class JobAdmin(ReadOnlyRecordAdmin):
    """Jobs; they are started and cancelled where they belong, and in the jobs drawer."""

    list_display = ("id", "kind", "title", "status", "progress", "requested_by", "started_at", "finished_at")
    list_filter = ("status", "kind")
    list_select_related = ("requested_by",)
    search_fields = ("title", "kind", "error")
    date_hierarchy = "created_at"
