"""Placements, their drafts and their numbered publications."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.models import TimestampedModel


class PlacementKind(models.TextChoices):
    """What a placement's slate is made for."""

    SHOPPER = "shopper", _("For a shopper")
    ITEM = "item", _("For a product")
    CART = "cart", _("For a cart")
    TRENDING = "trending", _("Trending")
    NEW = "new", _("New arrivals")


class Placement(TimestampedModel):
    """A named spot on the storefront."""

    code = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=80)
    kind = models.CharField(max_length=12, choices=PlacementKind)
    description = models.CharField(max_length=300, blank=True, default="")
    page_size = models.PositiveSmallIntegerField(default=12)
    repeat_purchases = models.BooleanField(
        default=False, help_text=_("Show products the shopper has bought already.")
    )
    live_publication = models.ForeignKey(
        "Publication", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("id",)

    def __str__(self) -> str:
        return self.name


class Publication(models.Model):
    """One immutable, numbered version of a placement's blend and rules."""

    placement = models.ForeignKey(Placement, on_delete=models.CASCADE, related_name="publications")
    number = models.PositiveIntegerField()
    weights = models.JSONField(default=dict, help_text=_("Source code to weight, 0 to 1."))
    normalisation = models.CharField(max_length=12, default="z")
    rules = models.JSONField(default=list, help_text=_("See merchandising.rules for the shape."))
    note = models.CharField(max_length=300, blank=True, default="")
    returned_to = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    published_at = models.DateTimeField(db_index=True)
    published_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ("-published_at", "-number")
        constraints = [
            models.UniqueConstraint(fields=["placement", "number"], name="publication_number_once")
        ]

    def __str__(self) -> str:
        return f"{self.placement.code} #{self.number}"


class Draft(models.Model):
    """What merchandisers are preparing for a placement; reaches nobody before it is published."""

    placement = models.OneToOneField(Placement, on_delete=models.CASCADE, related_name="draft")
    weights = models.JSONField(default=dict)
    rules = models.JSONField(default=list)
    revision = models.PositiveIntegerField(
        default=0, help_text=_("Rises with each save, so that none is lost.")
    )
    updated_at = models.DateTimeField(auto_now=True)
    updated_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    def __str__(self) -> str:
        return f"Draft of {self.placement.code}"
