"""Raw records of the catalogue. Products may be mended by hand; the next feed import has the last word."""

from django.contrib import admin
from unfold.admin import TabularInline

from apps.accounts.records import ReadOnlyRecordAdmin, RecordAdmin
from apps.catalog.models import Category, FeedImport, Product, ProductText


class ProductTextInline(TabularInline):
    """A product's texts in further languages."""

    model = ProductText
    extra = 0


@admin.register(Product)
class ProductAdmin(RecordAdmin):
    """Products."""

    list_display = (
        "sku",
        "title",
        "category",
        "brand",
        "price",
        "currency",
        "stock",
        "placeholder",
        "source",
    )
    list_filter = ("placeholder", "source", "language")
    list_select_related = ("category",)
    search_fields = ("sku", "title", "brand")
    autocomplete_fields = ("category",)
    readonly_fields = ("created_at", "updated_at", "first_seen_at", "source", "placeholder")
    inlines = (ProductTextInline,)

    def has_add_permission(self, request: object) -> bool:
        """Products come with the feed, which fills what a form would leave out."""
        return False


@admin.register(Category)
class CategoryAdmin(ReadOnlyRecordAdmin):
    """The category tree, made by the feed."""

    list_display = ("path", "name", "depth")
    list_filter = ("depth",)
    search_fields = ("path", "name")


@admin.register(FeedImport)
class FeedImportAdmin(ReadOnlyRecordAdmin):
    """Feed imports."""

    list_display = (
        "file_name",
        "format",
        "rows",
        "inserted",
        "updated",
        "unchanged",
        "rejected",
        "created_at",
    )
    list_filter = ("format",)
    search_fields = ("file_name",)
    date_hierarchy = "created_at"
