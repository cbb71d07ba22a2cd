"""Raw records of snapshots and of whom they leave out."""

from django.contrib import admin

from apps.accounts.records import ReadOnlyRecordAdmin
from apps.datasets.models import LeftOutShopper, Snapshot


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


@admin.register(LeftOutShopper)
class LeftOutShopperAdmin(ReadOnlyRecordAdmin):
    """Shoppers from whom nothing is learned; staff change them on the data pages."""

    list_display = ("shopper", "reason", "left_out_at", "left_out_by")
    search_fields = ("shopper__external_id", "reason")
    date_hierarchy = "left_out_at"
