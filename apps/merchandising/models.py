"""Placements, their drafts and their numbered publications."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.models import TimestampedModel


class PlacementKind(models.TextChoices):
    """What a placement's slate is made for."""

    SHOPPER = "shopper", _("For a shopper")
    ITEM = "item", _("For a product")
    TOGETHER = "together", _("Bought together")
    VIEWED = "viewed", _("Because you viewed")
    CART = "cart", _("For a cart")
    AGAIN = "again", _("Buy again")
    TRENDING = "trending", _("Trending")
    NEW = "new", _("New arrivals")
    PROMOTION = "promotion", _("On promotion")
    SPONSORED = "sponsored", _("Sponsored")
    CATEGORY = "category", _("For a category page")
    SEARCH = "search", _("For search results")


class SeenAction(models.TextChoices):
    """What a placement does with products the shopper has just looked at."""

    KEEP = "keep", _("Show them like all others")
    LAST = "last", _("Show them after all others")
    HIDE = "hide", _("Leave them out")


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
    bought_days = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text=_("Leave out only what was bought within so many days; empty: ever.")
    )
    seen_action = models.CharField(max_length=4, choices=SeenAction, default=SeenAction.KEEP)
    seen_minutes = models.PositiveSmallIntegerField(
        default=60, help_text=_("A product counts as just seen for so many minutes.")
    )
    second_price = models.BooleanField(
        default=False, help_text=_("A click costs what the next sponsor would have needed to stand there.")
    )
    trace_share = models.FloatField(
        default=0.0, help_text=_("Share of slates, 0 to 1, whose whole trace is kept.")
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
    """One immutable, numbered version of a placement's blend and rules.

    A trial was made for an experiment: it has its number in the one history, but is never live by itself.
    """

    placement = models.ForeignKey(Placement, on_delete=models.CASCADE, related_name="publications")
    number = models.PositiveIntegerField()
    weights = models.JSONField(default=dict, help_text=_("Source code to weight, 0 to 1."))
    normalisation = models.CharField(max_length=12, default="z")
    rules = models.JSONField(default=list, help_text=_("See merchandising.rules for the shape."))
    trial = models.BooleanField(default=False, help_text=_("Made for an experiment; never live by itself."))
    page_size = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text=_("Of a trial; empty: the placement's.")
    )
    versions = models.JSONField(
        default=dict, blank=True, help_text=_("Of a trial: source code to the model version it uses.")
    )
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


class Campaign(TimestampedModel):
    """What a sponsor pays for: products shown where placements are sponsored, at a bid per click."""

    name = models.CharField(max_length=80)
    sponsor = models.CharField(max_length=80, blank=True, default="")
    skus = ArrayField(models.CharField(max_length=64), default=list)
    bid = models.DecimalField(max_digits=9, decimal_places=2, help_text=_("The most a click costs."))
    daily_budget = models.DecimalField(max_digits=12, decimal_places=2)
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True)
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ("-active", "name")

    def __str__(self) -> str:
        return self.name


class CampaignDay(models.Model):
    """What a campaign's product got on one day of the shop; counted again until the day's clicks are in."""

    campaign = models.ForeignKey(Campaign, on_delete=models.CASCADE, related_name="days")
    product_id = models.BigIntegerField()
    day = models.DateField()
    shown = models.PositiveIntegerField(default=0)
    clicks = models.PositiveIntegerField(default=0)
    spend = models.DecimalField(max_digits=12, decimal_places=4, default=0)

    class Meta:
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["campaign", "product_id", "day"], name="campaign_day_once")
        ]
        indexes = [models.Index(fields=["day"], name="campaign_day")]

    def __str__(self) -> str:
        return f"{self.campaign_id} {self.day} {self.product_id}"
