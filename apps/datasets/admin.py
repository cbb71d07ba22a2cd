"""Raw records of snapshots."""

from django.contrib import admin

from apps.accounts.records import ReadOnlyRecordAdmin
from apps.datasets.models import Snapshot


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnlyRecordAdmin):
    """Snapshots; immutable by nature."""

    list_display = (
        "content_hash",
        "window_start",
        "window_end",
        "interactions",
        "items",
        "shoppers",
        "created_at",
    )
    search_fields = ("content_hash",)
    date_hierarchy = "created_at"
