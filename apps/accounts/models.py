"""Staff, API clients, the audit trail and the shop's settings."""

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.core.models import TimestampedModel


class User(AbstractUser):
    """A member of staff. Roles are Django groups, see `accounts.roles`."""

    language = models.CharField(_("language"), max_length=10, blank=True, default="")

    class Meta(AbstractUser.Meta):
        swappable = "AUTH_USER_MODEL"


class ApiClient(TimestampedModel):
    """A program that calls the REST API with a scoped key, of which only the hash is kept.

    A publishable key is one for web pages: it stands in their source, so it is kept as it is.
    """

    name = models.CharField(_("name"), max_length=80, unique=True)
    prefix = models.CharField(
        max_length=12, unique=True, help_text=_("First characters of the key, to recognise it.")
    )
    key_hash = models.CharField(max_length=64, unique=True, help_text=_("SHA-256 of the key."))
    scopes = ArrayField(models.CharField(max_length=20), default=list)
    requests_per_minute = models.PositiveIntegerField(_("requests per minute"), default=60_000)
    public_key = models.CharField(
        max_length=64, blank=True, default="", help_text=_("The key itself, of a publishable key only.")
    )
    origins = ArrayField(
        models.CharField(max_length=200),
        default=list,
        blank=True,
        help_text=_("Web sites whose pages may use a publishable key."),
    )
    created_by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ("name",)

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class AuditEntry(models.Model):
    """Who changed what, with the object before and after."""

    at = models.DateTimeField(db_index=True)
    actor = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    verb = models.CharField(max_length=60, help_text=_("For example publication.publish."))
    object_type = models.CharField(max_length=60)
    object_id = models.CharField(max_length=60)
    object_label = models.CharField(max_length=200)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)
    reason = models.TextField(blank=True, default="")

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit trail")
        ordering = ("-at", "-id")
        indexes = [models.Index(fields=["object_type", "object_id"], name="audit_object")]

    def __str__(self) -> str:
        return f"{self.verb} {self.object_label}"


class ShopSettings(models.Model):
    """One row: what the shop is called and how its numbers are read."""

    name = models.CharField(_("shop name"), max_length=80, default="RecoPortal shop")
    currency = models.CharField(_("currency"), max_length=3, default="EUR")
    time_zone = models.CharField(_("time zone"), max_length=60, default="UTC")
    languages = ArrayField(models.CharField(max_length=10), default=list)
    words = models.JSONField(
        default=dict,
        blank=True,
        help_text=_("By language, what the studio's words are here: product is song, for example."),
    )
    attribution_hours = models.PositiveIntegerField(_("attribution window (hours)"), default=24)
    set_up_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("shop settings")
        verbose_name_plural = _("shop settings")
        constraints = [models.CheckConstraint(condition=models.Q(pk=1), name="shop_settings_one_row")]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if not 1 <= self.attribution_hours <= 24 * 90:
            raise ValidationError({"attribution_hours": _("Choose between 1 hour and 90 days (2160 hours).")})


class StaffInvitation(TimestampedModel):
    """A link by which a colleague sets a password and gets a role; only the token's hash is kept."""

    email = models.EmailField()
    role = models.CharField(max_length=30)
    token_hash = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)
    invited_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ("-created_at",)

    def __str__(self) -> str:
        return f"{self.email} ({self.role})"
