"""Raw records of merchandising: placements, drafts and publications, changed on their own pages."""

from django.contrib import admin

from apps.accounts.records import ReadOnlyRecordAdmin
from apps.merchandising.models import Draft, Placement, Publication


@admin.register(Placement)
class PlacementAdmin(ReadOnlyRecordAdmin):
    """Placements; they are created, cloned and archived on the settings page."""

    list_display = ("code", "name", "kind", "page_size", "live_publication", "archived_at")
    list_filter = ("kind",)
    list_select_related = ("live_publication__placement",)
    search_fields = ("code", "name")


@admin.register(Publication)
class PublicationAdmin(ReadOnlyRecordAdmin):
    """Publications; immutable."""

    list_display = ("placement", "number", "weights", "note", "published_at", "published_by")
    list_filter = ("placement",)
    list_select_related = ("placement", "published_by")
    date_hierarchy = "published_at"


@admin.register(Draft)
class DraftAdmin(ReadOnlyRecordAdmin):
    """What is being prepared."""

    list_display = ("placement", "revision", "updated_at", "updated_by")
    list_select_related = ("placement", "updated_by")
