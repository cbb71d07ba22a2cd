"""What every table of ours shares."""

from django.db import models


class TimestampedModel(models.Model):
    """Adds when the row was made and last written."""

    created_at = models.DateTimeField(auto_now_add=True, db_index=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        abstract = True
