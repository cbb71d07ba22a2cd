"""Candidate lists: the scored output of one model version for one key, before blend and rules."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.translation import gettext_lazy as _


class RealField(models.FloatField):
    """A 4-byte float; a list's scores need no more."""

    def db_type(self, connection: BaseDatabaseWrapper) -> str:
        """Postgres' single-precision type."""
        return "real"


class ListScope(models.IntegerChoices):
    """Whom a list is for; it tells what `key` means."""

    SHOPPER_NEW = 1, _("Shopper, without products already bought")
    SHOPPER_ALL = 2, _("Shopper, repeats allowed")
    ITEM = 3, _("Similar to a product")
    EVERYONE = 4, _("Everyone (key 0)")
    SEGMENT = 5, _("Segment of shoppers")
    CATEGORY = 6, _("Category")


class CandidateList(models.Model):
    """Best first; written by binary COPY, read by one primary-key query a request."""

    pk = models.CompositePrimaryKey("version_id", "scope", "key")
    version_id = models.BigIntegerField()
    scope = models.PositiveSmallIntegerField(choices=ListScope)
    key = models.BigIntegerField()
    item_ids = ArrayField(models.BigIntegerField())
    scores = ArrayField(RealField())

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.version_id}/{self.scope}/{self.key}"


class ListBuild(models.Model):
    """State of a version's lists; readers use a version only once its build is complete."""

    version_id = models.BigIntegerField(unique=True)
    shards = models.PositiveSmallIntegerField(default=1)
    shards_done = models.PositiveSmallIntegerField(default=0)
    finished = ArrayField(
        models.PositiveSmallIntegerField(), default=list, blank=True, help_text=_("Numbers of shards done.")
    )
    sent_at = models.DateTimeField(
        null=True, blank=True, help_text=_("When its unfinished shards were last given out.")
    )
    lists = models.PositiveBigIntegerField(default=0)
    job_id = models.BigIntegerField(null=True, blank=True)
    started_at = models.DateTimeField(auto_now_add=True)
    completed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"lists of version {self.version_id}"


class SlateTrace(models.Model):
    """The whole trace of one slate: of a sampled share of them, and of what staff asked to explain."""

    request_id = models.UUIDField(primary_key=True)
    at = models.DateTimeField(db_index=True)
    placement = models.CharField(max_length=40)
    shopper_id = models.BigIntegerField(null=True, blank=True)
    rung = models.CharField(max_length=20)
    for_staff = models.BooleanField(default=False)
    trace = models.JSONField()

    class Meta:
        ordering = ("-at",)
        default_permissions = ("view",)
        verbose_name = _("kept trace")
        verbose_name_plural = _("kept traces")

    def __str__(self) -> str:
        return str(self.request_id)
