"""What can be sold."""

from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.models import TimestampedModel


class Category(models.Model):
    """A node of the category tree; `path` names it from the root, parts joined by ' > '."""

    path = models.CharField(max_length=400, unique=True)
    name = models.CharField(max_length=120)
    names = models.JSONField(default=dict, blank=True, help_text=_("Name by language code."))
    parent = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="children"
    )
    depth = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name_plural = _("categories")
        ordering = ("path",)

    def __str__(self) -> str:
        return self.path


class Product(TimestampedModel):
    """One sellable thing. Products that are variants of one another share `group_key`."""

    sku = models.CharField(max_length=64, unique=True)
    title = models.CharField(max_length=300)
    description = models.TextField(blank=True, default="")
    language = models.CharField(max_length=10, default="en")
    category = models.ForeignKey(
        Category, null=True, blank=True, on_delete=models.SET_NULL, related_name="products"
    )
    brand = models.CharField(max_length=120, blank=True, default="", db_index=True)
    price = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    list_price = models.DecimalField(
        max_digits=12,
        decimal_places=2,
        null=True,
        blank=True,
        help_text=_("What it cost before a promotion; above the price, the product is on promotion."),
    )
    currency = models.CharField(max_length=3, blank=True, default="")
    cost = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    stock = models.IntegerField(null=True, blank=True, help_text=_("Empty: not counted, always in stock."))
    image_url = models.CharField(max_length=500, blank=True, default="")
    attributes = models.JSONField(default=dict, blank=True)
    group_key = models.CharField(max_length=64, blank=True, default="", db_index=True)
    available_from = models.DateTimeField(null=True, blank=True)
    available_until = models.DateTimeField(null=True, blank=True)
    first_seen_at = models.DateTimeField(db_index=True)
    source = models.CharField(max_length=60, blank=True, default="")
    placeholder = models.BooleanField(
        default=False,
        help_text=_("Made by an event that named an unknown sku; the feed has not described it yet."),
    )

    class Meta:
        ordering = ("sku",)
        indexes = [
            GinIndex(fields=["title"], name="product_title_trgm", opclasses=["gin_trgm_ops"]),
            GinIndex(fields=["sku"], name="product_sku_trgm", opclasses=["gin_trgm_ops"]),
            # serving asks every second what has changed
            models.Index(fields=["updated_at"], name="product_updated"),
        ]

    def __str__(self) -> str:
        return f"{self.sku} {self.title}"


class ProductText(models.Model):
    """A product's title and description in a further language."""

    product = models.ForeignKey(Product, on_delete=models.CASCADE, related_name="texts")
    language = models.CharField(max_length=10)
    title = models.CharField(max_length=300)
    description = models.TextField(blank=True, default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["product", "language"], name="product_text_once")]

    def __str__(self) -> str:
        return f"{self.title} [{self.language}]"


class FeedImport(TimestampedModel):
    """One import of a product feed: what came in, what was refused, and the report of it."""

    job_id = models.BigIntegerField(null=True, blank=True, db_index=True)
    file_name = models.CharField(max_length=300)
    format = models.CharField(max_length=12)
    path = models.CharField(max_length=500, help_text=_("The uploaded file."))
    report_path = models.CharField(max_length=500, blank=True, default="")
    rows = models.PositiveIntegerField(default=0)
    inserted = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    rejected = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.file_name
