"""Raw records of what shoppers did and saw. The partitioned tables are read-only and never counted."""

from typing import Any

from django.contrib import admin
from django.db.models import Model, OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.paginator import InfinitePaginator

from apps.accounts.records import ReadOnlyRecordAdmin, RecordAdmin
from apps.catalog.models import Product
from apps.events.models import (
    Dislike,
    EventKind,
    Exposure,
    ImportReport,
    Interaction,
    Review,
    SetAside,
    Shopper,
)
from apps.events.upserts import ATTRIBUTES


@admin.register(Shopper)
class ShopperAdmin(RecordAdmin):
    """Shoppers by their pseudonym."""

    list_display = (
        "external_id",
        "consent",
        "region",
        "language",
        "age_band",
        "first_seen_at",
        "last_seen_at",
    )
    list_filter = ("consent", "region", "language", "age_band")
    search_fields = ("external_id",)
    readonly_fields = ("external_id", "first_seen_at", "last_seen_at", "merged_into", "first_known_as")

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        """Save; attributes are kept with consent only, so withdrawing it empties them, as an import does."""
        if isinstance(obj, Shopper) and not obj.consent:
            for name in ATTRIBUTES:
                setattr(obj, name, "")
        super().save_model(request, obj, form, change)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Shoppers come with their events."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A shopper leaves by an erasure, which reaches every table."""
        return False


@admin.register(EventKind)
class EventKindAdmin(ReadOnlyRecordAdmin):
    """Event kinds; they are added and changed on the data page."""

    list_display = ("code", "name", "role", "weight", "built_in", "active")
    list_filter = ("role", "active")
    search_fields = ("code", "name")


class PartitionedAdmin(ReadOnlyRecordAdmin):
    """A table cut into months: pages go on without counting, and ids are written out as names."""

    paginator = InfinitePaginator
    show_full_result_count = False
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Adds who it was, from the plain id."""
        rows: QuerySet[Any] = super().get_queryset(request)
        shopper = Shopper.objects.filter(pk=OuterRef("shopper_id")).values("external_id")
        return rows.annotate(shopper_name=Subquery(shopper))

    @admin.display(description=_("Shopper"))
    def shopper(self, obj: Any) -> str:
        """The shopper's pseudonym."""
        return obj.shopper_name or "–"


@admin.register(Interaction)
class InteractionAdmin(PartitionedAdmin):
    """Interactions, newest first."""

    list_display = ("occurred_at", "kind", "shopper", "product", "quantity", "price", "channel", "bot")
    list_filter = ("channel", "bot")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Adds the kind and the product, from their plain ids."""
        kind = EventKind.objects.filter(pk=OuterRef("kind_id")).values("code")
        product = Product.objects.filter(pk=OuterRef("product_id")).values("sku")
        return super().get_queryset(request).annotate(kind_code=Subquery(kind), product_sku=Subquery(product))

    @admin.display(description=_("Kind"))
    def kind(self, obj: Any) -> str:
        """The event kind's code."""
        return obj.kind_code or "–"

    @admin.display(description=_("Product"))
    def product(self, obj: Any) -> str:
        """The product's sku."""
        return obj.product_sku or "–"


@admin.register(Exposure)
class ExposureAdmin(PartitionedAdmin):
    """Served slates, newest first."""

    list_display = (
        "served_at",
        "placement",
        "shopper",
        "rung",
        "items",
        "variant",
        "publication_id",
        "request_id",
    )
    list_filter = ("placement", "rung")

    @admin.display(description=_("Products"))
    def items(self, obj: Exposure) -> int:
        """How many products the slate had."""
        return len(obj.product_ids)


@admin.register(Dislike)
class DislikeAdmin(ReadOnlyRecordAdmin):
    """Products shoppers do not want to see again."""

    list_display = ("shopper", "product_id", "at")
    list_select_related = ("shopper",)
    search_fields = ("shopper__external_id",)


@admin.register(Review)
class ReviewAdmin(ReadOnlyRecordAdmin):
    """Reviews."""

    list_display = ("external_id", "product_id", "rating", "language", "written_at", "text")
    list_filter = ("rating", "language")
    search_fields = ("text", "external_id")
    show_full_result_count = False


@admin.register(ImportReport)
class ImportReportAdmin(ReadOnlyRecordAdmin):
    """Reports of data-set and event imports."""

    list_display = ("name", "created_at", "seconds", "counts", "skipped")
    search_fields = ("name", "path")


@admin.register(SetAside)
class SetAsideAdmin(ReadOnlyRecordAdmin):
    """What the inbox held and could not become an event."""

    list_display = ("at", "entry", "field", "reason", "payload")
    search_fields = ("payload", "reason")
    show_full_result_count = False
