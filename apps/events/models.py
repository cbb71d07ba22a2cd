"""Who shops, what they did, what they saw. Partitioned tables carry plain ids, no foreign keys."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from apps.core.models import TimestampedModel


class Shopper(models.Model):
    """A pseudonymous visitor or customer. Attributes are kept only with consent."""

    external_id = models.CharField(max_length=80, unique=True)
    consent = models.BooleanField(default=False, help_text=_("Agreed to personal attributes being used."))
    opted_out = models.BooleanField(
        _("opted out"),
        db_default=False,
        default=False,
        help_text=_("Wants nothing personal: slates know nothing of them, and exposures do not name them."),
    )
    age_band = models.CharField(max_length=20, blank=True, default="")
    gender = models.CharField(max_length=20, blank=True, default="")
    income_band = models.CharField(max_length=20, blank=True, default="")
    region = models.CharField(max_length=60, blank=True, default="")
    language = models.CharField(max_length=10, blank=True, default="")
    first_seen_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now(), db_index=True)
    placeholder = models.BooleanField(
        db_default=False,
        default=False,
        help_text=_("Known from events only; the shop has not described it yet."),
    )
    merged_into = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    first_known_as = models.CharField(
        max_length=80,
        blank=True,
        db_default="",
        default="",
        help_text=_("The oldest id of this person, by which experiments go; empty: the id itself."),
    )

    class Meta:
        ordering = ("external_id",)

    def __str__(self) -> str:
        return self.external_id

    @property
    def unit(self) -> str:
        """What experiments divide: the id under which this person was first known. Not of merged ids."""
        return self.first_known_as or self.external_id


class EventRole(models.TextChoices):
    """What an event kind means to the system, whatever the shop calls it."""

    VIEW = "view", _("View of a product")
    CLICK = "click", _("Click on a slate")
    SEEN = "seen", _("Slate seen by the shopper")
    SEARCH = "search", _("Search")
    CART = "cart", _("Added to cart")
    PURCHASE = "purchase", _("Purchase")
    RETURN = "return", _("Return (undoes a purchase)")
    RATING = "rating", _("Rating or survey score")
    LIKE = "like", _("Positive signal")
    DISLIKE = "dislike", _("Negative signal (hides the product)")
    OTHER = "other", _("Other")


class EventKind(TimestampedModel):
    """A kind of event, with its weight as a training signal. Staff may add more."""

    code = models.SlugField(max_length=40, unique=True)
    name = models.CharField(max_length=80)
    role = models.CharField(max_length=12, choices=EventRole, default=EventRole.OTHER)
    weight = models.FloatField(
        default=0.0, help_text=_("Training weight; negative means dislike, 0 means not used.")
    )
    built_in = models.BooleanField(default=False)
    active = models.BooleanField(default=True)

    class Meta:
        ordering = ("-weight", "code")

    def __str__(self) -> str:
        return self.name


class Interaction(models.Model):
    """One thing a shopper did. Partitioned by month of `occurred_at`; written set-based only."""

    id = models.BigAutoField(primary_key=True)
    occurred_at = models.DateTimeField()
    received_at = models.DateTimeField()
    kind_id = models.BigIntegerField()
    shopper_id = models.BigIntegerField(null=True)
    product_id = models.BigIntegerField(null=True)
    quantity = models.FloatField(default=1.0)
    price = models.DecimalField(max_digits=12, decimal_places=2, null=True)
    value = models.FloatField(null=True, help_text=_("Rating, dwell seconds or survey score."))
    session = models.CharField(max_length=64, default="")
    channel = models.CharField(max_length=20, default="")
    request_id = models.UUIDField(null=True)
    query = models.CharField(max_length=300, default="")
    context = models.JSONField(null=True)
    bot = models.BooleanField(default=False)
    client_event_id = models.CharField(max_length=80)

    class Meta:
        ordering = ("-occurred_at",)
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["occurred_at"], name="interaction_time"),
            models.Index(fields=["shopper_id", "occurred_at"], name="interaction_shopper"),
            models.Index(
                fields=["request_id"],
                name="interaction_request",
                condition=models.Q(request_id__isnull=False),
            ),
            # what a visitor without a shopper id has looked at; read by serving
            models.Index(
                fields=["session", "occurred_at"],
                name="interaction_session",
                condition=models.Q(shopper_id__isnull=True) & ~models.Q(session=""),
            ),
        ]

    def __str__(self) -> str:
        return self.client_event_id


class EventKey(models.Model):
    """Client event ids seen, so that a repeated event is stored once (kept for EVENT_KEY_DAYS)."""

    client_event_id = models.CharField(max_length=80, primary_key=True)
    occurred_at = models.DateTimeField()

    class Meta:
        # Read by pruning alone; a tenth of a B-tree's cost for each event.
        indexes = [BrinIndex(fields=["occurred_at"], name="event_key_time")]

    def __str__(self) -> str:
        return self.client_event_id


class SetAside(models.Model):
    """Something in the inbox that could not become an event; kept for people to look at."""

    entry = models.CharField(max_length=60, help_text=_("Id of the inbox entry, and the place in it."))
    payload = models.TextField()
    field = models.CharField(max_length=40, blank=True, default="")
    reason = models.TextField()
    at = models.DateTimeField(db_default=Now(), db_index=True)

    class Meta:
        ordering = ("-at", "-id")
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["entry"], name="set_aside_once")]
        verbose_name = _("event set aside")
        verbose_name_plural = _("events set aside")

    def __str__(self) -> str:
        return self.entry


class Exposure(models.Model):
    """One served slate. Partitioned by month of `served_at`; item arrays share one order."""

    id = models.BigAutoField(primary_key=True)
    served_at = models.DateTimeField()
    request_id = models.UUIDField()
    placement = models.CharField(max_length=40)
    shopper_id = models.BigIntegerField(null=True)
    session = models.CharField(max_length=64, default="")
    product_ids = ArrayField(models.BigIntegerField())
    sources = ArrayField(
        models.CharField(max_length=40), help_text=_("The source that gave each item the most.")
    )
    propensities = ArrayField(
        models.FloatField(), help_text=_("Probability that the policy shows the item here.")
    )
    publication_id = models.BigIntegerField(null=True)
    experiment_id = models.BigIntegerField(null=True)
    variant = models.CharField(max_length=40, default="")
    model_version_ids = ArrayField(models.BigIntegerField(), default=list)
    rung = models.CharField(max_length=20)
    query = models.CharField(max_length=300, default="")
    context = models.JSONField(null=True)

    class Meta:
        ordering = ("-served_at",)
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["served_at"], name="exposure_time"),
            models.Index(fields=["shopper_id", "served_at"], name="exposure_shopper"),
            models.Index(fields=["request_id"], name="exposure_request"),
        ]

    def __str__(self) -> str:
        return str(self.request_id)


class Dislike(models.Model):
    """A product a shopper does not want to see again; read by every slate."""

    shopper = models.ForeignKey(Shopper, on_delete=models.CASCADE, related_name="+")
    product_id = models.BigIntegerField()
    at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["shopper", "product_id"], name="dislike_once")]

    def __str__(self) -> str:
        return f"{self.shopper_id} dislikes {self.product_id}"


class Review(models.Model):
    """A shopper's opinion of a product in their own words."""

    external_id = models.CharField(max_length=80, unique=True)
    product_id = models.BigIntegerField(db_index=True)
    shopper_id = models.BigIntegerField(null=True, db_index=True)
    rating = models.PositiveSmallIntegerField()
    text = models.TextField(blank=True, default="")
    language = models.CharField(max_length=10, default="en")
    written_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ("-written_at",)

    def __str__(self) -> str:
        return self.external_id


class ImportReport(TimestampedModel):
    """What a data-set or bulk event import took in and skipped, reason by reason."""

    name = models.CharField(max_length=120)
    path = models.CharField(max_length=500)
    counts = models.JSONField(default=dict)
    skipped = models.JSONField(default=dict)
    report_path = models.CharField(max_length=500, blank=True, default="")
    seconds = models.FloatField(default=0.0)

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return self.name
